"""Ops on maps whose sizes are open: at every size their ONNX nodes compute what torch does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from netspec.dims import symbol
from netspec.types import Tensor
from tests.support.contract import inferred, named_op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch.nn.functional import interpolate

    from tests.ops.onnx_models import by_torch, check, graph_of, model_for, runtime, same

SIDES = range(1, 65)
NEAREST = ["nearest", "nearest-exact"]
N, H, W, P, Q = map(symbol, "NHWPQ")
OPEN = Tensor((N, 1, H, W))
LIKE = Tensor((N, 1, P, Q))
Run = Callable[[list[Any]], list[Any]]


def run_of(op: Any, xs: tuple[Tensor, ...], folder: Path) -> Run:
    """ONNX Runtime on the model of an op, exported once for all sizes, and checked."""
    graph = graph_of(op, xs)
    model = model_for(graph, {}, folder, 21)
    check(model, graph)
    return runtime(model)


def numbered(height: int, width: int, dtype: torch.dtype | None = None) -> torch.Tensor:
    """A map whose elements tell their place."""
    return (torch.arange(height)[:, None] * 100 + torch.arange(width)).to(dtype or torch.float32)[None, None]


def pairs() -> Iterator[tuple[int, int]]:
    """Every size up to 64 with every other, and larger ones."""
    yield from ((before, after) for before in SIDES for after in SIDES)
    rng = Random(0)
    yield from ((rng.randint(1, 3000), rng.randint(1, 3000)) for _ in range(300))
    # Where torch's float32 of one over a size is less than that.
    yield from ((size, size * times) for times in (41, 47, 49, 55, 61, 83, 97, 98) for size in (1, 2, 3, 7, 64))


@pytest.mark.parametrize("mode", NEAREST)
def test_nearest_to_the_size_of_another_input(mode: str, tmp_path: Path) -> None:
    run = run_of(named_op("interpolate", mode=mode), (OPEN, LIKE), tmp_path)
    for before, after in pairs():
        x = numbered(before, 3)
        found = run([x, torch.zeros(1, 1, after, 4)])[0]
        np.testing.assert_array_equal(found, interpolate(x, (after, 4), mode=mode).numpy(), f"{before} to {after}")


@pytest.mark.parametrize("mode", NEAREST)
@pytest.mark.parametrize("after", [1, 2, 7, 41, 49, 64])
def test_nearest_to_a_size(mode: str, after: int, tmp_path: Path) -> None:
    x = Tensor((N, 1, W, 4))
    run = run_of(named_op("interpolate", mode=mode, size=[after, 4]), (x,), tmp_path)
    for before in SIDES:
        map = numbered(before, 4)
        found = run([map])[0]
        np.testing.assert_array_equal(found, interpolate(map, (after, 4), mode=mode).numpy(), f"{before} to {after}")


@pytest.mark.parametrize("mode", NEAREST)
@pytest.mark.parametrize("factor", [*range(1, 65), 0.5, 0.25, 0.125, [3, 0.5], [49, 1], [1, 41], [61, 2]])
def test_nearest_by_a_factor(mode: str, factor: Any, tmp_path: Path) -> None:
    """With open sizes and with these fixed: torch's float32 of 1/41 is less than that, and row 41 then row 0."""
    op = named_op("interpolate", mode=mode, scale_factor=factor)
    run = run_of(op, (OPEN,), tmp_path)
    for height, width in [(8, 9), (13, 16), (31, 8), (63, 10)]:
        x = numbered(height, width)
        right = by_torch(op, (Tensor((1, 1, height, width)),))(x)
        same(run([x]), right)
    fixed = Tensor((1, 1, 13, 9))
    x = numbered(13, 9)
    same(run_of(op, (fixed,), tmp_path)([x]), by_torch(op, (fixed,))(x))


@pytest.mark.parametrize("mode", NEAREST)
def test_nearest_from_a_size_to_a_size(mode: str, tmp_path: Path) -> None:
    for before, after in list(pairs())[::37]:
        op, x = named_op("interpolate", mode=mode, size=[after, 5]), Tensor((1, 1, before, 7))
        map = numbered(before, 7)
        found = run_of(op, (x,), tmp_path)([map])[0]
        np.testing.assert_array_equal(found, interpolate(map, (after, 5), mode=mode).numpy(), f"{before} to {after}")


