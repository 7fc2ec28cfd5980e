"""Receptive fields where axes are reduced: those that are left keep theirs, held against gradients."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import netspec
from netspec.analysis.field_propagation import propagate_fields
from netspec.dims import symbol
from netspec.report import plain
from tests.analysis.fields_by_gradient import Step, built, extents, field_of, hold

SHAPE = (1, 2, 8, 9)
CONV: Step = ("conv2d", {"out_channels": 2, "kernel_size": 3, "stride": 2, "padding": 1})
DIMS: list[Any] = [1, 2, 3, -1, [1, 2], [3, 1], [2, 3], [1, 2, 3]]


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS, ids=str)
@pytest.mark.parametrize("name", ["mean", "sum"])
def test_axes_that_are_left_keep_their_fields(name: str, dim: Any, keepdim: bool) -> None:
    steps = [CONV, (name, {"dim": dim, "keepdim": keepdim})]
    for more in ([], [("relu", {})], *([[CONV]] if keepdim else [])):
        graph = built([*steps, *more], SHAPE)
        field = field_of(graph)
        assert not field.note
        out, seen = extents(graph, SHAPE)
        for unit in itertools.product(*map(range, out)):
            spots = seen[unit].nonzero()
            for n, axis in enumerate(field.value_axes):
                size, stride, start = field.size[n], field.stride[n], field.start[n]
                assert isinstance(size, int)
                assert stride is not None
                assert start is not None
                # An axis that is gone is seen whole: no index tells a part of it.
                first = int(stride * unit[axis] + start) if stride else int(start)
                window = set(range(max(0, first), min(SHAPE[2 + n], first + size)))
                assert set(spots[:, n].tolist()) <= window
                assert stride != 0 or size == SHAPE[2 + n]


def test_a_mean_of_rows_sees_rows_of_a_map_with_channels_last() -> None:
    steps: list[Step] = [CONV, ("permute", {"dims": [0, 2, 3, 1]}), ("mean", {"dim": [2, 3]})]
    field = field_of(built(steps, SHAPE))
    assert plain(field.public()) == {"size": [3, 9], "stride": [2, 0], "start": [-1, 0]}


@pytest.mark.parametrize("keepdim", [False, True])
def test_rows_of_an_upsampled_map_stay_uneven(keepdim: bool) -> None:
    up: Step = ("interpolate", {"scale_factor": 2})
    graph = built([CONV, up, ("mean", {"dim": 3, "keepdim": keepdim})], SHAPE)
    field = field_of(graph)
    assert (field.size, field.stride) == ((3, 9), (1, 0))
    out, seen = extents(graph, SHAPE)
    for unit in itertools.product(*map(range, out)):
        rows = set(seen[unit].nonzero()[:, 0].tolist())
        span = field.spans[0].of(unit[2])
        assert span is not None
        assert rows == set(range(max(0, span[0]), span[1] + 1))


def test_what_is_left_of_an_open_map_is_exact() -> None:
    """The size of an axis that is read whole is not known, and that of the other is."""
    for keepdim in ("false", "true"):
        net = netspec.loads(
            "netspec: 1\nname: net\ninputs: {image: [N, 2, H, W]}\nnetwork:\n"
            "  - conv2d: {out_channels: 2, kernel_size: 3, padding: 1}\n"
            f"  - {{mean: {{dim: 3, keepdim: {keepdim}}}, name: rows}}\n"
        )
        field = propagate_fields(net.graph)["rows"]["image"]
        assert (field.size, field.stride, field.start) == ((3, symbol("W")), (1, 0), (-1, 0))


def test_a_map_less_its_mean_sees_all_of_it() -> None:
    body = "[{relu, name: a}, {mean: {dim: [2, 3], keepdim: true}, name: m}, {subtract, from: [a, m], name: y}]"
    net = netspec.loads(f"netspec: 1\nname: net\ninputs: {{image: [N, 2, 8, 9]}}\nnetwork: {body}\n")
    field = propagate_fields(net.graph)["y"]["image"]
    assert plain(field.public()) == {"size": [8, 9], "stride": [0, 0], "start": [0, 0]}


def test_a_window_over_kept_axes_goes_on_along_the_others() -> None:
    graph = built([CONV, ("amax", {"dim": 3, "keepdim": True}), ("max_pool2d", {"kernel_size": [2, 1]})], SHAPE)
    field = field_of(graph)
    assert plain(field.public()) == {"size": [5, 9], "stride": [4, 0], "start": [-1, 0]}
    averages = built([CONV, ("mean", {"dim": 3, "keepdim": True}), ("avg_pool2d", {"kernel_size": [2, 1]})], SHAPE)
    hold(field_of(averages), SHAPE, *extents(averages, SHAPE))


def test_an_open_axis_that_is_seen_whole_stays_so() -> None:
    """Behind windows, and where branches join."""
    net = netspec.loads("""
netspec: 1
name: net
inputs: {image: [N, 2, H, W]}
network:
  - {softmax: -1, name: s}
  - {conv2d: {out_channels: 2, kernel_size: 3, padding: 1}, name: a}
  - {conv2d: {out_channels: 2, kernel_size: 5, padding: 2}, from: s, name: b}
  - {add, from: [a, b], name: c}
  - {avg_pool2d: 2, name: d}
""")
    fields = propagate_fields(net.graph)
    seen = [fields[name]["image"] for name in ("a", "c", "d")]
    assert [field.size for field in seen] == [(rows, symbol("W")) for rows in (3, 5, 6)]
    assert [field.stride for field in seen] == [(1, 0), (1, 0), (2, 0)]
    assert [field.start for field in seen] == [(-1, 0), (-2, 0), (-2, 0)]
    assert "5 x W" in str(net.receptive_fields())
