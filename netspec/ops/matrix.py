"""Products of matrices and of tensors, without weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import ClassVar

from netspec.dims import Dim
from netspec.expression import python_literal
from netspec.ops.base import AxisOrigins, Op, RuleError, Seen, count_elements, example, need_numbers
from netspec.ops.equal import need_equal_sizes
from netspec.ops.fields import Equation
from netspec.ops.window import along
from netspec.types import Code, Infix, Memory, OnnxWriter, Reach, Tensor, Weight


class _Product(Op, family="matrix"):
    """The base of products: no weights, inputs of one dtype."""

    precision = "half"

    def weights(self, *xs: Tensor) -> tuple[Weight, ...]:
        return ()

    def need_one_dtype(self, xs: Sequence[Tensor]) -> None:
        """Refuse inputs of several dtypes, and booleans."""
        for x in xs:
            need_numbers(self, x)
        if len({x.dtype for x in xs}) > 1:
            dtypes = " and ".join(dict.fromkeys(x.dtype for x in xs))
            raise RuleError(f"`{self.opname}` takes inputs of one dtype, not {dtypes}", code="NS302")


class Matmul(_Product, name="matmul"):
    """Matrix product of the last two axes of two inputs of one rank, as torch.matmul.

    (..., rows, inner) and (..., inner, columns) give (..., rows, columns). The axes before these are equal, but an axis
    of size 1 goes with every size.
    """

    inputs: ClassVar[tuple[int, int | None]] = (2, 2)
    examples = (
        example((2, 3, 4), (2, 4, 5)),
        example((2, 3, 4, 6), (2, 3, 6, 5)),
        example((2, 3, 4, 6), (2, 1, 6, 5)),
    )

    def infer(self, a: Tensor, b: Tensor) -> Tensor:
        if a.rank != b.rank or a.rank < 2:
            message = f"`matmul` takes two inputs of one rank, 2 axes or more, not {a} and {b}"
            raise RuleError(message, code="NS302", help="`unflatten` and `flatten` add and remove axes")
        self.need_one_dtype((a, b))
        for axis, sizes in enumerate(zip(a.shape[:-2], b.shape[:-2], strict=True)):
            if 1 not in sizes:
                need_equal_sizes(*sizes, f"`matmul` needs axes {axis} of {a} and {b} to be equal, or one of them 1")
        inner = f"the columns of {a} and the rows of {b} are multiplied, so are as many"
        need_equal_sizes(a.shape[-1], b.shape[-2], inner)
        return Tensor((*_batch(a, b), a.shape[-2], b.shape[-1]), a.dtype)

    def macs(self, y: Tensor, a: Tensor, b: Tensor) -> Dim:
        return prod(y.shape, start=a.shape[-1])

    def window(self, a: Tensor, b: Tensor) -> tuple[Seen, ...]:
        # A unit sees its row of the first input, and its column of the second.
        repeated = [[axis for axis in range(2, x.rank - 2) if x.shape[axis] == 1] for x in (a, b)]
        return along(a, -1, *repeated[0]), along(b, -2, *repeated[1])

    def per_sample(self, a: Tensor, b: Tensor) -> bool:
        return a.rank > 2 and 1 not in (a.batch, b.batch)

    def memory(self, train: bool, y: Tensor, a: Tensor, b: Tensor) -> Memory:
        # Torch multiplies one batch of matrices: it copies an input of which only some axes are repeated.
        copied = [_is_copied(x, y) for x in (a, b)]
        repeated = [Tensor((*y.shape[:-2], *x.shape[-2:]), x.dtype) for x in (a, b)]
        kept = tuple([full for full, is_copied in zip(repeated, copied, strict=True) if is_copied])
        if not train:
            return Memory(scratch=kept)
        # The gradient of a repeated input is computed in full; that of the output is freed before it is summed.
        pairs = [(full, x) for full, x in zip(repeated, (a, b), strict=True) if full != x]
        most = count_elements(y)
        sums = [Tensor((count_elements(full) - min(count_elements(x), most),), y.dtype) for full, x in pairs]
        return Memory(tuple([n for n in (0, 1) if not copied[n]]), kept=kept, backward=tuple(sums))

    def torch(self, a: Tensor, b: Tensor) -> Infix:
        return Infix("@")

    def onnx(self, g: OnnxWriter, a: str, b: str) -> str:
        return g.MatMul(a, b)


def _batch(a: Tensor, b: Tensor) -> tuple[Dim, ...]:
    return tuple([d if d != 1 else other for d, other in zip(a.shape[:-2], b.shape[:-2], strict=True)])


def _is_copied(x: Tensor, y: Tensor) -> bool:
    """Return whether some axes of an input are repeated and others are not, so that it can be no batch as it is."""
    pairs = [(own, size) for own, size in zip(x.shape[:-2], y.shape[:-2], strict=True) if size != 1]
    repeated = [own for own, size in pairs if own != size]
    return 0 < len(repeated) < len(pairs)


class Einsum(_Product, name="einsum", principal="equation"):
    """Sum of products of its inputs over the axes that `equation` names by letters, as torch.einsum.

    `nqd,nkd->nqk` has a letter for each axis of each input, and of the output; letters that the output lacks are summed
    over. Without `->` the output has the letters that occur once, in the order of the alphabet. Multiply-accumulates
    are the product of the sizes of all letters, as for loops over them; of one input they are 0.
    """

    equation: Equation

    inputs: ClassVar[tuple[int, int | None]] = (1, None)
    examples = (
        example((2, 3, 4), (2, 5, 4), equation="nqd,nkd->nqk"),
        example((2, 3, 4, 5), (2, 3, 5, 6), equation="nhqd, nhdk -> nhqk"),
        example((2, 3, 4), equation="nab->nb"),
        example((2, 3, 4), (2, 4, 5), equation="nij,njk"),
    )

    def infer(self, *xs: Tensor) -> Tensor:
        self.need_one_dtype(xs)
        operands, output = self.letters
        if len(operands) != len(xs):
            count = "1 input" if len(operands) == 1 else f"{len(operands)} inputs"
            raise RuleError(f"`{self.equation}` takes {count}, and there are {len(xs)}", at="equation", code="NS302")
        for place, (letters, x) in enumerate(zip(operands, xs, strict=True), start=1):
            if len(letters) != x.rank:
                message = f"`{letters}` names {len(letters)} axes, and input {place} is {x}"
                raise RuleError(message, at="equation", code="NS302")
        sizes = self._sizes(xs)
        for letter in output:
            if letter not in sizes or output.count(letter) > 1:
                what = "that no input has" if letter not in sizes else "twice"
                raise RuleError(f"the output of `{self.equation}` has the letter `{letter}` {what}", at="equation")
        return Tensor(tuple([sizes[letter] for letter in output]), xs[0].dtype)

    def macs(self, y: Tensor, *xs: Tensor) -> Dim:
        return prod(self._sizes(xs).values()) if len(xs) > 1 else 0

    def window(self, *xs: Tensor) -> tuple[Seen, ...]:
        operands, output = self.letters
        return tuple([_seen(letters, output, x) for letters, x in zip(operands, xs, strict=True)])

    def axes(self, *xs: Tensor) -> AxisOrigins | None:
        (letters, *others), output = self.letters
        return None if others else tuple([letters.index(letter) for letter in output])

    def per_sample(self, *xs: Tensor) -> bool:
        operands, output = self.letters
        batch = output[:1]
        return bool(batch) and all(each[:1] == batch and each.count(batch) == 1 for each in operands)

    def memory(self, train: bool, y: Tensor, *xs: Tensor) -> Memory | None:
        operands, output = self.letters
        if len(xs) == 1 and sorted(operands[0]) == sorted(output):
            return Memory(view=True, hands_on=True)
        if len(xs) == 1 and len({*operands[0]}) == len(operands[0]):
            return Memory(hands_on=True)
        shared = [letter for letter in operands[0] if letter in operands[-1]]
        alone = {*operands[0], *operands[-1]} - {*shared, *output}
        if len(xs) != 2 or any(len({*each}) < len(each) for each in operands) or alone or {*shared} <= {*output}:
            return None  # torch sums, takes diagonals or multiplies element by element before or instead of a product
        kept = [x for letters, x in zip(operands, xs, strict=True) if self._is_copied(letters, x)]
        inputs = [n for n, (letters, x) in enumerate(zip(operands, xs, strict=True)) if not self._is_copied(letters, x)]
        return Memory(tuple(inputs), kept=tuple(kept)) if train else Memory(scratch=tuple(kept))

    def torch(self, *xs: Tensor) -> Code:
        return Code("torch.einsum(", (python_literal(self.equation), *[f"{{{n}}}" for n in range(len(xs))]))

    def onnx(self, g: OnnxWriter, *xs: str) -> str:
        operands, output = self.letters
        return g.Einsum(*xs, equation=f"{','.join(operands)}->{output}")

    def label(self) -> str:
        return f"einsum, {self.equation}"

    @property
    def letters(self) -> tuple[list[str], str]:
        """The letters of each input, and of the output."""
        inputs, arrow, output = self.equation.replace(" ", "").partition("->")
        once = [letter for letter, count in Counter(inputs.replace(",", "")).items() if count == 1]
        return inputs.split(","), output if arrow else "".join(sorted(once))

    def _is_copied(self, letters: str, x: Tensor) -> bool:
        """Return whether torch copies one of two inputs to make it a batch of matrices, and multiply those.

        The axes of these are letters that both inputs and the output have, other letters of the output, and letters
        that are summed: each group has to be one axis of the input's memory, or a copy is made.
        """
        operands, output = self.letters
        in_order = [*output, *sorted({*letters} - {*output})]
        both = {*operands[0]} & {*operands[1]}
        batch, own = [
            [letter for letter in in_order if letter in letters and letter in output and (letter in both) is b]
            for b in (True, False)
        ]
        summed = [letter for letter in in_order if letter not in output]
        return not all(_is_one_axis(group, letters, x) for group in (batch, own, summed))

    def _sizes(self, xs: Sequence[Tensor]) -> Mapping[str, Dim]:
        """The size of each letter; raises RuleError for a letter of two sizes."""
        sizes: dict[str, Dim] = {}
        for letters, x in zip(self.letters[0], xs, strict=True):
            for letter, size in zip(letters, x.shape, strict=True):
                first = sizes.setdefault(letter, size)
                need_equal_sizes(first, size, f"the letter `{letter}` of `{self.equation}` is {first} and {size}")
        return sizes


def _is_one_axis(group: Sequence[str], letters: str, x: Tensor) -> bool:
    """Return whether some axes of a contiguous tensor, in this order, are one axis of its memory."""
    places = [place for place in map(letters.index, group) if x.shape[place] != 1]
    return all(first < then and prod(x.shape[first + 1 : then]) == 1 for first, then in pairwise(places))


def _seen(letters: str, output: str, x: Tensor) -> Seen:
    """The units of an input of an einsum that a unit of the output sees, where letters of maps stay in their places."""
    summed = [axis for axis, letter in enumerate(letters) if letter not in output]
    moved = [axis for axis in range(2, x.rank) if axis not in summed and letters[axis] != output[axis : axis + 1]]
    if moved:
        return Reach.ALL if summed or len({*letters}) < len(letters) else Reach.UNPLACED
    return along(x, *summed) if summed else Reach.POINT
