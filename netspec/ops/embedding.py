"""Learned vectors for the words of a vocabulary."""

from __future__ import annotations

from netspec.ops.base import AxisOrigins, Op, RuleError, example
from netspec.ops.fields import Index, Positive
from netspec.ops.functional import functional, weights_of_layer
from netspec.types import Code, Init, Layer, Memory, OnnxWriter, Reach, Tensor, Weight


class Embedding(Op, name="embedding", family="embedding"):
    """A learned vector for each integer: (...) -> (..., embedding_dim), as torch.nn.Embedding.

    The integers are int64 or int32, from 0 to `num_embeddings` - 1, such as the numbers of words in a vocabulary. The
    vector of `padding_idx` starts as zeros and gets no gradient (Bengio et al. 2003, section 2; Mikolov et al. 2013). A
    `linear` without bias that has this op's weight (`share`) scores every word: tied embeddings (Press & Wolf 2017).
    """

    num_embeddings: Positive
    embedding_dim: Positive
    padding_idx: Index | None = None

    precision = "half"
    examples = (
        example(Tensor((2, 5), "int64"), num_embeddings=9, embedding_dim=4),
        example(Tensor((3,), "int64"), num_embeddings=7, embedding_dim=5, padding_idx=0),
        example(Tensor((2, 3, 4), "int32"), num_embeddings=4, embedding_dim=1, padding_idx=-1),
    )

    def infer(self, x: Tensor) -> Tensor:
        if x.dtype not in ("int64", "int32"):
            help = "say `dtype: int64` of the input, as in `tokens: {shape: [N, T], dtype: int64}`"
            raise RuleError(f"`embedding` takes integers, and its input is {x.dtype}", code="NS302", help=help)
        if not x.rank:
            raise RuleError("`embedding` takes an input with a batch, and this one has no axis", code="NS302")
        rows = self.num_embeddings
        if self.padding_idx is not None and not -rows <= self.padding_idx < rows:
            raise RuleError(f"there is no row {self.padding_idx} among {rows:,} embeddings", at="padding_idx")
        return Tensor((*x.shape, self.embedding_dim))

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        start = Init("normal", zero_row=self.padding_idx)
        return (Weight("weight", (self.num_embeddings, self.embedding_dim), start=start),)

    def macs(self, y: Tensor, x: Tensor) -> int:
        return 0

    def window(self, x: Tensor) -> Reach:
        return Reach.POINT

    def axes(self, x: Tensor) -> AxisOrigins:
        return (*range(x.rank), None)

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # The gradient is dense, as large as the weight, and counted with the weights' gradients.
        return Memory(inputs=(0,))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Embedding", num_embeddings=self.num_embeddings, embedding_dim=self.embedding_dim)

    def borrowed(self, x: Tensor) -> Code:
        weights = weights_of_layer("weight")
        return functional(self, "embedding", "{0}", *weights, padding_idx=self.padding_idx)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Gather(g.weight("weight"), x)

    def label(self) -> str:
        return f"embedding, {self.num_embeddings:,} x {self.embedding_dim}"
