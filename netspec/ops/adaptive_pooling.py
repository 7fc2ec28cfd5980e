"""Adaptive pools, with a fixed output size, over maps of one, two and three spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from netspec.dims import Dim
from netspec.ops.base import Costless, RuleError, by, example, need_floats
from netspec.ops.fields import OutputSize2d, OutputSize3d, Single
from netspec.ops.pooling import with_indices
from netspec.ops.window import need_map
from netspec.types import Layer, Memory, OnnxWriter, Reach, Tensor, Window

_Kind = Literal["Average", "Max"]
"""The kind of a pool, as ONNX names it."""
_LETTERS = {1: "L", 2: "HW", 3: "DHW"}
"""The letters of the spatial axes, by their number."""


class AdaptivePool(Costless, family="pooling"):
    """The base of pools with a fixed output size, from which their windows follow."""

    output_size: tuple[Any, ...]

    kind: ClassVar[Literal["max", "average"]]
    precision = "half"

    def infer(self, x: Tensor) -> Tensor:
        need_map(self, x, len(self.output_size))
        need_floats(self, x)
        return x.with_spatial(*self._spatial(x))

    def window(self, x: Tensor) -> Window | Reach:
        # Windows of torch's adaptive pools run from floor(i*H/out) to ceil((i+1)*H/out): one size only
        # where the output divides the input.
        if self._is_global():
            return Reach.ALL
        sizes: list[int] = []
        for count, size in self._sizes(x):
            if count is None or count == size:
                sizes.append(1)
            elif isinstance(size, int) and size % count == 0:
                sizes.append(size // count)
            else:
                return Reach.VARIES
        return Window(tuple(sizes), tuple(sizes), (0,) * len(sizes))

    def per_sample(self, x: Tensor) -> bool:
        return True

    def label(self) -> str:
        # An axis that keeps its size is shown by its letter.
        letters = _LETTERS[len(self.output_size)]
        sizes = by(tuple([count or letter for count, letter in zip(self.output_size, letters, strict=True)]))
        return f"global {self.kind} pool" if self._is_global() else f"adaptive {self.kind} pool, {sizes}"

    def _is_global(self) -> bool:
        return all(count == 1 for count in self.output_size)

    def _spatial(self, x: Tensor) -> list[Dim]:
        return [count if count is not None else size for count, size in self._sizes(x)]

    def _sizes(self, x: Tensor) -> list[tuple[int | None, Dim]]:
        return list(zip(self.output_size, x.spatial, strict=True))


class AdaptiveAvgPool(AdaptivePool):
    """The base of adaptive pools that take the mean of each window."""

    kind = "average"

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # torch uses a plain mean for a global pool, whose gradient needs only the input's size.
        return Memory() if self._is_global() else Memory(inputs=(0,))

    def torch(self, x: Tensor) -> Layer:
        return self.layer(f"nn.AdaptiveAvgPool{len(self.output_size)}d", output_size=self.output_size)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return adaptive_pool(g, x, self._spatial(g.type(x)), "Average")


class AdaptiveMaxPool(AdaptivePool):
    """The base of adaptive pools that take the largest value of each window."""

    kind = "max"

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return with_indices(train, y)

    def torch(self, x: Tensor) -> Layer:
        return self.layer(f"nn.AdaptiveMaxPool{len(self.output_size)}d", output_size=self.output_size)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return adaptive_pool(g, x, self._spatial(g.type(x)), "Max")


class AdaptiveAvgPool1d(AdaptiveAvgPool, name="adaptive_avg_pool1d", principal="output_size"):
    """Mean over windows that share out (N, C, L), as torch.nn.AdaptiveAvgPool1d; output_size 1 pools globally."""

    output_size: Single

    examples = (
        example((2, 3, 7), output_size=1),
        example((2, 3, 12), output_size=[6]),
        example((2, 3, 9), output_size=4),
    )


class AdaptiveAvgPool2d(AdaptiveAvgPool, name="adaptive_avg_pool2d", principal="output_size"):
    """Mean over windows that share out the map, as torch.nn.AdaptiveAvgPool2d; output_size 1 pools globally."""

    output_size: OutputSize2d

    examples = (
        example((2, 3, 7, 7), output_size=1),
        example((2, 3, 12, 7), output_size=[6, 7]),
        example((2, 3, 8, 9), output_size=[4, None]),
    )


class AdaptiveAvgPool3d(AdaptiveAvgPool, name="adaptive_avg_pool3d", principal="output_size"):
    """Mean over windows that share out the volume, as torch.nn.AdaptiveAvgPool3d; output_size 1 pools globally."""

    output_size: OutputSize3d

    examples = (
        example((2, 3, 4, 5, 6), output_size=1),
        example((2, 3, 4, 5, 6), output_size=[2, 5, 3]),
        example((1, 2, 5, 4, 3), output_size=[3, None, 2]),
    )


class AdaptiveMaxPool1d(AdaptiveMaxPool, name="adaptive_max_pool1d", principal="output_size"):
    """Largest value over windows that share out (N, C, L), as torch.nn.AdaptiveMaxPool1d."""

    output_size: Single

    examples = (
        example((2, 3, 7), output_size=1),
        example((2, 3, 12), output_size=[6]),
        example((2, 3, 9), output_size=4),
    )


class AdaptiveMaxPool2d(AdaptiveMaxPool, name="adaptive_max_pool2d", principal="output_size"):
    """Largest value over windows that share out the map, as torch.nn.AdaptiveMaxPool2d."""

    output_size: OutputSize2d

    examples = (
        example((2, 3, 7, 7), output_size=1),
        example((2, 3, 12, 7), output_size=[6, 7]),
    )


class AdaptiveMaxPool3d(AdaptiveMaxPool, name="adaptive_max_pool3d", principal="output_size"):
    """Largest value over windows that share out the volume, as torch.nn.AdaptiveMaxPool3d."""

    output_size: OutputSize3d

    examples = (
        example((2, 3, 4, 5, 6), output_size=1),
        example((2, 3, 4, 5, 6), output_size=[2, 5, 3]),
        example((1, 2, 5, 4, 3), output_size=[3, None, 2]),
    )


def adaptive_pool(g: OnnxWriter, x: str, output_size: Sequence[Dim], kind: _Kind) -> str:
    """In ONNX, an adaptive pool of a map, an input of the rule, to the sizes of its spatial axes."""
    sizes = g.type(x).spatial
    if all(count == 1 for count in output_size):
        return getattr(g, f"Global{kind}Pool")(x)
    kernel = [_window_of(size, count) for size, count in zip(sizes, output_size, strict=True)]
    if all(kernel):
        return x if max(kernel) == 1 else getattr(g, f"{kind}Pool")(x, kernel_shape=kernel, strides=kernel)
    # A window is the product of a span of each axis, so pooling one axis after the other has the same result.
    for axis, (size, count) in enumerate(zip(sizes, output_size, strict=True), start=2):
        if count == size:
            continue
        if count == 1:
            x = (g.ReduceMean if kind == "Average" else g.ReduceMax)(x, g.constant([axis]))
        else:
            x = _adaptive_pool_axis(g, x, axis, 2 + len(sizes), size, count, kind)
    return x


def _adaptive_pool_axis(g: OnnxWriter, x: str, axis: int, rank: int, size: Dim, count: Dim, kind: _Kind) -> str:
    """In ONNX, an adaptive pool along one axis of a map of this rank."""
    if not isinstance(size, int) or not isinstance(count, int):
        message = f"ONNX has no adaptive pool of a map of {size} to {count}: its size must be known"
        help = "fix the sizes of the input (`--input 3x224x224`)"
        raise RuleError(message, at="output_size", code="NS401", help=help)
    windows = [(place * size // count, -(-(place + 1) * size // count)) for place in range(count)]
    if kind == "Max":
        # Shorter windows repeat their last element.
        most = max(end - start for start, end in windows)
        places = [[min(start + n, end - 1) for n in range(most)] for start, end in windows]
        return g.ReduceMax(g.Gather(x, g.constant(places), axis=axis), g.constant([axis + 1]), keepdims=0)
    shares = [[(start <= n < end) / (end - start) for n in range(size)] for start, end in windows]
    if axis == rank - 2:
        return g.MatMul(g.constant(shares, "like"), x)
    columns = g.constant(list(zip(*shares, strict=True)), "like")
    if axis == rank - 1:
        return g.MatMul(x, columns)
    # The axis goes to the end, and back.
    others = [n for n in range(rank) if n != axis]
    back = [*range(axis), rank - 1, *range(axis, rank - 1)]
    return g.Transpose(g.MatMul(g.Transpose(x, perm=[*others, axis]), columns), perm=back)


def _window_of(size: Dim, count: Dim) -> int:
    """The size of an adaptive pool's windows along an axis, if all are equal and do not overlap; else 0."""
    if size == count:
        return 1
    return size // count if isinstance(size, int) and isinstance(count, int) and size % count == 0 else 0
