"""Ops that change the shape and nothing else."""

from __future__ import annotations

from math import prod

from netspec.dims import Dim
from netspec.ops.base import AxisOrigins, Costless, Elementwise, RuleError, all_axes, example
from netspec.ops.fields import Around, Axis, Real
from netspec.ops.writing import reshape
from netspec.types import Layer, Memory, OnnxWriter, Reach, Tensor, Window


class Identity(Elementwise, name="identity", family="shape"):
    """Its input, as torch.nn.Identity."""

    abbreviation = ""
    precision = "either"
    examples = (example((2, 3, 4)),)

    def axes(self, x: Tensor) -> AxisOrigins:
        return all_axes(x)

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(view=True, hands_on=True)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Identity")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return x


class Flatten(Elementwise, name="flatten", principal="start_dim", family="shape"):
    """Axes `start_dim` to `end_dim` made one, all but the batch unless said, as torch.nn.Flatten."""

    start_dim: Axis = 1
    end_dim: Axis = -1

    abbreviation = ""
    precision = "either"
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

    def axes(self, x: Tensor) -> AxisOrigins:
        first, last = self._axes(x)
        return (*range(first), tuple(range(first, last + 1)), *range(last + 1, x.rank))

    def per_sample(self, x: Tensor) -> bool:
        return self._axes(x)[0] > 0

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(view=True, hands_on=True)

    def torch(self, x: Tensor) -> Layer:
        return self.layer("nn.Flatten")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        type = g.type(x)
        first, last = self._axes(type)
        if (first, last) == (1, type.rank - 1) and type.rank > 2:
            return g.Flatten(x, axis=1)
        return reshape(g, x, self.infer(type).shape, kept=first)

    def _axes(self, x: Tensor) -> tuple[int, int]:
        for attribute, axis in (("start_dim", self.start_dim), ("end_dim", self.end_dim)):
            if not -x.rank <= axis < x.rank:
                raise RuleError(f"there is no axis {axis} in {x}", at=attribute, code="NS302")
        first, last = self.start_dim % x.rank, self.end_dim % x.rank
        if first > last:
            raise RuleError(f"axis {first} does not come before axis {last}", at="start_dim")
        return first, last


class Pad(Costless, name="pad", family="shape"):
    """A constant around the last axes, as torch.nn.ZeroPad2d or ConstantPad2d, of as many axes as are given.

    The list is torch's: before and after the last axis, then before and after the one before it. Six numbers reach the
    channels of (N, C, H, W): so the CIFAR ResNets widen their identities (He et al. 2015, section 4.2).
    """

    padding: Around
    value: Real = 0.0

    precision = "either"
    examples = (
        example((2, 3, 4, 5), padding=[1, 2, 0, 1]),
        example((2, 3, 4, 4), padding=[0, 0, 0, 0, 1, 2]),
        example((2, 3, 5), padding=[2, 0], value=0.5),
        example((2, 6), padding=[1, 1]),
    )

    def infer(self, x: Tensor) -> Tensor:
        if len(self._around()) >= x.rank:
            raise RuleError(f"{len(self._around())} axes are padded, and {x} has {x.rank}", at="padding", code="NS302")
        sizes = [size + sum(self._of(x, axis)) for axis, size in enumerate(x.shape)]
        return Tensor(tuple(sizes), x.dtype)

    def window(self, x: Tensor) -> Window | Reach:
        around = [self._of(x, axis) for axis in range(2, x.rank)]
        if not any(before for before, _ in around):
            return Reach.POINT
        return Window((1,) * len(around), (1,) * len(around), tuple(-before for before, _ in around))

    def per_sample(self, x: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory()

    def torch(self, x: Tensor) -> Layer:
        axes = len(self._around())
        if self.value:
            return Layer(f"nn.ConstantPad{axes}d", {"padding": self.padding, "value": self.value}, positional=2)
        return Layer(f"nn.ZeroPad{axes}d", {"padding": self.padding}, positional=1)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        type = g.type(x)
        before, after = zip(*[self._of(type, axis) for axis in range(type.rank)], strict=True)
        return g.Pad(x, g.constant([*before, *after]), g.constant(self.value, "like"), mode="constant")

    def label(self) -> str:
        return "pad " + ", ".join(f"{before}+{after}" for before, after in reversed(self._around()))

    def _around(self) -> tuple[tuple[int, int], ...]:
        """The padding before and after each padded axis, the last axis first."""
        return tuple(zip(self.padding[::2], self.padding[1::2], strict=True))

    def _of(self, x: Tensor, axis: int) -> tuple[int, int]:
        from_last = x.rank - 1 - axis
        return self._around()[from_last] if from_last < len(self._around()) else (0, 0)
