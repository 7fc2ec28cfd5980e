"""How a value of several numbers is written: as one where they are equal."""

from __future__ import annotations

from typing import Any


def collapse(value: Any) -> Any:
    """A value as it is written: `(3, 3)` is 3, a list is a tuple. No size at all is said for each axis."""
    if not isinstance(value, list | tuple):
        return value
    items: tuple[Any, ...] = tuple(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    alike = all(item == items[0] and type(item) is type(items[0]) for item in items)
    return items[0] if len(items) > 1 and alike and items[0] is not None else items
