"""Instance norms and root mean square norms, where PyTorch has a meaning of its own."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec import Builder, loads
from netspec.ops.base import RuleError
from netspec.types import Reach, Tensor, Window
from tests.support.contract import named_op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch import nn

    from tests.ops.onnx_models import graph_of, model_for, runtime
    from tests.support.printed import made as module


@pytest.mark.parametrize(("dtype", "eps"), [("float32", 2**-23), ("float64", 2**-52)])
def test_rms_norm_without_eps_has_that_of_its_floats(dtype: str, eps: float, tmp_path: Path) -> None:
    """Of numbers so small that nothing but eps is under the root."""
    op, type = named_op("rms_norm", elementwise_affine=False), Tensor((1, 4), dtype)
    x = torch.full((1, 4), 1e-20, dtype=getattr(torch, dtype))
    torch.testing.assert_close(module(op.torch(type))(x), x / eps**0.5)
    (y,) = runtime(model_for(graph_of(op, (type,)), {}, tmp_path, 21))([x])
    torch.testing.assert_close(torch.from_numpy(y), x / eps**0.5)


@pytest.mark.parametrize(
    ("shape", "attributes", "code", "at"),
    [
        ((2, 3), {}, "NS302", ""),
        ((2, 3, 1), {}, "NS303", ""),
        ((2, 3, 1, 1), {"affine": True}, "NS303", ""),
        ((2, 3, 2, 2, 2, 2), {}, "NS302", ""),
    ],
)
def test_maps_that_an_instance_norm_refuses(shape: Any, attributes: Any, code: str, at: str) -> None:
    with pytest.raises(RuleError) as raised:
        named_op("instance_norm", **attributes).infer(Tensor(shape))
    assert (raised.value.code, raised.value.at) == (code, at)
    if 3 <= len(shape) <= 5:
        with pytest.raises(ValueError, match="more than 1 spatial element"):
            getattr(nn, f"InstanceNorm{len(shape) - 2}d")(3)(torch.rand(shape))


def test_running_statistics_make_an_instance_norm_local() -> None:
    x = Tensor((2, 3, 1, 1))
    tracked = named_op("instance_norm", track_running_stats=True)
    assert tracked.infer(x) == x
    assert (tracked.window(x), tracked.mixed(x)) == (Reach.POINT, ())
    each = named_op("instance_norm")
    assert (each.window(x), each.mixed(x)) == (Reach.ALL, (2, 3))


def test_an_axis_that_rms_norm_mixes_is_seen_whole() -> None:
    assert named_op("rms_norm").window(Tensor((2, 3, 4, 5))) == Window((1, 5), (1, 0), (0, 0))


def test_response_norm_within_each_map_is_caffes() -> None:
    """x / (k + alpha * m) ** beta, where m is the mean of the squares in a window, of which zeros lie outside."""
    op, x = (
        named_op("local_response_norm", size=3, alpha=0.7, k=2, norm_region="within_channel"),
        torch.rand(2, 3, 4, 5),
    )
    y = module(op.torch(Tensor((2, 3, 4, 5))))(x)
    for sample, channel, row, column in itertools.product(range(2), range(3), range(4), range(5)):
        window = x[sample, channel, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        scale = (2 + 0.7 * float((window**2).sum()) / 9) ** 0.75
        assert float(y[sample, channel, row, column]) == pytest.approx(float(x[sample, channel, row, column]) / scale)


def test_response_norms_within_each_map_that_are_refused() -> None:
    for shape, attributes, error in [
        ((2, 3, 4, 4), {"size": 4}, ("NS304", "size")),
        ((2, 3, 4), {"size": 3}, ("NS302", "")),
    ]:
        with pytest.raises(RuleError) as raised:
            named_op("local_response_norm", norm_region="within_channel", **attributes).infer(Tensor(shape))
        assert (raised.value.code, raised.value.at) == error


def test_both_regions_of_a_response_norm_in_one_block() -> None:
    """The class of a layer follows the region, and its numbers are arguments of the block."""
    net = loads(
        """
netspec: 1
name: normed
inputs: {x: [N, 4, 8, 8]}
blocks:
  unit:
    params: {size: int}
    body:
      - {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}}
      - {local_response_norm: {size: size, norm_region: within_channel}, name: norm}
network:
  - unit: 3
  - unit: 5
  - local_response_norm: 5
"""
    )
    source = net.to_source()
    assert source.count("class LocalResponseNormWithinChannel(nn.Module):") == 1
    assert "self.norm = LocalResponseNormWithinChannel(size)" in source
    assert "self.local_response_norm = nn.LocalResponseNorm(5)" in source
    net.compile()


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_borrowed_weights_of_instance_norms(tracked: bool, affine: bool) -> None:
    """A second norm with the first one's weights and another eps is written with its weights."""
    builder = Builder("two")
    x = builder.input("x", (2, 3, 4, 5))
    attributes = {"affine": affine, "track_running_stats": tracked}
    x = builder.add("instance_norm", x, name="first", **attributes)
    op = named_op("instance_norm", eps=0.5, **attributes)
    builder.output("y", builder.node("second", op, (x,), weights_of="first" if affine or tracked else None))
    net = netspec.compile(builder.build()).eval()
    x = torch.rand(2, 3, 4, 5)
    first = nn.InstanceNorm2d(3, **attributes).eval()
    second = nn.InstanceNorm2d(3, eps=0.5, **attributes).eval()
    for each in (first, second):
        each.load_state_dict({k.removeprefix("first."): v for k, v in net.state_dict().items()})
    torch.testing.assert_close(net(x), second(first(x)))
