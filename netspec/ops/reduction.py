"""Reductions: one value for all positions of some axes."""

from __future__ import annotations

from typing import ClassVar

from netspec.ops.base import (
    AxisOrigins,
    Costless,
    RuleError,
    axis_of,
    example,
    is_float,
    need_floats,
    need_numbers,
)
from netspec.ops.fields import AxisOrAxes, Flag
from netspec.ops.window import along
from netspec.ops.writing import INT64
from netspec.types import Code, Memory, OnnxWriter, Reach, Tensor, Window


class Reduction(Costless, family="reduction"):
    """One value for all positions of the axes `dim`, which go; with `keepdim` they stay, with one position."""

    dim: AxisOrAxes
    keepdim: Flag = False

    reduced_in_onnx: ClassVar[str]
    """The op of ONNX that reduces any axes."""
    pooled_in_onnx: ClassVar[str | None] = None
    """The op of ONNX that reduces all axes of maps, and keeps them with one position; None if there is none."""

    examples = (
        example((2, 3, 4, 5), dim=[2, 3]),
        example((2, 3, 4, 5), dim=[-2, -1], keepdim=True),
        example((2, 3, 4, 5), dim=1),
        example((2, 3, 4, 5), dim=2),
        example((2, 3, 4, 5), dim=-1, keepdim=True),
        example((2, 3, 4, 5), dim=[3, 1]),
        example((2, 7, 6), dim=1),
        example((2, 5), dim=[1], keepdim=True),
    )

    def infer(self, x: Tensor) -> Tensor:
        reduced = self._reduced(x)
        sizes = [1 if axis in reduced else size for axis, size in enumerate(x.shape)]
        return Tensor(tuple([size for axis, size in enumerate(sizes) if self.keepdim or axis not in reduced]), x.dtype)

    def window(self, x: Tensor) -> Window | Reach:
        reduced = self._reduced(x)
        if any(axis >= 2 for axis in reduced):
            return along(x, *reduced)
        return Reach.POINT if self.keepdim else Reach.UNPLACED

    def axes(self, x: Tensor) -> AxisOrigins:
        reduced = self._reduced(x)
        return tuple([axis for axis in range(x.rank) if self.keepdim or axis not in reduced])

    def mixed(self, x: Tensor) -> tuple[int, ...]:
        return self._reduced(x)

    def per_sample(self, x: Tensor) -> bool:
        return 0 not in self._reduced(x)

    def torch(self, x: Tensor) -> Code:
        kept = ("keepdim=True",) if self.keepdim else ()
        return Code(f"{{0}}.{self.opname}(", (str(self.dim), *kept))

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return self._in_onnx(g, x, g.type(x))

    def label(self) -> str:
        name = self.opname.removeprefix("a")
        if isinstance(self.dim, int):
            return f"{name} over axis {self.dim}"
        return f"{name} over axes {' '.join(map(str, self.dim))}"

    def _in_onnx(self, g: OnnxWriter, value: str, x: Tensor) -> str:
        """The reduction of a value of the input's shape."""
        reduced = self._reduced(x)
        if self.pooled_in_onnx and self.keepdim and x.rank == 4 and reduced == (2, 3) and is_float(x):
            return getattr(g, self.pooled_in_onnx)(value)
        return getattr(g, self.reduced_in_onnx)(value, g.constant(reduced), keepdims=int(self.keepdim))

    def _reduced(self, x: Tensor) -> tuple[int, ...]:
        """The axes to reduce, counted from the front, in their order."""
        named = (self.dim,) if isinstance(self.dim, int) else self.dim
        axes = sorted(axis_of(x, axis, "dim") for axis in named)
        if len(set(axes)) < len(axes):
            raise RuleError(f"`{self.opname}` names each axis of {x} once", at="dim", code="NS302")
        return tuple(axes)


class Mean(Reduction, name="mean", principal="dim"):
    """Mean over one axis or several, as torch.mean; over [2, 3] of a map, what a global average pool gives."""

    # A sum of many numbers leaves float16's range, which ends at 65,504.
    precision = "float32"
    reduced_in_onnx = "ReduceMean"
    pooled_in_onnx = "GlobalAveragePool"

    def infer(self, x: Tensor) -> Tensor:
        need_floats(self, x)
        return super().infer(x)

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory()


class Sum(Reduction, name="sum", principal="dim"):
    """Sum over one axis or several, as torch.sum; integers and booleans are summed as int64."""

    precision = "float32"
    reduced_in_onnx = "ReduceSum"

    def infer(self, x: Tensor) -> Tensor:
        shape = super().infer(x).shape
        return Tensor(shape, x.dtype if is_float(x) else "int64")

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # The gradient of each input is that of the sum, seen with other strides.
        return Memory(hands_on=True)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        type = g.type(x)
        return self._in_onnx(g, x if is_float(type) else g.Cast(x, to=INT64), type)


class _Extreme(Reduction):
    """The largest or the smallest value."""

    precision = "either"

    def infer(self, x: Tensor) -> Tensor:
        need_numbers(self, x)
        for axis in self._reduced(x):
            if x.shape[axis] == 0:
                raise RuleError(f"an axis of 0 has no value to take: {x}", at="dim", code="NS303")
        return super().infer(x)

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # The gradient is shared by all that equal the extreme: which these are, how many, and what each gets.
        shares = (Tensor(x.shape, "bool"), Tensor(y.shape, "int64"), y)
        return Memory(inputs=(0,), output=True, backward=shares)


class Amax(_Extreme, name="amax", principal="dim"):
    """Largest value over one axis or several, as torch.amax."""

    reduced_in_onnx = "ReduceMax"
    pooled_in_onnx = "GlobalMaxPool"


class Amin(_Extreme, name="amin", principal="dim"):
    """Smallest value over one axis or several, as torch.amin."""

    reduced_in_onnx = "ReduceMin"
