"""Transposed convolutions over maps of one, two and three spatial axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, ClassVar

from netspec.dims import Dim
from netspec.ops.base import Op, RuleError, example, known_int, need_floats
from netspec.ops.convolution import convolution_label, need_whole_groups
from netspec.ops.fields import Flag, PaddingPair, PaddingSingle, PaddingTriple, Pair, Positive, Single, Triple
from netspec.ops.functional import functional, weights_of_layer
from netspec.ops.window import effective_size, need_map
from netspec.ops.writing import layer_weights, per_channel, weight_and_bias
from netspec.types import Code, Helper, Layer, Memory, OnnxWriter, Reach, Tensor, Upsampling, Weight, Window

MOST_TAPS = 1 << 16
"""The largest kernel and stride of a transposed convolution whose receptive field is computed."""


class TransposedConvolution(Op, family="convolution"):
    """The base of transposed convolutions, with a number for each spatial axis in `kernel_size` and what goes with it.

    Each unit of the input is multiplied into the whole kernel, so multiply-accumulates are counted from the input. A
    second input gives nothing but the size of the output, in place of `output_padding`.
    """

    out_channels: Positive
    kernel_size: tuple[Any, ...]
    stride: tuple[Any, ...]
    padding: tuple[Any, ...]
    output_padding: tuple[Any, ...]
    groups: Positive = 1
    bias: Flag = True
    dilation: tuple[Any, ...]

    inputs: ClassVar[tuple[int, int | None]] = (1, 2)
    reads: ClassVar[int | None] = 1
    precision = "half"

    def infer(self, x: Tensor, *like: Tensor) -> Tensor:
        for each in (x, *like):
            need_map(self, each, len(self.kernel_size))
        need_floats(self, x)
        need_whole_groups(self.groups, self._in_channels(x), self.out_channels)
        for extra, stride, dilation in zip(self.output_padding, self.stride, self.dilation, strict=True):
            if extra >= max(stride, dilation):
                raise RuleError(
                    f"output_padding of {extra} is no smaller than stride {stride} or dilation {dilation}",
                    at="output_padding",
                )
        sizes = self._spatial(x)
        for each in like:
            self._need_size(each, sizes)
            sizes = list(each.spatial)
        return x.with_channels(self.out_channels).with_spatial(*sizes)

    def weights(self, x: Tensor, *like: Tensor) -> tuple[Weight, ...]:
        shape = (self._in_channels(x), self.out_channels // self.groups, *self.kernel_size)
        return layer_weights(shape, self.out_channels, self.bias)

    def macs(self, y: Tensor, x: Tensor, *like: Tensor) -> Dim:
        return prod(x.shape, start=self.out_channels // self.groups * prod(self.kernel_size))

    def window(self, x: Tensor, *like: Tensor) -> Window | Upsampling | Reach:
        each = zip(self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        if max(self.stride) == 1:
            size = tuple(effective_size(k, d) for k, d in zip(self.kernel_size, self.dilation, strict=True))
            start = tuple(p - d * (k - 1) for k, _, p, d in each)
            return Window(size, self.stride, start)
        if max(self.kernel_size) > MOST_TAPS or max(self.stride) > MOST_TAPS:
            return Reach.VARIES
        return Upsampling(tuple(_taps(*axis) for axis in each))

    def per_sample(self, x: Tensor, *like: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor, *like: Tensor) -> Memory:
        return Memory(inputs=(0,))

    def torch(self, x: Tensor, *like: Tensor) -> Layer:
        call = Code("{layer}(", ("{0}", "output_size={1}.shape[2:]")) if like else None
        return self.layer(
            f"nn.ConvTranspose{len(self.kernel_size)}d",
            call=call,
            in_channels=x.channels,
            out_channels=self.out_channels,
            kernel_size=self.kernel_size,
        )

    def borrowed(self, x: Tensor, *like: Tensor) -> Code | None:
        names = ("stride", "padding", "output_padding", "groups", "dilation")
        options = {name: getattr(self, name) for name in names}
        if like:
            extra = [size - least for size, least in zip(like[0].spatial, self._spatial(x), strict=True)]
            options["output_padding"] = tuple(extra)
            if not all(isinstance(rows, int) for rows in extra):
                return self._borrowed_to_open_size(options)
        bias = weights_of_layer("bias") if self.bias else ()
        return functional(self, self.opname, "{0}", *weights_of_layer("weight"), *bias, **options)

    def onnx(self, g: OnnxWriter, x: str, *like: str) -> str:
        if not like:
            return self._onnx(g, x, self.output_padding)
        extra = [size - least for size, least in zip(g.type(*like).spatial, self._spatial(g.type(x)), strict=True)]
        known = tuple([rows for rows in extra if isinstance(rows, int)])
        return self._onnx(g, x, known) if len(known) == len(extra) else self._onnx_to_open_size(g, x, *like)

    def _onnx(self, g: OnnxWriter, x: str, output_padding: tuple[int, ...]) -> str:
        weight, *bias = weight_and_bias(g, self.bias)
        transposed = self._onnx_transposed(g, x, weight)
        if all(more < stride for more, stride in zip(output_padding, self.stride, strict=True)):
            return transposed(*bias, pads=self.padding * 2, output_padding=output_padding)
        # ONNX Runtime takes no output padding as large as the stride: so less is cropped, and missing rows, which only
        # have the bias, are padded before it is added.
        after = [p - more for p, more in zip(self.padding, output_padding, strict=True)]
        y = transposed(pads=[*self.padding, *[max(0, rest) for rest in after]])
        if min(after) < 0:
            y = g.Pad(y, g.constant([0, 0, *[0] * len(after), 0, 0, *[max(0, -rest) for rest in after]]))
        return g.Add(y, per_channel(g, x, *bias)) if bias else y

    def _onnx_to_open_size(self, g: OnnxWriter, x: str, like: str) -> str:
        """In ONNX, all rows that the kernel reaches, cropped at the end to the size of `like`; rows beyond are zero."""
        weight, *bias = weight_and_bias(g, self.bias)
        axes = range(2, 2 + len(self.padding))
        y = self._onnx_transposed(g, x, weight)(pads=[*self.padding, *[0] * len(axes)])
        size = g.Shape(like, start=2, end=2 + len(axes))
        y = g.Slice(y, g.constant([0] * len(axes)), size, g.constant([*axes]))
        if any(stride - 1 > padding for stride, padding in zip(self.stride, self.padding, strict=True)):
            missing = g.Sub(size, g.Shape(y, start=2, end=2 + len(axes)))
            y = g.Pad(y, g.Concat(g.constant([0] * (4 + len(axes))), missing, axis=0))
        return g.Add(y, per_channel(g, x, *bias)) if bias else y

    def _onnx_transposed(self, g: OnnxWriter, x: str, weight: str) -> Callable[..., Any]:
        options = {"kernel_shape": self.kernel_size, "strides": self.stride, "dilations": self.dilation}
        return partial(g.ConvTranspose, x, weight, **options, group=self.groups)

    def _borrowed_to_open_size(self, options: dict[str, Any]) -> Code:
        """The op with the weights of another layer, where only the run tells how many rows more there are."""
        del options["output_padding"]
        name = f"{self.opname}_to"
        bias = weights_of_layer("bias") if self.bias else ()
        changed = [f"{key}={value!r}" for key, value in options.items() if value != self.default(key)]
        helper = Helper(
            _TO_SIZE.format(name=name, op=self.opname, ones=self.default("stride"), zeros=self.default("padding"))
        )
        return Code(f"{name}(", ("{0}", "{1}", *weights_of_layer("weight"), *bias, *changed), helpers=(helper,))

    def label(self) -> str:
        return convolution_label(self, "up-conv", "x")

    def _need_size(self, like: Tensor, least: Sequence[Dim]) -> None:
        """Refuse a size for the output that torch refuses: each axis may have fewer than `stride` rows more."""
        if any(self.output_padding):
            message = "the second input gives the size of the output, and so does `output_padding`"
            raise RuleError(message, at="output_padding", help="leave out one of them")
        for size, smallest, stride in zip(like.spatial, least, self.stride, strict=True):
            extra = size - smallest
            if isinstance(extra, int) and not 0 <= extra < stride:
                sizes = " x ".join(map(str, least))
                help = (
                    f"each axis may have up to {stride - 1} more: other kernels, strides and paddings give other sizes"
                )
                message = f"it gives a map of at least {sizes}, and the second input is {like}"
                raise RuleError(message, code="NS303", help=help)

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


_TO_SIZE = '''\
def {name}(
    x: Tensor,
    like: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: tuple[int, ...] = {ones},
    padding: tuple[int, ...] = {zeros},
    groups: int = 1,
    dilation: tuple[int, ...] = {ones},
) -> Tensor:
    """{op} to a map as large as `like`."""
    least = [
        (size - 1) * stride[n] - 2 * padding[n] + dilation[n] * (weight.shape[n + 2] - 1)
        for n, size in enumerate(x.shape[2:])
    ]
    more = [size - small - 1 for size, small in zip(like.shape[2:], least)]
    return nn.functional.{op}(x, weight, bias, stride, padding, more, groups, dilation)'''


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

    The map is `(H - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1` high. Or a second
    input, (N, C', H', W'), gives the size: that is torch's `output_size`, which takes up to `stride - 1` rows more.
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
        example((2, 4, 5, 4), (2, 3, 10, 8), out_channels=3, kernel_size=3, stride=2, padding=1),
        example((1, 2, 3, 4), (1, 1, 11, 14), out_channels=2, kernel_size=[3, 2], stride=4, bias=False),
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
