"""Completes networks, specs, commands and ops in shells, by click, without slow imports."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from click import Command, Context, Parameter
    from click.shell_completion import CompletionItem

_VARIABLE = "_NETSPEC_COMPLETE"
"""The variable in which a shell asks: `bash_source`, or `bash_complete` with the words so far in further variables."""


def answer_shell(command: Command) -> None:
    """If a shell asks for completions, print them and end the process; else do nothing."""
    question = os.environ.get(_VARIABLE)
    if not question:
        return
    from click.shell_completion import shell_complete

    try:
        status = shell_complete(command, {}, "netspec", _VARIABLE, question)
    except Exception:
        # An unfinished line may be wrong in any way, and a shell can't show errors.
        status = 1
    sys.exit(status)


def complete_network(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The completions of NETWORK: bundled networks, and spec files and folders at the typed path."""
    names = complete_bundled(context, parameter, incomplete)
    return names + _items(_specs(incomplete, alone=not names))


def complete_bundled(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The bundled networks."""
    from netspec.spec.sources.bundled import bundled_names

    return _items([name for name in bundled_names() if name.startswith(incomplete)])


def _items(values: list[str]) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(value) for value in values]


def _specs(incomplete: str, alone: bool) -> list[str]:
    """The spec files and folders whose paths begin with a text.

    With `alone`, they are all that is offered, and a single folder is replaced by its content.
    """
    from netspec.spec.sources.spec_file import SPEC_SUFFIXES

    lead, slash, begins = incomplete.rpartition("/")
    try:
        entries = sorted(Path(f"{lead}{slash}" or ".").expanduser().iterdir())
    except OSError:
        return []
    matches = [entry for entry in entries if entry.name.startswith(begins) and (begins or entry.name[0] != ".")]
    folders = [f"{lead}{slash}{entry.name}/" for entry in matches if entry.is_dir()]
    specs = [entry for entry in matches if entry.name.endswith(SPEC_SUFFIXES) and entry.is_file()]
    files = [f"{lead}{slash}{entry.name}" for entry in specs]
    if alone and len(folders) == 1 and not files:
        # A shell would end a single match with a space.
        return _specs(folders[0], alone) or folders
    return files + folders


def complete_command(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The commands, or those within the command that was named before."""
    import click

    inner = context.find_root()
    for name in context.params.get("names") or ():
        group = inner.command
        command = group.get_command(inner, name) if isinstance(group, click.Group) else None
        if not isinstance(command, click.Group):
            return []
        inner = click.Context(command, parent=inner, info_name=name)
    return [item for item in inner.command.shell_complete(inner, incomplete) if item.value[:1] != "-"]


def complete_op(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The ops, including those that installed packages announce."""
    from netspec.ops import own

    return _items([name for name in sorted(own.op_names()) if name.startswith(incomplete)])
