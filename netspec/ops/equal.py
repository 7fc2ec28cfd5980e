"""Checks that the inputs of a merge have equal shapes, with hints for those that do not."""

from __future__ import annotations

from math import prod

from netspec.dims import Dim, Symbolic, always_equal, condition
from netspec.ops.base import Op, RuleError
from netspec.types import Tensor

LARGER = "the larger one"
"""A placeholder in the help of an error for the input with the larger map; the elaborator replaces it by a name."""


class UnequalShapes(RuleError):
    """Two inputs of a merge have different shapes; `first` and `other` are their numbers among the inputs."""

    def __init__(self, first: int, other: int, message: str, help: str) -> None:
        super().__init__(message, code="NS301", help=help)
        self.first = first
        self.other = other


def need_equal(op: Op, xs: tuple[Tensor, ...], *, but: int | None = None) -> None:
    """Refuse inputs whose shapes differ on an axis other than `but`; None means that all axes have to be equal."""
    _need_one_dtype(op, xs)
    for number, x in enumerate(xs[1:], start=1):
        axes = range(max(x.rank, xs[0].rank))
        same_rank = x.rank == xs[0].rank
        bad = [a for a in axes if a != but and not (same_rank and always_equal(xs[0].shape[a], x.shape[a]))]
        if bad or not same_rank:
            where = "shapes" if but is None else f"shapes on all axes but {but}"
            help = _equal_sizes_hint(xs[0], x, bad)
            if "broadcast" in type(op).model_fields and _is_broadcastable(xs[0], x):
                help = f"`{{{op.opname}: {{broadcast: true}}}}` lets axes of 1 go with every size"
            raise UnequalShapes(0, number, f"`{op.opname}` needs equal {where}", help)


def need_equal_sizes(a: Dim, b: Dim, message: str) -> None:
    """Refuse two sizes that differ (NS301), or that may (NS305)."""
    if always_equal(a, b):
        return
    if not (isinstance(a, Symbolic) or isinstance(b, Symbolic)):
        raise RuleError(message, code="NS301")
    only = condition(a, b)
    raise RuleError(message, code="NS305", help=f"it holds only if {only}" if only else "")


def broadcast(op: Op, xs: tuple[Tensor, ...]) -> Tensor:
    """The output type of an elementwise op that broadcasts axes of size 1; refuse inputs that differ otherwise.

    An input may have fewer axes if all its sizes are numbers: a parameter without a batch, such as (C, 1, 1). As in
    torch, its last axis goes with the last of the others.
    """
    _need_one_dtype(op, xs)
    rank = max(x.rank for x in xs)
    most = next(number for number, x in enumerate(xs) if x.rank == rank)
    for number, x in enumerate(xs):
        if x.rank < rank and not _is_without_batch(x):
            message = f"`{op.opname}` needs inputs of as many axes"
            help = _gate_hint(x, xs[most]) or f"bring both to {rank} axes"
            raise UnequalShapes(min(most, number), max(most, number), message, help)
    aligned = [_aligned(x, rank) for x in xs]
    shape = aligned[0]
    for number, sizes in enumerate(aligned):
        for first in range(number):
            bad = [axis for axis in range(rank) if not _go_together(aligned[first][axis], sizes[axis])]
            if bad:
                message = f"`{op.opname}` needs equal shapes, but for axes of 1"
                added = rank - xs[number].rank
                help = _equal_sizes_hint(xs[first], xs[number], [axis - added for axis in bad])
                raise UnequalShapes(first, number, message, help)
        shape = tuple([size if size != 1 else other for size, other in zip(shape, sizes, strict=True)])
    return Tensor(shape, xs[0].dtype)


def _need_one_dtype(op: Op, xs: tuple[Tensor, ...]) -> None:
    for x in xs[1:]:
        if x.dtype != xs[0].dtype:
            raise RuleError(f"`{op.opname}` takes inputs of one dtype, not {xs[0].dtype} and {x.dtype}", code="NS302")


def _aligned(x: Tensor, rank: int) -> tuple[Dim, ...]:
    """The shape of an input with axes of 1 before it, as many axes as `rank`."""
    return (*[1] * (rank - x.rank), *x.shape)


def _is_without_batch(x: Tensor) -> bool:
    """Return whether all sizes are numbers, as those of a parameter are."""
    return all(isinstance(size, int) for size in x.shape)


def _go_together(a: Dim, b: Dim) -> bool:
    return 1 in (a, b) or always_equal(a, b)


def _is_broadcastable(a: Tensor, b: Tensor) -> bool:
    """Return whether two shapes differ only in ways that `broadcast` allows."""
    rank = max(a.rank, b.rank)
    if any(x.rank < rank and not _is_without_batch(x) for x in (a, b)):
        return False
    return all(map(_go_together, _aligned(a, rank), _aligned(b, rank)))


def _gate_hint(few: Tensor, many: Tensor) -> str:
    """A hint for a gate of N x C beside a map; "" for other inputs."""
    if few.rank == 2 and many.rank > 2 and always_equal(few.channels, many.channels):
        sizes = ", ".join([str(few.channels), *["1"] * (many.rank - 2)])
        return f"`unflatten: {{dim: 1, unflattened_size: [{sizes}]}}` gives it {many.rank} axes"
    return ""


def _equal_sizes_hint(a: Tensor, b: Tensor, bad: list[int]) -> str:
    if a.rank != b.rank:
        few, many = sorted((a, b), key=lambda x: x.rank)
        return _scale_hint(few, many) or f"bring both to {a.rank} axes"
    only = [condition(a.shape[axis], b.shape[axis]) for axis in bad]
    if all(only):
        return "it holds only if " + " and ".join(dict.fromkeys(str(text) for text in only))
    if any(1 in (a.shape[axis], b.shape[axis]) for axis in bad if axis > 1):
        return "give both the same shape"
    if bad == [1] and a.rank == 4:
        return f"give one branch a 1x1 `conv2d`, so that both have {a.shape[1]} channels"
    if a.rank == 4 and all(isinstance(size, int) for x in (a, b) for size in x.spatial):
        same = "give both the same strides and paddings"
        return same if a.channels == b.channels else _projected(a, b) or same
    return "give both the same shape"


def _scale_hint(few: Tensor, many: Tensor) -> str:
    """A hint for a parameter of (C,) that is meant as a scale for each channel of a map; "" for other inputs."""
    if few.rank == 1 and many.rank > 2 and always_equal(few.shape[0], many.channels):
        sizes = ", ".join([str(few.shape[0]), *["1"] * (many.rank - 2)])
        return f"a scale for each channel is a parameter of [{sizes}]"
    return ""


def _projected(a: Tensor, b: Tensor) -> str:
    """A hint to project the larger map by a 1x1 convolution with a stride; "" if no single stride fits both axes."""
    maps = [[size for size in x.spatial if isinstance(size, int)] for x in (a, b)]
    small, large = (0, 1) if prod(maps[0]) <= prod(maps[1]) else (1, 0)
    strides = {divmod(many, few) for few, many in zip(maps[small], maps[large], strict=True)}
    if len(strides) > 1 or any(rest for _, rest in strides):
        return ""
    channels = (a, b)[small].channels
    return f"give {LARGER} a 1x1 `conv2d` with out_channels {channels} and stride {strides.pop()[0]}"
