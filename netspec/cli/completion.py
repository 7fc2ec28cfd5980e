"""Completion in shells, by click: which networks, specs and ops there are; nothing heavy is loaded for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from click import Command, Context, Parameter
    from click.shell_completion import CompletionItem

VARIABLE = "_NETSPEC_COMPLETE"
"""In which a shell says what it wants: `bash_source`, or `bash_complete` with the words so far in others."""


def complete(command: Command) -> None:
    """Answer a shell that asks for completions, and end."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    from click.shell_completion import shell_complete

    try:
        status = shell_complete(command, {}, "netspec", VARIABLE, wanted)
    except Exception:
        # A line that is half written may be wrong in any way, and a shell has no place for words.
        status = 1
    sys.exit(status)


def network_names(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The bundled networks, and the spec files and folders where a shell looks."""
    names = bundled(context, parameter, incomplete)
    return names + _items(_specs(incomplete, alone=not names))


def bundled(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The bundled networks."""
    from netspec.spec.sources.bundled import bundled_names

    return _items([name for name in bundled_names() if name.startswith(incomplete)])


def _items(values: list[str]) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(value) for value in values]


def _specs(incomplete: str, alone: bool) -> list[str]:
    """The spec files and folders whose paths begin so; of a folder that stands `alone` what is in it."""
    from netspec.spec.sources.spec_file import SPEC_SUFFIXES

    lead, slash, begins = incomplete.rpartition("/")
    try:
        entries = sorted(Path(f"{lead}{slash}" or ".").expanduser().iterdir())
    except OSError:
        return []
    seen = [entry for entry in entries if entry.name.startswith(begins) and (begins or entry.name[0] != ".")]
    folders = [f"{lead}{slash}{entry.name}/" for entry in seen if entry.is_dir()]
    files = [f"{lead}{slash}{entry.name}" for entry in seen if entry.name.endswith(SPEC_SUFFIXES) and entry.is_file()]
    if alone and len(folders) == 1 and not files:
        # A shell would go on with a space behind it.
        return _specs(folders[0], alone) or folders
    return files + folders


def command_names(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The commands, or those within the command that was named before."""
    import click

    inner = context.find_root()
    for name in context.params.get("names") or ():
        group = inner.command
        found = group.get_command(inner, name) if isinstance(group, click.Group) else None
        if not isinstance(found, click.Group):
            return []
        inner = click.Context(found, parent=inner, info_name=name)
    return [item for item in inner.command.shell_complete(inner, incomplete) if item.value[:1] != "-"]


def op_completions(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The ops, those that installed packages announce included."""
    from netspec.ops import own

    return _items([name for name in sorted(own.op_names()) if name.startswith(incomplete)])
