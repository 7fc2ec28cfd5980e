"""Learned tensors."""

from __future__ import annotations

from typing import ClassVar

from netspec.ops.base import Op, RuleError, example, is_float
from netspec.ops.fields import Flag, Sizes
from netspec.types import Code, Layer, Memory, OnnxWriter, Reach, Tensor, Weight


class Parameter(Op, name="parameter", family="parameter"):
    """A learned tensor of this shape, as torch.nn.Parameter, the same for every sample: (N, *shape).

    It takes an input for the size of its batch alone. In the state dict it stands under the step's own path, as
    (1, *shape); `init` calls it `weight`, and it begins as zeros.

    With `expand: false` it has no batch axis: its shape is that of the state dict. A `multiply` or a broadcasting `add`
    takes it as it is: `layer_scale * x`, of (C, 1, 1) on N x C x H x W.
    """

    shape: Sizes
    expand: Flag = True

    reads: ClassVar[int | None] = 0
    precision = "half"
    examples = (
        example((2, 3, 4, 4), shape=[1, 8]),
        example((2, 6), shape=[5]),
        example((3, 2), shape=[4, 2, 3]),
        example((2, 3, 4, 4), shape=[3, 1, 1], expand=False),
    )

    @property
    def stored(self) -> tuple[int, ...]:
        """The shape in the state dict."""
        return (1, *self.shape) if self.expand else self.shape

    def infer(self, x: Tensor) -> Tensor:
        if not x.rank:
            raise RuleError("`parameter` takes an input with a batch, and this one has no axis", code="NS302")
        dtype = x.dtype if is_float(x) else "float32"
        return Tensor((x.batch, *self.shape) if self.expand else self.shape, dtype)

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return (Weight("", self.stored, start=0.0),)

    def macs(self, y: Tensor, x: Tensor) -> int:
        return 0

    def window(self, x: Tensor) -> Reach:
        return Reach.POINT

    def per_sample(self, x: Tensor) -> bool:
        return self.expand

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(view=True)

    def torch(self, x: Tensor) -> Layer:
        sizes = {str(axis): size for axis, size in enumerate(self.stored)}
        expanded = Code("{layer}.expand(", ("{0}.shape[0]", *["-1"] * len(self.shape)))
        call = expanded if self.expand else Code("{layer}", (), "")
        return Layer("nn.Parameter", sizes, len(sizes), call, inside="torch.zeros")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        if not self.expand:
            return g.weight("")
        batch = g.Shape(x, start=0, end=1)
        return g.Expand(g.weight(""), g.Concat(batch, g.constant([1] * len(self.shape)), axis=0))

    def label(self) -> str:
        return f"parameter, {'x'.join(map(str, self.shape))}"