@pytest.mark.parametrize("mode", NEAREST)
def test_nearest_in_half_precision(mode: str, tmp_path: Path) -> None:
    """Places are reckoned in float32 whatever the map is: float16 has no 2,049."""
    run = run_of(named_op("interpolate", mode=mode), tuple(Tensor(x.shape, "float16") for x in (OPEN, LIKE)), tmp_path)
    for before, after in [(26, 64), (64, 26), (4099, 3001), (3, 123)]:
        x = (torch.arange(before) % 2000).to(torch.float16)[None, None, :, None].expand(1, 1, before, 2).contiguous()
        like = torch.zeros(1, 1, after, 2, dtype=torch.float16)
        np.testing.assert_array_equal(run([x, like])[0], interpolate(x, (after, 2), mode=mode).numpy())


# The other ops, on one model for all sizes each.

SMOOTH = [("bilinear", None), ("bilinear", True), ("bicubic", None), ("bicubic", True)]


@pytest.mark.parametrize(("mode", "corners"), SMOOTH)
def test_smooth_modes_to_the_size_of_another_input(mode: str, corners: bool | None, tmp_path: Path) -> None:
    run = run_of(named_op("interpolate", mode=mode, align_corners=corners), (OPEN, LIKE), tmp_path)
    for before, after in [*pairs()][::3]:
        x = torch.rand(1, 1, before, 3)
        right = interpolate(x, (after, 4), mode=mode, align_corners=corners).numpy()
        # Distances between elements are float32, and add up to those of the whole map.
        np.testing.assert_allclose(run([x, torch.zeros(1, 1, after, 4)])[0], right, atol=2e-7 * max(before, 64))


EVERY: list[tuple[str, dict[str, Any]]] = [
    *[("interpolate", {"mode": mode, "size": [7, 3]}) for mode in ("bilinear", "bicubic")],
    *[("interpolate", {"mode": mode, "scale_factor": 0.5}) for mode in ("bilinear", "bicubic")],
    *[("interpolate", {"mode": "area", "scale_factor": factor}) for factor in (3, 41, [49, 2])],
    *[
        (pool, {"kernel_size": 3, "stride": stride, "padding": padding, "ceil_mode": ceil})
        for pool in ("max_pool2d", "avg_pool2d")
        for stride in (1, 2, 3, 4)
        for padding in (0, 1)
        for ceil in (False, True)
    ],
    ("avg_pool2d", {"kernel_size": [3, 2], "stride": 4, "padding": 1, "ceil_mode": True, "count_include_pad": False}),
    ("avg_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "divisor_override": 5}),
    ("max_pool2d", {"kernel_size": 2, "stride": 3, "dilation": 2, "padding": 1, "ceil_mode": True}),
    ("adaptive_avg_pool2d", {"output_size": 1}),
    ("adaptive_max_pool2d", {"output_size": [None, 1]}),
    ("conv2d", {"out_channels": 2, "kernel_size": 5, "padding": "same"}),
    ("conv2d", {"out_channels": 2, "kernel_size": 3, "padding": 2, "padding_mode": "circular"}),
    ("conv2d", {"out_channels": 2, "kernel_size": 3, "padding": 2, "padding_mode": "reflect"}),
    ("conv_transpose2d", {"out_channels": 2, "kernel_size": 3, "stride": 3, "dilation": 4, "output_padding": 3}),
    ("local_response_norm", {"size": 5}),
    ("group_norm", {"num_groups": 1}),
    ("flatten", {"start_dim": 2}),
    ("pad", {"padding": [1, 2, 0, 1], "value": 2.0}),
    ("narrow", {"dim": -1, "start": 1, "length": 3}),
    ("select", {"dim": 2, "index": -1}),
    ("softmax", {"dim": -1}),
]


@pytest.mark.parametrize(("name", "attributes"), EVERY, ids=lambda value: value if isinstance(value, str) else "")
def test_an_op_at_every_size(name: str, attributes: dict[str, Any], tmp_path: Path) -> None:
    op = named_op(name, **attributes)
    there = by_torch(op, (Tensor((1, 1, 12, 12)),))
    graph = graph_of(op, (OPEN,))
    model = model_for(graph, there.weights, tmp_path, 21)
    check(model, graph)
    run = runtime(model)
    for height in SIDES:
        width = 4 + height * 7 % 23
        x = torch.randn(2, 1, height, width)
        if not isinstance(inferred(op, (Tensor((2, 1, height, width)),)), Exception):
            same(run([x]), there(x))


def test_the_middle_of_a_map_at_every_size(tmp_path: Path) -> None:
    op = named_op("center_crop")
    run = run_of(op, (OPEN, LIKE), tmp_path)
    there = by_torch(op, (OPEN, LIKE))
    for whole in SIDES:
        for part in range(1, whole + 1):
            xs = [torch.randn(1, 1, whole, 70 - part), torch.zeros(1, 1, part, 5)]
            same(run(xs), there(*xs))
