"""Ops with as many outputs as their attributes say: what they refuse, and how specs, source and YAML name the parts."""

from __future__ import annotations

from typing import Any

import pytest

import netspec
from netspec.dims import symbol
from netspec.ops.base import RuleError
from netspec.types import Reach, Tensor
from tests.support.contract import inferred, named_op, run
from tests.support.lazy import lazy_imports
from tests.support.round_trip import assert_same, round_trip

with lazy_imports():
    import torch

H = symbol("H")


@pytest.mark.parametrize(
    ("name", "attributes", "shape", "code", "message"),
    [
        ("chunk", {"chunks": 3}, (2, 4), "NS304", "an axis of 4 has 2 chunks of 2, and not 3"),
        ("chunk", {"chunks": 4}, (2, 3), "NS304", "an axis of 3 has 3 chunks of 1, and not 4"),
        ("chunk", {"chunks": 2, "dim": 2}, (2, 3, H), "NS305", "an axis of H may not have 2 equal parts"),
        ("chunk", {"chunks": 2, "dim": 3}, (2, 3), "NS302", "there is no axis 3 in 2 x 3"),
        ("split", {"split_size_or_sections": [1, 3]}, (2, 5), "NS304", "parts of 4 in all are not an axis of 5"),
        ("split", {"split_size_or_sections": [1, 3], "dim": 2}, (2, 3, H), "NS305", "parts of 4 in all"),
    ],
)
def test_axes_that_can_not_be_cut(name: str, attributes: Any, shape: Any, code: str, message: str) -> None:
    error = inferred(named_op(name, **attributes), (Tensor(shape),))
    assert isinstance(error, RuleError)
    assert (error.code, message in error.message) == (code, True), error.message


@pytest.mark.parametrize("size", range(2, 12))
@pytest.mark.parametrize("chunks", [2, 3, 4, 5])
def test_chunks_are_torchs_or_refused(size: int, chunks: int) -> None:
    op, x = named_op("chunk", chunks=chunks, dim=-1), Tensor((2, size))
    given = torch.empty(x.shape).chunk(chunks, dim=-1)  # pyright: ignore[reportArgumentType]
    if len(given) == chunks:
        assert op.infer(x) == run(op, (x,))
    else:
        assert isinstance(inferred(op, (x,)), RuleError)


def test_open_sizes_that_divide() -> None:
    op = named_op("chunk", chunks=2, dim=2)
    assert op.infer(Tensor((2, 3, 2 * H))) == (Tensor((2, 3, H)),) * 2


def test_parts_of_a_map_are_not_placed() -> None:
    x = Tensor((2, 4, 6, 6))
    assert named_op("chunk", chunks=2).window(x) is Reach.POINT
    assert named_op("chunk", chunks=2, dim=-1).window(x) is Reach.UNPLACED
    assert named_op("chunk", chunks=2, dim=1).per_sample(x)
    assert not named_op("chunk", chunks=2, dim=0).per_sample(x)


GATED = """
netspec: 1
name: gated
params: {width: 4}
inputs: {x: [N, 6]}
network:
  - {linear: 2*width}
  - {chunk: 2, name: halves}
  - {sigmoid, from: halves.output_1, name: gate}
  - {multiply, from: [halves, gate], name: y}
  - {split: {split_size_or_sections: [width - 1, 1]}, name: parts}
outputs: {most: parts, last: parts.output_1}
"""


def test_parts_have_names() -> None:
    net = netspec.loads(GATED)
    assert [value for value, _ in net.graph["halves"].values()] == ["halves", "halves:output_1"]
    assert "halves, halves_1 = self.linear(x).chunk(2, dim=1)" in net.to_source()
    module, x = net.compile(), torch.randn(3, 6)
    whole = torch.nn.functional.glu(module.linear(x), dim=1)
    for y, right in zip(module(x), whole.split([3, 1], dim=1), strict=True):
        torch.testing.assert_close(y, right)
    assert_same(net.graph, round_trip(net.graph))


def refusals(text: str) -> list[tuple[str, str]]:
    with pytest.raises(netspec.NetspecError) as caught:
        netspec.loads(text)
    return [(each.code, each.message) for each in caught.value.diagnostics]


def test_a_number_of_parts_that_is_not_written_is_one_error() -> None:
    said = "how many outputs `chunk` has is not known until expressions have values"
    assert refusals(GATED.replace("chunk: 2", "chunk: width // 2")) == [("NS206", said)]


def test_a_part_that_is_not_there() -> None:
    ((code, message),) = refusals(GATED.replace("halves.output_1", "halves.output_2"))
    assert (code, message) == ("NS209", "no value `halves.output_2` is in reach here")


def test_more_parts_than_are_taken_are_one_error() -> None:
    ((code, message),) = refusals(GATED.replace("chunk: 2", "chunk: 1000000000"))
    assert (code, "takes an integer from 2 to 64, not 1000000000" in message) == ("NS206", True)
