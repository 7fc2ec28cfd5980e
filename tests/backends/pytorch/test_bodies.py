"""The graph as nested bodies."""

from __future__ import annotations

import pytest

from netspec.backends.pytorch.bodies import bodies, is_chain, named_values
from netspec.backends.pytorch.helpers import helpers_used, modules_used
from netspec.graph import Builder, Graph
from tests.backends.pytorch.printing import CONV_BN, body_of, graph_of, item_of

RESIDUAL = """
  residual:
    body:
      - {relu: {}, name: first}
      - {sigmoid: {}, name: second}
      - {add, from: [second, input], name: sum}
"""
GATED = """
  gated:
    inputs: [x, gate]
    body:
      - {multiply, from: [x, gate], name: product}
"""


def test_a_body_has_the_values_that_enter_and_leave_its_scope() -> None:
    body = body_of(graph_of("[conv_bn: 8, relu: {}]", CONV_BN), "conv_bn")
    assert (body.inputs, body.outputs) == (["image"], ["conv_bn.bn"])
    assert [(item.name, item.inputs, item.outputs) for item in body.items] == [
        ("conv", ["image"], ["conv_bn.conv"]),
        ("bn", ["conv_bn.conv"], ["conv_bn.bn"]),
    ]
    assert (body.kind, body.path, body.entry) == ("block", "conv_bn", "image")


def test_the_network_has_the_inputs_and_outputs_of_the_graph() -> None:
    builder = Builder("net")
    image = builder.input("image", ["N", 3, 8, 8])
    builder.input("unused", ["N", 4])
    main = builder.add("relu", image, name="main")
    builder.output("y", main)
    builder.output("aux", builder.add("sigmoid", main, name="side"), mode="train")
    body = bodies(builder.build())
    assert (body.inputs, body.outputs, body.training) == (["image", "unused"], ["main"], ["side"])


def test_a_use_takes_what_its_block_declares_also_twice_the_same() -> None:
    body = body_of(graph_of("[{relu: {}, name: a}, {gated: {}, from: [a, a], name: b}]", GATED), "b")
    assert body.inputs == ["a", "a"]


def test_a_scope_that_nothing_uses_gives_its_last_value() -> None:
    graph = graph_of("[{relu: {}, name: a}, {conv_bn: 8, name: b, from: a}, {sigmoid, from: a}]", CONV_BN)
    assert body_of(graph, "b").outputs == ["b.bn"]


@pytest.mark.parametrize(
    ("network", "blocks", "path", "chain"),
    [
        ("[conv_bn: 8]", CONV_BN, "conv_bn", True),
        ("[residual]", RESIDUAL, "residual", False),
        ("[{relu: {}, name: r, repeat: 2}]", "", "r", True),
        ("[{permute: {dims: [0, 1, 3, 2]}}]", "", "", False),
    ],
)
def test_chains_are_modules_one_after_another(network: str, blocks: str, path: str, chain: bool) -> None:
    assert is_chain(body_of(graph_of(network, blocks), path)) == chain


def test_blocks_are_classes_and_branches_only_where_they_are_no_chain() -> None:
    network = "[add: {branches: {chain: [relu, sigmoid], fork: [add: {branches: {a: [relu], b: []}}]}}, conv_bn: 8]"
    graph = graph_of(network, CONV_BN)
    assert body_of(graph, "conv_bn").is_class
    assert not body_of(graph, "chain").is_class
    assert body_of(graph, "fork").is_class


def test_an_op_that_is_an_expression_is_no_module() -> None:
    body = body_of(graph_of("[{relu: {}, name: a}, {add, from: [a, image], name: sum}]"))
    assert [(item.name, item.is_module) for item in body.items] == [("a", True), ("sum", False)]


def test_copies_of_an_expression_are_items_of_their_own() -> None:
    body = body_of(graph_of("[{permute: {dims: [0, 1, 3, 2]}, name: turned, repeat: 2}]"))
    assert [(item.name, item.word) for item in body.items] == [("turned.0", "turned_0"), ("turned.1", "turned_1")]


def test_a_step_that_shares_weights_names_the_owner() -> None:
    body = body_of(graph_of("[{conv_bn: 3, name: a}, {conv_bn: 3, name: b, share: a}]", CONV_BN))
    assert [item_of(body, name).shares for name in "ab"] == ["", "a"]


def test_expressions_read_the_inputs_of_the_block_by_name() -> None:
    graph = graph_of("[{relu: {}, name: a}, {gated: {}, from: [image, a], name: b}]", GATED)
    assert named_values(graph, body_of(graph, "b")) == {"x": "image", "gate": "a"}
    assert named_values(graph, body_of(graph)) == {"image": "image"}


def test_a_graph_of_torch_alone_needs_no_other_modules_and_helpers() -> None:
    graph: Graph = graph_of("[conv_bn: 8, relu: {}]", CONV_BN)
    assert (modules_used(bodies(graph)), helpers_used(bodies(graph))) == (set(), {})
