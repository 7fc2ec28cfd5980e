"""Pools whose windows slide over maps of one, two and three spatial axes."""

from __future__ import annotations

from itertools import product
from math import inf, prod
from typing import Any, ClassVar

from netspec.ops.base import Costless, RuleError, by, by_all, example, is_float, need_floats, need_numbers
from netspec.ops.fields import (
    MAX_INT,
    Flag,
    PaddingPair,
    PaddingSingle,
    PaddingTriple,
    Pair,
    Positive,
    Single,
    Triple,
)
from netspec.ops.window import ceil_padding, effective_size, need_map, slide
from netspec.types import Layer, Memory, OnnxWriter, Tensor, Window

_LOWEST = {"int64": -(2**63), "int32": -(2**31)}
"""The lowest integer of a dtype."""


def with_indices(train: bool, y: Tensor) -> Memory:
    """The memory of a max pool: the positions of the maxima, as int64; in training they are kept."""
    indices = (Tensor(y.shape, "int64"),)
    return Memory((0,), kept=indices) if train else Memory(scratch=indices)


class SlidingPool(Costless, family="pooling"):
    """The base of pools whose window slides over the map. The default stride is the kernel size, as in torch."""

    kernel_size: tuple[Any, ...]
    stride: tuple[Any, ...] | None
    padding: tuple[Any, ...]

    kind: ClassVar[str]
    """The word for its kind in its label: `max`, as in `3x3 max pool`."""
    precision = "half"

    def per_sample(self, x: Tensor) -> bool:
        return True

    def label(self) -> str:
        stride = self._stride()
        return f"{by_all(self.kernel_size)} {self.kind} pool" + (f", /{by(stride)}" if max(stride) > 1 else "")

    def _stride(self) -> tuple[int, ...]:
        return self.stride or self.kernel_size

    def _slide(self, x: Tensor, dilation: tuple[int, ...], ceil_mode: bool) -> Tensor:
        need_map(self, x, len(self.kernel_size))
        for kernel, padding in zip(self.kernel_size, self.padding, strict=True):
            # torch refuses this, too: a window could be all padding.
            if 2 * padding > kernel:
                raise RuleError(f"padding of {padding} is more than half a window of {kernel}", at="padding")
        around = tuple((p, p) for p in self.padding)
        return x.with_spatial(*slide(self, x, self.kernel_size, self._stride(), around, dilation, ceil_mode))

    def _window(self, dilation: tuple[int, ...]) -> Window:
        return Window(
            tuple(effective_size(k, d) for k, d in zip(self.kernel_size, dilation, strict=True)),
            self._stride(),
            tuple(-p for p in self.padding),
        )

    def _pads(self, dilation: tuple[int, ...], ceil_mode: bool) -> tuple[list[int], list[int]]:
        """The paddings before and those after the axes, for ONNX.

        Ceil mode becomes more padding after the map: ONNX has a ceil mode, but its meaning has changed.
        """
        each = zip(self.padding, self.kernel_size, dilation, self._stride(), strict=True)
        after = [ceil_padding(p, effective_size(k, d), s) if ceil_mode else p for p, k, d, s in each]
        return [*self.padding], after


