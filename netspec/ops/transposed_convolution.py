"""Transposed convolutions over maps of one, two and three spatial axes."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

from netspec.dims import Dim
from netspec.ops.base import Op, RuleError, example, known_int, need_floats
from netspec.ops.convolution import convolution_label, need_whole_groups
from netspec.ops.fields import Flag, PaddingPair, PaddingSingle, PaddingTriple, Pair, Positive, Single, Triple
from netspec.ops.functional import functional, weights_of_layer
from netspec.ops.window import effective_size, need_map
from netspec.ops.writing import layer_weights, per_channel, weight_and_bias
from netspec.types import Code, Layer, Memory, OnnxWriter, Reach, Tensor, Upsampling, Weight, Window

MOST_TAPS = 1 << 16
"""The largest kernel and stride of a transposed convolution whose receptive field is computed."""


class TransposedConvolution(Op, family="convolution"):
    """The base of transposed convolutions, with a number for each spatial axis in `kernel_size` and what goes with it.

    Each unit of the input is multiplied into the whole kernel, so multiply-accumulates are counted from the input.
    """

    out_channels: Positive
    kernel_size: tuple[Any, ...]
    stride: tuple[Any, ...]
    padding: tuple[Any, ...]
    output_padding: tuple[Any, ...]
    groups: Positive = 1
    bias: Flag = True
    dilation: tuple[Any, ...]

    precision = "half"

    def infer(self, x: Tensor) -> Tensor:
        need_map(self, x, len(self.kernel_size))
        need_floats(self, x)
        need_whole_groups(self.groups, self._in_channels(x), self.out_channels)
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
        if max(self.stride) == 1:
            size = tuple(effective_size(k, d) for k, d in zip(self.kernel_size, self.dilation, strict=True))
            start = tuple(p - d * (k - 1) for k, _, p, d in each)
            return Window(size, self.stride, start)
        if max(self.kernel_size) > MOST_TAPS or max(self.stride) > MOST_TAPS:
            return Reach.VARIES
        return Upsampling(tuple(_taps(*axis) for axis in each))

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(inputs=(0,))

    def torch(self, x: Tensor) -> Layer:
        return self.layer(
            f"nn.ConvTranspose{len(self.kernel_size)}d",
            in_channels=x.channels,
            out_channels=self.out_channels,
            kernel_size=self.kernel_size,
        )

    def borrowed(self, x: Tensor) -> Code:
        names = ("stride", "padding", "output_padding", "groups", "dilation")
        options = {name: getattr(self, name) for name in names}
        bias = weights_of_layer("bias") if self.bias else ()
        return functional(self, self.opname, "{0}", *weights_of_layer("weight"), *bias, **options)

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
            y = g.Pad(y, g.constant([0, 0, *[0] * len(after), 0, 0, *[max(0, -rest) for rest in after]]))
        return g.Add(y, per_channel(g, x, *bias)) if bias else y

    def label(self) -> str:
        return convolution_label(self, "up-conv", "x")

    def _in_channels(self, x: Tensor) -> int:
        return known_int(x.channels, f"the number of input channels of `{self.opname}`")

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


class ConvTranspose1d(TransposedConvolution, name="conv_transpose1d", principal="out_channels"):
    """Transposed 1-D convolution over (N, C, L), which makes maps larger, as torch.nn.ConvTranspose1d.

    The map is `(L - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1` long.
    """

    kernel_size: Single
    stride: Single = (1,)
    padding: PaddingSingle = (0,)
    output_padding: PaddingSingle = (0,)
    dilation: Single = (1,)

    examples = (
        example((2, 6, 5), out_channels=3, kernel_size=2, stride=2),
        example((1, 4, 6), out_channels=2, kernel_size=[3], stride=2, padding=1, output_padding=1, bias=False),
        example((1, 4, 5), out_channels=6, kernel_size=4, padding=1, groups=2),
        example((1, 2, 4), out_channels=2, kernel_size=3, stride=3, dilation=2, output_padding=2),
    )


class ConvTranspose2d(TransposedConvolution, name="conv_transpose2d", principal="out_channels"):
    """Transposed 2-D convolution over (N, C, H, W), which makes maps larger, as torch.nn.ConvTranspose2d.

    The map is `(H - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1` high.
    """

    kernel_size: Pair
    stride: Pair = (1, 1)
    padding: PaddingPair = (0, 0)
    output_padding: PaddingPair = (0, 0)
    dilation: Pair = (1, 1)

    examples = (
        example((2, 6, 5, 4), out_channels=3, kernel_size=2, stride=2),
        example((1, 4, 5, 6), out_channels=2, kernel_size=3, stride=2, padding=1, output_padding=1, bias=False),
        example((1, 4, 5, 6), out_channels=6, kernel_size=[4, 3], stride=[2, 1], padding=[1, 0], groups=2),
        example((1, 2, 6, 5), out_channels=3, kernel_size=3, dilation=2, padding=1),
        example((1, 2, 4, 5), out_channels=2, kernel_size=3, stride=3, dilation=2, output_padding=[2, 0]),
    )


class ConvTranspose3d(TransposedConvolution, name="conv_transpose3d", principal="out_channels"):
    """Transposed 3-D convolution over (N, C, D, H, W), which makes maps larger, as torch.nn.ConvTranspose3d.

    The map is `(D - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1` deep.
    """

    kernel_size: Triple
    stride: Triple = (1, 1, 1)
    padding: PaddingTriple = (0, 0, 0)
    output_padding: PaddingTriple = (0, 0, 0)
    dilation: Triple = (1, 1, 1)

    examples = (
        example((2, 4, 3, 2, 3), out_channels=3, kernel_size=2, stride=2),
        example((1, 4, 2, 3, 4), out_channels=2, kernel_size=3, stride=2, padding=1, output_padding=1, bias=False),
        example((1, 4, 3, 4, 3), out_channels=6, kernel_size=[1, 4, 3], stride=[1, 2, 1], padding=[0, 1, 0], groups=2),
        example((1, 2, 2, 3, 4), out_channels=2, kernel_size=2, dilation=[1, 2, 3], output_padding=[0, 1, 2]),
    )


def _taps(kernel: int, stride: int, padding: int, dilation: int) -> tuple[tuple[int, int] | None, ...]:
    """The first and last input unit that contribute to an output unit, for each position of that in its stride."""
    places: list[list[int]] = [[] for _ in range(stride)]
    for tap in range(kernel):
        # Input i and tap k meet in output i * stride - padding + dilation * k.
        period, place = divmod(dilation * tap - padding, stride)
        places[place].append(-period)
    return tuple((min(place), max(place)) if place else None for place in places)
