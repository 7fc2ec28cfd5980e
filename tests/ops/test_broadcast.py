"""Axes of 1 that go with every size: what is taken, what is refused, and what a unit behind a gate sees."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

import netspec
from netspec.analysis.field_propagation import propagate_fields
from netspec.dims import symbol
from netspec.ops.attributes import make_op
from netspec.ops.base import REGISTRY, RuleError
from netspec.ops.probe import sizes_of
from netspec.report import plain
from netspec.types import Tensor
from tests.support.contract import inferred as outcome
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

    from netspec.backends.onnx.batching import Batching

N, H, W = symbol("N"), symbol("H"), symbol("W")


def op(name: str, **attributes: Any) -> Any:
    made, problems = make_op(REGISTRY[name], attributes)
    assert made is not None, problems
    return made


@pytest.mark.parametrize("count", [2, 3])
def test_shapes_are_torchs(count: int) -> None:
    """Of one rank: what torch broadcasts is taken, and nothing else."""
    sizes = [(2, *rest) for rest in itertools.product([1, 3], [1, 4, 5])]
    for shapes in itertools.product(sizes, repeat=count):
        try:
            expected: Any = tuple(torch.broadcast_shapes(*shapes))
        except RuntimeError:
            expected = None
        ops = [op("multiply"), op("add", broadcast=True), *([op("subtract"), op("divide")] if count == 2 else [])]
        for made in ops:
            if expected is not None:
                assert made.infer(*map(Tensor, shapes)).shape == expected
                continue
            with pytest.raises(RuleError) as raised:
                made.infer(*map(Tensor, shapes))
            assert raised.value.code == "NS301"
        if len(set(shapes)) > 1:
            with pytest.raises(RuleError):
                op("add").infer(*map(Tensor, shapes))


def test_only_a_one_that_is_written_goes_with_other_sizes() -> None:
    multiply, x = op("multiply"), Tensor((N, 8, H, W))
    assert multiply.infer(x, Tensor((N, 8, 1, 1))) == x
    assert multiply.infer(Tensor((N, 1, H, W)), x) == x
    assert multiply.infer(Tensor((1, 8, 1, W)), Tensor((N, 1, H, 1))) == x
    for other in [(N, 8, W, W), (N, H, H, W), (N, 8), (N, 8, 1), (N, 4, 1, 1), (8,), (4, 1, 1), (1, 1, 8, 1, 1)]:
        with pytest.raises(RuleError):
            multiply.infer(x, Tensor(other))
    with pytest.raises(RuleError) as raised:
        multiply.infer(x, Tensor((N, 8, 1, 1), "int64"))
    assert raised.value.code == "NS302"


WITHOUT_BATCH = [(8, 1, 1), (1, 1, 1), (1,), (8, 4, 5), (5,), (4, 5), (1, 8, 1, 1)]


@pytest.mark.parametrize("shape", WITHOUT_BATCH, ids=str)
def test_what_has_no_batch_may_have_fewer_axes(shape: tuple[int, ...]) -> None:
    for made in (op("multiply"), op("add", broadcast=True)):
        x, small = Tensor((N, 8, 4, 5)), Tensor(shape)
        assert made.infer(x, small) == made.infer(small, x) == made.infer(small, x, small) == x
        assert made.axes(small, x) == (0, 1, 2, 3)
    with pytest.raises(RuleError) as raised:
        op("add").infer(x, small)
    assert "{add: {broadcast: true}}" in raised.value.help


@pytest.mark.parametrize("shape", [(8, 1, 1), (1, 1, 1), (1,)], ids=str)
def test_the_sizes_after_a_layer_scale_are_those_of_the_map(shape: tuple[int, ...]) -> None:
    x, small = Tensor((N, 8, 4, 5)), Tensor(shape)
    for xs in ((x, small), (small, x)):
        sizes = sizes_of(op("multiply"), xs)[0]
        expected = [(axis, (xs.index(x),), frozenset[int | str]()) for axis in (1, 2, 3)]
        assert [(size.same, size.places, size.others) for size in sizes[1:]] == expected


@pytest.mark.parametrize("shape", [*WITHOUT_BATCH, (3, 1, 8, 1, 1)], ids=str)
def test_shapes_of_unequal_ranks_are_torchs(shape: tuple[int, ...]) -> None:
    for size in [(2, 8, 4, 5), (2, 1, 4, 5), (2, 3, 4, 5), (2, 8, 1, 5), (5, 5), (8, 4)]:
        try:
            expected: Any = tuple(torch.broadcast_shapes(size, shape))
        except RuntimeError:
            expected = None
        inferred = outcome(op("multiply"), (Tensor(size), Tensor(shape)))
        assert (inferred.code == "NS301") if isinstance(inferred, RuleError) else (inferred[0].shape == expected)
        assert isinstance(inferred, RuleError) is (expected is None)


LAYER_SCALE = """
network:
  - {conv2d: {out_channels: 6, kernel_size: 3, padding: 1}, name: conv}
  - {parameter: {shape: [6, 1, 1], expand: false}, name: layer_scale, init: {weight: 0.5}}
  - {multiply, from: [layer_scale, conv]}
