"""The command `netspec`: a group of commands, each loaded when it is called."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from netspec import __version__

COMMANDS = {
    "list": "List the bundled networks.",
    "show": "Print a spec, or the graph it stands for.",
    "summary": "Tell shapes, parameters, MACs and receptive fields.",
    "params": "Tell where the parameters are.",
    "rf": "Tell receptive fields: what a unit sees of the input.",
    "memory": "Tell how much memory weights and activations take.",
    "explain": "Tell where a part of a network comes from.",
    "diff": "Tell what differs between two networks.",
    "hash": "Print a hash of what a network computes.",
    "diagram": "Draw a network, for a page or a screen.",
    "validate": "Check specs, and the claims they make.",
    "compile": "Write a network as PyTorch source, and prove it.",
    "transform": "Fold, cut or change a network, and write it as a spec or as source.",
    "export": "Write a network as an ONNX model for inference.",
    "run": "Run an ONNX model, and tell what it sees in images.",
    "import": "Make a spec of an ONNX model that netspec exported.",
    "weights": "Check and convert files of weights.",
    "init": "Write a first spec to begin from.",
    "ops": "List the ops, or tell all about one.",
    "schema": "Print the JSON Schema of specs, for editors.",
}
"""Every command with its line of help, so that `--help` loads none of them."""


class LazyGroup(click.Group):
    """A group whose commands stand in modules of their names."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, from the module of its name."""
        if cmd_name not in COMMANDS:
            return None
        found = import_module(f"netspec.cli.{cmd_name}_command").command
        assert isinstance(found, click.Command)
        return found

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command that the arguments name, or a hint at one that they might mean."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            from netspec.errors import closest

            hint = closest(name, COMMANDS) or f"there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"there is no command `{name}`; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, with none of them loaded."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="netspec")
@click.pass_context
def cli(context: click.Context) -> None:
    """Networks as specs: analysed without running them, compiled to PyTorch source.

    A NETWORK is the name of a bundled spec (`netspec list`), a path to a spec file, or `-` for standard input.
    What you ask for goes to standard output, all other talk to standard error.

    \b
    Examples:
      netspec summary vgg_e
      netspec compile resnet50 --set classes=10 -o model.py
      netspec show vgg_e > mine.yaml
      netspec validate mine.yaml

    \b
    Exit status:
      0 fine, 1 a spec (or weights, or a file) is wrong, 2 usage, 3 a part is not installed;
      of diff: 0 nothing differs, 1 something does
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the exit status is 0, 1 (a spec is wrong), 2 (usage) or 3 (a part is missing)."""
    from netspec.errors import MissingPart, NetspecError

    out: Any = sys.stdout
    if isinstance(out, io.TextIOWrapper):
        # A terminal that knows few characters gets the others as `\xe9`, and no traceback.
        out.reconfigure(errors="backslashreplace")
    if not sys.stdin:
        # Closed (`<&-`): an empty one.
        sys.stdin = io.TextIOWrapper(io.BytesIO())
    given = list(sys.argv[1:] if arguments is None else arguments)
    # One network of a spec on standard input looks like an option.
    given = [f"<stdin>{each[1:]}" if each.startswith("-:") else each for each in given]
    try:
        with cli.make_context("netspec", given) as context:
            cli.invoke(context)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except NetspecError as error:
        click.echo(str(error), err=True)
        sys.exit(3 if isinstance(error, MissingPart) else 1)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output has enough of it (`| head`).
        _drop_output()
        sys.exit(0)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"Error: {place}{(error.strerror or str(error)).lower()}", err=True)
        _drop_output()
        sys.exit(1)


def _drop_output() -> None:
    """Send what is still buffered nowhere: at exit Python would try to write it again, and complain."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # no descriptor to speak of
        pass
