"""Parts of sequences: masks of their lengths, and elements that are replaced."""

from __future__ import annotations

from typing import ClassVar

from netspec.dims import always_equal
from netspec.ops.base import AxisOrigins, Costless, Rearranging, RuleError, axis_of, example, known_int
from netspec.ops.fields import Axis, Index
from netspec.ops.states import LENGTHS
from netspec.ops.writing import FLOAT32
from netspec.types import Call, Code, Memory, OnnxWriter, Reach, Tensor


class SequenceMask(Costless, name="sequence_mask", family="recurrent"):
    """1 for each element inside the length of its sequence and 0 behind it: lengths (N,) -> (N, T), in float32.

    The second input, (N, T, ...), gives T alone. With this mask, what is summed over a sequence leaves out the padding.
    """

    inputs: ClassVar[tuple[int, int | None]] = (2, 2)
    reads: ClassVar[int | None] = 1
    precision = "float32"
    examples = (
        example(LENGTHS, (3, 5, 2)),
        example(LENGTHS, Tensor((3, 3), "int64")),
        example(LENGTHS, (3, 4, 2, 3)),
    )

    def infer(self, lengths: Tensor, like: Tensor) -> Tensor:
        if lengths.dtype != "int64" or lengths.rank != 1:
            help = "say `lengths: {shape: [N], dtype: int64}` in `inputs`"
            message = f"`sequence_mask` takes lengths of int64, (N,), and not {lengths} of {lengths.dtype}"
            raise RuleError(message, code="NS302", help=help)
        if like.rank < 2:
            raise RuleError(f"`sequence_mask` takes lengths, and then (N, T, ...), not {like}", code="NS302")
        if not always_equal(lengths.batch, like.batch):
            raise RuleError(f"`sequence_mask` has {lengths} lengths, and {like.batch} sequences", code="NS301")
        return Tensor(like.shape[:2])

    def window(self, lengths: Tensor, like: Tensor) -> Reach:
        return Reach.POINT

    def per_sample(self, lengths: Tensor, like: Tensor) -> bool:
        return True

    def memory(self, train: bool, y: Tensor, lengths: Tensor, like: Tensor) -> Memory:
        # The numbers of the elements, in int64, are gone when the floats are made.
        elements = known_int(y.shape[1], "T")
        spare = max(0, 8 * elements - 4 * elements * known_int(y.batch, "N"))
        return Memory(scratch=(Tensor(y.shape, "bool"), Tensor((spare,), "bool")))

    def torch(self, lengths: Tensor, like: Tensor) -> Code:
        elements = "torch.arange({1}.shape[1], device={1}.device)"
        return Code(f"({elements} < {{0}}.unsqueeze(1)).float(", ())

    def onnx(self, g: OnnxWriter, lengths: str, like: str) -> str:
        size = g.Squeeze(g.Shape(like, start=1, end=2))
        elements = g.Range(g.constant(0), size, g.constant(1))
        return g.Cast(g.Less(elements, g.Unsqueeze(lengths, g.constant([1]))), to=FLOAT32)


class SelectScatter(Rearranging, name="select_scatter"):
    """The first input with the second in place of one element of an axis, as torch.select_scatter.

    The second input lacks that axis, as what `select` gives: (N, T, F) and (N, F) for `dim` 1. A negative index counts
    from the end.
    """

    dim: Axis
    index: Index

    inputs: ClassVar[tuple[int, int | None]] = (2, 2)
    examples = (
        example((2, 5, 4), (2, 4), dim=1, index=0),
        example((2, 3, 4), (2, 4), dim=1, index=-1),
        example((2, 3, 4, 5), (2, 3, 4), dim=-1, index=2),
    )

    def infer(self, x: Tensor, part: Tensor) -> Tensor:
        axis = axis_of(x, self.dim, "dim")
        size, rest = x.shape[axis], (*x.shape[:axis], *x.shape[axis + 1 :])
        if isinstance(size, int) and not -size <= self.index < size:
            raise RuleError(f"there is no place {self.index} on an axis of {size}", at="index", code="NS303")
        if part.rank != len(rest) or not all(map(always_equal, part.shape, rest)):
            message = f"`select_scatter` replaces an element of {Tensor(rest)} in {x}, and has {part} for it"
            raise RuleError(message, code="NS301")
        if part.dtype != x.dtype:
            raise RuleError(f"`select_scatter` takes inputs of one dtype, not {x.dtype} and {part.dtype}", code="NS302")
        return x

    def axes(self, x: Tensor, part: Tensor) -> AxisOrigins:  # pyright: ignore
        return tuple(range(x.rank))

    def window(self, x: Tensor, part: Tensor) -> Reach:
        # In (N, T, F) all units of an element are replaced alike.
        return Reach.POINT if x.rank < 4 and axis_of(x, self.dim, "dim") == 1 else Reach.VARIES

    def per_sample(self, x: Tensor, part: Tensor) -> bool:
        return axis_of(x, self.dim, "dim") != 0

    def memory(self, train: bool, y: Tensor, x: Tensor, part: Tensor) -> Memory:
        # The gradient of the part is a view of the output's.
        return Memory(hands_on=(1,))

    def torch(self, x: Tensor, part: Tensor) -> Call:
        return Call("torch.select_scatter", {"dim": self.dim, "index": self.index})

    def onnx(self, g: OnnxWriter, x: str, part: str) -> str:
        axes = g.constant([self.dim])
        parts = [g.Unsqueeze(part, axes)]
        if self.index:
            parts.insert(0, g.Slice(x, g.constant([0]), g.constant([self.index]), axes))
        if self.index != -1:
            parts.append(g.Slice(x, g.constant([self.index + 1]), g.constant([2**62]), axes))
        return g.Concat(*parts, axis=self.dim)

    def label(self) -> str:
        return f"select_scatter, {self.index} of axis {self.dim}"