"""


def test_a_layer_scale_is_torchs() -> None:
    network = netspec.loads(HEAD + LAYER_SCALE)
    module = network.compile().eval()
    assert {key: tuple(value.shape) for key, value in module.state_dict().items()}["layer_scale"] == (6, 1, 1)
    x = torch.randn(3, 2, 8, 6)
    torch.testing.assert_close(module(x), 0.5 * module.conv(x), rtol=0, atol=0)
    source = netspec.to_source(network.graph)
    assert "nn.Parameter(torch.full((6, 1, 1), 0.5))" in source
    assert "self.layer_scale * conv" in source
    assert network.summary()["totals"]["parameters"] == 2 * 6 * 9 + 6 + 6
    assert propagate_fields(network.graph)["multiply"]["image"].size == (3, 3)


def test_a_layer_scale_keeps_samples_apart() -> None:
    for outputs, apart in (("", True), ("outputs: {y: conv, scale: layer_scale}\n", False)):
        text = netspec.to_yaml(netspec.loads(HEAD + LAYER_SCALE + outputs).graph)
        assert Batching({"netspec.spec": text}, 2**30).samples_are_independent is apart


def test_the_start_of_a_parameter_is_an_argument_where_it_differs() -> None:
    block = "{body: [{parameter: {shape: [4], expand: false}, name: p}, {multiply, from: [p, input]}]}"
    head = f"netspec: 1\nname: a\ninputs: {{x: [N, 4]}}\nblocks: {{scaled: {block}}}\n"
    graph = netspec.loads(head + "network: [scaled, relu, scaled]\n").graph
    starts = {"scaled.p": 0.5, "scaled_2.p": 2}
    nodes = [replace(n, init={"weight": starts[n.path]}) if n.path in starts else n for n in graph]
    module = netspec.compile(replace(graph, nodes=tuple(nodes)))
    weights = {key: value.tolist() for key, value in module.state_dict().items()}
    assert weights == {"scaled.p": [0.5] * 4, "scaled_2.p": [2.0] * 4}


def test_broadcast_is_no_part_of_what_a_network_computes() -> None:
    text = "netspec: 1\nname: a\ninputs: {x: [N, 3, 4, 4]}\nnetwork: [{relu, name: r}, {add, from: [r, x]}]\n"
    plain, wide = netspec.loads(text), netspec.loads(text.replace("{add,", "{add: {broadcast: true},"))
    assert plain.graph.hash() == wide.graph.hash()
    assert "broadcast: true" in netspec.to_yaml(wide.graph)


HEAD = "netspec: 1\nname: gated\ninputs: {image: [N, 2, 8, 6]}\n"


def seen_by_units(network: netspec.Network) -> list[list[set[int]]]:
    """For each unit of the output's channel 0, the rows and columns that change it."""
    torch.manual_seed(0)
    module = network.compile().double().eval()
    x = torch.rand(1, 2, 8, 6, dtype=torch.float64, requires_grad=True)
    y = module(x)[0, 0]
    found: list[list[set[int]]] = []
    for unit in y.flatten():
        spots = torch.autograd.grad(unit, x, retain_graph=True)[0].ne(0).any(0).any(0).nonzero()
        found.append([set(spots[:, axis].tolist()) for axis in (0, 1)])
    return found


@pytest.mark.parametrize(
    "gate",
    [
        "adaptive_avg_pool2d: 1",
        "avg_pool2d: {kernel_size: [8, 6]}",
        "conv2d: {out_channels: 2, kernel_size: [8, 6]}",
        "conv2d: {out_channels: 2, kernel_size: [8, 6]}, sigmoid",
    ],
)
def test_behind_a_gate_that_saw_everything_each_unit_sees_everything(gate: str) -> None:
    steps = ", ".join(f"{{{step}}}" for step in gate.split(", sig")[:1]) + (", sigmoid" if "sigmoid" in gate else "")
    body = f"[{{multiply: {{branches: {{gate: [{steps}], map: []}}}}, name: y}}]"
    network = netspec.loads(f"{HEAD}network: {body}\n")
    field = propagate_fields(network.graph)["y"]["image"]
    assert plain(field.public()) == {"size": [8, 6], "stride": [0, 0], "start": [0, 0]}
    assert all(rows == set(range(8)) and columns == set(range(6)) for rows, columns in seen_by_units(network))


def test_behind_a_gate_of_places_a_unit_sees_its_place() -> None:
    gate = "{conv2d: {out_channels: 1, kernel_size: 3, padding: 1}, name: gate}"
    network = netspec.loads(f"{HEAD}network: [{gate}, {{multiply, from: [image, gate], name: y}}]\n")
    assert plain(propagate_fields(network.graph)["y"]["image"].public())["size"] == [3, 3]


def test_a_gate_that_saw_a_part_is_no_window() -> None:
    """Each unit sees its place, and one part of the image that is the same for all: no size and stride say that."""
    body = "[{narrow: {dim: 2, start: 0, length: 4}, from: image}, {avg_pool2d: {kernel_size: [4, 6]}, name: gate}, "
    body += "{multiply, from: [image, gate], name: y}]"
    field = propagate_fields(netspec.loads(f"{HEAD}network: {body}\n").graph)["y"]["image"]
    assert field.note
    assert field.size == (None, None)
