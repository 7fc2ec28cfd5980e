"""The copies of a repeat: one by one, or as many as an argument says."""

from __future__ import annotations

import pytest

from netspec.backends.pytorch.arguments import CopiesDifferError
from netspec.graph import Graph
from tests.backends.pytorch.printing import CONV_BN, graph_of, text, written_class

STACKS = f"""{CONV_BN}
  stack:
    params: {{depth: int, width: int}}
    body: [{{conv_bn: width, name: layers, repeat: depth}}]
  grow:
    params: {{depth: int}}
    body: [{{conv_bn: 8*(index + 1), name: layers, repeat: depth}}]
"""


def layers(graph: Graph, name: str = "Net") -> str:
    """The first statement of a class on one line."""
    text = (
        "".join(line.strip() for line in written_class(graph, name).constructor).replace(",", ", ").replace(",  ", ", ")
    )
    return text.replace("(, ", "(").replace(", )", ")").partition("self.end")[0].partition(" = ")[2]


def test_equal_copies_in_a_row_are_a_generator() -> None:
    graph = graph_of("[{conv_bn: 8, name: layers, repeat: 3}]", CONV_BN)
    assert layers(graph) == "nn.Sequential(ConvBn(3, 8), *(ConvBn(8, 8) for _ in range(2)))"


def test_copies_that_differ_are_printed_one_by_one() -> None:
    graph = graph_of("[{conv_bn: 8*(index + 1), name: layers, repeat: 3}]", CONV_BN)
    assert layers(graph) == "nn.Sequential(ConvBn(3, 8), ConvBn(8, 16), ConvBn(16, 24))"


NUMBERED = """
  drop:
    params: {number: int}
    body: [{dropout: number / 8, name: dropout}]
"""


def test_many_copies_that_differ_by_their_number_are_a_generator() -> None:
    graph = graph_of("[{drop: 2 + index, name: layers, repeat: 4}]", NUMBERED)
    assert layers(graph) == "nn.Sequential(*(Drop(2 + index) for index in range(4)))"


def test_two_copies_that_differ_by_their_number_are_listed() -> None:
    graph = graph_of("[{drop: 2 + index, name: layers, repeat: 2}]", NUMBERED)
    assert layers(graph) == "nn.Sequential(Drop(2), Drop(3))"


def test_where_uses_differ_in_their_number_it_is_an_argument() -> None:
    graph = graph_of("[{stack: {depth: 2, width: 8}}, {stack: {depth: 3, width: 16}}]", STACKS)
    expected = "nn.Sequential(ConvBn(in_channels, width), *(ConvBn(width, width) for _ in range(depth - 1)))"
    assert layers(graph, "Stack") == expected
    assert [argument.name for argument in written_class(graph, "Stack").arguments] == ["in_channels", "depth", "width"]


def test_copies_that_are_all_alike_are_one_generator() -> None:
    blocks = "\n  relus: {params: {depth: int}, body: [{relu: {}, name: layers, repeat: depth}]}\n"
    graph = graph_of("[{relus: 2}, {relus: 3}]", blocks)
    assert layers(graph, "Relus") == "nn.Sequential(*(nn.ReLU() for _ in range(depth)))"


def test_copies_read_their_number_and_what_enters_follows_from_it() -> None:
    graph = graph_of("[{grow: 2}, {grow: 3}]", STACKS)
    rest = "*(ConvBn(8 * index, 8 * (index + 1)) for index in range(1, depth))"
    assert layers(graph, "Grow") == f"nn.Sequential(ConvBn(in_channels, 8), {rest})"
    (flow,) = written_class(graph, "Grow").outputs
    assert text(flow.channels) == "8 * depth"


def test_the_first_copy_may_be_as_the_others_once_its_number_is_0() -> None:
    blocks = STACKS.replace("8*(index + 1)", "3*(index + 2)")
    graph = graph_of("[{grow: 2}, {conv_bn: 3}, {grow: 3}]", blocks)
    assert layers(graph, "Grow") == (
        "nn.Sequential(*(ConvBn(3 * index + 3, 3 * (index + 2)) for index in range(depth)))"
    )


def test_copies_that_no_expression_gives_need_classes_of_their_own() -> None:
    # No class knows how high its input is.
    blocks = """
  halve: {body: [conv2d: {out_channels: 8, kernel_size: 1, stride: 2 if input.height > 3 else 1}]}
  shrink:
    params: {depth: int}
    body: [{halve: {}, name: layers, repeat: depth}]
"""
    graph = graph_of("[{shrink: 3}, {shrink: 4, from: image}]", blocks)
    with pytest.raises(CopiesDifferError) as raised:
        written_class(graph, "Shrink")
    assert raised.value.label == ("block", "shrink")


def test_parameters_stand_in_a_list_of_parameters() -> None:
    graph = graph_of("[{parameter: {shape: [3, 8]}, name: layers, repeat: 2}, {relu: {}, name: end, from: input}]")
    assert layers(graph).startswith("nn.ParameterList(nn.Parameter(")
