"""The positions along an axis: which axes have some, and that they follow the input at any length."""

from __future__ import annotations

import pytest

import netspec
from netspec.dims import symbol
from netspec.ops.base import RuleError
from netspec.types import Tensor
from tests.support.contract import inferred, named_op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch


@pytest.mark.parametrize(
    ("dim", "message"), [(0, "the first axis is the batch"), (-2, "the first axis is the batch"), (2, "no axis 2")]
)
def test_axes_without_positions(dim: int, message: str) -> None:
    error = inferred(named_op("arange", dim=dim), (Tensor((2, 5), "int64"),))
    assert isinstance(error, RuleError)
    assert (error.at, error.code, message in error.message) == ("dim", "NS302", True)


def test_positions_have_no_batch() -> None:
    x = Tensor((symbol("N"), symbol("T"), 8))
    assert named_op("arange").infer(x) == Tensor((1, symbol("T")), "int64")
    assert not named_op("arange").per_sample(x)


LEARNED = """
netspec: 1
name: placed
inputs: {x: [N, T, 4]}
network:
  - {arange, name: places}
  - {embedding: {num_embeddings: 9, embedding_dim: 4}, name: positions}
  - {add: {broadcast: true}, from: [x, positions]}
"""


def test_embeddings_of_positions_are_added_to_every_sample() -> None:
    module = netspec.loads(LEARNED).compile()
    for length in (1, 9):
        x = torch.randn(3, length, 4)
        torch.testing.assert_close(module(x), x + module.positions.weight[:length])
    with pytest.raises(IndexError):
        module(torch.randn(3, 10, 4))
