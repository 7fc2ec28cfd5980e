"""Ops that cut a tensor into parts along an axis."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from netspec.dims import Dim, Symbolic, always_equal
from netspec.ops.base import Rearranging, RuleError, Seen, axis_of, example
from netspec.ops.fields import MAX_PARTS, Axis, Count, Sections
from netspec.types import Code, Memory, OnnxWriter, Reach, Tensor


class _Splitting(Rearranging):
    """The base of ops with an output for each part of an axis: `output`, `output_1`, `output_2` and so on."""

    dim: Axis = 1

    @abstractmethod
    def parts(self, size: Dim) -> Sequence[Dim]:
        """The sizes of the parts of an axis; raises RuleError if it can't be cut so."""

    def infer(self, x: Tensor) -> tuple[Tensor, ...]:
        axis = axis_of(x, self.dim, "dim")
        parts = self.parts(x.shape[axis])
        return tuple([Tensor((*x.shape[:axis], part, *x.shape[axis + 1 :]), x.dtype) for part in parts])

    def axes(self, x: Tensor) -> tuple[int | None, ...]:
        cut = axis_of(x, self.dim, "dim")
        return tuple([None if axis == cut else axis for axis in range(x.rank)])

    def window(self, x: Tensor) -> Seen:
        # All parts have one field, and only the first begins where the axis does.
        return Reach.UNPLACED if axis_of(x, self.dim, "dim") > 1 else Reach.POINT

    def per_sample(self, x: Tensor) -> bool:
        return axis_of(x, self.dim, "dim") != 0

    def memory(self, train: bool, y: Tensor, x: Tensor) -> Memory:
        return Memory(view=True)

    def onnx(self, g: OnnxWriter, x: str) -> tuple[str, ...]:
        type = g.type(x)
        parts = self.parts(type.shape[axis_of(type, self.dim, "dim")])
        sizes = [part for part in parts if isinstance(part, int)]
        if len(sizes) == len(parts):
            return g.Split(x, g.constant(sizes), outputs=len(parts), axis=self.dim)
        return g.Split(x, outputs=len(parts), num_outputs=len(parts), axis=self.dim)


class Chunk(_Splitting, name="chunk", principal="chunks"):
    """An axis cut into this many parts of one size, as torch.chunk; the last part may be smaller.

    Its outputs are `output`, `output_1` and so on: `from: [halves, halves.output_1]` are the halves of a step `halves`
    that is `chunk: 2`.
    """

    chunks: Count

    examples = (
        example((2, 6, 4, 5), chunks=2),
        example((2, 3, 5), chunks=3, dim=-1),
        example((2, 9, 6), chunks=3, dim=2),
    )

    @classmethod
    def names_for(cls, attributes: Mapping[str, Any]) -> tuple[str, ...] | None:
        count = attributes.get("chunks")
        return _names(count) if type(count) is int else None

    def parts(self, size: Dim) -> Sequence[Dim]:
        if isinstance(size, Symbolic):
            part = size // self.chunks
            if not always_equal(size, part * self.chunks):
                message = f"an axis of {size} may not have {self.chunks} equal parts"
                raise RuleError(message, at="chunks", code="NS305", help="fix the size of the input")
            return [part] * self.chunks
        each = -(-size // self.chunks)
        sizes = [each] * (size // each) + [size % each] * (size % each > 0)
        if len(sizes) != self.chunks:
            message = f"an axis of {size} has {len(sizes)} chunks of {each}, and not {self.chunks}"
            raise RuleError(message, at="chunks", help=f"torch.chunk gives {len(sizes)}; `split` takes sizes of parts")
        return sizes

    def torch(self, x: Tensor) -> Code:
        return Code("{0}.chunk(", (str(self.chunks), f"dim={self.dim}"))


class Split(_Splitting, name="split"):
    """An axis cut into parts of these sizes, which add up to its size, as torch.split.

    Its outputs are `output`, `output_1` and so on. The sizes are a list, which tells how many there are: for parts of
    one size there is `chunk`.
    """

    split_size_or_sections: Sections

    examples = (
        example((2, 6, 4, 5), split_size_or_sections=[2, 4]),
        example((2, 3, 7), split_size_or_sections=[1, 5, 1], dim=-1),
    )

    @classmethod
    def names_for(cls, attributes: Mapping[str, Any]) -> tuple[str, ...] | None:
        sizes = attributes.get("split_size_or_sections")
        return _names(len(sizes)) if isinstance(sizes, list | tuple) else None  # pyright: ignore

    def parts(self, size: Dim) -> Sequence[Dim]:
        total = sum(self.split_size_or_sections)
        if size != total:
            code = "NS305" if isinstance(size, Symbolic) else "NS304"
            message = f"parts of {total} in all are not an axis of {size}"
            raise RuleError(message, at="split_size_or_sections", code=code)
        return self.split_size_or_sections

    def torch(self, x: Tensor) -> Code:
        return Code("{0}.split(", (str(list(self.split_size_or_sections)), f"dim={self.dim}"))

    def label(self) -> str:
        return f"split, {' '.join(map(str, self.split_size_or_sections))}"


def _names(count: int) -> tuple[str, ...]:
    """The names of the outputs of an op with so many; one more than its attribute takes has none."""
    return ("output", *[f"output_{number}" for number in range(1, min(count, MAX_PARTS))])
