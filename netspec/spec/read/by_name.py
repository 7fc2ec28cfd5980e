"""Reads sections whose keys are the names of inputs or outputs, such as `preprocess` and `labels`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from netspec.errors import Findings, NetspecError, choices, closest, fail
from netspec.spec.text.data import Entry

_T = TypeVar("_T")


def read_by_name(
    entries: Mapping[str, Entry],
    what: str,
    names: Collection[str],
    read: Callable[[str, Entry], _T],
    findings: Findings,
) -> dict[str, _T]:
    """Read each entry of a section by `read`, and refuse keys that are not in `names`.

    `what` is what the keys name, for errors: "input" or "output".
    """
    values: dict[str, _T] = {}
    for name, entry in entries.items():
        try:
            if name not in names:
                help = closest(name, names) or f"it has {choices(names)}"
                fail("NS209", f"there is no {what} `{name}`", entry.key_span, help=help)
            values[name] = read(name, entry)
        except NetspecError as error:
            findings.extend(error)
            findings.check_full()
    return values
