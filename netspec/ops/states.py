"""The optional inputs of recurrent ops: the states that they begin with, and the lengths of the sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from netspec.dims import always_equal
from netspec.ops.base import Op, RuleError
from netspec.ops.writing import INT32
from netspec.types import OnnxWriter, Tensor

_Value = TypeVar("_Value")
LENGTHS = Tensor((3,), "int64")
"""The lengths of three sequences, for examples."""


def split_inputs(op: Op, lengths: bool, others: Sequence[_Value]) -> tuple[Sequence[_Value], Sequence[_Value]]:
    """The inputs after the first as states, none or one for each state that the op returns, and at most one length."""
    states, last = (others[:-1], others[-1:]) if lengths else (others, others[:0])
    names = op.output_names[1:]
    if len(states) not in (0, len(names)) or (lengths and not last):
        more = ["lengths"] if lengths else []
        takes = [["x", *more], ["x", *(name.removesuffix("_n") for name in names), *more]]
        forms = " or ".join(f"[{', '.join(form)}]" for form in takes)
        help = "" if lengths else "`lengths: true` takes the length of each sequence as the last input"
        message = f"`{op.opname}` takes {forms}, and has {1 + len(others)} inputs"
        raise RuleError(message, at="lengths" if lengths else "", code="NS302", help=help)
    return states, last


def need_states(op: Op, states: Sequence[Tensor], expected: Tensor, axes: str) -> None:
    """Refuse states of another type than the op returns."""
    for state in states:
        same = state.rank == expected.rank and all(map(always_equal, state.shape, expected.shape))
        if not same or state.dtype != expected.dtype:
            dtypes = f" of {expected.dtype}, not {state.dtype}" if same else f", not {state}"
            raise RuleError(f"a state of `{op.opname}` is {axes}, here {expected}{dtypes}", code="NS301")


def need_lengths(op: Op, lengths: Sequence[Tensor], x: Tensor) -> None:
    """Refuse lengths that are not one integer for each sequence."""
    for each in lengths:
        if each.dtype != "int64" or each.rank != 1 or not always_equal(each.shape[0], x.batch):
            message = f"`lengths` of `{op.opname}` are int64, one for each of {x.batch} sequences"
            help = "say `lengths: {shape: [N], dtype: int64}` in `inputs`, and give it last in `from`"
            raise RuleError(f"{message}, not {each} of {each.dtype}", at="lengths", code="NS302", help=help)


def onnx_lengths(g: OnnxWriter, x: str, lengths: Sequence[str]) -> str:
    """In ONNX, the input `sequence_lens` of a recurrent op, from the lengths of a rule's input `x`; "" for none."""
    if not lengths:
        return ""
    # ONNX Runtime refuses lengths beyond the sequence.
    return g.Cast(g.Min(lengths[0], g.Shape(x, start=1, end=2)), to=INT32)
