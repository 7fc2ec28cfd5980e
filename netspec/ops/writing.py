"""What rules for ONNX share."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.dims import Dim
from netspec.types import OnnxWriter


def weight_and_bias(g: OnnxWriter, bias: bool, before: str = "") -> list[str]:
    """The op's weight, and its bias where it has one, whose names begin with some text."""
    return [g.weight(f"{before}{name}") for name in (("weight", "bias") if bias else ("weight",))]


def per_channel(g: OnnxWriter, x: str, weight: str) -> str:
    """A weight of the channels of a value that enters the rule, as (C, 1, ...), so that it meets axis 1."""
    axes = list(range(1, g.type(x).rank - 1))
    return g.Unsqueeze(weight, g.constant(axes)) if axes else weight


def reshape(g: OnnxWriter, x: str, shape: Sequence[Dim], *, kept: int, of: str = "") -> str:
    """A value in another shape, whose first `kept` axes it has already.

    Behind those, one open size follows from the others; more are taken from `of`, the value itself or another that
    enters the rule.
    """
    own = g.type(of or x).shape
    if not of and tuple(shape) == own:
        return x
    sizes: list[int | str] = [size if isinstance(size, int) else 0 if n < kept else -1 for n, size in enumerate(shape)]
    if sizes.count(-1) <= 1:
        return g.Reshape(x, g.constant([size for size in sizes if isinstance(size, int)]))
    if tuple(shape) == own:
        return g.Reshape(x, g.Shape(of))
    for axis, size in enumerate(shape):
        if sizes[axis] == -1 and size in own:
            place = own.index(size)
            sizes[axis] = g.Shape(of or x, start=place, end=place + 1)
    parts = [g.constant([size]) if isinstance(size, int) else size for size in sizes]
    return g.Reshape(x, g.Concat(*parts, axis=0))
