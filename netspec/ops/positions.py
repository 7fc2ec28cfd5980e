"""The positions along an axis."""

from __future__ import annotations

from typing import ClassVar

from netspec.ops.base import AxisOrigins, Costless, RuleError, axis_of, example
from netspec.ops.fields import Axis
from netspec.ops.writing import places
from netspec.types import Code, Memory, OnnxWriter, Reach, Tensor


class Arange(Costless, name="arange", principal="dim", family="embedding"):
    """The numbers 0, 1, 2 and so on, one for each place of an axis, as torch.arange: (1, size) of int64.

    It takes an input for the size of that axis alone. An `embedding` of them is a learned embedding of positions
    (Gehring et al. 2017, section 3.1), which a broadcasting `add` adds to each sample.
    """

    dim: Axis = 1

    reads: ClassVar[int | None] = 0
    precision = "either"
    examples = (
        example(Tensor((2, 5), "int64")),
        example((2, 3, 4), dim=-1),
    )

    def infer(self, x: Tensor) -> Tensor:
        axis = axis_of(x, self.dim, "dim")
        if axis == 0:
            raise RuleError("the first axis is the batch, whose samples have no places", at="dim", code="NS302")
        return Tensor((1, x.shape[axis]), "int64")

    def window(self, x: Tensor) -> Reach:
        return Reach.POINT

    def axes(self, x: Tensor) -> AxisOrigins:
        return (None, None)

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory()

    def torch(self, x: Tensor) -> Code:
        return Code("torch.arange(", (f"{{0}}.shape[{self.dim}]", "device={0}.device"), ").unsqueeze(0)")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Unsqueeze(places(g, x, self.dim), g.constant([0]))

    def label(self) -> str:
        return "positions"
