"""Ops that change the shape and nothing else."""

from __future__ import annotations

from math import prod

from netspec.dims import Dim
from netspec.ops.base import Elementwise, RuleError, example
from netspec.ops.fields import Axis
from netspec.types import Layer, Memory, Reach, Tensor, Window


class Identity(Elementwise, name="identity", family="shape"):
    """Its input, as torch.nn.Identity."""

    examples = (example((2, 3, 4)),)

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(view=True, hands_on=True)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Identity")


class Flatten(Elementwise, name="flatten", principal="start_dim", family="shape"):
    """Axes `start_dim` to `end_dim` made one, all but the batch unless said, as torch.nn.Flatten."""

    start_dim: Axis = 1
    end_dim: Axis = -1

    examples = (
        example((2, 3, 4, 4)),
        example((2, 3, 4, 5), start_dim=2),
        example((2, 3, 1, 1)),
        example((2, 3, 4, 5, 2), start_dim=2, end_dim=-2),
    )

    def infer(self, x: Tensor) -> Tensor:
        first, last = self._axes(x)
        # prod() starts from 1, so it takes symbolic sizes too.
        merged: Dim = prod(x.shape[first : last + 1])
        return Tensor((*x.shape[:first], merged, *x.shape[last + 1 :]), x.dtype)

    def window(self, x: Tensor) -> Window | Reach:
        first, last = self._axes(x)
        moved = x.shape[max(first, 2) : last + 1]
        return Reach.POINT if all(size == 1 for size in moved) else Reach.UNPLACED

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(view=True, hands_on=True)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Flatten")

    def _axes(self, x: Tensor) -> tuple[int, int]:
        for attribute, axis in (("start_dim", self.start_dim), ("end_dim", self.end_dim)):
            if not -x.rank <= axis < x.rank:
                raise RuleError(f"there is no axis {axis} in {x}", at=attribute, code="NS302")
        first, last = self.start_dim % x.rank, self.end_dim % x.rank
        if first > last:
            raise RuleError(f"axis {first} does not come before axis {last}", at="start_dim")
        return first, last
