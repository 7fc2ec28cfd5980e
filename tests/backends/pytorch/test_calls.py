"""Calls that make layers and instances of other classes, and the flows after them."""

from __future__ import annotations

import pytest

from netspec.backends.pytorch.flows import SHAPE, Flow
from netspec.backends.pytorch.layout import flat
from netspec.backends.pytorch.modules import construct
from netspec.backends.pytorch.state import ClassState, Place
from netspec.expression import Literal, Name
from netspec.graph import Graph
from tests.backends.pytorch.printing import CONV_BN, graph_of, item_of, state_of, text, written_class

WRAPPER = f"""{CONV_BN}
  wrapper:
    params: {{width: int}}
    body: [{{conv_bn: {{width: 2*width, stride: 2}}, name: first}}, {{conv_bn: input.channels, name: second}}]
"""


def called(state: ClassState, name: str) -> str:
    """The call that makes an item of a class, all items before which were made."""
    body = state.cls.template.body
    for item in body.items:
        doc = construct(state, item, Place(body.entry), state.uses_of(item))
        if item.name == name:
            return flat(doc)
    raise AssertionError(name)


def inside(graph: Graph, name: str) -> ClassState:
    """The state of a class whose first input has `in_channels` channels."""
    state = state_of(graph, name)
    state.flows[state.cls.template.body.inputs[0]] = Flow(Name("in_channels"), others=frozenset((SHAPE,)))
    return state


@pytest.mark.parametrize(
    ("step", "call"),
    [
        ("{conv2d: {out_channels: 8, kernel_size: 3}, name: a}", "nn.Conv2d(in_channels, 8, 3)"),
        (
            "{conv2d: {out_channels: w, kernel_size: [3, 1], bias: false}, name: a}",
            "nn.Conv2d(in_channels, w, (3, 1), bias=False)",
        ),
        ("{batch_norm: {}, name: a}", "nn.BatchNorm2d(in_channels)"),
        ("{max_pool2d: {kernel_size: 2}, name: a}", "nn.MaxPool2d(2)"),
        ("{relu: {}, name: a}", "nn.ReLU()"),
        ("{parameter: {shape: [w, 1, 1]}, name: a}", "nn.Parameter(torch.zeros(1, w, 1, 1))"),
    ],
)
def test_a_layer_says_what_differs_from_defaults(step: str, call: str) -> None:
    blocks = f"\n  b:\n    params: {{w: int}}\n    body: [{step}, {{relu: {{}}, name: z, from: input}}]\n"
    made = called(inside(graph_of("[b: 4, {conv2d: {out_channels: 5, kernel_size: 1}}, b: 5]", blocks), "B"), "a")
    assert made == call


def test_arguments_of_a_layer_that_the_spec_has_not_are_new_arguments() -> None:
    # No class knows how high its input is.
    blocks = CONV_BN.replace("padding: 1", "padding: 1 if input.height == 8 else 2")
    written = written_class(graph_of("[{conv_bn: {width: 8, stride: 2}}, {conv_bn: 4}]", blocks), "ConvBn")
    assert [argument.name for argument in written.arguments] == ["in_channels", "width", "padding", "stride"]


def test_a_call_has_the_channels_that_enter_and_what_differs_from_defaults() -> None:
    state = inside(graph_of("[wrapper: 8, wrapper: 4]", WRAPPER), "Wrapper")
    assert called(state, "first") == "ConvBn(in_channels, 2 * width, stride=2)"


def test_a_call_gives_what_the_class_says_in_the_terms_of_the_caller() -> None:
    state = inside(graph_of("[wrapper: 8, wrapper: 4]", WRAPPER), "Wrapper")
    body = state.cls.template.body
    assert called(state, "second") == "ConvBn(2 * width, in_channels)"
    first, second = (state.flows[item_of(body, name).outputs[0]] for name in ("first", "second"))
    assert (text(first.channels), first.assumed, first.others) == ("2 * width", set(), {SHAPE})
    assert (text(second.channels), second.others) == ("in_channels", {SHAPE})


def test_what_a_class_pins_is_pinned_in_its_callers() -> None:
    # The number of features of the linear layer follows from the width of the convolution.
    blocks = """
  head:
    params: {width: int}
    body: [{conv2d: {out_channels: width, kernel_size: 1}}, flatten, linear: 10]
"""
    graph = graph_of("[{head: wide}]", blocks, params="{wide: 4}")
    assert "width" in written_class(graph, "Head").pinned
    assert written_class(graph, "Net", ("wide",)).pinned >= {"wide"}


def test_flows_of_the_network_begin_as_literals() -> None:
    graph = graph_of("[{conv_bn: width}]", CONV_BN, params="{width: 4}")
    written = written_class(graph, "Net", ("width",))
    assert written.constructor == ["        self.conv_bn = ConvBn(3, width)"]
    (flow,) = written.outputs
    assert (flow.channels, flow.dependencies) == (Name("width"), {"width"})
    assert written_class(graph, "Net").outputs[0].channels == Literal(4)
