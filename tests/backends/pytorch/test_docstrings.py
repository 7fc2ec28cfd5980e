"""Docstrings of generated classes."""

from __future__ import annotations

import ast

import pytest

import netspec
from netspec.backends.pytorch.docstrings import describe_class, describe_network, docstring
from tests.backends.pytorch.printing import CONV_BN, graph_of, written_class


@pytest.mark.parametrize(
    "text",
    [
        "One line.",
        "Title.\n\nA source, with a section.",
        'ends in "',
        '"begins so',
        'a """ within',
        "back\\slash",
        "\x00",
        "",
        "long " * 40,
    ],
)
def test_no_text_breaks_out_of_a_docstring(text: str) -> None:
    lines = docstring(text, 4)
    (statement,) = ast.parse("\n".join(["class A:", *lines])).body
    assert isinstance(statement, ast.ClassDef)
    assert len(statement.body) == 1
    assert ast.get_docstring(statement)
    assert all(len(line) <= 88 for line in lines)


def test_paragraphs_are_apart() -> None:
    assert docstring("Title.\n\nSource.", 4) == ['    """Title.', "", "    Source.", '    """']


@pytest.mark.parametrize(
    ("network", "shapes"),
    [
        (
            "[conv_bn: 8, {conv_bn: {width: 4, stride: 2}}]",
            "(N, in_channels, H, W) to (N, width, H / stride, W / stride)",
        ),
        ("[conv_bn: 8, {conv_bn: 4, from: image}]", "(N, in_channels, H, W) to (N, width, H, W)"),
        ("[{conv_bn: {width: 8, stride: 3}}, {conv_bn: 4}]", "(N, in_channels, H, W) to (N, width, H_out, W_out)"),
    ],
)
def test_a_class_maps_shapes_in_terms_of_its_arguments(network: str, shapes: str) -> None:
    graph = graph_of(network, CONV_BN)
    assert describe_class(graph, written_class(graph, "ConvBn")) == f"Maps {shapes}."


def test_of_a_sequence_the_features_are_told() -> None:
    blocks = "\n  mlp:\n    params: {wide: int}\n    body: [{linear: wide}, gelu]\n"
    graph = graph_of("[mlp: 8, mlp: 4]", blocks, image="[N, 5, 6]")
    assert describe_class(graph, written_class(graph, "Mlp")) == "Maps (N, L, in_features) to (N, L, wide)."


def test_a_map_of_another_size_has_letters_of_its_own() -> None:
    blocks = """
  up:
    params: {width: int}
    inputs: [below, left]
    body:
      - {interpolate: {scale_factor: 2}, from: below, name: wide}
      - {concat, from: [left, wide]}
      - {conv2d: {out_channels: width, kernel_size: 1}}
"""
    network = "[{max_pool2d: 2, name: low}, {up: 4, from: [low, image]}]"
    graph = graph_of(network, blocks)
    said = describe_class(graph, written_class(graph, "Up"))
    assert said == "Maps (N, below_channels, H, W) and (N, left_channels, H2, W2) to (N, width, H_out, W_out)."


def test_the_network_tells_its_inputs_and_outputs() -> None:
    graph = graph_of("[conv_bn: width]", CONV_BN, params="{width: 4}")
    assert describe_network(graph, written_class(graph, "Net")) == "net.\n\nimage (N, 3, 8, 8) -> output (N, 4, 8, 8)"
    free = describe_network(graph, written_class(graph, "Net", ("width",)))
    assert free == "net.\n\nimage (N, 3, 8, 8) -> output (N, width, 8, 8)"


def test_a_shape_stays_on_one_line() -> None:
    lines = docstring(f"Maps {'and more ' * 8}(N, 3, H, W) to (N, 8 * width, H / stride, W / stride).", 4)
    assert [line.count("(") for line in lines] == [line.count(")") for line in lines]
    assert all(len(line) <= 88 for line in lines)


def test_a_network_of_several_values_has_their_names() -> None:
    text = """
netspec: 1
name: net
networks:
  head:
    inputs: {features: [N, 6], rest: [N, 6]}
    body:
      - {add, from: [features, rest], name: sum}
      - {linear: 2, name: scores}
      - {linear: 8, from: sum, name: deltas}
    outputs: {scores: scores, deltas: deltas}
inputs: {x: [N, 6]}
network:
  - {head, from: [x, x], name: head}
  - {multiply, from: [head.scores, head.scores]}
"""
    graph = netspec.loads(text).graph
    described = describe_class(graph, written_class(graph, "Head"))
    assert described == "Maps features (N, 6) and rest (N, 6) to scores (N, 2) and deltas (N, 8)."
