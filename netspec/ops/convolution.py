"""Convolutions."""

from __future__ import annotations

from functools import partial
from math import prod

from netspec.dims import Dim
from netspec.ops.base import Op, RuleError, by, by_both, example, known_int, need_floats, need_rank
from netspec.ops.fields import Flag, Padding, PaddingMode, PaddingPair, Pair, Positive
from netspec.ops.functional import functional, weights_of_layer
from netspec.ops.window import effective_size, slide
from netspec.ops.writing import layer_weights, per_channel, weight_and_bias
from netspec.types import Code, Layer, Memory, OnnxWriter, Reach, Tensor, Upsampling, Weight, Window

MOST_TAPS = 1 << 16
"""The largest kernel and stride of a transposed convolution whose receptive field is computed."""


def _need_whole_groups(groups: int, *channels: int) -> None:
    for count in channels:
        if count % groups:
            raise RuleError(f"{groups} groups do not divide {count} channels", at="groups")


class Conv2d(Op, name="conv2d", principal="out_channels", family="convolution"):
    """2-D convolution over (N, C, H, W), as torch.nn.Conv2d."""

    out_channels: Positive
    kernel_size: Pair
    stride: Pair = (1, 1)
    padding: Padding = (0, 0)
    dilation: Pair = (1, 1)
    groups: Positive = 1
    bias: Flag = True
    padding_mode: PaddingMode = "zeros"

    precision = "half"
    examples = (
        example((2, 3, 8, 9), out_channels=4, kernel_size=3),
        example((1, 4, 11, 10), out_channels=6, kernel_size=[3, 5], stride=2, padding=[1, 2], groups=2, bias=False),
        example((1, 2, 9, 9), out_channels=3, kernel_size=3, padding="same", dilation=2),
        example((1, 2, 9, 8), out_channels=2, kernel_size=4, padding="same"),
        example((1, 2, 9, 8), out_channels=2, kernel_size=1, stride=2, padding="valid"),
        example((1, 2, 9, 8), out_channels=2, kernel_size=3, padding=1, padding_mode="circular"),
    )

    def infer(self, x: Tensor) -> Tensor:
        need_rank(self, x, 4, "(N, C, H, W)")
        need_floats(self, x)
        _need_whole_groups(self.groups, self._in_channels(x), self.out_channels)
        if self.padding == "same" and self.stride != (1, 1):
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
        return Memory(kept=padded) if train else Memory(scratch=padded)

    def torch(self, x: Tensor) -> Layer:
        return self.layer(
            "nn.Conv2d", in_channels=x.channels, out_channels=self.out_channels, kernel_size=self.kernel_size
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
        return functional(self, "conv2d", value, *weights_of_layer("weight"), *bias, **options)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        (top, bottom), (left, right) = self._around()
        pads = [top, left, bottom, right]
        if self.padding_mode != "zeros" and any(pads):
            mode = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[self.padding_mode]
            x = g.Pad(x, g.constant([0, 0, top, left, 0, 0, bottom, right]), mode=mode)
            pads = [0, 0, 0, 0]
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
        return _label(self, "conv", "/")

    def _in_channels(self, x: Tensor) -> int:
        return known_int(x.channels, "the number of input channels of `conv2d`")

    def _around(self) -> tuple[tuple[int, int], ...]:
        """The padding before and after each axis; an odd total of `same` has one more after, as in torch."""
        if self.padding == "valid":
            return ((0, 0), (0, 0))
        if self.padding == "same":
            totals = [effective_size(k, d) - 1 for k, d in zip(self.kernel_size, self.dilation, strict=True)]
            return tuple((total // 2, total - total // 2) for total in totals)
        return tuple((p, p) for p in self.padding)

    def _repeats_places(self, sizes: tuple[int, ...]) -> bool:
        """Return whether padding repeats positions of the map that lie outside the window of a unit that sees them.

        Circular padding repeats positions of the opposite side: always outside. A reflected position is outside if the
        padding is more than half the window. The replicated border is outside of a window that is all padding.
        """
        most = {"circular": [0, 0], "reflect": [(s - 1) // 2 for s in sizes], "replicate": [s - 1 for s in sizes]}
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


class ConvTranspose2d(Op, name="conv_transpose2d", principal="out_channels", family="convolution"):
    """Transposed 2-D convolution over (N, C, H, W), which makes maps larger, as torch.nn.ConvTranspose2d.

    Each unit of the input is multiplied into the whole kernel, so multiply-accumulates are counted from the input. The
    map is `(H - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1` high.
    """

    out_channels: Positive
    kernel_size: Pair
    stride: Pair = (1, 1)
    padding: PaddingPair = (0, 0)
    output_padding: PaddingPair = (0, 0)
    groups: Positive = 1
    bias: Flag = True
    dilation: Pair = (1, 1)

    precision = "half"
    examples = (
        example((2, 6, 5, 4), out_channels=3, kernel_size=2, stride=2),
        example((1, 4, 5, 6), out_channels=2, kernel_size=3, stride=2, padding=1, output_padding=1, bias=False),
        example((1, 4, 5, 6), out_channels=6, kernel_size=[4, 3], stride=[2, 1], padding=[1, 0], groups=2),
        example((1, 2, 6, 5), out_channels=3, kernel_size=3, dilation=2, padding=1),
        example((1, 2, 4, 5), out_channels=2, kernel_size=3, stride=3, dilation=2, output_padding=[2, 0]),
    )

    def infer(self, x: Tensor) -> Tensor:
        need_rank(self, x, 4, "(N, C, H, W)")
        need_floats(self, x)
        _need_whole_groups(self.groups, self._in_channels(x), self.out_channels)
        for extra, stride, dilation in zip(self.output_padding, self.stride, self.dilation, strict=True):
            if extra >= max(stride, dilation):
                raise RuleError(
                    f"output_padding of {extra} is no smaller than stride {stride} or dilation {dilation}",
                    at="output_padding",
                )
        return x.with_channels(self.out_channels).with_spatial(*self._spatial(x))

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        shape = (self._in_channels(x), self.out_channels // self.groups, *self.kernel_size)
        return layer_weights(shape, self.out_channels, self.bias)

    def macs(self, y: Tensor, x: Tensor) -> Dim:
        return prod(x.shape, start=self.out_channels // self.groups * prod(self.kernel_size))

    def window(self, x: Tensor) -> Window | Upsampling | Reach:
        each = zip(self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        if self.stride == (1, 1):
            size = tuple(effective_size(k, d) for k, d in zip(self.kernel_size, self.dilation, strict=True))
            start = tuple(p - d * (k - 1) for k, _, p, d in each)
            return Window(size, (1, 1), start)
        if max(self.kernel_size) > MOST_TAPS or max(self.stride) > MOST_TAPS:
            return Reach.VARIES
        return Upsampling(tuple(_taps(*axis) for axis in each))

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(inputs=(0,))

    def torch(self, x: Tensor) -> Layer:
        return self.layer(
            "nn.ConvTranspose2d", in_channels=x.channels, out_channels=self.out_channels, kernel_size=self.kernel_size
        )

    def borrowed(self, x: Tensor) -> Code:
        names = ("stride", "padding", "output_padding", "groups", "dilation")
        options = {name: getattr(self, name) for name in names}
        bias = weights_of_layer("bias") if self.bias else ()
        return functional(self, "conv_transpose2d", "{0}", *weights_of_layer("weight"), *bias, **options)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        weight, *bias = weight_and_bias(g, self.bias)
        options = {"kernel_shape": self.kernel_size, "strides": self.stride, "dilations": self.dilation}
        transposed = partial(g.ConvTranspose, x, weight, **options, group=self.groups)
        if all(more < stride for more, stride in zip(self.output_padding, self.stride, strict=True)):
            return transposed(*bias, pads=self.padding * 2, output_padding=self.output_padding)
        # ONNX Runtime takes no output padding as large as the stride: so less is cropped, and missing rows, which only
        # have the bias, are padded before it is added.
        after = [p - more for p, more in zip(self.padding, self.output_padding, strict=True)]
        y = transposed(pads=[*self.padding, *[max(0, rest) for rest in after]])
        if min(after) < 0:
            y = g.Pad(y, g.constant([0, 0, 0, 0, 0, 0, *[max(0, -rest) for rest in after]]))
        return g.Add(y, per_channel(g, x, *bias)) if bias else y

    def label(self) -> str:
        return _label(self, "up-conv", "x")

    def _in_channels(self, x: Tensor) -> int:
        return known_int(x.channels, "the number of input channels of `conv_transpose2d`")

    def _spatial(self, x: Tensor) -> list[Dim]:
        sizes: list[Dim] = []
        for axis, size in enumerate(x.spatial):
            span = effective_size(self.kernel_size[axis], self.dilation[axis])
            after = (size - 1) * self.stride[axis] - 2 * self.padding[axis] + span + self.output_padding[axis]
            if isinstance(after, int) and after < 1:
                message = f"padding of {self.padding[axis]} leaves nothing of a map of {size}"
                raise RuleError(message, at="padding", code="NS303")
            sizes.append(after)
        return sizes


def _taps(kernel: int, stride: int, padding: int, dilation: int) -> tuple[tuple[int, int] | None, ...]:
    """The first and last input unit that contribute to an output unit, for each position of that in its stride."""
    places: list[list[int]] = [[] for _ in range(stride)]
    for tap in range(kernel):
        # Input i and tap k meet in output i * stride - padding + dilation * k.
        period, place = divmod(dilation * tap - padding, stride)
        places[place].append(-period)
    return tuple((min(place), max(place)) if place else None for place in places)


def _label(op: Conv2d | ConvTranspose2d, kind: str, step: str) -> str:
    """The label `3x3 conv, 64, /2`, with groups and dilation if they are not the defaults."""
    words = [f"{by_both(op.kernel_size)} {kind}", str(op.out_channels)]
    if op.stride != (1, 1):
        words.append(f"{step}{by(op.stride)}")
    if op.groups > 1:
        words.append(f"{op.groups} groups")
    if op.dilation != (1, 1):
        words.append(f"dilation {by(op.dilation)}")
    return ", ".join(words)
