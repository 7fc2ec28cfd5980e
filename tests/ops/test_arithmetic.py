"""Differences, quotients and constant factors: what they refuse, their order, and their numbers in a network."""

from __future__ import annotations

import pytest

import netspec
from netspec import NetspecError
from netspec.ops.base import RuleError
from netspec.types import Tensor
from tests.support.contract import named_op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

HEAD = "netspec: 1\nname: net\ninputs: {a: [N, 3, 4, 4], b: [N, 3, 4, 4]}\n"


@pytest.mark.parametrize("name", ["subtract", "divide"])
def test_the_order_of_inputs_is_part_of_a_network(name: str) -> None:
    one, other = [netspec.loads(f"{HEAD}network: [{{{name}, from: [{pair}]}}]\n") for pair in ("a, b", "b, a")]
    assert one.graph.hash != other.graph.hash
    a, b = torch.rand(2, 3, 4, 4) + 1, torch.rand(2, 3, 4, 4) + 1
    torch.testing.assert_close(one.compile()(a, b), other.compile()(b, a))
    assert not torch.allclose(one.compile()(a, b), other.compile()(a, b))


@pytest.mark.parametrize("name", ["subtract", "divide"])
@pytest.mark.parametrize("values", ["a", "a, b, a"])
def test_there_are_two_inputs(name: str, values: str) -> None:
    with pytest.raises(NetspecError) as raised:
        netspec.loads(f"{HEAD}network: [{{{name}, from: [{values}]}}]\n")
    assert f"`{name}`" in raised.value.diagnostics[0].message


@pytest.mark.parametrize(
    ("name", "dtype"), [("subtract", "bool"), ("divide", "int64"), ("divide", "bool"), ("scale", "int64")]
)
def test_dtypes_that_are_refused(name: str, dtype: str) -> None:
    op = named_op(name, factor=2) if name == "scale" else named_op(name)
    xs = (Tensor((2, 3), dtype),) * op.inputs[0]
    with pytest.raises(RuleError, match=f"`{name}` takes") as raised:
        op.infer(*xs)
    assert raised.value.code == "NS302"


def test_integers_are_subtracted_as_torch_does() -> None:
    x = Tensor((2, 3), "int64")
    assert named_op("subtract").infer(x, x) == x
    with pytest.raises(RuleError, match="inputs of one dtype"):
        named_op("subtract").infer(x, Tensor((2, 3)))


def test_a_block_whose_factor_differs_is_two_classes() -> None:
    """A factor is a number in the source, which a class has once."""
    blocks = "blocks: {halve: {params: {by: float}, body: [scale: by, relu]}}\n"
    net = netspec.loads(f"{HEAD}{blocks}network: [{{halve: 0.5, from: a}}, halve: 2]\n")
    a = torch.rand(2, 3, 4, 4)
    assert torch.equal(net.compile()(a, a), a)


def test_a_map_is_normalised_by_its_own_statistics() -> None:
    net = netspec.loads(
        HEAD + "network: [{subtract, from: [a, b], name: centred}, {divide, from: [centred, b]}, scale: 0.25]\n"
    )
    a, b = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4) + 1
    torch.testing.assert_close(net.compile()(a, b), (a - b) / b / 4)
