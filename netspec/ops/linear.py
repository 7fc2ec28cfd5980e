"""Fully connected layers."""

from __future__ import annotations

from math import prod

from netspec.dims import Dim
from netspec.ops.base import AxisOrigins, Op, RuleError, all_axes, example, known_int, need_floats
from netspec.ops.fields import Flag, Positive
from netspec.ops.functional import functional, weights_of_layer
from netspec.ops.window import along
from netspec.ops.writing import layer_weights, weight_and_bias
from netspec.types import Code, Layer, Memory, OnnxWriter, Reach, Tensor, Weight, Window


class Linear(Op, name="linear", principal="out_features", family="linear"):
    """Matrix product with the last axis of (N, ..., features), as torch.nn.Linear."""

    out_features: Positive
    bias: Flag = True

    precision = "half"
    examples = (
        example((2, 6), out_features=4),
        example((2, 5, 6), out_features=3, bias=False),
        example((1, 2, 3, 8), out_features=5),
    )

    def infer(self, x: Tensor) -> Tensor:
        if x.rank < 2:
            raise RuleError(f"`linear` takes (N, ..., features), 2 axes or more, not {x}", code="NS302")
        need_floats(self, x)
        self._in_features(x)
        return Tensor((*x.shape[:-1], self.out_features), x.dtype)

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return layer_weights((self.out_features, self._in_features(x)), self.out_features, self.bias)

    def macs(self, y: Tensor, x: Tensor) -> Dim:
        return prod(y.shape, start=self._in_features(x))

    def window(self, x: Tensor) -> Window | Reach:
        # Over (N, C, H, W) it mixes the last axis only, and that is one of the spatial axes.
        return along(x, -1) if x.rank > 3 else Reach.ALL

    def axes(self, x: Tensor) -> AxisOrigins:
        return all_axes(x)

    def mixed(self, x: Tensor) -> tuple[int, ...]:
        return (x.rank - 1,)

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(inputs=(0,))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Linear", in_features=x.features, out_features=self.out_features)

    def borrowed(self, x: Tensor) -> Code:
        return functional(self, "linear", "{0}", *weights_of_layer(*(("weight", "bias") if self.bias else ("weight",))))

    def onnx(self, g: OnnxWriter, x: str) -> str:
        if g.type(x).rank == 2:
            return g.Gemm(x, *weight_and_bias(g, self.bias), transB=1)
        return project(g, x, *weight_and_bias(g, self.bias))

    def _in_features(self, x: Tensor) -> int:
        return known_int(
            x.features,
            "the number of input features of `linear`",
            help="fix H and W (`--input 3x224x224`), or pool globally first (`adaptive_avg_pool2d: 1`)",
        )


def project(g: OnnxWriter, x: str, weight: str, bias: str = "") -> str:
    """In ONNX, the product of the last axis with torch's weight, (out, in), which runtimes transpose once."""
    y = g.MatMul(x, g.Transpose(weight, perm=[1, 0]))
    return g.Add(y, bias) if bias else y
