"""Max pools that tell where the maxima are, and the way back: unpooling."""

from __future__ import annotations

from typing import ClassVar

from netspec.dims import always_equal
from netspec.ops.base import Costless, RuleError, example, is_float, need_floats, need_rank
from netspec.ops.fields import PaddingPair, Pair
from netspec.ops.pooling import MaxPool
from netspec.types import Code, Helper, Layer, Memory, OnnxWriter, Reach, Tensor


class MaxPool2dWithIndices(MaxPool, name="max_pool2d_with_indices", principal="kernel_size"):
    """Largest value of each window over (N, C, H, W), and where it was, as torch.nn.MaxPool2d with `return_indices`.

    `indices` are the positions of the maxima in their map, row by row: row * W + column. `unpool` takes them.
    """

    kernel_size: Pair
    stride: Pair | None = None
    padding: PaddingPair = (0, 0)
    dilation: Pair = (1, 1)

    output_names = ("output", "indices")
    examples = (
        example((1, 2, 8, 9), kernel_size=2),
        example((2, 3, 13, 10), kernel_size=3, stride=2, padding=1),
        example((1, 2, 7, 11), kernel_size=3, stride=2, ceil_mode=True),
        example((1, 2, 12, 12), kernel_size=[2, 3], stride=[1, 2], dilation=2),
    )

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        need_floats(self, x)
        y = self._slide(x, self.dilation, self.ceil_mode)
        return y, Tensor(y.shape, "int64")

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(inputs=(0,), output=(1,))

    def torch(self, x: Tensor) -> Layer:
        layer = self.layer("nn.MaxPool2d", kernel_size=self.kernel_size)
        return Layer(layer.target, {**layer.arguments, "return_indices": True}, layer.positional)

    def onnx(self, g: OnnxWriter, x: str) -> tuple[str, str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        before, after = self._pads(self.dilation, self.ceil_mode)
        pads = [*before, *after]
        if any(p >= k for p, k in zip(pads, self.kernel_size * 2, strict=True)):
            help = "a stride no larger than the kernel, or no `ceil_mode`"
            raise RuleError("ONNX has no max pool with padding as large as its kernel", code="NS401", help=help)
        options = {"kernel_shape": self.kernel_size, "strides": self._stride(), "dilations": self.dilation}
        y, indices = g.MaxPool(x, outputs=2, pads=pads, **options)
        # ONNX counts positions in the whole tensor.
        height, width = g.type(x).spatial
        if isinstance(height, int) and isinstance(width, int):
            area = g.constant(height * width)
        else:
            area = g.ReduceProd(g.Shape(x, start=2, end=4), keepdims=0)
        return y, g.Mod(indices, area)


class Unpool(Costless, name="unpool", family="pooling"):
    """The values of a pooled map at the positions where its maxima were, and 0 elsewhere.

    Inputs are a map (N, C, h, w), the `indices` of `max_pool2d_with_indices`, and a map (N, C', H, W) that gives
    nothing but its size; the output is (N, C, H, W). Where windows overlap and two maxima are one unit, their values
    are added: so it is the gradient of the pool. (torch.nn.functional.max_unpool2d keeps one of them.) Zeiler & Fergus
    2013, arXiv:1311.2901, section 2.1.
    """

    inputs: ClassVar[tuple[int, int | None]] = (3, 3)
    reads: ClassVar[int | None] = 2
    # ONNX Runtime adds elements up in float32 alone.
    precision = "float32"
    examples = (
        example((2, 3, 2, 2), Tensor((2, 3, 2, 2), "int64"), (2, 3, 4, 5)),
        example((1, 2, 3, 1), Tensor((1, 2, 3, 1), "int64"), (1, 5, 7, 3)),
    )

    def infer(self, x: Tensor, indices: Tensor, like: Tensor) -> Tensor:
        for each in (x, indices, like):
            need_rank(self, each, 4, "(N, C, H, W)")
        if not is_float(x) or indices.dtype != "int64":
            raise RuleError(
                f"`unpool` takes floats, int64 indices and a map, and has {x.dtype} and {indices.dtype}",
                code="NS302",
                help="`from: [x, pool.indices, map]`, of a `max_pool2d_with_indices` named `pool`",
            )
        if not all(map(always_equal, x.shape, indices.shape)):
            raise RuleError(f"there is an index for each value, and here {indices} for {x}", code="NS301")
        if not always_equal(x.batch, like.batch):
            raise RuleError(f"the map for the size has another batch: {like} for {x}", code="NS301")
        return x.with_spatial(*like.spatial)

    def window(self, *xs: Tensor) -> Reach:
        return Reach.DATA

    def per_sample(self, *xs: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, *xs: Tensor) -> Memory:
        return Memory(inputs=(1,))

    def torch(self, *xs: Tensor) -> Code:
        return Code("unpool(", ("{0}", "{1}", "{2}"), helpers=(_UNPOOL,))

    def onnx(self, g: OnnxWriter, x: str, indices: str, like: str) -> str:
        height, width = g.type(like).spatial
        maps = g.Shape(x, start=0, end=2)
        if isinstance(height, int) and isinstance(width, int):
            area, size = g.constant([height * width]), g.constant([height, width])
        else:
            size = g.Shape(like, start=2, end=4)
            area = g.ReduceProd(size, keepdims=1)
        flat = g.constant([0, 0, -1])
        zeros = g.Expand(g.constant(0.0, "like"), g.Concat(maps, area, axis=0))
        values = g.ScatterElements(zeros, g.Reshape(indices, flat), g.Reshape(x, flat), axis=2, reduction="add")
        return g.Reshape(values, g.Concat(maps, size, axis=0))


_UNPOOL = Helper('''\
def unpool(x: Tensor, indices: Tensor, like: Tensor) -> Tensor:
    """The values of `x` where the maxima were, in a map as large as `like`."""
    height, width = like.shape[-2:]
    y = x.new_zeros(*x.shape[:2], height * width)
    # Where two maxima were one unit, their values are added.
    y.scatter_add_(2, indices.flatten(2), x.flatten(2))
    return y.unflatten(2, (height, width))''')
