"""Masks of attention, as values and causal, in the rules of ops."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from netspec.dims import Dim, always_equal
from netspec.ops.base import Op, RuleError
from netspec.ops.writing import places
from netspec.types import OnnxWriter, Tensor

_LOWEST = -65504.0
"""The smallest number of float16: a score of it has no weight beside any other."""


def need_mask(
    op: Op, mask: Tensor, shape: tuple[Dim, ...], dtypes: Sequence[str], what: str, *, broadcasts: bool
) -> None:
    """Refuse a mask of another shape, but for axes of 1 if it `broadcasts`, or of other dtypes."""
    pairs = zip(mask.shape, shape, strict=False)
    fits = [always_equal(size, own) or (broadcasts and size == 1) for size, own in pairs]
    if mask.rank != len(shape) or not all(fits):
        ones = ", or 1 on some axes" if broadcasts else ""
        raise RuleError(f"{what} of `{op.opname}` is {Tensor(shape)}{ones}, not {mask}", code="NS301")
    if mask.dtype not in dtypes:
        message = f"{what} of `{op.opname}` is {' or '.join(dict.fromkeys(dtypes))}, not {mask.dtype}"
        raise RuleError(message, code="NS302")


def causal(g: OnnxWriter, query: str, key: str, axis: int) -> str:
    """In ONNX, which keys a query may look at: those at its own place and before, as booleans of (queries, keys).

    `axis` is that of the lengths, in the inputs `query` and `key` of the rule.
    """
    rows, columns = [places(g, x, axis) for x in (query, key)]
    return g.GreaterOrEqual(g.Unsqueeze(rows, g.constant([1])), columns)


def attend(
    g: OnnxWriter, query: str, key: str, value: str, scale: float, shown: Sequence[str] = (), added: str = ""
) -> str:
    """In ONNX, softmax(scale * query * key + added) * value; `key` has its last two axes swapped.

    `shown` are masks of booleans, true where a query looks at a key; one that looks at none has zeros, as in torch.
    """
    scores = g.MatMul(g.Mul(query, g.constant(scale, "like")), key)
    if added:
        scores = g.Add(scores, added)
    if not shown:
        return g.MatMul(g.Softmax(scores, axis=-1), value)
    mask = reduce(g.And, shown)
    weights = g.Softmax(g.Where(mask, scores, g.constant(_LOWEST, "like")), axis=-1)
    return g.MatMul(g.Where(mask, weights, g.constant(0.0, "like")), value)
