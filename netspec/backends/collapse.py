"""Shortens values with a number for each axis, such as `(3, 3)`, to one number."""

from __future__ import annotations

from typing import Any


def collapse(value: Any) -> Any:
    """A value in its shortest form: equal items become one, and a list becomes a tuple.

    >>> collapse((3, 3)), collapse((3,)), collapse([1, 2]), collapse("same")
    (3, 3, (1, 2), 'same')
    >>> collapse((None, None))  # stays, since None alone means something else
    (None, None)
    """
    if not isinstance(value, list | tuple):
        return value
    items: tuple[Any, ...] = tuple(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    alike = all(item == items[0] and type(item) is type(items[0]) for item in items)
    return items[0] if items and alike and items[0] is not None else items
