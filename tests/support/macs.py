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

    FlopCounterMode counts two for each of convolutions and matrix products, and nothing else.
    """
    # Where sizes depend on the data, only a real run has them.
    device = "meta" if all(isinstance(size, int) for y in infer(op, xs) for size in y.shape) else "cpu"
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        outputs = written(op, xs, device=device)(*random(xs, device=device))
    return Fraction(counter.get_total_flops(), 2), tuple(map(type_of, outputs))
