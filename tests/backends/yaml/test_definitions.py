"""Which uses of blocks share a definition, and which of them is its template."""

from __future__ import annotations

import pytest

import netspec
from netspec.backends.yaml.definitions import Definition, Definitions
from netspec.backends.yaml.initial import common_fillings
from netspec.backends.yaml.parts import PartsReader
from netspec.graph import Graph

HEAD = "netspec: 1\nname: net\ninputs: {image: [N, 4, 16, 16]}\n"
OPTIONAL = "unit: {params: {full: bool}, body: [tanh, {relu, when: full}]}"
CONV = "conv2d: {out_channels: 4, kernel_size: 1}"


def graph_of(steps: str, *blocks: str) -> Graph:
    return netspec.loads(f"{HEAD}blocks: {{{', '.join(blocks)}}}\nnetwork: {steps}\n").graph


def definitions_of(graph: Graph) -> list[Definition]:
    """The definitions but for the network's, each after those in it."""
    reader = PartsReader(graph, set())
    reader.network()
    found = Definitions(graph, reader.uses, common_fillings(graph)).all
    assert found[-1].label == ""
    return found[:-1]


def uses(graph: Graph) -> list[list[str]]:
    """The paths of the uses of each definition, the template's first."""
    return [
        sorted((m.use.path for m in each.members), key=lambda path, each=each: path != each.template.path)
        for each in definitions_of(graph)
    ]


def test_equal_uses_share_a_definition() -> None:
    assert uses(graph_of("[{unit: true, name: a}, {unit: true, name: b}]", OPTIONAL)) == [["a", "b"]]


def test_the_use_with_the_most_steps_is_the_template() -> None:
    assert uses(graph_of("[{unit: false, name: a}, {unit: true, name: b}]", OPTIONAL)) == [["b", "a"]]


def test_a_step_that_is_left_out_has_no_counterpart() -> None:
    (unit,) = definitions_of(graph_of("[{unit: true, name: a}, {unit: false, name: b}]", OPTIONAL))
    relu = unit.template.parts[1]
    assert [member.match.parts[relu] is None for member in unit.members] == [False, True]
    # What would enter it is then its output as well.
    assert unit.members[1].relative["b.tanh"] == {("tanh", 0), ("relu", 0)}


def test_other_ops_are_another_definition() -> None:
    choice = "unit: {params: {full: bool}, body: [{tanh, when: full, name: act}, {relu, when: not full, name: act2}]}"
    steps = "[{unit: true, name: a}, {unit: false, name: b}]"
    assert uses(graph_of(steps, choice)) == [["a"], ["b"]]


def test_other_connections_are_another_definition() -> None:
    """The same steps, of which one takes another value."""
    b = netspec.Builder("net")
    x = b.input("image", ["N", 4])
    for name, late in (("a", True), ("b", False)):
        with b.scope(name, block="unit"):
            first = b.add("tanh", x, name="t")
            second = b.add("relu", first, name="r")
            x = b.add("add", b.add("sigmoid", second if late else first, name="s"), second, name="end")
    b.output("y", x)
    assert uses(b.build()) == [["a"], ["b"]]


def test_copies_have_one_definition_even_where_steps_differ() -> None:
    unit = "unit: {params: {full: bool}, body: [tanh, {relu, when: full}]}"
    graph = graph_of("[{unit: index == 1, name: c, repeat: 3}]", unit)
    assert uses(graph) == [["c.1", "c.0", "c.2"]]


def test_steps_in_other_blocks_make_no_template() -> None:
    """The first copy has more steps, but within `unit`; the others have a step of their own more."""
    outer = "outer: {params: {full: bool}, body: [{unit: full, name: inner}, {sigmoid, when: not full}]}"
    graph = graph_of("[{outer: index == 0, name: c, repeat: 2}]", OPTIONAL, outer)
    assert uses(graph) == [["c.0.inner", "c.1.inner"], ["c.1", "c.0"]]
    assert netspec.loads(netspec.to_yaml(graph)).graph.hash() == graph.hash()


def test_definitions_come_after_those_in_them() -> None:
    graph = graph_of("[outer]", "outer: {body: [inner, relu]}", "inner: {body: [tanh]}")
    assert [each.label for each in definitions_of(graph)] == ["inner", "outer"]


def test_a_second_call_is_of_one_definition_and_another_block_is_not() -> None:
    blocks = (f"down: {{body: [{{{CONV}, name: c}}, relu]}}", f"up: {{body: [{{{CONV}, name: c}}]}}")
    graph = graph_of("[{down, name: a}, {down, name: b, share: a}, {up, name: d, share: a}]", *blocks)
    assert uses(graph) == [["b", "a"], ["d"]]


def test_the_outputs_of_a_block_are_those_of_all_its_uses() -> None:
    b = netspec.Builder("net")
    x = b.input("image", ["N", 4])
    values: list[str] = []
    for name in ("a", "b"):
        with b.scope(name, block="unit"):
            first = b.add("tanh", x, name="t")
            x = b.add("relu", first, name="r")
        values.append(first)
    b.output("y", x)
    b.output("z", values[0])
    (unit,) = definitions_of(b.build())
    assert unit.outputs == [("r", 0), ("t", 0)]
    assert [unit.values_of(member.use) for member in unit.members] == [["a.r", "a.t"], ["b.r", ""]]


def test_copies_that_differ_too_much() -> None:
    branches = "{a: [{tanh, when: index == 0}, relu], b: [{sigmoid, when: index == 1}, silu]}"
    step = f"{{add: {{branches: {branches}}}, name: x, repeat: 2}}"
    with pytest.raises(netspec.NetspecError, match="NS401: copies of one step in the network differ"):
        definitions_of(netspec.loads(f"{HEAD}network: [{step}]\n").graph)
