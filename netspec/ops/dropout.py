"""Ops that drop values at random in training, and keep all of them in inference."""

from __future__ import annotations

from typing import Annotated, Literal

from netspec.ops.base import AxisOrigins, Elementwise, RuleError, all_axes, example, need_floats, need_rank
from netspec.ops.fields import Probability, Takes
from netspec.types import Helper, Layer, Memory, OnnxWriter, Tensor


class Dropping(Elementwise, family="regularization"):
    """The base of ops that return their input in inference."""

    precision = "either"

    def axes(self, x: Tensor) -> AxisOrigins:
        return all_axes(x)

    def per_sample(self, x: Tensor) -> bool:
        return True

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return x


class Dropout(Dropping, name="dropout", principal="p"):
    """Zeroes elements with probability p in training and scales the rest, as torch.nn.Dropout."""

    p: Probability = 0.5

    examples = (example((2, 8), p=0.3),)

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # Torch returns its input where nothing is dropped.
        return Memory(kept=(x,)) if train and self.p else Memory(view=True, hands_on=True)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Dropout", p=self.p) if self.p != 0.5 else self.layer("nn.Dropout")


class Dropout2d(Dropping, name="dropout2d", principal="p"):
    """Zeroes whole channels with probability p in training and scales the rest, as torch.nn.Dropout2d."""

    p: Probability = 0.5

    examples = (example((2, 8, 3, 3), p=0.3),)

    def infer(self, x: Tensor) -> Tensor:
        need_rank(self, x, 4, "(N, C, H, W)")
        return x

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(kept=(x.with_spatial(1, 1),)) if train and self.p else Memory(view=True, hands_on=True)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Dropout2d", p=self.p) if self.p != 0.5 else self.layer("nn.Dropout2d")


class StochasticDepth(Dropping, name="stochastic_depth", principal="p"):
    """Zeroes a residual branch with probability p in training, in each sample by itself (`mode: row`) or in all of the
    batch at once (`mode: batch`), and scales it by 1 / (1 - p) otherwise.

    As torchvision.ops.StochasticDepth, whose `mode` has no default. Huang, Sun, Liu, Sedra & Weinberger 2016, "Deep
    Networks with Stochastic Depth", arXiv:1603.09382; the scale in training in place of theirs at inference.
    """

    p: Probability
    mode: Annotated[Literal["row", "batch"], Takes("`row` or `batch`")] = "row"

    abbreviation = "stochastic depth"  # its probability is another in each block
    examples = (
        example((3, 4, 5, 3), p=0.2),
        example((2, 6), p=0.5, mode="batch"),
        example((2, 7, 4), p=1.0),
        example((2, 3, 4, 5), p=0.0),
    )

    def infer(self, x: Tensor) -> Tensor:
        need_floats(self, x)
        if not x.rank:
            raise RuleError("`stochastic_depth` takes (N, ...), and its input has no axis", code="NS302")
        return x

    def label(self) -> str:
        return f"stochastic depth, {self.p:.3g}"

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        if not train:
            return Memory(view=True)
        rows = x.batch if self.mode == "row" else 1
        noise = Tensor((rows, *[1] * (x.rank - 1)), x.dtype)
        return Memory(kept=(noise,))

    def torch(self, x: Tensor) -> Layer:
        return self.layer("StochasticDepth", helpers=(_STOCHASTIC_DEPTH,), p=self.p)


_STOCHASTIC_DEPTH = Helper(
    '''\
class StochasticDepth(nn.Module):
    """Zeroes each row of a batch, or all of it, with probability p in training."""

    def __init__(self, p: float, mode: str = "row") -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        rows = x.shape[0] if self.mode == "row" else 1
        ones = x.new_ones(rows, *(1,) * (x.ndim - 1))
        return x * nn.functional.dropout(ones, self.p)'''
)
