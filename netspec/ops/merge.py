"""Ops that join branches."""

from __future__ import annotations

from functools import reduce

from pydantic import Field

from netspec.dims import Dim
from netspec.ops.base import AxisOrigins, Merge, RuleError, all_axes, count_elements, example, is_float
from netspec.ops.equal import broadcast, need_equal
from netspec.ops.fields import Axis, Flag
from netspec.types import Call, Infix, Memory, OnnxWriter, Reach, Tensor, Window


class Add(Merge, name="add"):
    """Sum of its inputs, which have equal shapes: the residual networks' merge.

    With `broadcast`, an axis of size 1 goes with every size, as a bias of N x C x 1 x 1 does with a map. A parameter
    without a batch may have fewer axes.
    """

    # Excluded from a network's hash: it only allows shapes, and does not change the computation.
    broadcast: Flag = Field(default=False, exclude=True)

    commutes = True
    sign = "+"
    precision = "either"
    examples = (
        example((2, 3, 4, 4), (2, 3, 4, 4)),
        example((2, 3), (2, 3), (2, 3)),
        example((2, 3, 4, 4), (2, 3, 1, 1), broadcast=True),
        example((2, 5, 6), (1, 5, 6), broadcast=True),
    )

    def infer(self, *xs: Tensor) -> Tensor:
        if self.broadcast:
            return broadcast(self, xs)
        need_equal(self, xs)
        return xs[0]

    def axes(self, *xs: Tensor) -> AxisOrigins:
        return all_axes(*xs)

    def per_sample(self, *xs: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, *xs: Tensor) -> Memory:
        # The gradient of an input that is broadcast is a sum, and needs memory.
        full_size = tuple([number for number, x in enumerate(xs) if x.shape == y.shape])
        return Memory(scratch=_last_between(self, xs), hands_on=full_size)

    def torch(self, *xs: Tensor) -> Infix:
        return Infix("+")

    def onnx(self, g: OnnxWriter, *xs: str) -> str:
        type = g.type(xs[0])
        if len(xs) > 2 and is_float(type):
            return g.Sum(*xs)
        return reduce(g.Or if type.dtype == "bool" else g.Add, xs)


class Multiply(Merge, name="multiply"):
    """Product of its inputs, element by element.

    Shapes are equal, but an axis of size 1 goes with every size: a gate for each channel (N x C x 1 x 1) or for each
    place (N x 1 x H x W) scales a map. A parameter without a batch may have fewer axes, as a layer scale of (C, 1, 1).
    """

    commutes = True
    sign = "×"
    precision = "either"
    examples = (
        example((2, 3, 4, 4), (2, 3, 4, 4)),
        example((2, 3, 4, 5), (2, 3, 1, 1)),
        example((2, 1, 4, 5), (2, 3, 4, 5)),
        example((2, 3, 1, 5), (2, 3, 4, 1)),
    )

    def infer(self, *xs: Tensor) -> Tensor:
        return broadcast(self, xs)

    def axes(self, *xs: Tensor) -> AxisOrigins:
        return all_axes(*xs)

    def per_sample(self, *xs: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, *xs: Tensor) -> Memory:
        if not train:
            return Memory(scratch=_last_between(self, xs))
        # a * b * c computes and keeps a * b. The gradients of broadcast inputs are computed at full size and then
        # summed, one after the other, while the first sum is held.
        full_size = count_elements(y)
        sums = [count_elements(x) for x in xs if x.shape != y.shape]
        gradients = [Tensor((full_size - (size if n else 0),), y.dtype) for n, size in enumerate(sums)]
        return Memory(tuple(range(len(xs))), kept=_between(self, xs), backward=tuple(gradients))

    def torch(self, *xs: Tensor) -> Infix:
        return Infix("*")

    def onnx(self, g: OnnxWriter, *xs: str) -> str:
        return reduce(g.And if g.type(xs[0]).dtype == "bool" else g.Mul, xs)


def _between(op: Merge, xs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The types of the intermediate results: of all but the last addition or multiplication."""
    return tuple([broadcast(op, xs[:count]) for count in range(2, len(xs))])


def _last_between(op: Merge, xs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The type of the last intermediate result, the only one that is held; () for two inputs."""
    return _between(op, xs)[-1:]


class Concat(Merge, name="concat", principal="dim"):
    """Its inputs one after another along an axis, channels unless said, as torch.cat."""

    dim: Axis = 1

    precision = "either"
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

    def axes(self, *xs: Tensor) -> AxisOrigins:
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
