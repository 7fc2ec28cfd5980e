"""Reports: results of analyses that are mappings, and that print as a table, JSON, CSV or Markdown."""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache, partial
from itertools import chain, islice
from operator import attrgetter
from typing import Any

from netspec.dims import Symbolic
from netspec.gc_pause import gc_paused
from netspec.tables import Table


class Report(dict[str, Any]):
    """A mapping with the keys of the report's JSON, which prints as a table."""

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
    """A report whose keys are also attributes: the base class of frozen dataclasses.

    The keys are the fields, in order, and their values are converted by `plain`: `summary.totals.macs` and
    `summary["totals"]["macs"]` are the same number.
    """

    def __post_init__(self) -> None:
        self.update(_plain_rows(type(self), [self])[0])

    @abstractmethod
    def table(self) -> Table:
        """The report as a table."""


HIDDEN: Mapping[str, str] = {"json": "never"}
"""The metadata of a dataclass field that the JSON leaves out."""

OPTIONAL: Mapping[str, str] = {"json": "unless empty"}
"""The metadata of a dataclass field that the JSON leaves out if its value is `""`."""


def plain(value: object) -> Any:
    """A value in the types of JSON: dataclasses become mappings, tuples lists, symbolic sizes and fractions text.

    >>> plain({"stride": (Fraction(1, 2), 1)})
    {'stride': ['1/2', 1]}
    """
    return value if type(value) in _ATOMS else _converter(type(value))([value])[0]


_ATOMS = frozenset([str, int, float, bool, type(None)])
"""Types that JSON has too. Nearly all values of a report are of these, so they are tested without a call."""


def _plain_list(values: Sequence[object]) -> list[Any]:
    """Values as JSON has them. Those of one type, such as the many rows of a report, are converted together."""
    plain_values = [*values]
    for kind in {*map(type, values)} - _ATOMS:
        places = [place for place, value in enumerate(values) if type(value) is kind]
        entries = _converter(kind)([values[place] for place in places])
        for place, entry in zip(places, entries, strict=True):
            plain_values[place] = entry
    return plain_values


@cache
def _converter(kind: type[Any]) -> Callable[[Sequence[Any]], list[Any]]:
    """The function that gives values of a type as JSON has them."""
    if issubclass(kind, Mapping):
        return lambda mappings: [{key: plain(entry) for key, entry in mapping.items()} for mapping in mappings]
    if issubclass(kind, list | tuple):
        return _plain_lists
    if issubclass(kind, Symbolic | Fraction):
        return lambda numbers: [*map(str, numbers)]
    return partial(_plain_rows, kind)


def _plain_lists(lists: Sequence[Sequence[object]]) -> list[list[Any]]:
    """Lists as JSON has them: converted as one list, and cut into theirs again, since most are short."""
    flat = [*chain.from_iterable(lists)]
    if _ATOMS.issuperset(map(type, flat)):
        return [[*each] for each in lists]
    entries = iter(_plain_list(flat))
    return [[*islice(entries, len(each))] for each in lists]


def _plain_rows(kind: type[Any], values: Sequence[Any]) -> list[dict[str, Any]]:
    """Dataclasses of one type as mappings of the fields that are keys of their JSON, converted column by column."""
    names, optional = _keys(kind)
    columns = [_plain_list([*map(attrgetter(name), values)]) for name in names]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    for name in optional:
        for row in rows:
            if row[name] == "":
                del row[name]
    return rows


@cache
def _keys(kind: type[Any]) -> tuple[Sequence[str], Sequence[str]]:
    """The names of a dataclass's fields that are keys of its JSON, and of those that are left out when empty."""
    fields = [field for field in dataclasses.fields(kind) if field.metadata.get("json") != HIDDEN["json"]]
    optional = [field.name for field in fields if field.metadata.get("json") == OPTIONAL["json"]]
    return [field.name for field in fields], optional


def to_json(data: Mapping[str, Any]) -> str:
    """JSON text with a line for each key, and for each item of a list of mappings."""
    lines: list[str] = []
    for key, value in data.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            # One call of the C encoder, and then a line break before each item. The text that marks an item's begin
            # can't occur inside a JSON string, where every quote has a backslash before it.
            first = json.dumps(next(iter(value[0])))  # pyright: ignore[reportUnknownArgumentType]
            inner = json.dumps(value)[1:-1].replace(f"}}, {{{first}", f"}},\n    {{{first}")
            lines.append(f"  {json.dumps(key)}: [\n    {inner}\n  ]")
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    # JSON escapes all control characters that a terminal obeys, except DEL.
    return ("{\n" + ",\n".join(lines) + "\n}").replace("\x7f", "\\u007f")
