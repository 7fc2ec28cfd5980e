"""The command `netspec`: a group of commands, each imported when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from netspec.cli.terminal import echo
from netspec.version import VERSION

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

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
    "help": "Tell about a command.",
}
"""Every command with its line of help, so that `--help` loads none of them."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called: `summary` from `summary_command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, from the module of its name."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"netspec.cli.{cmd_name}_command").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command that the arguments name, or a hint at one that they might mean."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            from netspec.errors import closest

            hint = closest(name, COMMANDS) or f"there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"there is no command `{name}`; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin with a text, none of them imported, and the options."""
        from click.shell_completion import CompletionItem

        commands = [CompletionItem(name, help=line) for name, line in COMMANDS.items() if name.startswith(incomplete)]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, prog_name="netspec")
@click.pass_context
def cli(context: click.Context) -> None:
    """Networks as specs: analysed without running them, compiled to PyTorch source.

    A NETWORK is the name of a bundled spec (`netspec list`), a path to a spec file or to an ONNX model that netspec
    exported, or `-` for standard input. What you ask for goes to standard output, all other talk to standard error.

    \b
    Examples:
      netspec summary vgg_e
      netspec compile resnet50 --set classes=10 -o model.py
      netspec show vgg_e > mine.yaml
      netspec validate mine.yaml
      netspec help weights convert

    \b
    Exit status:
      0 fine, 1 a spec (or weights, or a file) is wrong, 2 usage, 3 a part is not installed;
      of diff: 0 nothing differs, 1 something does
    """
    if context.invoked_subcommand is None:
        echo(context.get_help())
