"""The command `netspec`: a group of commands, each loaded when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from netspec import __version__

COMMANDS = {
    "compile": "Write a network as PyTorch source, and prove it.",
    "list": "List the bundled networks.",
    "show": "Print a spec, or the graph it stands for.",
    "summary": "Tell shapes, parameters, MACs and receptive fields.",
    "validate": "Check specs, and the claims they make.",
}
"""Every command with its line of help, so that `--help` loads none of them."""


class LazyGroup(click.Group):
    """A group whose commands stand in modules of their names."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found = import_module(f"netspec.cli.{cmd_name}_command").command
        assert isinstance(found, click.Command)
        return found

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            from netspec.errors import closest

            hint = closest(name, COMMANDS)
            raise click.UsageError(f"there is no command `{name}`" + (f"; {hint}" if hint else ""), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="netspec")
def cli() -> None:
    """Networks as specs: analysed without running them, compiled to PyTorch source.

    A NETWORK is the name of a bundled spec (`netspec list`), a path to a spec file, or `-` for standard input.

    \b
    netspec summary vgg_e
    netspec compile specs/vgg_e.yaml
    netspec compile resnet50 --set classes=10 -o model.py
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; the exit status is 0, 1 (a spec is wrong), 2 (usage) or 3 (a part is missing)."""
    from netspec.errors import NetspecError

    try:
        cli.main(arguments, prog_name="netspec", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except NetspecError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read the output has enough of it (`| head`).
        sys.stderr.close()
        sys.exit(0)
