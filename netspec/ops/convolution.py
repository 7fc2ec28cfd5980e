"""Convolutions over maps of one, two and three spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Literal

from netspec.dims import Dim
from netspec.ops.base import Op, RuleError, by, by_all, example, known_int, need_floats
from netspec.ops.fields import Flag, Padding1d, Padding2d, Padding3d, PaddingMode, Pair, Positive, Single, Triple
from netspec.ops.functional import functional, weights_of_layer
from netspec.ops.window import effective_size, need_map, slide
from netspec.ops.writing import layer_weights, weight_and_bias
from netspec.types import Code, Layer, Memory, OnnxWriter, Tensor, Weight, Window


class Convolution(Op, family="convolution"):
    """The base of convolutions, with a number for each spatial axis in `kernel_size` and what goes with it."""

    out_channels: Positive
    kernel_size: tuple[Any, ...]
    stride: tuple[Any, ...]
    padding: tuple[Any, ...] | Literal["same", "valid"]
    dilation: tuple[Any, ...]
    groups: Positive = 1
    bias: Flag = True
    padding_mode: PaddingMode = "zeros"

    precision = "half"

    def infer(self, x: Tensor) -> Tensor:
        need_map(self, x, len(self.kernel_size))
        need_floats(self, x)
        need_whole_groups(self.groups, self._in_channels(x), self.out_channels)
        if self.padding == "same" and max(self.stride) > 1:
            raise RuleError("`padding: same` goes with stride 1 only", at="padding")
        if self.padding_mode in ("reflect", "circular"):
            self._need_map_to_pad_from(x)
        spatial = slide(self, x, self.kernel_size, self.stride, self._around(), self.dilation)
        return x.with_channels(self.out_channels).with_spatial(*spatial)

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        shape = (self.out_channels, self._in_channels(x) // self.groups, *self.kernel_size)
        return layer_weights(shape, self.out_channels, self.bias)

    def macs(self, y: Tensor, x: Tensor) -> Dim:
        # prod() starts from 1, so it takes symbolic sizes too.
        per_output = self._in_channels(x) // self.groups * prod(self.kernel_size)
        return prod(y.shape, start=per_output)

    def window(self, x: Tensor) -> Window:
        sizes = tuple(effective_size(k, d) for k, d in zip(self.kernel_size, self.dilation, strict=True))
        return Window(sizes, self.stride, tuple(-before for before, _ in self._around()), self._repeats_places(sizes))

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # torch pads separately, into a new tensor, what its convolution can't pad: the odd row or column of `same`, and
        # all padding other than zeros.
        zeros = self.padding_mode == "zeros"
        extra = [after - before if zeros else before + after for before, after in self._around()]
        if not any(extra):
            return Memory(inputs=(0,))
        padded = (x.with_spatial(*(size + more for size, more in zip(x.spatial, extra, strict=True))),)
        # The gradients of these paddings ask for the input.
        inputs = (0,) if self.padding_mode in ("reflect", "replicate") else ()
        return Memory(inputs, kept=padded) if train else Memory(scratch=padded)

    def torch(self, x: Tensor) -> Layer:
        return self.layer(
            f"nn.Conv{len(self.kernel_size)}d",
            in_channels=x.channels,
            out_channels=self.out_channels,
            kernel_size=self.kernel_size,
        )

    def borrowed(self, x: Tensor) -> Code:
        around, value = self._around(), "{0}"
        options = {name: getattr(self, name) for name in ("stride", "padding", "dilation", "groups")}
        if self.padding_mode != "zeros":
            # The last axis comes first in torch.nn.functional.pad.
            sizes = ", ".join(str(size) for before_and_after in around[::-1] for size in before_and_after)
            value = f'nn.functional.pad({{0}}, ({sizes}), mode="{self.padding_mode}")'
            del options["padding"]
        bias = weights_of_layer("bias") if self.bias else ()
        return functional(self, self.opname, value, *weights_of_layer("weight"), *bias, **options)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        before, after = zip(*self._around(), strict=True)
        pads = [*before, *after]
        if self.padding_mode != "zeros" and any(pads):
            mode = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[self.padding_mode]
            x = g.Pad(x, g.constant([0, 0, *before, 0, 0, *after]), mode=mode)
            pads = [0] * len(pads)
        return g.Conv(
            x,
            *weight_and_bias(g, self.bias),
            kernel_shape=self.kernel_size,
            strides=self.stride,
            pads=pads,
            dilations=self.dilation,
            group=self.groups,
        )

    def label(self) -> str:
        return convolution_label(self, "conv", "/")

    def _in_channels(self, x: Tensor) -> int:
        return known_int(x.channels, f"the number of input channels of `{self.opname}`")

    def _around(self) -> tuple[tuple[int, int], ...]:
        """The padding before and after each axis; an odd total of `same` has one more after, as in torch."""
        if self.padding == "valid":
            return ((0, 0),) * len(self.kernel_size)
        if self.padding == "same":
            totals = [effective_size(k, d) - 1 for k, d in zip(self.kernel_size, self.dilation, strict=True)]
            return tuple((total // 2, total - total // 2) for total in totals)
        return tuple((p, p) for p in self.padding)

    def _repeats_places(self, sizes: Sequence[int]) -> bool:
        """Return whether padding repeats positions of the map that lie outside the window of a unit that sees them.

        Circular padding repeats positions of the opposite side: always outside. A reflected position is outside if the
        padding is more than half the window. The replicated border is outside of a window that is all padding.
        """
        most = {
            "circular": [0] * len(sizes),
            "reflect": [(s - 1) // 2 for s in sizes],
            "replicate": [s - 1 for s in sizes],
        }
        allowed = most.get(self.padding_mode)
        return allowed is not None and any(max(p) > m for p, m in zip(self._around(), allowed, strict=True))

    def _need_map_to_pad_from(self, x: Tensor) -> None:
        for size, (before, after) in zip(x.spatial, self._around(), strict=True):
            most = size if self.padding_mode == "circular" else size - 1
            if isinstance(most, int) and max(before, after) > most:
                raise RuleError(
                    f"`{self.padding_mode}` padding of {max(before, after)} is more than a map of {size} has",
                    at="padding",
                )


class Conv1d(Convolution, name="conv1d", principal="out_channels"):
    """1-D convolution over (N, C, L), as torch.nn.Conv1d."""

    kernel_size: Single
    stride: Single = (1,)
    padding: Padding1d = (0,)
    dilation: Single = (1,)

    examples = (
        example((2, 3, 11), out_channels=4, kernel_size=3),
        example((1, 4, 14), out_channels=6, kernel_size=[5], stride=2, padding=[2], groups=2, bias=False),
        example((1, 2, 9), out_channels=3, kernel_size=3, padding="same", dilation=2),
        example((1, 2, 9), out_channels=2, kernel_size=4, padding="same"),
        example((1, 2, 9), out_channels=2, kernel_size=1, stride=2, padding="valid"),
        example((1, 2, 9), out_channels=2, kernel_size=3, padding=1, padding_mode="reflect"),
    )


class Conv2d(Convolution, name="conv2d", principal="out_channels"):
    """2-D convolution over (N, C, H, W), as torch.nn.Conv2d."""

    kernel_size: Pair
    stride: Pair = (1, 1)
    padding: Padding2d = (0, 0)
    dilation: Pair = (1, 1)

    examples = (
        example((2, 3, 8, 9), out_channels=4, kernel_size=3),
        example((1, 4, 11, 10), out_channels=6, kernel_size=[3, 5], stride=2, padding=[1, 2], groups=2, bias=False),
        example((1, 2, 9, 9), out_channels=3, kernel_size=3, padding="same", dilation=2),
        example((1, 2, 9, 8), out_channels=2, kernel_size=4, padding="same"),
        example((1, 2, 9, 8), out_channels=2, kernel_size=1, stride=2, padding="valid"),
        example((1, 2, 9, 8), out_channels=2, kernel_size=3, padding=1, padding_mode="circular"),
        example((1, 2, 9, 8), out_channels=2, kernel_size=3, padding=[1, 0], padding_mode="replicate"),
    )


class Conv3d(Convolution, name="conv3d", principal="out_channels"):
    """3-D convolution over (N, C, D, H, W), as torch.nn.Conv3d; D is the depth of a volume, or the time of a film."""

    kernel_size: Triple
    stride: Triple = (1, 1, 1)
    padding: Padding3d = (0, 0, 0)
    dilation: Triple = (1, 1, 1)

    examples = (
        example((2, 3, 4, 5, 6), out_channels=4, kernel_size=3),
        example(
            (1, 4, 5, 7, 4),
            out_channels=2,
            kernel_size=[1, 3, 2],
            stride=[1, 2, 1],
            padding=[0, 1, 1],
            groups=2,
            bias=False,
        ),
        example((1, 2, 5, 4, 5), out_channels=3, kernel_size=[3, 1, 1], padding="same", dilation=2),
        example((1, 2, 4, 5, 4), out_channels=2, kernel_size=2, padding="same"),
        example((1, 2, 3, 5, 4), out_channels=2, kernel_size=1, stride=2, padding="valid"),
        example((1, 2, 3, 4, 4), out_channels=2, kernel_size=3, padding=[1, 0, 1], padding_mode="replicate"),
    )


def need_whole_groups(groups: int, *channels: int) -> None:
    """Refuse groups that do not divide each of these numbers of channels."""
    for count in channels:
        if count % groups:
            raise RuleError(f"{groups} groups do not divide {count} channels", at="groups")


def convolution_label(op: Any, kind: str, step: str) -> str:
    """The label `3x3 conv, 64, /2` of a convolution, with groups and dilation if they are not the defaults."""
    words = [f"{by_all(op.kernel_size)} {kind}", str(op.out_channels)]
    if max(op.stride) > 1:
        words.append(f"{step}{by(op.stride)}")
    if op.groups > 1:
        words.append(f"{op.groups} groups")
    if max(op.dilation) > 1:
        words.append(f"dilation {by(op.dilation)}")
    return ", ".join(words)
