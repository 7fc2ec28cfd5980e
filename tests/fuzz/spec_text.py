"""Specs as text, in YAML and in JSON, with the line on which every part stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

Form = Literal["yaml", "json"]
Path = tuple[str | int, ...]
"""Where something stands in a spec: keys and indices from the top."""

_BARE = re.compile(r"(?!(?:true|false|null)\Z)[A-Za-z_][A-Za-z0-9_]*", re.IGNORECASE)


class Text:
    """A spec's text; `lines[path]` is the line, from 1, on which a key or an item begins."""

    def __init__(self, data: Any, form: Form) -> None:
        self.form = form
        self.rows: list[str] = []
        self.lines: dict[Path, int] = {(): 1}
        if form == "yaml":
            self._yaml(data, (), 0)
        else:
            self._json(data, (), 0, "", "")

    def __str__(self) -> str:
        return "\n".join(self.rows) + "\n"

    def lines_of(self, path: Path, *, inside: bool) -> set[int]:
        """The line on which something begins; `inside`: those of its parts too."""
        found = (line for other, line in self.lines.items() if other == path or (inside and other[: len(path)] == path))
        return {*found}

    def _yaml(self, data: Any, path: Path, depth: int, lead: str = "") -> None:
        """A collection, its first line after `lead`, which is a dash or nothing."""
        parts = data.items() if isinstance(data, dict) else enumerate(data)
        for key, value in parts:
            here = (*path, key)
            before = (lead or "  " * depth) + (f"{_scalar(key)}:" if isinstance(data, dict) else "-")
            lead = ""
            self.lines[here] = len(self.rows) + 1
            if _is_flat(value):
                self.rows.append(f"{before} {_flat(value)}")
            elif before.endswith("-"):
                self._yaml(value, here, depth + 1, f"{before} ")
            else:
                self.rows.append(before)
                self._yaml(value, here, depth + 1)

    def _json(self, data: Any, path: Path, depth: int, lead: str, end: str) -> None:
        if _is_flat(data):
            self.rows.append(f"{lead}{json.dumps(data)}{end}")
            return
        opening, closing = "{}" if isinstance(data, dict) else "[]"
        self.rows.append(f"{lead}{opening}")
        parts = [*(data.items() if isinstance(data, dict) else enumerate(data))]
        for number, (key, value) in enumerate(parts):
            self.lines[(*path, key)] = len(self.rows) + 1
            name = f"{json.dumps(key)}: " if isinstance(data, dict) else ""
            comma = "," if number + 1 < len(parts) else ""
            self._json(value, (*path, key), depth + 1, "  " * (depth + 1) + name, comma)
        self.rows.append("  " * depth + closing + end)


def _is_flat(value: Any) -> bool:
    """Whether a value is written on one line: scalars, lists of them, and what is empty."""
    if isinstance(value, dict):
        return not value
    return not (isinstance(value, list) and any(isinstance(item, dict | list) for item in value))


def _flat(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_flat(item) for item in value)}]"
    return _scalar(value) if not isinstance(value, dict) else "{}"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) else json.dumps(value)
    return json.dumps(value)


def parts_of(data: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every part of a spec with its path, the whole first."""
    yield path, data
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from parts_of(value, (*path, key))


def at(data: Any, path: Path) -> Any:
    """The part of a spec at a path."""
    for key in path:
        data = data[key]
    return data
