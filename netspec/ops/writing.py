"""Parts of the rules `weights` and `onnx` that several ops share."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt

from netspec.dims import Dim
from netspec.types import Init, OnnxWriter, Weight, uniform

KAIMING = Init("kaiming_uniform", {"a": sqrt(5)})
"""The initialiser of the weights of torch.nn's convolutions and linear layers."""


def layer_weights(shape: tuple[int, ...], units: int, bias: bool) -> tuple[Weight, ...]:
    """The weight of a convolution or linear layer, and its bias for `units`, with torch.nn's initialisers."""
    weight = Weight("weight", shape, start=KAIMING)
    # The bound depends on the fan-in as torch counts it: axis 1 times the kernel.
    return (weight, Weight("bias", (units,), start=uniform(1 / sqrt(prod(shape[1:]))))) if bias else (weight,)


def scale_and_shift(shape: tuple[int, ...], bias: bool = True) -> tuple[Weight, ...]:
    """The weight and bias of a normalisation, which are initialised to ones and zeros."""
    weight = Weight("weight", shape, start=1.0)
    return (weight, Weight("bias", shape, start=0.0)) if bias else (weight,)


FLOAT32, INT32, INT64, BOOL = 1, 6, 7, 9
"""The numbers of dtypes in onnx.proto, for `Cast`."""


def weight_and_bias(g: OnnxWriter, bias: bool, before: str = "") -> list[str]:
    """The values of the op's weight and, if it has one, its bias; `before` is a prefix of both names."""
    return [g.weight(f"{before}{name}") for name in (("weight", "bias") if bias else ("weight",))]


def per_channel(g: OnnxWriter, x: str, weight: str) -> str:
    """A weight of one element for each channel as (C, 1, ...), which broadcasts along axis 1 of `x`, a rule's input."""
    axes = list(range(1, g.type(x).rank - 1))
    return g.Unsqueeze(weight, g.constant(axes)) if axes else weight


def reshape(g: OnnxWriter, x: str, shape: Sequence[Dim], *, kept: int, of: str = "") -> str:
    """Reshape a value; its first `kept` axes keep their sizes.

    Of the axes after those, one symbolic size is inferred from the others; further ones are read from the shape of
    `of`, an input of the rule, by default the value itself.
    """
    source_shape = g.type(of or x).shape
    if not of and tuple(shape) == source_shape:
        return x
    sizes: list[int | str] = [size if isinstance(size, int) else 0 if n < kept else -1 for n, size in enumerate(shape)]
    if sizes.count(-1) <= 1:
        return g.Reshape(x, g.constant([size for size in sizes if isinstance(size, int)]))
    if tuple(shape) == source_shape:
        return g.Reshape(x, g.Shape(of))
    for axis, size in enumerate(shape):
        if sizes[axis] == -1 and size in source_shape:
            place = source_shape.index(size)
            sizes[axis] = g.Shape(of or x, start=place, end=place + 1)
    parts = [g.constant([size]) if isinstance(size, int) else size for size in sizes]
    return g.Reshape(x, g.Concat(*parts, axis=0))


def places(g: OnnxWriter, x: str, axis: int) -> str:
    """The numbers 0, 1, 2 and so on, as many as an axis of a rule's input has."""
    type = g.type(x)
    size, axis = type.shape[axis], axis % type.rank
    count = g.constant(size) if isinstance(size, int) else g.Squeeze(g.Shape(x, start=axis, end=axis + 1))
    return g.Range(g.constant(0), count, g.constant(1))
