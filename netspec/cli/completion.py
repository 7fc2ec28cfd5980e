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
    if wanted:
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(command, {}, "netspec", VARIABLE, wanted))


def network_names(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The bundled networks, and the spec files and folders where a shell looks."""
    from click.shell_completion import CompletionItem

    from netspec.spec.library import bundled_names, looks_like_path

    names = [] if looks_like_path(incomplete) else [n for n in bundled_names() if n.startswith(incomplete)]
    return [CompletionItem(name) for name in [*names, *_specs(incomplete)]]


def _specs(incomplete: str) -> list[str]:
    """The spec files and folders whose paths begin so."""
    from netspec.spec.library import SUFFIXES

    lead, slash, begins = incomplete.rpartition("/")
    folder = Path(f"{lead}/" if slash else ".").expanduser()
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    shown = [entry for entry in entries if (entry.name.startswith(begins) and begins) or not entry.name.startswith(".")]
    found = [entry for entry in shown if entry.name.startswith(begins)]
    return [
        f"{lead}{slash}{entry.name}{'/' if entry.is_dir() else ''}"
        for entry in found
        if entry.is_dir() or entry.name.endswith(SUFFIXES)
    ]


def op_names(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The ops, each with what it is."""
    from click.shell_completion import CompletionItem

    from netspec.ops import REGISTRY
    from netspec.ops.reference import first_line

    return [CompletionItem(n, help=first_line(op)) for n, op in sorted(REGISTRY.items()) if n.startswith(incomplete)]
