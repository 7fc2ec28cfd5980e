"""The constructor of a class: its statements, its conditions, and what it pins."""

from __future__ import annotations

from netspec.backends.pytorch.state import WrittenClass
from tests.backends.pytorch.printing import CONV_BN, graph_of, text, written_class

OPTIONAL = f"""{CONV_BN}
  basic:
    params: {{width: int}}
    body:
      - add:
          branches:
            residual: [conv_bn: width]
            shortcut: [{{conv_bn: width, when: input.channels != width}}]
  gated:
    params: {{width: int, scale: true}}
    body:
      - {{conv_bn: width, name: a}}
      - {{multiply, from: [a, a], name: squared, when: scale}}
  tail:
    params: {{width: int}}
    body: [{{relu: {{}}, name: a}}, {{conv_bn: width, name: b, when: input.channels != width}}]
"""


def statements(written: WrittenClass) -> list[str]:
    """The lines of the constructor without their indentation."""
    return [line.strip() for line in written.constructor]


def names(written: WrittenClass) -> list[str]:
    return [argument.name for argument in written.arguments]


def test_each_module_has_a_statement() -> None:
    written = written_class(graph_of("[conv_bn: 8, relu: {}, {conv_bn: {width: 16, stride: 2}}]", CONV_BN), "ConvBn")
    assert statements(written) == [
        "self.conv = nn.Conv2d(",
        "in_channels, width, 3, stride=stride, padding=1, bias=False",
        ")",
        "self.bn = nn.BatchNorm2d(width)",
    ]
    assert [(argument.name, argument.default) for argument in written.arguments] == [
        ("in_channels", ...),
        ("width", ...),
        ("stride", 1),
    ]
    assert text(written.outputs[0].channels) == "width"
    assert written.pinned == set()


def test_a_parameter_that_all_uses_agree_on_is_still_an_argument() -> None:
    assert names(written_class(graph_of("[conv_bn: 8, conv_bn: 8]", CONV_BN), "ConvBn")) == [
        "in_channels",
        "width",
        "stride",
    ]


def test_a_module_that_some_uses_have_has_a_condition() -> None:
    written = written_class(graph_of("[tail: 3, tail: 8]", OPTIONAL), "Tail")
    assert statements(written) == [
        "self.a = nn.ReLU()",
        "self.b = ConvBn(in_channels, width) if in_channels != width else nn.Identity()",
    ]


def test_steps_of_a_chain_that_some_uses_have_are_added_under_their_condition() -> None:
    written = written_class(graph_of("[basic: 3, basic: 8]", OPTIONAL), "Basic")
    assert statements(written)[1:] == [
        "self.shortcut = nn.Sequential()",
        "if in_channels != width:",
        'self.shortcut.add_module("conv_bn", ConvBn(in_channels, width))',
    ]


def test_a_function_that_some_uses_call_has_an_attribute() -> None:
    written = written_class(graph_of("[{gated: 3}, {gated: {width: 8, scale: false}}]", OPTIONAL), "Gated")
    assert statements(written)[-1] == "self.with_squared = scale"
    assert written.conditions == {"squared": "with_squared"}
    assert "scale" in written.outputs[0].assumed


def test_a_condition_that_no_expression_gives_is_an_argument() -> None:
    # No class knows how high its input is.
    blocks = OPTIONAL.replace("name: b, when: input.channels != width", "name: b, when: input.height == 8")
    graph = graph_of("[{tail: 3}, {max_pool2d: 2}, {tail: 8}]", blocks)
    written = written_class(graph, "Tail")
    assert names(written) == ["in_channels", "width", "with_b"]


def test_free_parameters_are_arguments_of_the_network_with_their_values_as_defaults() -> None:
    graph = graph_of("[{conv_bn: width}, {conv_bn: 2*width}]", CONV_BN, params="{width: 4}")
    written = written_class(graph, "Net", ("width",))
    assert statements(written) == ["self.conv_bn = ConvBn(3, width)", "self.conv_bn_2 = ConvBn(width, 2 * width)"]
    assert [(argument.name, argument.default) for argument in written.arguments] == [("width", 4)]
    assert written.pinned == set()
    assert names(written_class(graph, "Net")) == []


def test_a_number_that_follows_from_a_parameter_pins_it() -> None:
    network = "[{conv2d: {out_channels: width, kernel_size: 1}}, flatten, linear: 4]"
    written = written_class(graph_of(network, params="{width: 5}"), "Net", ("width",))
    assert statements(written)[-1] == "self.linear = nn.Linear(320, 4)"
    assert written.pinned == {"width"}


def test_a_second_call_of_a_module_has_no_statement() -> None:
    graph = graph_of("[{conv_bn: 3, name: a}, {conv_bn: 3, name: b, share: a}, {conv_bn: 4, name: c}]", CONV_BN)
    written = written_class(graph, "Net")
    assert statements(written) == ["self.a = ConvBn(3, 3)", "self.c = ConvBn(3, 4)"]
    assert text(written.outputs[0].channels) == "4"
