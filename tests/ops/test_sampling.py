"""Positions that a network computes, and a map sampled there."""

from __future__ import annotations

import pytest

import netspec
from netspec.ops.base import RuleError
from netspec.types import Tensor
from tests.support.contract import named_op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

STN = """
netspec: 1
name: stn
inputs: {image: [N, 1, 12, 10]}
network:
  - flatten
  - linear: 6
    name: theta
    init: {weight: 0, bias: [1, 0, 0, 0, 1, 0]}
  - {unflatten: {dim: 1, unflattened_size: [2, 3]}, name: affine}
  - {affine_grid: {size: [12, 10], align_corners: true}, name: grid}
  - {grid_sample: {align_corners: true}, from: [image, grid], name: sampled}
"""


def test_the_identity_samples_the_image_itself() -> None:
    net = netspec.loads(STN)
    source = net.to_source()
    assert "nn.functional.affine_grid(x, (x.shape[0], 1, 12, 10), align_corners=True)" in source
    assert "nn.functional.grid_sample(image, x, align_corners=True)" in source
    image = torch.randn(3, 1, 12, 10)
    torch.testing.assert_close(net.compile()(image), image)


def test_where_is_not_known_before_it_runs() -> None:
    """Through the grid a unit sees the whole image; that image is sampled at one place, which the data tell."""
    seen = netspec.loads(STN).summary().layers
    assert seen[-1].receptive_field is not None
    assert seen[-1].receptive_field.size == (12, 10)
    alone = netspec.loads(
        "netspec: 1\nname: x\ninputs: {image: [N, 1, 8, 8], grid: [N, 4, 4, 2]}\n"
        "network: [{grid_sample, from: [image, grid]}]\n"
    )
    field = alone.summary().layers[-1].receptive_field["image"]
    assert field.note == "data-dependent"


IMAGE = Tensor((2, 3, 4, 4))


@pytest.mark.parametrize(
    ("name", "xs", "code", "message"),
    [
        ("affine_grid", [Tensor((2, 6))], "NS302", "`affine_grid` takes theta (N, 2, 3), and its input is 2 x 6"),
        (
            "grid_sample",
            [IMAGE, Tensor((2, 4, 4, 3))],
            "NS302",
            "the grid of `grid_sample` is (N, H, W, 2)",
        ),
        ("grid_sample", [IMAGE, Tensor((1, 4, 4, 2))], "NS301", "map and grid need one batch"),
        ("grid_sample", [Tensor((2, 3, 4)), Tensor((2, 4, 4, 2))], "NS302", "takes (N, C, H, W)"),
        ("grid_sample", [IMAGE, Tensor((2, 4, 4, 2), "float64")], "NS302", "need one dtype"),
    ],
)
def test_misuse(name: str, xs: list[Tensor], code: str, message: str) -> None:
    op = named_op(name, **({"size": 4} if name == "affine_grid" else {}))
    with pytest.raises(RuleError) as raised:
        op.infer(*xs)
    assert raised.value.code == code
    assert message in raised.value.message
    assert raised.value.help or "dtype" in message or "batch" in message or "C, H" in message
