"""Counts the multiply-accumulates that torch does for an op, from the kernels that it calls."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from netspec.types import Tensor
from tests.support.contract import random, written


def count_macs(op: Any, xs: tuple[Tensor, ...]) -> int | Fraction:
    """The multiply-accumulates of an op on inputs of these types.

    FlopCounterMode counts two for each of convolutions and matrix products, and nothing else.
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        written(op, xs, device="meta")(*random(xs, device="meta"))
    return Fraction(counter.get_total_flops(), 2)
