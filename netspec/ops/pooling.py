"""Pools: with sliding windows, and adaptive pools with a fixed output size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import inf, prod
from typing import ClassVar, Literal

from netspec.dims import Dim
from netspec.ops.base import Op, RuleError, by, by_both, example, is_float, need_floats, need_numbers, need_rank
from netspec.ops.fields import MAX_INT, Flag, OutputSize, PaddingPair, Pair, Positive
from netspec.ops.window import ceil_padding, effective_size, slide
from netspec.types import Layer, Memory, OnnxWriter, Reach, Tensor, Weight, Window

_LOWEST = {"int64": -(2**63), "int32": -(2**31)}
"""The lowest integer of a dtype."""


def _with_indices(train: bool, y: Tensor) -> Memory:
    """The memory of a max pool: the positions of the maxima, as int64; in training they are kept."""
    indices = (Tensor(y.shape, "int64"),)
    return Memory((0,), kept=indices) if train else Memory(scratch=indices)


class Pool2d(Op, family="pooling"):
    """A pool whose window slides over the map. The default stride is the kernel size, as in torch."""

    kernel_size: Pair
    stride: Pair | None = None

    kind: ClassVar[str]
    """The word for its kind in its label: `max`, as in `3x3 max pool`."""
    precision = "half"

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return ()

    def macs(self, y: Tensor, x: Tensor) -> int:
        return 0

    def per_sample(self, x: Tensor) -> bool:
        return True

    def label(self) -> str:
        return f"{by_both(self.kernel_size)} {self.kind} pool" + (
            f", /{by(self._stride())}" if self._stride() != (1, 1) else ""
        )

    def _stride(self) -> tuple[int, int]:
        return self.stride or self.kernel_size


class PaddedPool2d(Pool2d):
    """A sliding pool with padding."""

    padding: PaddingPair = (0, 0)

    def _slide(self, x: Tensor, dilation: tuple[int, int], ceil_mode: bool) -> Tensor:
        need_rank(self, x, 4, "(N, C, H, W)")
        for kernel, padding in zip(self.kernel_size, self.padding, strict=True):
            # torch refuses this, too: a window could be all padding.
            if 2 * padding > kernel:
                raise RuleError(f"padding of {padding} is more than half a window of {kernel}", at="padding")
        around = tuple((p, p) for p in self.padding)
        return x.with_spatial(*slide(self, x, self.kernel_size, self._stride(), around, dilation, ceil_mode))

    def _window(self, dilation: tuple[int, int]) -> Window:
        return Window(
            tuple(effective_size(k, d) for k, d in zip(self.kernel_size, dilation, strict=True)),
            self._stride(),
            tuple(-p for p in self.padding),
        )

    def _pads(self, dilation: tuple[int, int], ceil_mode: bool) -> list[int]:
        """The paddings before both axes, then those after them, for ONNX.

        Ceil mode becomes more padding after the map: ONNX has a ceil mode, but its meaning has changed.
        """
        each = zip(self.padding, self.kernel_size, dilation, self._stride(), strict=True)
        after = [ceil_padding(p, effective_size(k, d), s) if ceil_mode else p for p, k, d, s in each]
        return [*self.padding, *after]


class MaxPool2d(PaddedPool2d, name="max_pool2d", principal="kernel_size"):
    """Largest value of each window over (N, C, H, W), as torch.nn.MaxPool2d."""

    dilation: Pair = (1, 1)
    ceil_mode: Flag = False

    kind = "max"
    examples = (
        example((1, 2, 8, 9), kernel_size=2),
        example((1, 2, 13, 10), kernel_size=3, stride=2, padding=1),
        example((1, 2, 112, 7), kernel_size=3, stride=2, ceil_mode=True),
        example((1, 2, 6, 7), kernel_size=2, stride=2, padding=1, ceil_mode=True),
        example((1, 2, 12, 12), kernel_size=[2, 3], stride=[1, 2], dilation=2),
    )

    def infer(self, x: Tensor) -> Tensor:
        need_numbers(self, x)
        return self._slide(x, self.dilation, self.ceil_mode)

    def window(self, x: Tensor) -> Window:
        return self._window(self.dilation)

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return _with_indices(train, y)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.MaxPool2d", kernel_size=self.kernel_size)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        pads = self._pads(self.dilation, self.ceil_mode)
        if is_float(g.type(x)) and all(p < k for p, k in zip(pads, self.kernel_size * 2, strict=True)):
            return g.MaxPool(
                x, kernel_shape=self.kernel_size, strides=self._stride(), pads=pads, dilations=self.dilation
            )
        return self._largest(g, x, pads)

    def _largest(self, g: OnnxWriter, x: str, pads: list[int]) -> str:
        """In ONNX, the maximum over slices, one for each position of the kernel.

        ONNX's MaxPool takes no integers, and no padding as large as the kernel.
        """
        if any(pads):
            lowest = g.constant(_LOWEST.get(g.type(x).dtype, -inf), "like")
            x = g.Pad(x, g.constant([0, 0, *pads[:2], 0, 0, *pads[2:]]), lowest)
        axes, steps = g.constant([2, 3]), g.constant(self._stride())
        places: list[str] = []
        for at in product(*map(range, self.kernel_size)):
            starts = [d * place for d, place in zip(self.dilation, at, strict=True)]
            left = [d * (k - 1) - start for d, k, start in zip(self.dilation, self.kernel_size, starts, strict=True)]
            ends = g.constant([-rest if rest else MAX_INT for rest in left])
            places.append(g.Slice(x, g.constant(starts), ends, axes, steps))
        return g.Max(*places)


class AvgPool2d(PaddedPool2d, name="avg_pool2d", principal="kernel_size"):
    """Mean of each window over (N, C, H, W), as torch.nn.AvgPool2d."""

    ceil_mode: Flag = False
    count_include_pad: Flag = True
    divisor_override: Positive | None = None

    kind = "average"
    examples = (
        example((1, 2, 8, 9), kernel_size=2),
        example((1, 2, 13, 10), kernel_size=3, stride=2, padding=1, count_include_pad=False),
        example((1, 2, 8, 7), kernel_size=1, stride=2),
        example((1, 2, 6, 7), kernel_size=2, stride=2, padding=1, ceil_mode=True),
        example((1, 2, 14, 14), kernel_size=5, stride=3, divisor_override=2),
    )

    def infer(self, x: Tensor) -> Tensor:
        need_floats(self, x)
        return self._slide(x, (1, 1), self.ceil_mode)

    def window(self, x: Tensor) -> Window:
        return self._window((1, 1))

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(inputs=(0,))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.AvgPool2d", kernel_size=self.kernel_size)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        pads = self._pads((1, 1), self.ceil_mode)
        in_ceil_mode = pads[2:] != pads[:2]
        count = self.count_include_pad and not in_ceil_mode
        if self.divisor_override is not None:
            count = True
        elif self.count_include_pad and in_ceil_mode and any(self.padding):
            # torch counts the explicit padding, but not the padding that ceil mode adds after it.
            x = g.Pad(x, g.constant([0, 0, *self.padding, 0, 0, *self.padding]))
            pads = [0, 0, *[after - p for after, p in zip(pads[2:], self.padding, strict=True)]]
        y = g.AveragePool(
            x, kernel_shape=self.kernel_size, strides=self._stride(), pads=pads, count_include_pad=int(count)
        )
        if self.divisor_override is None:
            return y
        return g.Mul(y, g.constant(prod(self.kernel_size) / self.divisor_override, "like"))


class AdaptivePool2d(Op, family="pooling"):
    """A pool with a fixed output size, from which its windows follow."""

    output_size: OutputSize

    kind: ClassVar[Literal["max", "average"]]
    precision = "half"

    def infer(self, x: Tensor) -> Tensor:
        need_rank(self, x, 4, "(N, C, H, W)")
        need_floats(self, x)
        return x.with_spatial(*self._spatial(x))

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return ()

    def macs(self, y: Tensor, x: Tensor) -> int:
        return 0

    def window(self, x: Tensor) -> Window | Reach:
        # Windows of torch's adaptive pools run from floor(i*H/out) to ceil((i+1)*H/out): one size only
        # where the output divides the input.
        if all(count == 1 for count in self.output_size):
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
        sizes = by(tuple([count or letter for count, letter in zip(self.output_size, "HW", strict=True)]))
        return f"global {self.kind} pool" if self.output_size == (1, 1) else f"adaptive {self.kind} pool, {sizes}"

    def _spatial(self, x: Tensor) -> list[Dim]:
        return [count if count is not None else size for count, size in self._sizes(x)]

    def _sizes(self, x: Tensor) -> list[tuple[int | None, Dim]]:
        return list(zip(self.output_size, x.spatial, strict=True))


class AdaptiveAvgPool2d(AdaptivePool2d, name="adaptive_avg_pool2d", principal="output_size"):
    """Mean over windows that share out the map, as torch.nn.AdaptiveAvgPool2d; output_size 1 pools globally."""

    kind = "average"
    examples = (
        example((2, 3, 7, 7), output_size=1),
        example((2, 3, 12, 7), output_size=[6, 7]),
        example((2, 3, 8, 9), output_size=[4, None]),
    )

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # torch uses a plain mean for a global pool, whose gradient needs only the input's size.
        return Memory() if self.output_size == (1, 1) else Memory(inputs=(0,))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.AdaptiveAvgPool2d", output_size=self.output_size)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return adaptive_pool(g, x, self._spatial(g.type(x)), "Average")


class AdaptiveMaxPool2d(AdaptivePool2d, name="adaptive_max_pool2d", principal="output_size"):
    """Largest value over windows that share out the map, as torch.nn.AdaptiveMaxPool2d."""

    kind = "max"
    examples = (
        example((2, 3, 7, 7), output_size=1),
        example((2, 3, 12, 7), output_size=[6, 7]),
    )

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return _with_indices(train, y)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.AdaptiveMaxPool2d", output_size=self.output_size)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return adaptive_pool(g, x, self._spatial(g.type(x)), "Max")


def adaptive_pool(g: OnnxWriter, x: str, output_size: Sequence[Dim], kind: Literal["Average", "Max"]) -> str:
    """In ONNX, an adaptive pool of a map, an input of the rule, to a height and width."""
    sizes = g.type(x).spatial
    if all(count == 1 for count in output_size):
        return getattr(g, f"Global{kind}Pool")(x)
    kernel = [_window_of(size, count) for size, count in zip(sizes, output_size, strict=True)]
    if all(kernel):
        return x if kernel == [1, 1] else getattr(g, f"{kind}Pool")(x, kernel_shape=kernel, strides=kernel)
    # A window is rows times columns, so pooling one axis after the other has the same result.
    for axis, (size, count) in enumerate(zip(sizes, output_size, strict=True), start=2):
        if count == 1:
            x = (g.ReduceMean if kind == "Average" else g.ReduceMax)(x, g.constant([axis]))
        elif count != size:
            x = _adaptive_pool_axis(g, x, axis, size, count, kind)
    return x


def _adaptive_pool_axis(g: OnnxWriter, x: str, axis: int, size: Dim, count: Dim, kind: str) -> str:
    if not isinstance(size, int) or not isinstance(count, int):
        message = f"ONNX has no adaptive pool of a map of {size} to {count}: its size must be known"
        raise RuleError(message, at="output_size", code="NS401", help="fix H and W (`--input 3x224x224`)")
    windows = [(place * size // count, -(-(place + 1) * size // count)) for place in range(count)]
    if kind == "Max":
        # Shorter windows repeat their last element.
        most = max(end - start for start, end in windows)
        places = [[min(start + n, end - 1) for n in range(most)] for start, end in windows]
        return g.ReduceMax(g.Gather(x, g.constant(places), axis=axis), g.constant([axis + 1]), keepdims=0)
    shares = [[(start <= n < end) / (end - start) for n in range(size)] for start, end in windows]
    if axis == 2:
        return g.MatMul(g.constant(shares, "like"), x)
    return g.MatMul(x, g.constant(list(zip(*shares, strict=True)), "like"))


def _window_of(size: Dim, count: Dim) -> int:
    """The size of an adaptive pool's windows along an axis, if all are equal and do not overlap; else 0."""
    if size == count:
        return 1
    return size // count if isinstance(size, int) and isinstance(count, int) and size % count == 0 else 0
