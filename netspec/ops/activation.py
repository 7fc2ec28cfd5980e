"""Smooth activations and those of the ReLU family, element by element, and softmaxes along one axis."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from netspec.ops.base import AxisOrigins, Elementwise, RuleError, all_axes, example, is_float, need_floats, need_numbers
from netspec.ops.fields import Axis, Positive, PositiveReal, Real, Takes
from netspec.ops.functional import functional, weights_of_layer
from netspec.ops.window import along
from netspec.ops.writing import per_channel
from netspec.types import Code, Layer, Memory, OnnxWriter, Reach, Tensor, Weight, Window

_MAP = (2, 3, 4, 4)


class Activation(Elementwise, family="activation"):
    """An activation without weights, element by element, written as the torch.nn class of its name."""

    precision = "half"

    of_output: ClassVar[bool] = False
    """True if the gradient is computed from the output, which most networks keep anyway; False if from the input."""

    of_floats: ClassVar[bool] = True
    """True if it takes floats only, False if integers, too."""

    def infer(self, x: Tensor) -> Tensor:
        (need_floats if self.of_floats else need_numbers)(self, x)
        return x

    def axes(self, x: Tensor) -> AxisOrigins:
        return all_axes(x)

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(output=True) if self.of_output else Memory(inputs=(0,))


class Relu(Activation, name="relu"):
    """max(0, x), as torch.nn.ReLU."""

    of_output = True
    of_floats = False

    examples = (example(_MAP),)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.ReLU")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Relu(x) if is_float(g.type(x)) else g.Max(x, g.constant(0, "like"))


class LeakyRelu(Activation, name="leaky_relu", principal="negative_slope"):
    """x where positive, else negative_slope * x, as torch.nn.LeakyReLU."""

    negative_slope: Real = 0.01

    examples = (example(_MAP), example(_MAP, negative_slope=0.2))

    def torch(self, x: Tensor) -> Layer:
        # A single argument is printed without its name, and a default not at all.
        default = self.negative_slope == type(self).default("negative_slope")
        return self.layer("nn.LeakyReLU") if default else self.layer("nn.LeakyReLU", negative_slope=self.negative_slope)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.LeakyRelu(x, alpha=self.negative_slope)


class Prelu(Elementwise, name="prelu", principal="num_parameters", family="activation"):
    """x where positive, else a learned slope times x, as torch.nn.PReLU."""

    num_parameters: Positive = 1

    precision = "half"
    examples = (example(_MAP), example(_MAP, num_parameters=3))

    def infer(self, x: Tensor) -> Tensor:
        need_floats(self, x)
        if self.num_parameters != 1 and (x.rank < 2 or x.channels != self.num_parameters):
            raise RuleError(f"`prelu` has {self.num_parameters} slopes for an input of {x}", at="num_parameters")
        return x

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return (Weight("weight", (self.num_parameters,), start=0.25),)

    def axes(self, x: Tensor) -> AxisOrigins:
        return all_axes(x)

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # The gradient of the slopes is computed for every element, and then summed.
        return Memory(inputs=(0,), backward=(x,))

    def torch(self, x: Tensor) -> Layer:
        default = self.num_parameters == type(self).default("num_parameters")
        return self.layer("nn.PReLU") if default else self.layer("nn.PReLU", num_parameters=self.num_parameters)

    def borrowed(self, x: Tensor) -> Code:
        return functional(self, "prelu", "{0}", *weights_of_layer("weight"))

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.PRelu(x, per_channel(g, x, g.weight("weight")) if self.num_parameters > 1 else g.weight("weight"))


class Elu(Activation, name="elu", principal="alpha"):
    """x where positive, else alpha * (exp(x) - 1), as torch.nn.ELU."""

    alpha: PositiveReal = 1.0

    examples = (example(_MAP), example(_MAP, alpha=0.5))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.ELU")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Elu(x, alpha=self.alpha)


class Selu(Activation, name="selu"):
    """ELU with the slope and alpha that keep mean 0 and variance 1 from layer to layer, as torch.nn.SELU.

    Klambauer, Unterthiner, Mayr & Hochreiter 2017, arXiv:1706.02515.
    """

    examples = (example(_MAP),)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.SELU")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Selu(x)


class Celu(Activation, name="celu", principal="alpha"):
    """x where positive, else alpha * (exp(x / alpha) - 1), as torch.nn.CELU: smooth at 0 for every alpha."""

    alpha: PositiveReal = 1.0

    examples = (example(_MAP), example(_MAP, alpha=2.0))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.CELU")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        # ONNX's Celu takes no float16.
        if self.alpha == 1:
            return g.Elu(x)
        alpha = g.constant(self.alpha, "like")
        return g.Mul(g.Elu(g.Div(x, alpha)), alpha)


class Gelu(Activation, name="gelu", principal="approximate"):
    """x times the normal distribution function of x, as torch.nn.GELU."""

    approximate: Annotated[Literal["none", "tanh"], Takes("`none` or `tanh`")] = "none"

    examples = (example(_MAP), example(_MAP, approximate="tanh"))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.GELU")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Gelu(x, approximate=self.approximate)


class Silu(Activation, name="silu"):
    """x * sigmoid(x), as torch.nn.SiLU."""

    examples = (example(_MAP),)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.SiLU")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Mul(x, g.Sigmoid(x))


class Mish(Activation, name="mish"):
    """x * tanh(softplus(x)), as torch.nn.Mish (Misra 2019, arXiv:1908.08681)."""

    examples = (example(_MAP),)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Mish")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Mish(x)


class Sigmoid(Activation, name="sigmoid"):
    """1 / (1 + exp(-x)), as torch.nn.Sigmoid."""

    of_output = True

    examples = (example(_MAP),)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Sigmoid")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Sigmoid(x)


class Tanh(Activation, name="tanh"):
    """Hyperbolic tangent, as torch.nn.Tanh."""

    of_output = True

    examples = (example(_MAP),)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Tanh")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Tanh(x)


class Softplus(Activation, name="softplus", principal="beta"):
    """log(1 + exp(beta * x)) / beta, as torch.nn.Softplus."""

    beta: PositiveReal = 1.0
    threshold: Real = 20.0

    examples = (example(_MAP), example(_MAP, beta=2.0))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Softplus")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        scaled = g.Mul(x, g.constant(self.beta, "like")) if self.beta != 1 else x
        y = g.Softplus(scaled)
        if self.beta != 1:
            y = g.Div(y, g.constant(self.beta, "like"))
        # From 20 on, log(1 + exp(x)) equals x in float32 anyway.
        if self.threshold >= 20:
            return y
        return g.Where(g.Greater(scaled, g.constant(self.threshold, "like")), x, y)


class LogSigmoid(Activation, name="logsigmoid"):
    """log(1 / (1 + exp(-x))), as torch.nn.LogSigmoid."""

    examples = (example(_MAP),)

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        exponential = (x,)  # exp(-|x|), for the gradient
        return Memory(inputs=(0,), kept=exponential) if train else Memory(scratch=exponential)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.LogSigmoid")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Neg(g.Softplus(g.Neg(x)))


class Softsign(Activation, name="softsign"):
    """x / (1 + |x|), as torch.nn.Softsign."""

    examples = (example(_MAP),)

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        divisor = (x,)  # 1 + |x|
        return Memory(inputs=(0,), kept=divisor, backward=(x,) * 3) if train else Memory(scratch=divisor)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Softsign")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Softsign(x)


class AlongAxis(Activation):
    """Softmaxes: positive numbers that sum to one along an axis, channels unless said."""

    of_output = True

    dim: Axis = 1

    def infer(self, x: Tensor) -> Tensor:
        need_floats(self, x)
        if not -x.rank <= self.dim < x.rank:
            raise RuleError(f"there is no axis {self.dim} in {x}", at="dim", code="NS302")
        return x

    def mixed(self, x: Tensor) -> tuple[int, ...]:
        return (self.dim % x.rank,)

    def per_sample(self, x: Tensor) -> bool:
        return self.dim % x.rank != 0

    def window(self, x: Tensor) -> Window | Reach:
        return along(x, self.dim) if self.dim % x.rank >= 2 else Reach.POINT


class Softmax(AlongAxis, name="softmax", principal="dim"):
    """exp(x) over its sum along `dim`, as torch.nn.Softmax; the axis is 1 unless said."""

    examples = (example((2, 5)), example((2, 3, 4, 4), dim=-1))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Softmax", dim=self.dim)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Softmax(x, axis=self.dim)


class LogSoftmax(AlongAxis, name="log_softmax", principal="dim"):
    """Logarithm of softmax along `dim`, as torch.nn.LogSoftmax; the axis is 1 unless said."""

    examples = (example((2, 5)), example((2, 3, 4, 4), dim=-1))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.LogSoftmax", dim=self.dim)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.LogSoftmax(x, axis=self.dim)
