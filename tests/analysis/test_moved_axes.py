"""Receptive fields where axes change places, and at borders whose padding repeats the map: held against gradients."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

import pytest

from netspec.analysis.field import BORDER, LOST
from netspec.report import plain
from tests.analysis.fields_by_gradient import Step, built, extents, field_of, hold
from tests.support.contract import Case, each_case, random, written
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")

CONV: Step = ("conv2d", {"out_channels": 4, "kernel_size": 3, "padding": 1})
SHUFFLE: list[Step] = [
    ("unflatten", {"dim": 1, "unflattened_size": [2, 2]}),
    ("transpose", {"dim0": 1, "dim1": 2}),
    ("flatten", {"start_dim": 1, "end_dim": 2}),
]
LAST: Step = ("permute", {"dims": [0, 2, 3, 1]})
FIRST: Step = ("permute", {"dims": [0, 3, 1, 2]})
INSIDE: list[Step] = [
    ("layer_norm", {}),
    ("linear", {"out_features": 4}),
    ("softplus", {}),
    ("softmax", {"dim": -1}),
    ("dropout", {}),
    ("identity", {}),
]


def test_a_channel_shuffle_and_channels_last_change_nothing() -> None:
    for between in (SHUFFLE, [LAST, INSIDE[0], FIRST], [LAST, INSIDE[1], INSIDE[2], FIRST]):
        field = field_of(built([CONV, *between, CONV], (1, 4, 9, 9)))
        assert plain(field.public()) == {"size": [5, 5], "stride": [1, 1], "start": [-2, -2]}


MAPS: list[list[Step]] = [
    [CONV],
    [("conv2d", {"out_channels": 4, "kernel_size": [2, 3], "stride": [2, 1]})],
    [("avg_pool2d", {"kernel_size": 2, "stride": 1})],
    [("batch_norm", {})],
    SHUFFLE,
    [("narrow", {"dim": 1, "start": 0, "length": 4})],
    *[[LAST, step, FIRST] for step in INSIDE],
    [LAST, INSIDE[1], INSIDE[0], FIRST],
]
ENDS: list[list[Step]] = [
    [],
    [LAST],
    [LAST, INSIDE[1]],
    [("transpose", {"dim0": 2, "dim1": 3})],
    [("permute", {"dims": [3, 0, 1, 2]})],
    [("select", {"dim": 1, "index": 2})],
    SHUFFLE[:1],
    SHUFFLE[:2],
    [LAST, ("unflatten", {"dim": 3, "unflattened_size": [2, 2]}), ("softmax", {"dim": -1})],
]


@pytest.mark.parametrize("seed", range(40))
def test_random_chains(seed: int) -> None:
    rng = Random(seed)
    shape = (1, 4, rng.choice([6, 7]), 5)
    steps = [step for _ in range(rng.choice([1, 2, 3])) for step in rng.choice(MAPS)] + rng.choice(ENDS)
    graph = built(steps, shape)
    field = field_of(graph)
    assert not field.note
    assert LOST not in field.axes
    hold(field, shape, *extents(graph, shape))


def test_an_axis_that_a_layer_mixes_is_seen_whole() -> None:
    """Channels last, a softmax over the rows sees its column; over both axes a norm sees all."""
    shape = (1, 4, 6, 5)
    graph = built([LAST, ("softmax", {"dim": 1})], shape)
    assert plain(field_of(graph).public()) == {"size": [6, 1], "stride": [0, 1], "start": [0, 0]}
    hold(field_of(graph), shape, *extents(graph, shape))
    graph = built([CONV, LAST, ("layer_norm", {"normalized_shape": [6, 5, 4]})], shape)
    assert plain(field_of(graph).public()) == {"size": [6, 5], "stride": [0, 0], "start": [0, 0]}


TOKENS: list[Step] = [LAST, ("flatten", {"start_dim": 1, "end_dim": 2})]


@pytest.mark.parametrize("more", [[], [INSIDE[0]], [INSIDE[1], INSIDE[2]]])
def test_tokens_are_not_placed(more: list[Step]) -> None:
    """The number of a token tells no row and column; a layer over features leaves it what it saw."""
    field = field_of(built([CONV, *TOKENS, *more], (1, 4, 6, 5)))
    note = "unplaced: the unit's index does not tell where"
    assert plain(field.public()) == {"size": [3, 3], "stride": [None, None], "start": [None, None], "note": note}


def test_attention_over_tokens_sees_everything() -> None:
    field = field_of(built([CONV, *TOKENS, ("multihead_attention", {"num_heads": 2})], (1, 4, 6, 5)))
    assert plain(field.public()) == {"size": [6, 5], "stride": [0, 0], "start": [0, 0]}


def test_what_does_not_come_back_is_not_placed() -> None:
    rows_first: Step = ("transpose", {"dim0": 1, "dim1": 2})
    field = field_of(built([CONV, rows_first, CONV], (1, 4, 6, 5)))
    assert field.note.startswith("unplaced")
    assert field.size == (None, None)
    assert field_of(built([CONV, rows_first, rows_first, CONV], (1, 4, 6, 5))).size == (5, 5)


# Borders.


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("padding", [0, 1, 2, 3, "same"])
def test_borders_say_where_units_see_more(mode: str, kernel: int, padding: Any) -> None:
    """Where the field says nothing of its border, no unit sees beyond its window; where it does, one does."""
    conv = {"out_channels": 1, "kernel_size": kernel, "padding": padding, "padding_mode": mode}
    shape = (1, 1, 7, 6)
    graph = built([("conv2d", conv)], shape)
    field = field_of(graph)
    out, seen = extents(graph, shape)
    outside = False
    for unit in itertools.product(*map(range, out)):
        for entry in (0, 1):
            first = unit[2 + entry] + field.start[entry]  # pyright: ignore[reportOperatorIssue]
            spots = set(seen[unit].nonzero()[:, entry].tolist())
            outside = outside or not spots <= set(range(first, first + kernel))
    assert outside == field.border
    assert plain(field.public()).get("note") == (BORDER if outside else None)


def test_a_border_stays_one_behind_other_layers() -> None:
    wrapped: Step = ("conv2d", {"out_channels": 4, "kernel_size": 3, "padding": 1, "padding_mode": "circular"})
    for steps in ([wrapped, CONV], [CONV, wrapped], [wrapped, LAST, INSIDE[0], FIRST, CONV]):
        field = field_of(built(steps, (1, 4, 9, 9)))
        assert (field.border, field.size, field.start) == (True, (5, 5), (-2, -2))
    assert not field_of(built([wrapped, ("adaptive_avg_pool2d", {"output_size": 1})], (1, 4, 9, 9))).border


@each_case
def test_axes_are_what_an_op_says(case: Case) -> None:
    """A change at one place of an axis is seen at that place of the output's, and everywhere where it is mixed."""
    axes, mixed = case.op.axes(*case.inputs), case.op.mixed(*case.inputs)
    if axes is None or case.op.reads == 0:
        return
    torch.manual_seed(0)
    function = written(case.op, case.inputs, dtype=torch.float64)
    values = random(case.inputs, dtype=torch.float64)
    before = function(*values)[0]
    assert len(axes) == before.dim()
    for place, source in enumerate(axes):
        for axis in source if isinstance(source, tuple) else () if source is None else (source,):
            one_by_one = not isinstance(source, tuple) or all(values[0].shape[a] == 1 for a in source if a != axis)
            if not one_by_one and axis not in mixed:
                continue
            if values[0].shape[axis] == 1 != before.shape[place]:
                continue  # a gate, which is there for all places
            for index in range(values[0].shape[axis]):
                changed = [values[0].clone(), *values[1:]]
                part = changed[0].select(axis, index)
                other = part + 3 * torch.rand(1, dtype=torch.float64) if part.is_floating_point() else part % 3 + 1
                part.copy_(other)
                different = (function(*changed)[0] != before).movedim(place, 0)
                different = [n for n, part in enumerate(different) if part.any()]
                assert axis in mixed or different in ([index], []), (axes, axis, index)


