"""Activations of a few pieces, most of them straight lines: clipped ones, and cheap likenesses of smooth ones."""

from __future__ import annotations

from netspec.ops.activation import Activation
from netspec.ops.base import RuleError, example
from netspec.ops.fields import NonNegativeReal, Real
from netspec.types import Layer, OnnxWriter, Tensor

_MAP = (2, 3, 4, 4)


class Relu6(Activation, name="relu6"):
    """min(max(0, x), 6), as torch.nn.ReLU6."""

    of_floats = False

    examples = (example(_MAP),)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.ReLU6")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Clip(x, g.constant(0, "like"), g.constant(6, "like"))


class Hardtanh(Activation, name="hardtanh"):
    """x between `min_val` and `max_val`, and these beyond them, as torch.nn.Hardtanh."""

    min_val: Real = -1.0
    max_val: Real = 1.0

    examples = (example(_MAP), example(_MAP, min_val=-0.5, max_val=2.0))

    def infer(self, x: Tensor) -> Tensor:
        if self.min_val >= self.max_val:
            raise RuleError(f"`max_val` is more than `min_val`, and {self.max_val} is not", at="max_val")
        return super().infer(x)

    def torch(self, x: Tensor) -> Layer:
        if (self.min_val, self.max_val) == (-1, 1):
            return self.layer("nn.Hardtanh")
        return self.layer("nn.Hardtanh", min_val=self.min_val, max_val=self.max_val)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Clip(x, g.constant(self.min_val, "like"), g.constant(self.max_val, "like"))


class Hardsigmoid(Activation, name="hardsigmoid"):
    """relu6(x + 3) / 6, as torch.nn.Hardsigmoid: the gate of MobileNetV3 (Howard et al. 2019, section 5.2)."""

    examples = (example(_MAP),)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Hardsigmoid")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.HardSigmoid(x, alpha=1 / 6, beta=0.5)


class Hardswish(Activation, name="hardswish"):
    """x * relu6(x + 3) / 6, as torch.nn.Hardswish."""

    examples = (example(_MAP),)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Hardswish")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.HardSwish(x)


class Threshold(Activation, name="threshold"):
    """x where it is more than `threshold`, else `value`, as torch.nn.Threshold."""

    threshold: Real
    value: Real

    examples = (example(_MAP, threshold=0.5, value=0.0), example(_MAP, threshold=0.3, value=-2.0))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Threshold", threshold=self.threshold, value=self.value)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        above = g.Greater(x, g.constant(self.threshold, "like"))
        return g.Where(above, x, g.constant(self.value, "like"))


class Hardshrink(Activation, name="hardshrink", principal="lambd"):
    """x, but 0 where |x| is at most `lambd`, as torch.nn.Hardshrink."""

    lambd: NonNegativeReal = 0.5

    examples = (example(_MAP), example(_MAP, lambd=0.2))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Hardshrink")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Shrink(x, lambd=self.lambd)


class Softshrink(Activation, name="softshrink", principal="lambd"):
    """x nearer to 0 by `lambd`, and 0 where |x| is at most that, as torch.nn.Softshrink."""

    lambd: NonNegativeReal = 0.5

    examples = (example(_MAP), example(_MAP, lambd=0.2))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Softshrink")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Shrink(x, lambd=self.lambd, bias=self.lambd)
