"""Ops that move values between channels and places, in networks: what units see, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

import netspec
from netspec.analysis.field import BORDER
from netspec.analysis.field_propagation import propagate_fields
from netspec.backends.pytorch.source import to_source
from netspec.dims import symbol
from netspec.ops.base import RuleError
from netspec.types import Tensor
from tests.support.contract import named_op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch


def chain(shape: tuple[Any, ...], *steps: tuple[str, dict[str, Any]]) -> netspec.Graph:
    builder = netspec.Builder("net")
    value = builder.input("x", shape)
    for number, (op, attributes) in enumerate(steps):
        value = builder.add(op, value, name=f"s{number}", **attributes)
    builder.output("y", value)
    return builder.build()


CONV = ("conv2d", {"out_channels": 8, "kernel_size": 3, "padding": 1})


def seen(graph: netspec.Graph, shape: tuple[int, ...], unit: tuple[int, int]) -> set[tuple[int, int]]:
    """The positions of the input that a unit of the output sees, by its gradient."""
    torch.manual_seed(0)
    module = netspec.compile(graph).double().eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.uniform_(0.2, 1.0)
    x = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    module(x)[:, :, *unit].sum().backward()
    assert x.grad is not None
    return {(int(row), int(column)) for row, column in x.grad.abs().sum((0, 1)).nonzero()}


def test_fields_go_through_a_channel_shuffle() -> None:
    graph = chain(("N", 8, 12, 12), CONV, ("channel_shuffle", {"groups": 4}), CONV)
    field = propagate_fields(graph)["s2"]["x"]
    assert (field.size, field.stride, field.start, field.note) == ((5, 5), (1, 1), (-2, -2), "")


def test_fields_go_through_pixel_shuffles() -> None:
    """Down by 2 and up by 2 is exact: units of one patch see one patch, and its neighbours by the convolution."""
    shape = (1, 3, 12, 12)
    steps = [("pixel_unshuffle", {"downscale_factor": 2}), CONV, ("pixel_shuffle", {"upscale_factor": 2})]
    graph = chain(("N", *shape[1:]), *steps)
    field = propagate_fields(graph)["s2"]["x"]
    for unit in [(4, 5), (5, 5), (7, 6)]:
        rows, columns = ([2 * (place // 2) - 2 + n for n in range(6)] for place in unit)
        assert seen(graph, shape, unit) == {(row, column) for row in rows for column in columns}
        ends = [(places[0], places[-1]) for places in (rows, columns)]
        assert [spans.of(place) for spans, place in zip(field.spans, unit, strict=True)] == ends


def test_a_roll_moves_what_units_see_and_says_that_it_wraps() -> None:
    shape = (1, 3, 9, 9)
    graph = chain(("N", *shape[1:]), CONV, ("roll", {"shifts": [2, -1], "dims": [2, 3]}))
    field = propagate_fields(graph)["s1"]["x"]
    assert (field.size, field.stride, field.start) == ((3, 3), (1, 1), (-3, 0))
    assert field.public().note == BORDER
    assert seen(graph, shape, (4, 4)) == {(row, column) for row in (1, 2, 3) for column in (4, 5, 6)}
    assert seen(graph, shape, (0, 4)) == {(row, column) for row in (6, 7, 8) for column in (4, 5, 6)}


def test_a_roll_and_back_is_in_place_again() -> None:
    steps = [("roll", {"shifts": shift, "dims": 2}) for shift in (-3, 3)]
    field = propagate_fields(chain(("N", 3, "H", 9), *steps))["s1"]["x"]
    assert (field.size, field.stride, field.start) == ((1, 1), (1, 1), (0, 0))


@pytest.mark.parametrize(
    ("name", "attributes", "shape", "error"),
    [
        ("channel_shuffle", {"groups": 4}, (2, 6, 4, 4), ("NS304", "groups", "4 groups do not divide 6 channels", "")),
        (
            "pixel_shuffle",
            {"upscale_factor": 2},
            (2, 6, 4, 4),
            ("NS304", "upscale_factor", "6 channels are no multiple of 4, which a patch of 2 takes", ""),
        ),
        (
            "pixel_unshuffle",
            {"downscale_factor": 2},
            (2, 3, 4, 5),
            ("NS304", "downscale_factor", "an axis of 5 can't be made patches of 2", ""),
        ),
        (
            "pixel_unshuffle",
            {"downscale_factor": 4},
            (2, 3, 8, symbol("W")),
            (
                "NS305",
                "downscale_factor",
                "an axis of W can't be made patches of 4",
                "it holds only if W % 4 == 0: fix the size of the input",
            ),
        ),
        (
            "unflatten",
            {"dim": 2, "unflattened_size": [-1, 6]},
            (2, 3, 2 * symbol("L")),
            (
                "NS305",
                "unflattened_size",
                "an axis of 2*L can't be made -1 x 6",
                "it holds only if L % 3 == 0: fix the size of the input",
            ),
        ),
        (
            "unflatten",
            {"dim": 1, "unflattened_size": [2, 4]},
            (2, symbol("L")),
            (
                "NS305",
                "unflattened_size",
                "an axis of L can't be made 2 x 4",
                "fix the size of the input",
            ),
        ),
        (
            "roll",
            {"shifts": [1, 2], "dims": 1},
            (2, 3),
            ("NS302", "shifts", "2 shifts are not one for each of 1 axes", ""),
        ),
        ("roll", {"shifts": 1, "dims": 2}, (2, 3), ("NS302", "dims", "there is no axis 2 in 2 x 3", "")),
    ],
)
def test_what_does_not_fit(name: str, attributes: Any, shape: Any, error: tuple[str, str, str, str]) -> None:
    with pytest.raises(RuleError) as raised:
        named_op(name, **attributes).infer(Tensor(shape))
    assert (raised.value.code, raised.value.at, raised.value.message, raised.value.help) == error


def test_unflatten_divides_open_sizes_that_are_multiples() -> None:
    half = symbol("H") // 2 * 4
    assert named_op("unflatten", dim=2, unflattened_size=[2, -1]).infer(Tensor((1, 3, half))).shape == (
        1,
        3,
        2,
        symbol("H") // 2 * 2,
    )


def test_the_source_of_a_roll() -> None:
    steps = [("roll", {"shifts": [2, 2], "dims": [2, 3]}), ("roll", {"shifts": 1, "dims": -1})]
    source = to_source(chain((2, 3, 4, 5), *steps))
    assert "torch.roll(x, shifts=(2, 2), dims=(2, 3))" in source
    assert "torch.roll(x, shifts=1, dims=-1)" in source
