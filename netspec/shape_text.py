"""Shapes as text: `3 x 224 x 224`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

Size = TypeVar("Size", bound=object)


def shape_text(sizes: Iterable[object], scalar: str = "") -> str:
    """The sizes of a shape with ` x ` between them; the shape without axes is `scalar`.

    >>> shape_text(["N", 64, 56, 56])
    'N x 64 x 56 x 56'
    >>> shape_text([], scalar="a scalar")
    'a scalar'
    """
    return " x ".join(map(str, sizes)) or scalar


def common_batch(shapes: Iterable[Sequence[Size]]) -> Size | None:
    """The size of the first axis that all shapes have; None if they differ in it, or one has no axis.

    >>> common_batch([("N", 3, 8, 8), ("N",)]), common_batch([("N", 3), ("R", 5)])
    ('N', None)
    """
    first = {shape[0] if shape else None for shape in shapes}
    return first.pop() if len(first) == 1 else None


def without_batch(shape: Sequence[Size], batch: Size | None) -> Sequence[Size]:
    """A shape without its first axis where that is the batch; another first axis stays, and so does an only one.

    >>> without_batch(("N", 64, 56, 56), "N"), without_batch(("R", 5), "N"), without_batch(("N",), "N")
    ((64, 56, 56), ('R', 5), ('N',))
    """
    return shape[1:] if len(shape) > 1 and batch is not None and shape[0] == batch else shape


def axes_text(values: Iterable[object], times: str = "x") -> str:
    """A setting of each axis, such as a kernel or a stride: one number where all are alike.

    >>> axes_text([3, 3])
    '3'
    >>> axes_text([1, 7]), axes_text([1, 7], times=" x ")
    ('1x7', '1 x 7')
    """
    texts = [str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else times.join(texts)
