"""What the source knows of sizes: each op is asked, those of one's own too, and nobody claims what nobody knows."""

from __future__ import annotations

import re
from typing import Any

import pytest

import netspec
from netspec.dims import symbol
from netspec.ops.attributes import make_op
from netspec.ops.base import REGISTRY, Elementwise, Op
from netspec.ops.fields import Positive
from netspec.ops.probe import AxisSize, axes_of_arguments, sizes_of
from netspec.types import Call, Code, Layer, Reach, Tensor, Weight
from tests.support.own_gru import OwnGru

N = symbol("N")


class Halve(Op, name="halve", principal="pieces"):
    """Every second channel."""

    pieces: Positive = 2

    def infer(self, x: Tensor) -> Tensor:
        return x.with_channels(x.channels // self.pieces)

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return ()

    def macs(self, y: Tensor, x: Tensor) -> int:
        return 0

    def window(self, x: Tensor) -> Reach:
        return Reach.POINT

    def torch(self, x: Tensor) -> Code:
        return Code("{0}[", (":", "::2"), "]")


class Glu(Elementwise, name="glu_of_mine"):
    """Gated linear unit over channels, which has half of them: elementwise by its name alone."""

    def infer(self, x: Tensor) -> Tensor:
        return x.with_channels(x.channels // 2)

    def torch(self, x: Tensor) -> Layer:
        return Layer("nn.GLU", {"dim": 1}, positional=1)


class Swapped(Op, name="swapped"):
    """The last axis and the channels change places, by a function with an argument `dim` that is not torch.cat's."""

    def infer(self, x: Tensor) -> Tensor:
        return Tensor((x.shape[0], x.shape[2], x.shape[1]))

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return ()

    def macs(self, y: Tensor, x: Tensor) -> int:
        return 0

    def window(self, x: Tensor) -> Reach:
        return Reach.UNPLACED

    def torch(self, x: Tensor) -> Call:
        return Call("torch.transpose", {"dim0": 1, "dim1": 2})


OWN = {cls.opname: REGISTRY.pop(cls.opname) for cls in (Halve, Glu, Swapped)} | {OwnGru.opname: OwnGru}


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, cls in OWN.items():
        monkeypatch.setitem(REGISTRY, name, cls)


def compiled(inputs: str, body: str, network: str) -> str:
    """The source, whose module was compared with the analysis."""
    text = f"netspec: 1\nname: net\ninputs: {inputs}\nblocks: {{b: {{params: {{width: int}}, body: [{body}]}}}}\n"
    net = netspec.loads(f"{text}network: {network}\n")
    net.compile()
    return net.to_source()


def test_a_gru_of_ones_own() -> None:
    network = "[{b: 16, name: l1}, {b: 32, name: l2}, {b: 32, name: l3}]"
    source = compiled("{tokens: [N, 7, 8]}", "{own_gru: width, name: rnn}, {linear: width, from: rnn}, relu", network)
    assert '"""Maps (N, L, in_features) to (N, L, width)."""' in source
    assert "def __init__(self, in_features: int, width: int) -> None:" in source
    assert "self.rnn = nn.GRU(in_features, width, batch_first=True)" in source
    assert "self.linear = nn.Linear(width, width)" in source


def test_a_gru_of_ones_own_in_one_use() -> None:
    source = compiled("{tokens: [N, 7, 8]}", "{own_gru: width, name: rnn}, {linear: width, from: rnn}", "[b: 8]")
    assert re.search(r"nn\.GRU\((in_features|8), (width|8), batch_first=True\)", source)
    assert re.search(r"Maps \(N, L, (in_features|8)\) to \(N, L, (width|8)\)", source)


def test_the_second_output_is_not_the_first() -> None:
    """The state of a GRU is (1, N, hidden): its channels are no length of a sequence."""
    source = compiled("{tokens: [N, 7, 8]}", "{own_gru: width, name: rnn}, {relu, from: rnn.state}", "[{b: 4}]")
    assert "to (N, 7" not in source


@pytest.mark.parametrize("op", ["halve", "glu_of_mine", "halve: 4"])
def test_channels_that_an_op_of_ones_own_halves(op: str) -> None:
    body = f"{{conv2d: {{out_channels: width, kernel_size: 1}}}}, {{{op}}}"
    if op == "halve: 4":
        body = body.replace("{halve: 4}", "{halve: 2}, {halve: 1}")
    source = compiled("{x: [N, 8, 6, 6]}", body, "[{b: 16, name: a}, {b: 32, name: c}, {b: 8}]")
    assert '"""Maps (N, in_channels, H, W) to (N, C, H, W)."""' in source
    assert "self.a = B(8, 16)" in source
    assert "self.c = B(8, 32)" in source
    assert "B(16, 8)" in source


def test_axes_that_a_function_of_ones_own_moves() -> None:
    body = "swapped, {linear: width}"
    source = compiled("{x: [N, 6, 8]}", body, "[{b: 4, name: one}, {b: 5, name: two}, {b: 6}]")
    assert '"""Maps (N, in_channels, L) to (N, L_out, width)."""' in source
    assert "self.linear = nn.Linear(in_channels, width)" in source


KEEPS = {
    "relu": ((2, 3, 4, 5), {}, {1: 1, 2: 2, 3: 3}),
    "linear": ((2, 5, 6), {"out_features": 3}, {1: 1, 2: "out_features"}),
    "conv2d": ((2, 4, 8, 8), {"out_channels": 6, "kernel_size": 3}, {1: "out_channels", 2: None}),
    "max_pool2d": ((2, 4, 8, 8), {"kernel_size": 2}, {1: 1, 2: None}),
    "adaptive_avg_pool2d": ((2, 4, 8, 8), {"output_size": 8}, {1: 1, 2: None}),
    "flatten": ((2, 4, 1, 1), {}, {1: 1}),
    "permute": ((2, 3, 4, 5), {"dims": [0, 2, 3, 1]}, {1: 2, 2: 3, 3: 1}),
    "multihead_attention": ((2, 5, 8), {"num_heads": 2}, {1: 1, 2: 2}),
    "parameter": ((2, 5, 8), {"shape": [5, 8]}, {1: None, 2: None}),
    "prelu": ((2, 3, 4, 5), {"num_parameters": 3}, {1: 1, 2: 2}),
    "halve": ((2, 8, 4, 4), {}, {1: None, 2: 2}),
    "glu_of_mine": ((2, 8, 4, 4), {}, {1: None}),
}


@pytest.mark.parametrize("name", KEEPS)
def test_what_sizes_follow_from(name: str) -> None:
    shape, attributes, expected = KEEPS[name]
    op, _ = make_op(REGISTRY[name], attributes)
    assert op is not None
    (axes,) = sizes_of(op, [Tensor((N, *shape[1:]))])
    assert {axis: axes[axis].same for axis in expected} == expected


def test_channels_do_not_follow_from_the_groups_of_a_depthwise_convolution() -> None:
    op, _ = make_op(REGISTRY["conv2d"], {"out_channels": 8, "kernel_size": 3, "padding": 1, "groups": 8})
    assert op is not None
    assert sizes_of(op, [Tensor((N, 8, 9, 9))])[0][1] == AxisSize("out_channels")


def test_a_sum_of_channels_and_what_else_a_size_depends_on() -> None:
    concat, _ = make_op(REGISTRY["concat"], {})
    flatten, _ = make_op(REGISTRY["flatten"], {})
    assert concat is not None
    assert flatten is not None
    xs = [Tensor((N, 3, 4)), Tensor((N, 5, 4)), Tensor((N, 5, 4))]
    assert sizes_of(concat, xs)[0][1] == AxisSize(1, (0, 1, 2), True, frozenset({"dim"}))
    assert sizes_of(flatten, [Tensor((N, 6, 1, 1))])[0][1].others >= {2, 3}


ARGUMENTS: list[tuple[str, tuple[int, ...], dict[str, Any], dict[str, set[int]]]] = [
    ("linear", (2, 5, 6), {"out_features": 3}, {"in_features": {2}}),
    ("linear", (2, 6), {"out_features": 3}, {"in_features": {1}}),
    ("conv2d", (2, 4, 8, 8), {"out_channels": 6, "kernel_size": 3}, {"in_channels": {1}}),
    ("layer_norm", (2, 4, 8), {}, {"normalized_shape": {2}}),
    ("layer_norm", (2, 4, 8), {"normalized_shape": [8]}, {}),
    ("own_gru", (2, 5, 6), {"hidden_size": 3}, {"input_size": {2}, "batch_first": set()}),
]


@pytest.mark.parametrize(("name", "shape", "attributes", "expected"), ARGUMENTS)
def test_which_axes_arguments_follow(
    name: str, shape: tuple[int, ...], attributes: dict[str, Any], expected: dict[str, set[int]]
) -> None:
    op, _ = make_op(REGISTRY[name], attributes)
    assert op is not None
    assert axes_of_arguments(op, [Tensor(shape)]) == expected
