"""Differences, quotients, and products with a constant, element by element."""

from __future__ import annotations

from typing import ClassVar

from netspec.expression import python_literal
from netspec.ops.base import (
    AxisOrigins,
    Elementwise,
    Merge,
    all_axes,
    count_elements,
    example,
    need_floats,
    need_numbers,
)
from netspec.ops.equal import broadcast
from netspec.ops.fields import Real
from netspec.types import Infix, Memory, OnnxWriter, Tensor

_MAP = (2, 3, 4, 5)


class _Binary(Merge):
    """An operator between two inputs, element by element; an axis of size 1 goes with every size."""

    inputs: ClassVar[tuple[int, int | None]] = (2, 2)
    precision = "either"
    examples = (
        example(_MAP, _MAP),
        example(_MAP, (2, 3, 1, 1)),
        example((2, 1, 4, 5), _MAP),
        example((2, 3, 1, 5), (2, 3, 4, 1)),
    )

    def infer(self, x: Tensor, other: Tensor) -> Tensor:
        return broadcast(self, (x, other))

    def axes(self, *xs: Tensor) -> AxisOrigins:
        return all_axes(*xs)

    def per_sample(self, *xs: Tensor) -> bool:
        return True


class Subtract(_Binary, name="subtract"):
    """The first input minus the second, element by element, as `x - y`.

    Shapes are equal, but an axis of size 1 goes with every size, as a mean of N x C x 1 x 1 does with a map.
    """

    sign = "\N{MINUS SIGN}"

    def infer(self, x: Tensor, other: Tensor) -> Tensor:
        need_numbers(self, x)
        return super().infer(x, other)

    def memory(self, train: bool, y: Tensor, x: Tensor, other: Tensor) -> Memory:
        # The gradient of an input that is broadcast is a sum; that of the second is first negated at full size.
        negated = (y,) if other.shape != y.shape else ()
        return Memory(hands_on=(0,) if x.shape == y.shape else (), backward=negated)

    def torch(self, x: Tensor, other: Tensor) -> Infix:
        return Infix("-")

    def onnx(self, g: OnnxWriter, x: str, other: str) -> str:
        return g.Sub(x, other)


class Divide(_Binary, name="divide"):
    """The first input over the second, element by element, as `x / y`.

    Shapes are equal, but an axis of size 1 goes with every size, as a norm of N x 1 x 1 x 1 does with a map.
    """

    sign = "÷"

    def infer(self, x: Tensor, other: Tensor) -> Tensor:
        need_floats(self, x)
        return super().infer(x, other)

    def memory(self, train: bool, y: Tensor, x: Tensor, other: Tensor) -> Memory:
        # The second gradient is -g * ((x / other) / other): two quotients, a negative and their product, at full size.
        elements = 4 * count_elements(y) - count_elements(x) - count_elements(other)
        return Memory(inputs=(0, 1), backward=(Tensor((elements,), y.dtype),))

    def torch(self, x: Tensor, other: Tensor) -> Infix:
        return Infix("/")

    def onnx(self, g: OnnxWriter, x: str, other: str) -> str:
        return g.Div(x, other)


class Scaling(Elementwise, name="scale", principal="factor", family="arithmetic"):
    """Its input times a constant, such as 1 / sqrt(d) before a softmax. A factor that is learned is a `parameter`."""

    factor: Real

    precision = "either"
    examples = (example(_MAP, factor=0.125), example((2, 6), factor=-2.0))

    def infer(self, x: Tensor) -> Tensor:
        need_floats(self, x)
        return x

    def axes(self, x: Tensor) -> AxisOrigins:
        return all_axes(x)

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory()

    def torch(self, x: Tensor) -> Infix:
        return Infix("*", python_literal(self.factor))

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Mul(x, g.constant(self.factor, "like"))

    def label(self) -> str:
        return f"scale by {self.factor:g}"
