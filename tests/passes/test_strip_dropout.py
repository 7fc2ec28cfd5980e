"""`strip_dropout`: the same function in inference, and in training none that chance has a part in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import netspec
from netspec.graph import Builder, Graph
from netspec.network import Network, names
from netspec.passes import strip_dropout
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

    from tests.passes.modules import assert_same, assert_whole, images, made_of, run, trained

DROPOUTS = ("dropout", "dropout2d", "stochastic_depth")


def dropouts(graph: Graph) -> list[str]:
    return [node.path for node in graph if node.op.opname in DROPOUTS]


def vit(dropout: float) -> Network:
    sizes = {"size": 32, "width": 48, "layers": 3, "heads": 4, "mlp_width": 64, "dropout": dropout}
    return netspec.load("vit_b_16", params=sizes)


@pytest.mark.parametrize(
    ("load", "count"),
    [
        (lambda: netspec.load("alexnet", inputs={"image": ["N", 3, 99, 99]}), "2 dropouts"),
        (lambda: netspec.load("googlenet", params={"classes": 7}), "3 dropouts"),
        (lambda: vit(0.3), "10 dropouts"),
    ],
    ids=["alexnet", "googlenet", "vit"],
)
def test_equal_in_inference(load: Callable[[], Network], count: str) -> None:
    graph = load().graph
    before, made = trained(graph), strip_dropout(graph)
    after, image = made_of(before, made), images(graph, 2)
    assert_whole(made.graph)
    assert made.done == (f"{count} dropped",)
    assert (made.declined, dict(made.derived), made.fresh) == ({}, {}, frozenset())
    assert dropouts(made.graph) == []
    assert [n.path for n in made.graph] == [n.path for n in graph if n.op.opname not in DROPOUTS]
    assert_same(run(after, *image), run(before, *image))


def test_training_is_without_chance() -> None:
    """What dropout did in training it does no more: two runs give the same, and inference too."""
    graph = netspec.load("alexnet", inputs={"image": ["N", 3, 99, 99]}).graph
    module, image = made_of(trained(graph), strip_dropout(graph)).train(), images(graph)
    first, second = run(module, *image), run(module, *image)
    assert torch.equal(first[0], second[0])
    assert not torch.equal(*(run(trained(graph).train(), *image)[0] for _ in range(2)))


@pytest.mark.parametrize("name", names())
def test_bundled_networks(name: str) -> None:
    graph = netspec.load(name).graph
    made = strip_dropout(graph)
    assert dropouts(made.graph) == []
    assert len(made.graph) == len(graph) - len(dropouts(graph))
    assert bool(made.done) == bool(dropouts(graph))
    if not dropouts(graph):
        assert str(made.graph) == str(graph)


ATTENTION = """
netspec: 1
name: attending
params: {p: 0.25}
inputs: {tokens: [N, 5, 8]}
blocks:
  attend:
    params: {p: float}
    body: [{multihead_attention: {num_heads: 2, dropout: p}, name: attention}, {dropout: p, name: drop}]
network:
  - {attend: p, name: first}
  - {multihead_attention: 4, name: second}
"""


def test_dropout_within_attention() -> None:
    graph = netspec.loads(ATTENTION).graph
    made = strip_dropout(graph)
    assert made.done == ("1 dropout dropped", "the dropout within 1 attention set to 0")
    attention = made.graph["first.attention"]
    assert attention.op.model_dump()["dropout"] == 0.0
    assert attention.written == {}
    assert made.graph.scopes["first"].outputs == ("first.attention",)
    source = netspec.to_source(made.graph)
    assert "dropout" not in source.lower()
    before, tokens = trained(graph), images(graph)
    assert_same(run(made_of(before, made).train(), *tokens), run(before, *tokens))


def test_outputs_that_dropouts_gave() -> None:
    b = Builder("ends")
    x = b.input("image", ["N", 4, 6, 6])
    with b.scope("head"):
        x = b.add("relu", x)
        b.output("dropped", b.add("dropout2d", x, name="drop", p=0.3))
    with b.scope("alone"):
        y = b.add("dropout", "image")
    b.output("input", y)
    b.output("sum", b.add("add", x, y))
    made = strip_dropout(b.build()).graph
    assert [(o.name, o.value) for o in made.outputs] == [("dropped", "head.relu"), ("input", "image"), ("sum", "add")]
    assert made.scopes["head"].outputs == ("head.relu",)
    assert "alone" not in made.scopes
    assert made["add"].inputs == ("head.relu", "image")


def test_dropouts_that_are_shared() -> None:
    text = """
netspec: 1
name: shared
inputs: {image: [N, 4]}
blocks: {layer: {body: [{linear: 4}, {dropout: 0.2}]}}
network: [{layer, name: a}, {layer, share: a, name: b}, {dropout: 0.5, name: c}, {dropout: 0.5, share: c, name: d}]
"""
    graph = netspec.loads(text).graph
    made = strip_dropout(graph)
    assert [(node.path, node.weights_of) for node in made.graph] == [("a.linear", "a.linear"), ("b.linear", "a.linear")]
    assert made.graph.scopes["b"].weights_of == "a"
    before, image = trained(graph), images(graph)
    assert_same(run(made_of(before, made), *image), run(before, *image))