HALVES: list[Step] = [("unflatten", {"dim": 2, "unflattened_size": [2, 3]})]
TURNED: Step = ("transpose", {"dim0": 2, "dim1": 3})
LINE: Step = ("conv2d", {"out_channels": 4, "kernel_size": [1, 3], "stride": [2, 1], "padding": [0, 1]})
NEVER_LESS: dict[str, list[Step]] = {
    "window over a turned map": [CONV, TURNED, LINE],
    "turned back": [CONV, TURNED, LINE, TURNED, CONV],
    "window behind tokens": [
        CONV,
        ("flatten", {"start_dim": 2}),
        ("unflatten", {"dim": 2, "unflattened_size": [6, 5]}),
        CONV,
    ],
    "window over a map that is channels last": [CONV, LAST, ("conv2d", {"out_channels": 3, "kernel_size": 3})],
    "channels that were rows": [*HALVES, ("transpose", {"dim0": 1, "dim1": 3}), ("softmax", {"dim": 1})],
    "rows within halves": [*HALVES, ("softmax", {"dim": 3})],
    "halves": [*HALVES, ("softmax", {"dim": 2})],
    "a row, and all of it": [CONV, ("select", {"dim": 2, "index": 3}), ("softmax", {"dim": 2})],
    "rows as channels": [
        ("permute", {"dims": [0, 2, 1, 3]}),
        ("flatten", {"start_dim": 2}),
        ("linear", {"out_features": 3}),
    ],
    "norm of neighbours in another axis": [CONV, LAST, ("local_response_norm", {"size": 3})],
}


@pytest.mark.parametrize("steps", NEVER_LESS.values(), ids=NEVER_LESS)
def test_no_unit_sees_more_than_is_said(steps: list[Step]) -> None:
    shape = (1, 4, 6, 5)
    graph = built(steps, shape)
    field = field_of(graph)
    out, seen = extents(graph, shape)
    for unit in itertools.product(*map(range, out)):
        spots = seen[unit].nonzero()
        for entry, size in enumerate(field.size):
            assert size is None or int(spots[:, entry].max() - spots[:, entry].min()) < size, (unit, field)


def test_a_window_over_a_turned_map_is_exact() -> None:
    shape = (1, 4, 6, 5)
    for steps in ([CONV, TURNED, LINE], [CONV, TURNED, LINE, TURNED, CONV]):
        graph = built(steps, shape)
        assert not field_of(graph).note
        hold(field_of(graph), shape, *extents(graph, shape))


def test_layers_over_tokens_made_a_map_again_keep_a_size() -> None:
    graph = built([CONV, *TOKENS, ("unflatten", {"dim": 1, "unflattened_size": [6, 5]}), *INSIDE[:2]], (1, 4, 6, 5))
    assert field_of(graph).size == (3, 3)
