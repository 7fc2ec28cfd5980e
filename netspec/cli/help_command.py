"""`netspec help`."""

from __future__ import annotations

import click

from netspec.cli.completion import complete_command
from netspec.cli.terminal import echo


@click.command("help")
@click.argument("names", nargs=-1, metavar="[COMMAND]...", shell_complete=complete_command)
@click.pass_context
def command(context: click.Context, names: tuple[str, ...]) -> None:
    """Tell about a command, as its --help does; without one, list them all.

    \b
    Examples:
      netspec help
      netspec help summary
      netspec help weights convert
    """
    inner = context.find_root()
    for name in names:
        group = inner.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"`{inner.command_path}` has no commands of its own", inner)
        name, command, _ = group.resolve_command(inner, [name])
        assert command is not None
        inner = click.Context(command, parent=inner, info_name=name)
    echo(inner.get_help())
