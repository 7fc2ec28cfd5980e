"""Learned tensors."""

from __future__ import annotations

from typing import ClassVar

from netspec.ops.base import Op, RuleError, example, is_float
from netspec.ops.fields import Sizes
from netspec.types import Code, Layer, Memory, OnnxWriter, Reach, Tensor, Weight


class Parameter(Op, name="parameter", family="parameter"):
    """A learned tensor of this shape, the same for every sample, as torch.nn.Parameter: (N, *shape).

    It takes an input for the size of its batch alone. In the state dict it stands under the step's own path, as
    (1, *shape); `init` calls it `weight`, and it begins as zeros.
    """

    shape: Sizes

    reads: ClassVar[int | None] = 0
    precision = "half"
    examples = (
        example((2, 3, 4, 4), shape=[1, 8]),
        example((2, 6), shape=[5]),
        example((3, 2), shape=[4, 2, 3]),
    )

    def infer(self, x: Tensor) -> Tensor:
        if not x.rank:
            raise RuleError("`parameter` takes an input with a batch, and this one has no axis", code="NS302")
        dtype = x.dtype if is_float(x) else "float32"
        return Tensor((x.batch, *self.shape), dtype)

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return (Weight("", (1, *self.shape), start=0.0),)

    def macs(self, y: Tensor, x: Tensor) -> int:
        return 0

    def window(self, x: Tensor) -> Reach:
        return Reach.POINT

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(view=True)

    def torch(self, x: Tensor) -> Layer:
        sizes = {str(axis): size for axis, size in enumerate((1, *self.shape))}
        call = Code("{layer}.expand(", ("{0}.shape[0]", *["-1"] * len(self.shape)))
        return Layer("nn.Parameter", sizes, len(sizes), call, inside="torch.zeros")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        batch = g.Shape(x, start=0, end=1)
        return g.Expand(g.weight(""), g.Concat(batch, g.constant([1] * len(self.shape)), axis=0))

    def label(self) -> str:
        return f"parameter, {'x'.join(map(str, self.shape))}"
