"""Normalisation of each sample over its last axes: layer norm and root mean square norm."""

from __future__ import annotations

from math import prod

from netspec.dims import Symbolic
from netspec.expression import python_literal
from netspec.ops.base import AxisOrigins, Elementwise, RuleError, all_axes, example, known_int, need_floats
from netspec.ops.fields import Flag, PositiveReal, Sizes
from netspec.ops.functional import functional, weights_of_layer
from netspec.ops.window import along
from netspec.ops.writing import scale_and_shift, weight_and_bias
from netspec.shape_text import shape_text
from netspec.types import Code, Layer, Memory, OnnxWriter, Reach, Tensor, Weight, Window


class NormOfLastAxes(Elementwise, family="normalization"):
    """The base of norms over the last axes, those of `normalized_shape`, or the last axis alone."""

    normalized_shape: Sizes | None = None

    def infer(self, x: Tensor) -> Tensor:
        if x.rank < 2:
            raise RuleError(f"`{self.opname}` takes (N, ..., features), 2 axes or more, not {x}", code="NS302")
        need_floats(self, x)
        shape = self.normalized_shape
        if shape is not None and (len(shape) >= x.rank or x.shape[-len(shape) :] != shape):
            is_symbolic = any(isinstance(size, Symbolic) for size in x.shape[-len(shape) :])
            code = "NS305" if is_symbolic else "NS304"
            raise RuleError(f"the last axes of {x} are not {shape_text(shape)}", at="normalized_shape", code=code)
        self._shape(x)
        return x

    def window(self, x: Tensor) -> Window | Reach:
        return along(x, *self.mixed(x))

    def axes(self, x: Tensor) -> AxisOrigins:
        return all_axes(x)

    def mixed(self, x: Tensor) -> tuple[int, ...]:
        return tuple(range(x.rank - len(self._shape(x)), x.rank))

    def per_sample(self, x: Tensor) -> bool:
        return True

    def label(self) -> str:
        return self.opname.replace("_", " ")

    def _layer(self, target: str, x: Tensor) -> Layer:
        # torch takes a number for the last axis alone.
        if self.normalized_shape is None:
            return self.layer(target, normalized_shape=x.features)
        return self.layer(target, lists=("normalized_shape",), normalized_shape=self.normalized_shape)

    def _shape(self, x: Tensor) -> tuple[int, ...]:
        return self.normalized_shape or (known_int(x.features, f"the last axis of the input of `{self.opname}`"),)

    def _statistic(self, x: Tensor) -> Tensor:
        """A number for each position, such as its mean."""
        axes = len(self._shape(x))
        return Tensor((*x.shape[:-axes], *[1] * axes), x.dtype)


class LayerNorm(NormOfLastAxes, name="layer_norm"):
    """Normalisation over the last axis of each sample (Ba, Kiros & Hinton 2016), as torch.nn.LayerNorm.

    `normalized_shape` follows from the input; given, it is the last axes of the input, and all of them are normalised.
    """

    eps: PositiveReal = 1e-5
    elementwise_affine: Flag = True
    bias: Flag = True

    precision = "half"
    examples = (
        example((2, 5, 8)),
        example((2, 3, 4, 5), eps=1e-6),
        example((2, 3, 4, 5), normalized_shape=[3, 4, 5]),
        example((2, 6), bias=False),
        example((2, 3, 4, 5, 2), normalized_shape=[5, 2], elementwise_affine=False),
    )

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return scale_and_shift(self._shape(x), self.bias) if self.elementwise_affine else ()

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # A mean and a deviation for each position; at inference, too, while the op runs.
        statistics = (self._statistic(x),) * 2
        return Memory((0,), kept=statistics) if train else Memory(scratch=statistics)

    def torch(self, x: Tensor) -> Layer:
        return self._layer("nn.LayerNorm", x)

    def borrowed(self, x: Tensor) -> Code:
        affine = self.elementwise_affine
        scale = (*weights_of_layer("weight", when=affine), *weights_of_layer("bias", when=affine and self.bias))
        return functional(self, "layer_norm", "{0}", python_literal(self._shape(x)), *scale, eps=self.eps)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        shape = self._shape(g.type(x))
        scale = weight_and_bias(g, self.bias) if self.elementwise_affine else [g.constant(1, "like", shape)]
        return g.LayerNormalization(x, *scale, axis=-len(shape), epsilon=self.eps)


class RMSNorm(NormOfLastAxes, name="rms_norm"):
    """Division of each position by its root mean square over the last axis (Zhang & Sennrich 2019, arXiv:1910.07467).

    As torch.nn.RMSNorm: `eps` is added to the mean of the squares; null is the step of the floats in which torch
    computes, 2**-23 and for float64 2**-52. `normalized_shape` follows from the input; given, it is the last axes of
    the input, and the mean is over all of them.
    """

    eps: PositiveReal | None = None
    elementwise_affine: Flag = True

    precision = "float32"  # half precision has no squares of numbers from 256 on
    examples = (
        example((2, 5, 8)),
        example((2, 3, 4, 5), eps=1e-6),
        example((2, 3, 4, 5), normalized_shape=[4, 5]),
        example((3, 6), elementwise_affine=False),
        example((2, 3, 2), eps=0.1),
    )

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return scale_and_shift(self._shape(x), bias=False) if self.elementwise_affine else ()

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # torch squares, takes means, and multiplies by their inverse root, then by the weight.
        root, affine = self._statistic(x), self.elementwise_affine
        if not train:
            return Memory(scratch=(x, root) if affine else (root, root))
        kept, scratch = ((root, x), ()) if affine else ((root,), (root,))
        # At its most, the backward pass holds five tensors like x, and nothing of what was kept. Three or four of them
        # are counted already: the gradients of output and input, and what the weight was multiplied with.
        count = prod(self._shape(x))
        more = Tensor((*root.shape[: -len(self._shape(x))], (2 if affine else 3) * count - 1), x.dtype)
        return Memory((0,), kept=kept, scratch=scratch, backward=(more,))

    def torch(self, x: Tensor) -> Layer:
        return self._layer("nn.RMSNorm", x)

    def borrowed(self, x: Tensor) -> Code:
        scale = weights_of_layer("weight") if self.elementwise_affine else ()
        return functional(self, "rms_norm", "{0}", python_literal(self._shape(x)), *scale, eps=self.eps)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        type = g.type(x)
        eps = self.eps or (2**-52 if type.dtype == "float64" else 2**-23)
        means = g.ReduceMean(g.Mul(x, x), g.constant(self.mixed(type)))
        y = g.Div(x, g.Sqrt(g.Add(means, g.constant(eps, "like"))))
        return g.Mul(y, g.weight("weight")) if self.elementwise_affine else y
