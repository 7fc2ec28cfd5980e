"""What is written for the values of an argument: an expression of the spec, a literal, or a parameter."""

from __future__ import annotations

from typing import Any

import pytest

import netspec
from netspec.backends.yaml.definitions import Definition, DefinitionUse, Match
from netspec.backends.yaml.parts import BlockUse
from netspec.backends.yaml.values import Chooser, Occurrence, same
from netspec.expression import Expression, expression_text, parse
from netspec.graph.model import Node, SpecParameter
from netspec.graph.rebuild import Editor, rebuild


def chooser_of(*names: dict[str, Any], parameters: tuple[str, ...] = ()) -> tuple[Chooser, list[Occurrence]]:
    """A chooser for a block whose uses have these names, and an occurrence in each."""
    own = tuple(SpecParameter(name, "int") for name in parameters)
    uses = [BlockUse(f"unit{n}", "unit", {}, [], each, own) for n, each in enumerate(names)]
    members = [DefinitionUse(use, Match(), {}) for use in uses]
    chooser = Chooser(Definition("unit", uses[0], members=members), frozenset(("classes",)))
    return chooser, [Occurrence(use, Match(), use.names) for use in uses]


def chosen(chooser: Chooser, here: list[Occurrence], values: list[Any], *candidates: str, hint: str = "width") -> str:
    trees: list[Expression] = [parse(text) for text in candidates]
    return expression_text(chooser.choose(list(zip(here, values, strict=True)), trees, hint))


def test_the_expression_that_gives_every_value() -> None:
    chooser, here = chooser_of({"width": 8}, {"width": 16}, parameters=("width",))
    assert chosen(chooser, here, [16, 32], "width + 8", "2 * width") == "2 * width"
    assert chooser.used == {"width"}


def test_the_literal_where_no_expression_holds() -> None:
    chooser, here = chooser_of({"width": 8}, {"width": 16}, parameters=("width",))
    assert chosen(chooser, here, [16, 16], "2 * width") == "16"
    assert chooser.used == set()


def test_an_expression_that_fails_for_a_use_is_none() -> None:
    chooser, here = chooser_of({"width": 0}, {"width": 2}, parameters=("width",))
    assert chosen(chooser, here, [4, 4], "8 // width") == "4"


def test_a_parameter_that_has_these_values() -> None:
    chooser, here = chooser_of({"depth": 3}, {"depth": 5}, parameters=("depth",))
    assert chosen(chooser, here, [3, 5]) == "depth"


def test_a_new_parameter_where_nothing_else_has_them() -> None:
    chooser, here = chooser_of({}, {})
    assert chosen(chooser, here, [3, 5]) == "width"
    (parameter,) = chooser.parameters()
    assert (parameter.name, parameter.kind, parameter.required) == ("width", "int", True)
    assert [chooser.value_for("width", member) for member in chooser.definition.members] == [3, 5]


def test_new_parameters_are_shared_by_equal_values_and_have_free_names() -> None:
    chooser, here = chooser_of({}, {})
    assert chosen(chooser, here, [3, 5], hint="classes") == "classes_2"
    assert chosen(chooser, here, [3, 5], hint="classes") == "classes_2"
    assert chosen(chooser, here, [4, 5], hint="classes") == "classes_3"


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([2, 1, 1], "2 if index == 0 else 1"),
        ([1, 2, 3], "1 if index == 0 else 2 if index < 2 else 3"),
        ([1, 1, 2], "1 if index < 2 else 2"),
        ([True, False, False], "index == 0"),
        ([False, True, True], "index >= 1"),
        ([True, False, True], "index == 0 or index == 2"),
    ],
)
def test_values_that_differ_by_copy(values: list[Any], written: str) -> None:
    chooser, (here,) = chooser_of({})
    copies = [Occurrence(here.use, Match(), {"index": n}, (n,)) for n in range(len(values))]
    assert chosen(chooser, copies, values) == written


def test_values_of_copies_in_copies_follow_no_rule() -> None:
    chooser, (here,) = chooser_of({})
    copies = [Occurrence(here.use, Match(), {"index": n}, (0, n)) for n in range(2)]
    with pytest.raises(netspec.NetspecError, match="NS401: copies in copies of a step of `unit` have values"):
        chosen(chooser, copies, [1, 2])


def test_a_parameter_of_several_kinds_is_refused() -> None:
    chooser, here = chooser_of({}, {})
    chosen(chooser, here, [1, "same"])
    with pytest.raises(
        netspec.NetspecError, match=r"NS401: a block's parameter would be of several kinds \(int, str\)"
    ):
        chooser.parameters()


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [(1, 1, True), (1, 1.0, True), (1.0, 1, False), (True, 1, False), ((2, 2), 2, True), ((1, 2), [1, 2], True)],
)
def test_what_is_the_same_to_a_spec(a: Any, b: Any, equal: bool) -> None:
    assert same(a, b) is equal


def test_an_invented_parameter_is_not_called_as_an_input() -> None:
    """The values of `padding` differ from use to use, and a value that enters the block has that name."""
    graph = netspec.loads(
        "netspec: 1\nname: net\ninputs: {image: [N, 4, 12, 12]}\nblocks:\n  b:\n    inputs: [padding, y]\n"
        "    outputs: {padding: c, y: y}\n"
        "    body: [{conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, from: padding, name: c}]\n"
        "network: [{relu, name: r}, {b, from: [image, r], name: one}, {b, from: [one.padding, r], name: two}]\n"
    ).graph

    def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
        wider = node.op.model_copy(update={"padding": (3, 3)})
        return editor.keep(node, inputs, op=wider if node.path == "two.c" else node.op, written={})

    text = netspec.to_yaml(rebuild(graph, visit))
    assert "padding: padding_2" in text