class MaxPool(SlidingPool):
    """The base of pools that take the largest value of each window."""

    dilation: tuple[Any, ...]
    ceil_mode: Flag = False

    kind = "max"

    def infer(self, x: Tensor) -> Tensor:
        need_numbers(self, x)
        return self._slide(x, self.dilation, self.ceil_mode)

    def window(self, x: Tensor) -> Window:
        return self._window(self.dilation)

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # Without gradients, CPUs have a kernel for (N, C, L) that makes no indices; other devices make them there, too.
        return with_indices(train, y)

    def torch(self, x: Tensor) -> Layer:
        return self.layer(f"nn.MaxPool{len(self.kernel_size)}d", kernel_size=self.kernel_size)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        before, after = self._pads(self.dilation, self.ceil_mode)
        pads = [*before, *after]
        if is_float(g.type(x)) and all(p < k for p, k in zip(pads, self.kernel_size * 2, strict=True)):
            return g.MaxPool(
                x, kernel_shape=self.kernel_size, strides=self._stride(), pads=pads, dilations=self.dilation
            )
        return self._largest(g, x, before, after)

    def _largest(self, g: OnnxWriter, x: str, before: list[int], after: list[int]) -> str:
        """In ONNX, the maximum over slices, one for each position of the kernel.

        ONNX's MaxPool takes no integers, and no padding as large as the kernel.
        """
        if any((*before, *after)):
            lowest = g.constant(_LOWEST.get(g.type(x).dtype, -inf), "like")
            x = g.Pad(x, g.constant([0, 0, *before, 0, 0, *after]), lowest)
        axes, steps = g.constant([*range(2, 2 + len(before))]), g.constant(self._stride())
        places: list[str] = []
        for at in product(*map(range, self.kernel_size)):
            starts = [d * place for d, place in zip(self.dilation, at, strict=True)]
            left = [d * (k - 1) - start for d, k, start in zip(self.dilation, self.kernel_size, starts, strict=True)]
            ends = g.constant([-rest if rest else MAX_INT for rest in left])
            places.append(g.Slice(x, g.constant(starts), ends, axes, steps))
        return g.Max(*places)


class MaxPool1d(MaxPool, name="max_pool1d", principal="kernel_size"):
    """Largest value of each window over (N, C, L), as torch.nn.MaxPool1d."""

    kernel_size: Single
    stride: Single | None = None
    padding: PaddingSingle = (0,)
    dilation: Single = (1,)

    examples = (
        example((2, 3, 9), kernel_size=2),
        example((1, 2, 13), kernel_size=[3], stride=2, padding=1),
        example((1, 2, 12), kernel_size=3, stride=2, ceil_mode=True),
        example((1, 2, 12), kernel_size=3, stride=1, dilation=2),
    )


class MaxPool2d(MaxPool, name="max_pool2d", principal="kernel_size"):
    """Largest value of each window over (N, C, H, W), as torch.nn.MaxPool2d."""

    kernel_size: Pair
    stride: Pair | None = None
    padding: PaddingPair = (0, 0)
    dilation: Pair = (1, 1)

    examples = (
        example((1, 2, 8, 9), kernel_size=2),
        example((1, 2, 13, 10), kernel_size=3, stride=2, padding=1),
        example((1, 2, 112, 7), kernel_size=3, stride=2, ceil_mode=True),
        example((1, 2, 6, 7), kernel_size=2, stride=2, padding=1, ceil_mode=True),
        example((1, 2, 12, 12), kernel_size=[2, 3], stride=[1, 2], dilation=2),
    )


class MaxPool3d(MaxPool, name="max_pool3d", principal="kernel_size"):
    """Largest value of each window over (N, C, D, H, W), as torch.nn.MaxPool3d."""

    kernel_size: Triple
    stride: Triple | None = None
    padding: PaddingTriple = (0, 0, 0)
    dilation: Triple = (1, 1, 1)

    examples = (
        example((2, 3, 4, 5, 6), kernel_size=[1, 2, 2]),
        example((1, 2, 5, 6, 4), kernel_size=3, stride=2, padding=1),
        example((1, 2, 4, 5, 6), kernel_size=2, stride=[2, 1, 3], ceil_mode=True),
        example((1, 2, 5, 4, 6), kernel_size=[2, 1, 3], stride=1, dilation=[2, 1, 2]),
    )


