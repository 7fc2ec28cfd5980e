"""`to_yaml`: a graph written as a spec and read back is the same graph, blocks and all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import netspec
from netspec.graph import Graph
from netspec.graph.model import Block, Scope
from netspec.network import Network
from netspec.ops.attributes import make_op
from netspec.ops.base import REGISTRY
from tests.support.paths import OTHER
from tests.support.round_trip import round_trip
from tests.support.specs_of_every_form import FORMS
from tests.support.specs_of_parts import PARTS
from tests.support.specs_of_uses import USES

OTHERS = sorted(OTHER.glob("*.yaml"))


def blocks(graph: Graph) -> dict[str, str]:
    """The uses of blocks, by path, with the name of the block."""
    return {path: scope.block.name for path, scope in graph.scopes.items() if scope.block is not None}


def kinds(graph: Graph) -> list[tuple[str, str]]:
    """The kind of each scope; the networks of other files are written as blocks, so that the text stands alone."""
    return [(scope.path, scope.kind.replace("network", "block")) for scope in graph.scopes.values()]


@pytest.mark.parametrize("name", netspec.names())
def test_bundled_networks(name: str, bundled: Callable[[str], Network]) -> None:
    graph = bundled(name).graph
    found = round_trip(graph)
    assert blocks(found) == blocks(graph)
    assert kinds(found) == kinds(graph)


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_other_networks(path: Path) -> None:
    graph = netspec.load(path).graph
    assert blocks(round_trip(graph)).keys() == blocks(graph).keys()


@pytest.mark.parametrize("name", [*FORMS, *USES])
def test_every_form(name: str) -> None:
    text = {**FORMS, **USES}[name]
    round_trip(netspec.loads(text).graph)


@pytest.mark.parametrize("name", PARTS)
def test_parts(name: str) -> None:
    round_trip(netspec.loads(PARTS[name]).graph)


@pytest.mark.parametrize("name", ["resnet50", "googlenet", "vgg_d"])
def test_source_is_the_same(name: str, bundled: Callable[[str], Network]) -> None:
    graph = bundled(name).graph
    assert netspec.to_source(netspec.loads(netspec.to_yaml(graph)).graph) == netspec.to_source(graph)


def test_parameters_stay_parameters(bundled: Callable[[str], Network]) -> None:
    text = netspec.to_yaml(bundled("resnet50").graph)
    for params in ({"classes": 10}, {"stages": [2, 2, 2, 2]}, {"stride_in_3x3": True}):
        changed = netspec.loads(text, params=params).graph
        assert changed.hash() == netspec.load("resnet50", params=params).graph.hash()


@pytest.mark.parametrize(
    ("params", "inputs", "network"),
    [
        ("{p: 1}", "[N, 3, 8, 8]", "[{conv2d: {out_channels: p, kernel_size: 1}}, {batch_norm, when: p > 1}]"),
        ("{p: 0}", "[N, 3, 8, 8]", "[{conv2d: {out_channels: 1 + p, kernel_size: 1}}, {relu, repeat: p}]"),
        ("{p: 8}", "[N, 3, p, p]", "[{relu, when: input.height > 8}, conv2d: {out_channels: 2, kernel_size: 1}]"),
        ("{p: 1}", "[N, 3, 8, 8]", "[{c: p}]"),
    ],
)
def test_a_parameter_whose_step_is_nowhere_left_is_a_number(params: str, inputs: str, network: str) -> None:
    """With another value the written spec would lack the step: it has no such parameter."""
    block = "{params: {n: int}, body: [{conv2d: {out_channels: n, kernel_size: 1}}, {batch_norm, when: n > 1}]}"
    text = (
        f"netspec: 1\nname: p\nparams: {params}\ninputs: {{x: {inputs}}}\nblocks:\n  c: {block}\nnetwork: {network}\n"
    )
    net = netspec.loads(text)
    written = netspec.to_yaml(net.graph)
    assert netspec.loads(written).graph.hash() == net.graph.hash()
    assert "params: {p" not in written
    # Where the step is there, the parameter is, and means what it meant.
    open_net = netspec.loads(text, params={"p": 16})
    again_open = netspec.loads(netspec.to_yaml(open_net.graph), params={"p": 24})
    assert again_open.graph.hash() == netspec.loads(text, params={"p": 24}).graph.hash()


def test_sizes_stay_expressions() -> None:
    text = netspec.to_yaml(netspec.load("vit_b_16").graph)
    assert "inputs: {image: [N, 3, size, size]}" in text
    assert netspec.loads(text, params={"size": 256}).graph.inputs[0].type.shape[2:] == (256, 256)


PAIRS = {
    "one number for both": ({"out_channels": 4, "kernel_size": 1}, "stride", (2, 1, 1), "2 if index == 0 else 1"),
    "one for each": (
        {"out_channels": 4, "kernel_size": 1},
        "stride",
        ([2, 1], 1, 1),
        '"[2, 1] if index == 0 else [1, 1]"',
    ),
    "lists": ({}, "padding", ([1, 1, 1, 1], [0, 2], [0, 2]), '"[1, 1, 1, 1] if index == 0 else [0, 2]"'),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("blocks", [True, False])
def test_pairs_that_differ_by_copy(name: str, blocks: bool) -> None:
    """An expression that begins with a bracket is text: YAML took it for a list."""
    rest, attribute, values, written = PAIRS[name]
    b = netspec.Builder("pairs")
    x = last = b.input("image", ["N", 4, 32, 32])
    b.claim_scope("layer")
    for number, value in enumerate(values):
        op, _ = make_op(REGISTRY["pad" if attribute == "padding" else "conv2d"], {**rest, attribute: value})
        assert op is not None
        path = f"layer.{number}"
        if blocks:
            b.claim_scope(path)
        entering, last = (
            last,
            b.node(f"{path}.unit" if blocks else path, op, (last,), scope=path if blocks else "layer"),
        )
        if blocks:
            b.add_scope(Scope(path, "block", "layer", (last,), Block("unit"), inputs={"input": entering}))
    b.add_scope(Scope("layer", "repeat", "", (last,), inputs={"input": x}))
    b.output("y", last)
    graph = b.build()
    assert written in netspec.to_yaml(graph)
    round_trip(graph)


def test_a_graph_that_was_built_in_python() -> None:
    b = netspec.Builder("built", title="Built: by hand")
    x = b.input("image", ["N", 3, "H", "W"], nominal={"H": 64, "W": 48})
    x = b.add("conv2d", x, name="conv1", out_channels=16, kernel_size=(3, 5), padding=(1, 2))
    for number in range(2):
        with b.scope(f"stage{number}", block="stage", width=8 * (number + 1)):
            y = b.add("conv2d", x, out_channels=8 * (number + 1), kernel_size=1)
            x = b.add("relu", y)
    with b.scope("head"):
        x = b.add("adaptive_avg_pool2d", x, output_size=1)
        x = b.add("flatten", x)
        x = b.add("linear", x, name="fc", out_features=10)
    b.output("logits", x)
    b.output("features", y)
    round_trip(b.build())


def in_scopes(*, dilations: tuple[int, int] = (1, 1), outside: bool = False) -> Graph:
    """Two scopes of one convolution, the second with the weights of the first, or of a layer before both."""
    b = netspec.Builder("built")
    x = b.input("image", ["N", 4, 16, 16])
    if outside:
        x = b.add("conv2d", x, name="conv", out_channels=4, kernel_size=3)
    for name, dilation in zip(("one", "two"), dilations, strict=True):
        owner = ("conv" if outside else "one.conv") if name == "two" else ""
        with b.scope(name, block="unit"):
            x = b.add("conv2d", x, name="conv", weights_of=owner, out_channels=4, kernel_size=3, dilation=dilation)
    b.output("y", x)
    return b.build()


@pytest.mark.parametrize("dilations", [(1, 1), (1, 2)])
def test_scopes_that_share_weights(dilations: tuple[int, int]) -> None:
    graph = in_scopes(dilations=dilations)
    assert graph.scopes["two"].weights_of == "one"
    assert "name: two, share: one}" in netspec.to_yaml(graph)
    round_trip(graph)


def test_scopes_that_share_weights_are_calls_of_one_module() -> None:
    source = netspec.to_source(in_scopes())
    assert "x = self.one(image)\n        return self.one(x)" in source


def test_an_owner_outside_the_body_is_refused() -> None:
    message = "NS401: `two.conv` shares the weights of `conv`, which stands in another body: a spec can't say that"
    with pytest.raises(netspec.NetspecError, match=f"{message}.*\n.*let both stand in one body"):
        netspec.to_yaml(in_scopes(outside=True))
