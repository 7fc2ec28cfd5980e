"""Parts of sequences: what their ops refuse, and that a mask leaves out the padding."""

from __future__ import annotations

from typing import Any

import pytest

import netspec
from netspec.ops.base import RuleError
from netspec.types import Tensor
from tests.support.contract import named_op as op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

LENGTHS = Tensor((3,), "int64")


@pytest.mark.parametrize(
    ("xs", "code", "message"),
    [
        ((Tensor((3,)), Tensor((3, 5))), "NS302", "takes lengths of int64, (N,), and not 3 of float32"),
        ((Tensor((3, 1), "int64"), Tensor((3, 5))), "NS302", "takes lengths of int64, (N,), and not 3 x 1 of int64"),
        ((LENGTHS, Tensor((3,))), "NS302", "takes lengths, and then (N, T, ...), not 3"),
        ((LENGTHS, Tensor((4, 5))), "NS301", "has 3 lengths, and 4 sequences"),
    ],
)
def test_misuse_of_masks(xs: tuple[Tensor, ...], code: str, message: str) -> None:
    with pytest.raises(RuleError) as raised:
        op("sequence_mask").infer(*xs)
    assert (raised.value.code, raised.value.message) == (code, f"`sequence_mask` {message}")


@pytest.mark.parametrize(
    ("attributes", "xs", "code", "at", "message"),
    [
        ({"dim": 3, "index": 0}, [(2, 5, 4), (2, 5)], "NS302", "dim", "there is no axis 3 in 2 x 5 x 4"),
        ({"dim": 1, "index": 5}, [(2, 5, 4), (2, 4)], "NS303", "index", "there is no place 5 on an axis of 5"),
        (
            {"dim": 1, "index": 0},
            [(2, 5, 4), (2, 5)],
            "NS301",
            "",
            "`select_scatter` replaces an element of 2 x 4 in 2 x 5 x 4, and has 2 x 5 for it",
        ),
    ],
)
def test_misuse_of_select_scatter(
    attributes: dict[str, Any], xs: list[tuple[int, ...]], code: str, at: str, message: str
) -> None:
    with pytest.raises(RuleError) as raised:
        op("select_scatter", **attributes).infer(*map(Tensor, xs))
    assert (raised.value.code, raised.value.at, raised.value.message) == (code, at, message)


def test_select_scatter_keeps_dtypes_apart() -> None:
    with pytest.raises(RuleError, match="takes inputs of one dtype, not float32 and int64"):
        op("select_scatter", dim=1, index=0).infer(Tensor((2, 5, 4)), Tensor((2, 4), "int64"))


def test_a_mask_leaves_out_the_padding() -> None:
    net = netspec.loads(
        """
netspec: 1
name: masked
inputs: {x: [N, T, 4], lengths: {shape: [N], dtype: int64}}
network:
  - {sequence_mask, from: [lengths, x], name: mask}
  - {unflatten: {dim: 1, unflattened_size: [-1, 1]}, name: gate}
  - {multiply, from: [x, gate], name: masked}
"""
    )
    x, lengths = torch.randn(3, 6, 4), torch.tensor([6, 2, 1])
    y = net.compile()(x, lengths)
    for row, own, length in zip(y, x, lengths, strict=True):
        torch.testing.assert_close(row[:length], own[:length])
        assert not row[length:].any()
