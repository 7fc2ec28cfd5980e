"""Reports: results of analyses, which are mappings, and print as a table, JSON, CSV or Markdown."""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any, cast

from netspec.dims import Symbolic
from netspec.gc_pause import gc_paused
from netspec.tables import Table


class Report(dict[str, Any]):
    """Plain data with the keys of its JSON; printed, it is a table."""

    def __init__(self, data: Mapping[str, Any], table: Callable[[], Table]) -> None:
        super().__init__(data)
        self._table = table

    def table(self) -> Table:
        """The report as a table."""
        return self._table()

    def to_json(self) -> str:
        """The report as JSON text, one line for each item of a list of mappings."""
        with gc_paused():
            return to_json(self)

    def to(self, format: str) -> str:
        """The report as `table` (text), `json`, `csv` or `markdown`."""
        return self.to_json() if format == "json" else self.table().to(format)

    def _repr_html_(self) -> str:
        return self.table().to_html()

    def __str__(self) -> str:
        return self.table().to_text()


class TypedReport(Report, ABC):
    """A report whose keys are attributes too: the base of frozen dataclasses.

    The fields are the keys, in their order, and `plain` makes their values those of JSON. Of a result `summary`,
    `summary.totals.macs` and `summary["totals"]["macs"]` are the same number.
    """

    def __post_init__(self) -> None:
        self.update(_plain_fields(self))

    @abstractmethod
    def table(self) -> Table:
        """The report as a table."""


HIDDEN: Mapping[str, str] = {"json": "never"}
"""The metadata of a dataclass field that is no key of the JSON."""

OPTIONAL: Mapping[str, str] = {"json": "unless empty"}
"""The metadata of a dataclass field that is a key of the JSON unless its value is `""`."""


def plain(value: object) -> Any:
    """A value as JSON has it: dataclasses as mappings, tuples as lists, symbolic sizes and fractions as text.

    >>> plain({"stride": (Fraction(1, 2), 1)})
    {'stride': ['1/2', 1]}
    """
    if type(value) in _ATOMS:
        return value
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in cast("Mapping[str, object]", value).items()}
    if isinstance(value, list | tuple):
        entries = cast("Sequence[object]", value)
        return [entry if type(entry) in _ATOMS else plain(entry) for entry in entries]
    if isinstance(value, Symbolic | Fraction):
        return str(value)
    return _plain_fields(value)


_ATOMS = frozenset([str, int, float, bool, type(None)])
"""Types whose values JSON has as they are: nearly all of a report, so they are told without a call."""


def _plain_fields(result: object) -> dict[str, Any]:
    """The fields of a dataclass that are keys of its JSON."""
    data: dict[str, Any] = {}
    for name, optional in _keys(type(result)):
        value = getattr(result, name)
        if not optional or value != "":
            data[name] = value if type(value) in _ATOMS else plain(value)
    return data


@cache
def _keys(kind: type[Any]) -> Sequence[tuple[str, bool]]:
    """The names of a dataclass's fields that are keys of its JSON, each with whether it is left out when empty."""
    fields = [field for field in dataclasses.fields(kind) if field.metadata.get("json") != HIDDEN["json"]]
    return [(field.name, field.metadata.get("json") == OPTIONAL["json"]) for field in fields]


def to_json(data: Mapping[str, Any]) -> str:
    """JSON text with a line for each key, and for each item of a list of mappings."""
    lines: list[str] = []
    for key, value in data.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            # One call of the C encoder; a line break goes where an item begins. That text can't stand inside
            # a string of JSON, where a quote has a backslash before it.
            first = json.dumps(next(iter(value[0])))  # pyright: ignore[reportUnknownArgumentType]
            inner = json.dumps(value)[1:-1].replace(f"}}, {{{first}", f"}},\n    {{{first}")
            lines.append(f"  {json.dumps(key)}: [\n    {inner}\n  ]")
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    # JSON escapes what a terminal obeys, but for DEL.
    return ("{\n" + ",\n".join(lines) + "\n}").replace("\x7f", "\\u007f")
