"""Pools: sliding windows, and adaptive ones whose output size is given."""

from __future__ import annotations

from netspec.dims import Dim
from netspec.ops.base import Op, RuleError, by, by_both, example, need_floats, need_numbers, need_rank
from netspec.ops.fields import Flag, OutputSize, PaddingPair, Pair, Positive
from netspec.ops.window import effective_size, slide
from netspec.types import Layer, Memory, Reach, Tensor, Weight, Window


def with_indices(train: bool, y: Tensor) -> Memory:
    """What a max pool holds: beside the maxima where they were found, as int64; in training until the backward pass."""
    indices = (Tensor(y.shape, "int64"),)
    return Memory((0,), kept=indices) if train else Memory(scratch=indices)


class Pool2d(Op, family="pooling"):
    """What the sliding pools share. A stride that is not given is the kernel size, as in torch."""

    kernel_size: Pair
    stride: Pair | None = None
    padding: PaddingPair = (0, 0)

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return ()

    def macs(self, y: Tensor, x: Tensor) -> int:
        return 0

    def label(self) -> str:
        kind = "max" if self.opname.startswith("max") else "average"
        return f"{by_both(self.kernel_size)} {kind} pool" + (
            f", /{by(self._stride())}" if self._stride() != (1, 1) else ""
        )

    def _slide(self, x: Tensor, dilation: tuple[int, int], ceil_mode: bool) -> Tensor:
        need_rank(self, x, 4, "(N, C, H, W)")
        for kernel, padding in zip(self.kernel_size, self.padding, strict=True):
            # torch refuses this too: such a window could lie wholly in the padding.
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

    def _stride(self) -> tuple[int, int]:
        return self.stride or self.kernel_size


class MaxPool2d(Pool2d, name="max_pool2d", principal="kernel_size"):
    """Largest value of each window over (N, C, H, W), as torch.nn.MaxPool2d."""

    dilation: Pair = (1, 1)
    ceil_mode: Flag = False

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
        return with_indices(train, y)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.MaxPool2d", kernel_size=self.kernel_size)


class AvgPool2d(Pool2d, name="avg_pool2d", principal="kernel_size"):
    """Mean of each window over (N, C, H, W), as torch.nn.AvgPool2d."""

    ceil_mode: Flag = False
    count_include_pad: Flag = True
    divisor_override: Positive | None = None

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


class AdaptivePool2d(Op, family="pooling"):
    """What the adaptive pools share: the output size is given, and windows follow from it."""

    output_size: OutputSize

    def infer(self, x: Tensor) -> Tensor:
        need_rank(self, x, 4, "(N, C, H, W)")
        need_floats(self, x)
        return x.with_spatial(*(own if own is not None else size for own, size in self._sizes(x)))

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return ()

    def macs(self, y: Tensor, x: Tensor) -> int:
        return 0

    def window(self, x: Tensor) -> Window | Reach:
        # Windows of torch's adaptive pools run from floor(i*H/out) to ceil((i+1)*H/out): one size only
        # where the output divides the input.
        if all(own == 1 for own in self.output_size):
            return Reach.ALL
        sizes: list[int] = []
        for own, size in self._sizes(x):
            if own is None or own == size:
                sizes.append(1)
            elif isinstance(size, int) and size % own == 0:
                sizes.append(size // own)
            else:
                return Reach.VARIES
        return Window(tuple(sizes), tuple(sizes), (0,) * len(sizes))

    def label(self) -> str:
        kind = "max" if "max" in self.opname else "average"
        return f"global {kind} pool" if self.output_size == (1, 1) else f"adaptive {kind} pool, {by(self.output_size)}"

    def _sizes(self, x: Tensor) -> list[tuple[int | None, Dim]]:
        return list(zip(self.output_size, x.spatial, strict=True))


class AdaptiveAvgPool2d(AdaptivePool2d, name="adaptive_avg_pool2d", principal="output_size"):
    """Mean over windows that share out the map, as torch.nn.AdaptiveAvgPool2d; output_size 1 pools globally."""

    examples = (
        example((2, 3, 7, 7), output_size=1),
        example((2, 3, 12, 7), output_size=[6, 7]),
        example((2, 3, 8, 9), output_size=[4, None]),
    )

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # torch takes a plain mean for a global pool, and that needs the input's size alone.
        return Memory() if self.output_size == (1, 1) else Memory(inputs=(0,))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.AdaptiveAvgPool2d", output_size=self.output_size)


class AdaptiveMaxPool2d(AdaptivePool2d, name="adaptive_max_pool2d", principal="output_size"):
    """Largest value over windows that share out the map, as torch.nn.AdaptiveMaxPool2d."""

    examples = (
        example((2, 3, 7, 7), output_size=1),
        example((2, 3, 12, 7), output_size=[6, 7]),
    )

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return with_indices(train, y)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.AdaptiveMaxPool2d", output_size=self.output_size)
