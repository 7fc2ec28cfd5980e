"""Ops that give axes other places, split them, and take parts of them."""

from __future__ import annotations

from math import prod

from netspec.dims import Dim, Symbolic, always_equal, condition
from netspec.ops.base import Rearranging, RuleError, axis_of, example
from netspec.ops.fields import Axes, Axis, Index, Parts, Positive, Start
from netspec.ops.writing import reshape
from netspec.shape_text import shape_text
from netspec.types import Code, Layer, Memory, OnnxWriter, Reach, Tensor, Upsampling, Window


class Permute(Rearranging, name="permute"):
    """All axes in another order, as torch.permute: axis `dims[n]` of the input becomes axis n."""

    dims: Axes

    abbreviation = ""
    examples = (
        example((2, 3, 4, 5), dims=[0, 2, 3, 1]),
        example((2, 3, 4, 5), dims=[0, 1, -1, 2]),
        example((2, 3, 4), dims=[1, 0, 2]),
        example((2, 3), dims=[0, 1]),
    )

    def infer(self, x: Tensor) -> Tensor:
        axes = self.axes(x)
        if sorted(axes) != list(range(x.rank)):
            raise RuleError(f"`permute` names each axis of {x} once", at="dims", code="NS302")
        return Tensor(tuple([x.shape[axis] for axis in axes]), x.dtype)

    def axes(self, x: Tensor) -> tuple[int, ...]:
        return tuple([axis_of(x, axis, "dims") for axis in self.dims])

    def per_sample(self, x: Tensor) -> bool:
        return self.axes(x)[0] == 0

    def torch(self, x: Tensor) -> Code:
        return Code("{0}.permute(", tuple(map(str, self.dims)))

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Transpose(x, perm=self.axes(g.type(x)))

    def label(self) -> str:
        return f"permute, {' '.join(map(str, self.dims))}"


class Transpose(Rearranging, name="transpose"):
    """Two axes that change places, as torch.transpose."""

    dim0: Axis
    dim1: Axis

    examples = (
        example((2, 3, 4), dim0=1, dim1=2),
        example((2, 3, 4, 5), dim0=-1, dim1=-2),
        example((2, 3, 4, 5), dim0=0, dim1=1),
    )

    def infer(self, x: Tensor) -> Tensor:
        return Tensor(tuple([x.shape[axis] for axis in self.axes(x)]), x.dtype)

    def axes(self, x: Tensor) -> tuple[int, ...]:
        first, second = axis_of(x, self.dim0, "dim0"), axis_of(x, self.dim1, "dim1")
        return tuple([{first: second, second: first}.get(axis, axis) for axis in range(x.rank)])

    def per_sample(self, x: Tensor) -> bool:
        return self.axes(x)[0] == 0

    def torch(self, x: Tensor) -> Code:
        return Code("{0}.transpose(", (str(self.dim0), str(self.dim1)))

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Transpose(x, perm=self.axes(g.type(x)))

    def label(self) -> str:
        return f"transpose, {self.dim0} {self.dim1}"


class Unflatten(Rearranging, name="unflatten"):
    """One axis made several, as torch.nn.Unflatten; -1 in `unflattened_size` is what remains."""

    dim: Axis
    unflattened_size: Parts

    examples = (
        example((2, 12), dim=1, unflattened_size=[3, 2, 2]),
        example((2, 6, 4), dim=-2, unflattened_size=[2, -1]),
        example((2, 3, 4, 6), dim=3, unflattened_size=[3, 2]),
    )

    def infer(self, x: Tensor) -> Tensor:
        axis = axis_of(x, self.dim, "dim")
        return Tensor((*x.shape[:axis], *self._parts(x.shape[axis]), *x.shape[axis + 1 :]), x.dtype)

    def axes(self, x: Tensor) -> tuple[int | None, ...]:
        axis = axis_of(x, self.dim, "dim")
        return (*range(axis), *[None] * len(self.unflattened_size), *range(axis + 1, x.rank))

    def window(self, x: Tensor) -> Window | Upsampling | Reach:
        return Reach.UNPLACED

    def per_sample(self, x: Tensor) -> bool:
        return axis_of(x, self.dim, "dim") != 0

    def torch(self, x: Tensor) -> Layer:
        lists = ("unflattened_size",)
        return self.layer("nn.Unflatten", lists=lists, dim=self.dim, unflattened_size=self.unflattened_size)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        type = g.type(x)
        return reshape(g, x, self.infer(type).shape, kept=axis_of(type, self.dim, "dim"))

    def label(self) -> str:
        return f"unflatten, {'x'.join(map(str, self.unflattened_size))}"

    def _parts(self, size: Dim) -> list[Dim]:
        product = prod(part for part in self.unflattened_size if part > 0)
        if -1 not in self.unflattened_size:
            _need_equal(size, product, "unflattened_size", shape_text(self.unflattened_size))
            return list(self.unflattened_size)
        rest = exact_quotient(size, product, "unflattened_size", shape_text(self.unflattened_size))
        return [rest if part < 0 else part for part in self.unflattened_size]


