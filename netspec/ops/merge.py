"""Ops that join branches."""

from __future__ import annotations

from functools import reduce

from netspec.dims import Dim
from netspec.ops.base import Axes, Merge, RuleError, all_axes, example, is_float
from netspec.ops.equal import need_equal
from netspec.ops.fields import Axis
from netspec.types import Call, Infix, Memory, OnnxWriter, Reach, Tensor, Window


class Add(Merge, name="add"):
    """Sum of its inputs, which have equal shapes: the residual networks' merge."""

    commutes = True
    examples = (example((2, 3, 4, 4), (2, 3, 4, 4)), example((2, 3), (2, 3), (2, 3)))

    def infer(self, *xs: Tensor) -> Tensor:
        need_equal(self, xs)
        return xs[0]

    def axes(self, *xs: Tensor) -> Axes:
        return all_axes(*xs)

    def per_sample(self, *xs: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, *xs: Tensor) -> Memory:
        return Memory(scratch=(y,) if len(xs) > 2 else (), hands_on=True)

    def torch(self, *xs: Tensor) -> Infix:
        return Infix("+")

    def onnx(self, g: OnnxWriter, *xs: str) -> str:
        type = g.type(xs[0])
        if len(xs) > 2 and is_float(type):
            return g.Sum(*xs)
        return reduce(g.Or if type.dtype == "bool" else g.Add, xs)


class Multiply(Merge, name="multiply"):
    """Product of its inputs, element by element; shapes are equal."""

    commutes = True
    examples = (example((2, 3, 4, 4), (2, 3, 4, 4)),)

    def infer(self, *xs: Tensor) -> Tensor:
        need_equal(self, xs)
        return xs[0]

    def axes(self, *xs: Tensor) -> Axes:
        return all_axes(*xs)

    def per_sample(self, *xs: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, *xs: Tensor) -> Memory:
        # a * b * c makes and keeps a * b.
        between = (y,) * (len(xs) - 2)
        return Memory(tuple(range(len(xs))), kept=between) if train else Memory(scratch=between[:1])

    def torch(self, *xs: Tensor) -> Infix:
        return Infix("*")

    def onnx(self, g: OnnxWriter, *xs: str) -> str:
        return reduce(g.And if g.type(xs[0]).dtype == "bool" else g.Mul, xs)


class Concat(Merge, name="concat", principal="dim"):
    """Its inputs one after another along an axis, channels unless said, as torch.cat."""

    dim: Axis = 1

    examples = (example((2, 3, 4, 4), (2, 5, 4, 4)), example((2, 3, 4), (2, 3, 1), dim=-1))

    def infer(self, *xs: Tensor) -> Tensor:
        rank = xs[0].rank
        if not -rank <= self.dim < rank:
            raise RuleError(f"there is no axis {self.dim} in {xs[0]}", at="dim", code="NS302")
        axis = self.dim % rank
        need_equal(self, xs, but=axis)
        total: Dim = 0
        for x in xs:
            total = x.shape[axis] + total
        return Tensor((*xs[0].shape[:axis], total, *xs[0].shape[axis + 1 :]), xs[0].dtype)

    def window(self, *xs: Tensor) -> Window | Reach:
        return Reach.UNPLACED if self.dim % xs[0].rank >= 2 else Reach.POINT

    def axes(self, *xs: Tensor) -> Axes:
        joined = self.dim % xs[0].rank
        return tuple([None if axis == joined else axis for axis in all_axes(*xs)])

    def per_sample(self, *xs: Tensor) -> bool:
        return self.dim % xs[0].rank != 0

    def memory(self, train: bool, y: Tensor, *xs: Tensor) -> Memory:
        return Memory(hands_on=True)

    def torch(self, *xs: Tensor) -> Call:
        return Call("torch.cat", {"dim": self.dim}, listed=True)

    def onnx(self, g: OnnxWriter, *xs: str) -> str:
        return g.Concat(*xs, axis=self.dim)
