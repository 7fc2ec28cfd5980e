"""Checks that the inputs of a merge have equal shapes, with hints for those that do not."""

from __future__ import annotations

from math import prod

from netspec.dims import always_equal, condition
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
    for number, x in enumerate(xs[1:], start=1):
        axes = range(max(x.rank, xs[0].rank))
        same_rank = x.rank == xs[0].rank
        bad = [a for a in axes if a != but and not (same_rank and always_equal(xs[0].shape[a], x.shape[a]))]
        if x.dtype != xs[0].dtype:
            raise RuleError(f"`{op.opname}` takes inputs of one dtype, not {xs[0].dtype} and {x.dtype}", code="NS302")
        if bad or not same_rank:
            where = "shapes" if but is None else f"shapes on all axes but {but}"
            help = _equal_sizes_hint(xs[0], x, bad)
            if "broadcast" in type(op).model_fields and same_rank and _is_broadcastable(xs[0], x):
                help = f"`{{{op.opname}: {{broadcast: true}}}}` lets axes of 1 go with every size"
            raise UnequalShapes(0, number, f"`{op.opname}` needs equal {where}", help)


def broadcast(op: Op, xs: tuple[Tensor, ...]) -> Tensor:
    """The output type of an elementwise op that broadcasts axes of size 1; refuse inputs that differ otherwise."""
    if len({x.rank for x in xs}) > 1 or len({x.dtype for x in xs}) > 1:
        need_equal(op, xs)
    shape = xs[0].shape
    for number, x in enumerate(xs):
        for first in range(number):
            axes = range(x.rank)
            bad = [a for a in axes if 1 not in (sizes := (xs[first].shape[a], x.shape[a])) and not always_equal(*sizes)]
            if bad:
                message = f"`{op.opname}` needs equal shapes, but for axes of 1"
                raise UnequalShapes(first, number, message, _equal_sizes_hint(xs[first], x, bad))
        shape = tuple([size if size != 1 else other for size, other in zip(shape, x.shape, strict=True)])
    return Tensor(shape, xs[0].dtype)


def _is_broadcastable(a: Tensor, b: Tensor) -> bool:
    """Return whether two shapes of equal rank differ only on axes where one has size 1."""
    return all(1 in sizes or always_equal(*sizes) for sizes in zip(a.shape, b.shape, strict=True))


def _equal_sizes_hint(a: Tensor, b: Tensor, bad: list[int]) -> str:
    if a.rank != b.rank:
        return f"bring both to {a.rank} axes"
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


def _projected(a: Tensor, b: Tensor) -> str:
    """A hint to project the larger map by a 1x1 convolution with a stride; "" if no single stride fits both axes."""
    maps = [[size for size in x.spatial if isinstance(size, int)] for x in (a, b)]
    small, large = (0, 1) if prod(maps[0]) <= prod(maps[1]) else (1, 0)
    strides = {divmod(many, few) for few, many in zip(maps[small], maps[large], strict=True)}
    if len(strides) > 1 or any(rest for _, rest in strides):
        return ""
    channels = (a, b)[small].channels
    return f"give {LARGER} a 1x1 `conv2d` with out_channels {channels} and stride {strides.pop()[0]}"
