"""Writes a JSON Schema as text that people can read."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from netspec.spec.schema.parts import Schema


def schema_text(schema: Schema) -> str:
    """A schema as JSON that people can read: each value is on one line if it fits."""
    return _text(schema, 0) + "\n"


def _text(value: Any, indent: int) -> str:
    """A value as JSON; its first line follows text at `indent`, and further lines are indented by `indent` or more."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or indent + len(line) <= 110:
        return line
    space = " " * (indent + 2)
    items: list[str] = []
    if isinstance(value, list) and all(isinstance(item, str) for item in value):  # pyright: ignore[reportUnknownVariableType]
        items = textwrap.wrap(line[1:-1], 108 - indent, break_on_hyphens=False)
        return f"[\n{space}" + f"\n{space}".join(items) + f"\n{' ' * indent}]"
    if isinstance(value, list):
        items = [_text(item, indent + 2) for item in value]  # pyright: ignore[reportUnknownVariableType]
    else:
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            items.append(f"{json.dumps(key)}: {_text(item, indent + 2)}")
    begin, end = "[]" if isinstance(value, list) else "{}"
    return f"{begin}\n{space}" + f",\n{space}".join(items) + f"\n{' ' * indent}{end}"