class AvgPool(SlidingPool):
    """The base of pools that take the mean of each window."""

    ceil_mode: Flag = False
    count_include_pad: Flag = True

    kind = "average"

    def infer(self, x: Tensor) -> Tensor:
        need_floats(self, x)
        return self._slide(x, self._no_dilation(), self.ceil_mode)

    def window(self, x: Tensor) -> Window:
        return self._window(self._no_dilation())

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(inputs=(0,))

    def torch(self, x: Tensor) -> Layer:
        return self.layer(f"nn.AvgPool{len(self.kernel_size)}d", kernel_size=self.kernel_size)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        divisor: int | None = getattr(self, "divisor_override", None)
        before, after = self._pads(self._no_dilation(), self.ceil_mode)
        in_ceil_mode = before != after
        count = self.count_include_pad and not in_ceil_mode
        if divisor is not None:
            count = True
        elif self.count_include_pad and in_ceil_mode and any(self.padding):
            # torch counts the explicit padding, but not the padding that ceil mode adds after it.
            x = g.Pad(x, g.constant([0, 0, *before, 0, 0, *before]))
            after = [more - p for more, p in zip(after, before, strict=True)]
            before = [0] * len(before)
        y = g.AveragePool(
            x,
            kernel_shape=self.kernel_size,
            strides=self._stride(),
            pads=[*before, *after],
            count_include_pad=int(count),
        )
        return y if divisor is None else g.Mul(y, g.constant(prod(self.kernel_size) / divisor, "like"))

    def _no_dilation(self) -> tuple[int, ...]:
        return (1,) * len(self.kernel_size)


class AvgPool1d(AvgPool, name="avg_pool1d", principal="kernel_size"):
    """Mean of each window over (N, C, L), as torch.nn.AvgPool1d."""

    kernel_size: Single
    stride: Single | None = None
    padding: PaddingSingle = (0,)

    examples = (
        example((2, 3, 9), kernel_size=2),
        example((1, 2, 13), kernel_size=[3], stride=2, padding=1, count_include_pad=False),
        example((1, 2, 8), kernel_size=1, stride=2),
        example((1, 2, 7), kernel_size=2, stride=2, padding=1, ceil_mode=True),
    )


class AvgPool2d(AvgPool, name="avg_pool2d", principal="kernel_size"):
    """Mean of each window over (N, C, H, W), as torch.nn.AvgPool2d."""

    kernel_size: Pair
    stride: Pair | None = None
    padding: PaddingPair = (0, 0)
    divisor_override: Positive | None = None

    examples = (
        example((1, 2, 8, 9), kernel_size=2),
        example((1, 2, 13, 10), kernel_size=3, stride=2, padding=1, count_include_pad=False),
        example((1, 2, 8, 7), kernel_size=1, stride=2),
        example((1, 2, 6, 7), kernel_size=2, stride=2, padding=1, ceil_mode=True),
        example((1, 2, 14, 14), kernel_size=5, stride=3, divisor_override=2),
    )


class AvgPool3d(AvgPool, name="avg_pool3d", principal="kernel_size"):
    """Mean of each window over (N, C, D, H, W), as torch.nn.AvgPool3d."""

    kernel_size: Triple
    stride: Triple | None = None
    padding: PaddingTriple = (0, 0, 0)
    divisor_override: Positive | None = None

    examples = (
        example((2, 3, 4, 5, 6), kernel_size=[1, 2, 2]),
        example((1, 2, 5, 6, 4), kernel_size=3, stride=2, padding=1, count_include_pad=False),
        example((1, 2, 4, 5, 3), kernel_size=2, padding=1, ceil_mode=True),
        example((1, 2, 4, 6, 5), kernel_size=[2, 3, 3], stride=2, divisor_override=5),
    )

    def infer(self, x: Tensor) -> Tensor:
        y = super().infer(x)
        for size, kernel in zip(x.spatial, self.kernel_size, strict=True):
            # torch refuses this of a 3-D average alone.
            if isinstance(size, int) and size < kernel:
                message = f"a window of {kernel} is larger than the map of {size}"
                help = "padding does not make up for it here: pad before, by `pad`"
                raise RuleError(message, at="kernel_size", code="NS303", help=help)
        return y
