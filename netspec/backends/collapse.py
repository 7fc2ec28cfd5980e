"""Values with a number for each axis, as they are written: one number where all are equal."""

from __future__ import annotations

from typing import Any


def collapse(value: Any) -> Any:
    """A value as it is written: equal numbers are one, and a list is a tuple.

    >>> collapse((3, 3)), collapse([1, 2]), collapse("same")
    (3, (1, 2), 'same')
    >>> collapse((None, None))  # no size, which is written for each axis
    (None, None)
    """
    if not isinstance(value, list | tuple):
        return value
    items: tuple[Any, ...] = tuple(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    alike = all(item == items[0] and type(item) is type(items[0]) for item in items)
    return items[0] if len(items) > 1 and alike and items[0] is not None else items
