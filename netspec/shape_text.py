"""Shapes as text: `3 x 224 x 224`."""

from __future__ import annotations

from collections.abc import Iterable


def shape_text(sizes: Iterable[object], scalar: str = "") -> str:
    """The sizes of a shape with ` x ` between them; the shape without axes is `scalar`.

    >>> shape_text(["N", 64, 56, 56])
    'N x 64 x 56 x 56'
    >>> shape_text([], scalar="a scalar")
    'a scalar'
    """
    return " x ".join(map(str, sizes)) or scalar


def axes_text(values: Iterable[object], times: str = "x") -> str:
    """A setting of each axis, such as a kernel or a stride: one number where all are alike.

    >>> axes_text([3, 3])
    '3'
    >>> axes_text([1, 7]), axes_text([1, 7], times=" x ")
    ('1x7', '1 x 7')
    """
    texts = [str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else times.join(texts)
