"""`netspec help`."""

from __future__ import annotations

import click

from netspec.cli.completion import command_names
from netspec.cli.terminal import echo


@click.command("help")
@click.argument("names", nargs=-1, metavar="[COMMAND]...", shell_complete=command_names)
@click.pass_context
def command(context: click.Context, names: tuple[str, ...]) -> None:
    """Tell about a command, as its --help does; without one, list them all.

    \b
    Examples:
      netspec help
      netspec help summary
      netspec help weights convert
    """
    found = context.find_root()
    for name in names:
        group = found.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"`{found.command_path}` has no commands of its own", found)
        name, inner, _ = group.resolve_command(found, [name])
        assert inner is not None
        found = click.Context(inner, parent=found, info_name=name)
    echo(found.get_help())