class Select(Rearranging, name="select"):
    """One place of an axis, which goes, as torch.select; a negative index counts from the end."""

    dim: Axis
    index: Index

    examples = (
        example((2, 5, 8), dim=1, index=0),
        example((2, 3, 4, 5), dim=-1, index=-2),
        example((2, 3), dim=1, index=2),
    )

    def infer(self, x: Tensor) -> Tensor:
        axis = axis_of(x, self.dim, "dim")
        size = x.shape[axis]
        if isinstance(size, int) and not -size <= self.index < size:
            raise RuleError(f"there is no place {self.index} on an axis of {size}", at="index", code="NS303")
        return Tensor((*x.shape[:axis], *x.shape[axis + 1 :]), x.dtype)

    def axes(self, x: Tensor) -> tuple[int, ...]:
        gone = axis_of(x, self.dim, "dim")
        return tuple([axis for axis in range(x.rank) if axis != gone])

    def per_sample(self, x: Tensor) -> bool:
        return axis_of(x, self.dim, "dim") != 0

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(view=True)

    def torch(self, x: Tensor) -> Code:
        return Code("{0}[", _index(self.dim, str(self.index)), "]")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Gather(x, g.constant(self.index), axis=self.dim)

    def label(self) -> str:
        return f"select, {self.index} of axis {self.dim}"


class Narrow(Rearranging, name="narrow"):
    """Some places in a row of an axis, as torch.narrow: `length` of them from `start`."""

    dim: Axis
    start: Start
    length: Positive

    examples = (
        example((2, 6, 4, 5), dim=1, start=2, length=3),
        example((2, 3, 6, 5), dim=2, start=1, length=4),
        example((2, 8), dim=-1, start=0, length=5),
    )

    def infer(self, x: Tensor) -> Tensor:
        axis = axis_of(x, self.dim, "dim")
        size = x.shape[axis]
        if isinstance(size, int) and self.start + self.length > size:
            message = f"{self.length} places from place {self.start} are more than an axis of {size} has"
            raise RuleError(message, at="length", code="NS303")
        return Tensor((*x.shape[:axis], self.length, *x.shape[axis + 1 :]), x.dtype)

    def axes(self, x: Tensor) -> tuple[int | None, ...]:
        narrowed = axis_of(x, self.dim, "dim")
        return tuple([None if axis == narrowed else axis for axis in range(x.rank)])

    def window(self, x: Tensor) -> Window | Reach:
        spatial = range(2, x.rank)
        start = tuple([self.start if axis == axis_of(x, self.dim, "dim") else 0 for axis in spatial])
        return Window((1,) * len(start), (1,) * len(start), start) if any(start) else Reach.POINT

    def per_sample(self, x: Tensor) -> bool:
        return axis_of(x, self.dim, "dim") != 0

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        # torch returns its input if the slice is the full axis.
        return Memory(view=True, hands_on=y.shape == x.shape)

    def torch(self, x: Tensor) -> Code:
        part = f"{self.start or ''}:{self.start + self.length}"
        return Code("{0}[", _index(self.dim, part), "]")

    def onnx(self, g: OnnxWriter, x: str) -> str:
        start, end, axes = [self.start], [self.start + self.length], [self.dim]
        return g.Slice(x, g.constant(start), g.constant(end), g.constant(axes))

    def label(self) -> str:
        return f"narrow, {self.start} to {self.start + self.length - 1} of axis {self.dim}"


def _index(dim: int, part: str) -> tuple[str, ...]:
    """The items of an index that takes a part of one axis: `:, part`, or `..., part, :` for a negative axis."""
    return (*[":"] * dim, part) if dim >= 0 else ("...", part, *[":"] * (-dim - 1))


def exact_quotient(size: Dim, by: int, attribute: str, parts: str) -> Dim:
    """The size of an axis divided by a number; raises RuleError where a rest is left, or may be.

    `attribute` is to blame, and `parts` says what is made of the axis.
    """
    quotient = size // by
    _need_equal(size, quotient * by, attribute, parts)
    return quotient


def _need_equal(size: Dim, expected: Dim, attribute: str, parts: str) -> None:
    """Refuse the size of an axis that is not, or not always, an expected one, with the condition in the help."""
    if always_equal(size, expected):
        return
    message = f"an axis of {size} can't be made {parts}"
    if not isinstance(size, Symbolic):
        raise RuleError(message, at=attribute)
    only = condition(size, expected)
    help = f"it holds only if {only}: fix the size of the input" if only else "fix the size of the input"
    raise RuleError(message, at=attribute, code="NS305", help=help)
