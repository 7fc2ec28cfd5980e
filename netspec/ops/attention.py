"""Attention."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from netspec.dims import Dim, always_equal
from netspec.ops.base import Op, RuleError, example, known_int, need_floats, need_rank
from netspec.ops.fields import Flag, Positive, Probability
from netspec.ops.linear import project
from netspec.ops.writing import KAIMING, weight_and_bias
from netspec.types import Code, Init, Layer, Memory, OnnxWriter, Reach, Tensor, Weight


def _count(x: Tensor) -> int:
    """The number of elements of a tensor whose sizes are numbers."""
    return known_int(prod(x.shape), "a size")


class MultiheadAttention(Op, name="multihead_attention", principal="num_heads", family="attention"):
    """Attention in several heads over (N, length, features), as torch.nn.MultiheadAttention with `batch_first`.

    One input attends to itself; three are query, key and value, as wide as each other. The output has the query's shape
    (Vaswani et al. 2017, section 3.2.2). Multiply-accumulates are those of the four projections and of both products of
    matrices.
    """

    num_heads: Positive
    dropout: Probability = 0.0
    bias: Flag = True

    inputs: ClassVar[tuple[int, int | None]] = (1, 3)
    precision = "half"
    examples = (
        example((2, 5, 8), num_heads=2),
        example((2, 3, 8), (2, 6, 8), (2, 6, 8), num_heads=4, bias=False),
        example((1, 4, 6), num_heads=1, dropout=0.1),
    )

    def infer(self, *xs: Tensor) -> Tensor:
        if len(xs) == 2:
            raise RuleError("`multihead_attention` takes 1 input, or query, key and value, not 2", code="NS302")
        for x in xs:
            need_rank(self, x, 3, "(N, length, features)")
            need_floats(self, x)
        query, key, value = xs * 3 if len(xs) == 1 else xs
        same = [
            ("batch", query.batch, key.batch, value.batch),
            ("width", self._width(query), key.features, value.features),
            ("length of key and value", key.shape[1], value.shape[1]),
        ]
        for what, first, *others in same:
            if not all(always_equal(first, other) for other in others):
                raise RuleError(f"query, key and value need one {what}, not {query}, {key} and {value}", code="NS301")
        if len({x.dtype for x in xs}) > 1:
            raise RuleError("query, key and value need one dtype", code="NS302")
        if self._width(query) % self.num_heads:
            raise RuleError(f"{self.num_heads} heads do not divide {query.features} features", at="num_heads")
        return query

    def weights(self, *xs: Tensor) -> tuple[Weight, ...]:
        width = self._width(xs[0])
        weights = [Weight("in_proj_weight", (3 * width, width), start=Init("xavier_uniform"))]
        weights += [Weight("in_proj_bias", (3 * width,), start=0.0)] if self.bias else []
        weights += [Weight("out_proj.weight", (width, width), start=KAIMING)]
        return (*weights, *([Weight("out_proj.bias", (width,), start=0.0)] if self.bias else []))

    def macs(self, y: Tensor, *xs: Tensor) -> Dim:
        batch, length, _ = y.shape
        width, memory = self._width(y), xs[-1].shape[1]
        # Four projections: of the query and the output, and of key and value. Then the products of queries with keys,
        # and of attention with values.
        return batch * (2 * length + 2 * memory) * width * width + batch * length * memory * (2 * width)

    def window(self, *xs: Tensor) -> Reach:
        return Reach.ALL

    def per_sample(self, *xs: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, *xs: Tensor) -> Memory:
        # Torch uses a fused kernel (flash attention) on CPUs and GPUs: it keeps no attention weights, but the logarithm
        # of each row's sum. Inputs are projected with the length first, which copies them unless the batch is 1.
        kv = xs[-1]
        sums = Tensor((y.batch, self.num_heads, y.shape[1]))
        if not train:
            if len(xs) == 1:
                return Memory(scratch=(y,) * 5)
            return Memory(scratch=(kv,) * 3 if _count(kv) >= _count(y) + _count(sums) else (kv, kv, y, sums))
        projected = (y, kv, kv) if len(xs) == 3 else (Tensor((*y.shape[:2], 3 * self._width(y)), y.dtype),)
        copies, inputs = (xs, ()) if y.batch != 1 else ((), tuple(range(len(xs))))
        # With one input, the gradients of query, key and value are held together with that of the output. The gradients
        # of the projections' weights, which the report adds, come later, so they are subtracted here.
        width = self._width(y)
        more = 2 * _count(y) - 3 * width * (width + self.bias) if len(xs) == 1 else 0
        return Memory(inputs, kept=(*copies, *projected, sums, y), backward=(Tensor((max(0, more),), y.dtype),))

    def torch(self, *xs: Tensor) -> Layer:
        values = ("{0}", "{0}", "{0}") if len(xs) == 1 else ("{0}", "{1}", "{2}")
        # The module returns the output and the attention weights, or None for these if they are not needed.
        call = Code("{layer}(", (*values, "need_weights=False"), ")[0]")
        layer = self.layer("nn.MultiheadAttention", embed_dim=xs[0].features, num_heads=self.num_heads, call=call)
        return Layer(layer.target, {**layer.arguments, "batch_first": True}, layer.positional, call)

    def onnx(self, g: OnnxWriter, *xs: str) -> str:
        width = self._width(g.type(xs[0]))
        query, key, value = [
            g.Reshape(part, g.constant([0, 0, self.num_heads, width // self.num_heads]))
            for part in self._projected(g, *xs)
        ]
        query = g.Mul(query, g.constant((width // self.num_heads) ** -0.5, "like"))
        scores = g.MatMul(g.Transpose(query, perm=[0, 2, 1, 3]), g.Transpose(key, perm=[0, 2, 3, 1]))
        heads = g.MatMul(g.Softmax(scores, axis=-1), g.Transpose(value, perm=[0, 2, 1, 3]))
        joined = g.Reshape(g.Transpose(heads, perm=[0, 2, 1, 3]), g.constant([0, 0, width]))
        return project(g, joined, *weight_and_bias(g, self.bias, "out_proj."))

    def _projected(self, g: OnnxWriter, *xs: str) -> tuple[str, ...]:
        """In ONNX, the queries, keys and values; with one input, one product computes all three.

        torch has the weights of the three projections in one tensor.
        """
        both = weight_and_bias(g, self.bias, "in_proj_")
        if len(xs) == 1:
            return g.Split(project(g, xs[0], *both), outputs=3, num_outputs=3, axis=-1)
        parts = [g.Split(each, outputs=3, num_outputs=3) for each in both]
        return tuple([project(g, x, *part) for x, *part in zip(xs, *parts, strict=True)])

    def label(self) -> str:
        return f"{self.num_heads}-head attention"

    def _width(self, x: Tensor) -> int:
        return known_int(x.features, "the width of the input of `multihead_attention`")
