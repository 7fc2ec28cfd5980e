"""What every report is: plain data that prints as a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from netspec.gc_pause import gc_paused
from netspec.tables import Table


class Report(dict[str, Any]):
    """A report as plain data (its keys are those of its JSON); printed, it is a table."""

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
