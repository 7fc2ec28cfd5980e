"""Which uses share a class, and how classes are named."""

from __future__ import annotations

from netspec.backends.pytorch.bodies import bodies
from netspec.backends.pytorch.classes import find_classes, network_class_name, output_class_name
from netspec.graph import Builder, Graph
from tests.backends.pytorch.printing import CONV_BN, classes_of, graph_of

SHORTCUT = f"""{CONV_BN}
  basic:
    params: {{width: int}}
    body:
      - add:
          branches:
            residual: [conv_bn: width]
            shortcut: [{{conv_bn: width, when: input.channels != width}}]
"""
STACK = """
  stack:
    params: {depth: int}
    body: [{relu: {}, name: layers, repeat: depth}, sigmoid]
"""


def uses(graph: Graph) -> dict[str, list[str]]:
    """The paths of the uses of each class, by the class's name; the template comes first."""
    return {cls.name: [use.body.path for use in cls.uses] for cls in classes_of(graph)}


def test_uses_of_a_block_share_a_class_and_the_network_comes_last() -> None:
    graph = graph_of("[conv_bn: 8, {conv_bn: {width: 16, stride: 2}}]", CONV_BN)
    assert uses(graph) == {"ConvBn": ["conv_bn", "conv_bn_2"], "Net": [""]}


def test_a_use_that_lacks_an_optional_step_shares_the_class_of_one_that_has_it() -> None:
    graph = graph_of("[{basic: 3, name: a}, {basic: 8, name: b}]", SHORTCUT)
    basic = next(cls for cls in classes_of(graph) if cls.name == "Basic")
    assert [use.body.path for use in basic.uses] == ["b", "a"]
    shortcut = next(item for item in basic.template.body.items if item.name == "shortcut")
    assert shortcut.body is not None
    (step,) = shortcut.body.items
    assert [use.matches.get(step) is not None for use in basic.uses] == [True, False]


def test_classes_come_after_those_they_use() -> None:
    assert list(uses(graph_of("[basic: 8]", SHORTCUT))) == ["ConvBn", "Basic", "Net"]


def test_uses_with_other_numbers_of_copies_share_a_class_unless_counts_have_to_be_equal() -> None:
    graph = graph_of("[{stack: 2, name: a}, {stack: 3, name: b}]", STACK)
    root = bodies(graph)
    shared, _ = find_classes(graph, root)
    assert [cls.name for cls in shared] == ["Stack", "Net"]
    apart, class_of = find_classes(graph, root, {shared[0].label})
    assert [cls.name for cls in apart] == ["Stack", "Stack2", "Net"]
    assert {body.path: cls.name for body, cls in class_of.items()} == {"a": "Stack2", "b": "Stack", "": "Net"}


def test_arguments_for_sizes_have_names_that_no_parameter_has() -> None:
    blocks = CONV_BN.replace("stride: 1}", "stride: 1, in_channels: 5}")
    (conv_bn, _) = classes_of(graph_of("[conv_bn: 8]", blocks))
    assert conv_bn.channels == {"input_channels": 0}
    assert conv_bn.sizes == {"input_channels": 0, "in_features": 0}


def test_several_inputs_have_arguments_each() -> None:
    blocks = "\n  join:\n    inputs: [low, high]\n    body: [{concat, from: [low, high]}]\n"
    (join, _) = classes_of(graph_of("[{join: {}, from: [image, image]}]", blocks))
    assert join.channels == {"low_channels": 0, "high_channels": 1}
    blocks = blocks.replace("    inputs", "    params: {low_channels: 4}\n    inputs")
    (join, _) = classes_of(graph_of("[{join: {}, from: [image, image]}]", blocks))
    assert join.channels == {"low_channels_": 0, "high_channels": 1}


def test_uses_agree_on_a_width_or_do_not() -> None:
    (conv_bn, _) = classes_of(graph_of("[conv_bn: 8, conv_bn: 8]", CONV_BN))
    assert conv_bn.agreed_width(0) is None
    (conv_bn, _) = classes_of(graph_of("[conv_bn: 3, conv_bn: 8]", CONV_BN))
    assert conv_bn.agreed_width(0) == 3


def test_parameters_of_the_spec_that_all_uses_agree_on() -> None:
    (conv_bn, _) = classes_of(graph_of("[conv_bn: width, conv_bn: 8]", CONV_BN, params="{width: 4, depth: 2}"))
    assert conv_bn.agreed_parameters() == {"width": 4, "depth": 2}


def named(name: str, *inputs: str) -> Graph:
    builder = Builder(name)
    for i in inputs:
        x = builder.input(i, ["N", 3])
    builder.output("y", builder.add("relu", x))
    return builder.build()


def test_the_network_has_a_class_name_that_code_does_not_need() -> None:
    assert network_class_name(named("tiny_net", "image")) == "TinyNet"
    assert network_class_name(named("tensor", "image")) == "TensorNetwork"


def test_no_input_hides_the_class_of_outputs() -> None:
    assert output_class_name(named("net", "image")) == "NetOutput"
    assert output_class_name(named("net", "NetOutput")) == "NetOutputs"
