"""Counts the multiply-accumulates that torch does for an op, from the kernels that it calls."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from netspec.types import Tensor
from tests.support.contract import infer, random, type_of, written


def count_macs(op: Any, xs: tuple[Tensor, ...]) -> tuple[int | Fraction, tuple[Tensor, ...]]:
    """The multiply-accumulates of an op on inputs of these types, and the types of its outputs.

    FlopCounterMode counts two for each of convolutions and matrix products, and nothing else. In float64,
    which oneDNN has no layers for, torch runs recurrent layers as products of matrices, cell by cell.
    """
    # Where sizes depend on the data, only a real run has them.
    on_meta = all(isinstance(size, int) for y in infer(op, xs) for size in y.shape) and not op.needs_values()
    kind: dict[str, Any] = {"device": "meta" if on_meta else "cpu"} | (
        {"dtype": torch.float64} if op.family == "recurrent" else {}
    )
    values = random(xs, **kind)
    if op.needs_values():
        # All sequences are as long as the batch is.
        values[-1].fill_(xs[0].shape[1])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        outputs = written(op, xs, **kind)(*values)
    types = [type_of(y.float() if y.dtype is torch.float64 else y) for y in outputs]
    return Fraction(counter.get_total_flops(), 2), tuple(types)
