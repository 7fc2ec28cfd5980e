"""What a spec says of its inputs or outputs by their names, as `preprocess` and `labels` do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from netspec.errors import Findings, NetspecError, choices, closest, fail
from netspec.spec.text.data import Entry

T = TypeVar("T")


def read_for(
    entries: Mapping[str, Entry],
    what: str,
    known: Collection[str],
    read: Callable[[str, Entry], T],
    findings: Findings,
) -> dict[str, T]:
    """What is read from each entry, whose key names an input or output; `what` is which of the two."""
    found: dict[str, T] = {}
    for name, entry in entries.items():
        try:
            if name not in known:
                help = closest(name, known) or f"it has {choices(known)}"
                fail("NS209", f"there is no {what} `{name}`", entry.key_span, help=help)
            found[name] = read(name, entry)
        except NetspecError as error:
            findings.extend(error)
            findings.check_full()
    return found
