"""Maxout: the definition of Goodfellow et al. 2013, its gradient, and its misuse."""

from __future__ import annotations

import pytest

import netspec
from netspec.ops.base import RuleError
from netspec.types import Tensor
from tests.support.contract import named_op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

    from tests.support.printed import made

pytestmark = pytest.mark.usefixtures("one_thread")

SPEC = """
netspec: 1
name: unit
inputs: {x: [N, 5]}
blocks:
  layer:
    params: {units: int, pieces: int}
    body: [{linear: units * pieces}, {maxout: pieces}]
network: [{layer: {units: 4, pieces: 3}}, {layer: {units: 2, pieces: 5}}]
"""


def test_a_unit_is_the_largest_of_its_linear_pieces() -> None:
    """h_i = max over j of x^T W_ij + b_ij (section 3), with the pieces of unit i side by side."""
    net = netspec.loads(SPEC)
    module, x = net.compile(), torch.randn(7, 5)
    first = module.layer
    weight = first.linear.weight.reshape(4, 3, 5)
    expected = (torch.einsum("nf,ijf->nij", x, weight) + first.linear.bias.reshape(4, 3)).max(2).values
    torch.testing.assert_close(first(x), expected)


def test_maps_keep_their_positions() -> None:
    x = torch.randn(2, 6, 3, 5)
    y = made(named_op("maxout", pieces=2).torch(Tensor(tuple(x.shape))))(x)
    for unit in range(3):
        assert torch.equal(y[:, unit], torch.maximum(x[:, 2 * unit], x[:, 2 * unit + 1]))


def test_its_gradient_goes_to_the_largest() -> None:
    x = torch.randn(3, 8, dtype=torch.float64, requires_grad=True)
    maxout = made(named_op("maxout", pieces=4).torch(Tensor((3, 8))))
    assert torch.autograd.gradcheck(maxout, x)


def test_classes_take_the_pieces_from_the_block() -> None:
    source = netspec.loads(SPEC).to_source()
    assert source.count("class Layer(nn.Module):") == source.count("class Maxout(nn.Module):") == 1
    assert "Maxout(pieces)" in source


@pytest.mark.parametrize(
    ("shape", "pieces", "code", "message", "help"),
    [
        ((2, 10), 3, "NS304", "3 pieces do not divide 10 channels", "a layer with 9 outputs before it would do"),
        ((2, 2, 4, 4), 3, "NS304", "3 pieces do not divide 2 channels", "a layer with 3 outputs before it would do"),
        ((2,), 2, "NS302", "`maxout` takes (N, C, ...), 2 axes or more, and its input is 2", ""),
    ],
)
def test_misuse(shape: tuple[int, ...], pieces: int, code: str, message: str, help: str) -> None:
    with pytest.raises(RuleError) as error:
        named_op("maxout", pieces=pieces).infer(Tensor(shape))
    assert (error.value.code, error.value.message, error.value.help) == (code, message, help)


def test_integers_and_open_channels_are_refused() -> None:
    op = named_op("maxout", pieces=2)
    with pytest.raises(RuleError, match="`maxout` takes floats, and its input is int64"):
        op.infer(Tensor((2, 4), "int64"))
    with pytest.raises(RuleError, match="the number of channels of `maxout` must be known, and is C"):
        op.infer(Tensor((2, netspec.dims.symbol("C"))))
