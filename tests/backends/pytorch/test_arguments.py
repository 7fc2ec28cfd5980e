"""The expression, literal or argument that is printed for the values of a class's uses."""

from __future__ import annotations

from typing import Any

import pytest

from netspec.backends.pytorch.arguments import Arguments, CopiesDifferError, UseValues, argument_of_call
from netspec.backends.pytorch.exact import Exact
from netspec.backends.pytorch.layout import flat
from netspec.expression import Expression, Literal, Name, parse
from tests.backends.pytorch.printing import CONV_BN, classes_of, graph_of, text


def arguments_of_two_uses() -> Arguments:
    """The arguments of a class with uses of the widths 8 and 16; 3 and 8 channels enter."""
    graph = graph_of("[{conv_bn: 8}, {conv_bn: {width: 16, stride: 2}}]", CONV_BN)
    return Arguments(classes_of(graph)[0], graph)


def in_uses(arguments: Arguments, *values: Any) -> UseValues:
    return list(zip(arguments._cls.uses, values, strict=True))  # pyright: ignore[reportPrivateUsage]


def chosen(arguments: Arguments, values: tuple[Any, Any], *candidates: str, is_list: bool = False) -> str | None:
    trees: list[Expression] = [parse(candidate) for candidate in candidates]
    return text(arguments.choose(in_uses(arguments, *values), trees, "size", is_list))


def test_an_expression_that_gives_each_use_its_value_is_printed() -> None:
    arguments = arguments_of_two_uses()
    assert chosen(arguments, (16, 32), "width", "2*width") == "2 * width"
    assert [argument.name for argument in arguments.listed()] == ["width"]


def test_a_literal_stands_for_what_all_uses_agree_on() -> None:
    arguments = arguments_of_two_uses()
    assert chosen(arguments, (3, 3), "width") == "3"
    assert chosen(arguments, ((3, 3), (3, 3)), "width") == "3"
    assert chosen(arguments, ((3, 3), (3, 3)), is_list=True) == "[3, 3]"
    assert arguments.listed() == []


def test_a_parameter_is_found_by_its_values() -> None:
    assert chosen(arguments_of_two_uses(), (1, 2)) == "stride"


def test_other_values_make_a_new_argument_once() -> None:
    arguments = arguments_of_two_uses()
    assert chosen(arguments, (5, 6), "width") == "size"
    assert chosen(arguments, (5, 6), "width") == "size"
    assert chosen(arguments, (5, 7)) == "size_2"
    assert chosen(arguments, (10, 12), "2*size") == "2 * size"
    assert [argument.name for argument in arguments.listed()] == ["size", "size_2"]


def test_booleans_are_no_numbers_and_ints_are_good_floats() -> None:
    arguments = arguments_of_two_uses()
    assert not arguments.holds(Literal(1), in_uses(arguments, True, True))
    assert arguments.holds(Literal(1), in_uses(arguments, 1.0, 1.0))
    assert not arguments.holds(Literal(1.0), in_uses(arguments, 1, 1))
    assert not arguments.holds(parse("nothing"), in_uses(arguments, 1, 1))


def test_the_sizes_of_inputs_can_be_read() -> None:
    arguments = arguments_of_two_uses()
    assert chosen(arguments, (3, 8), "in_channels") == "in_channels"
    assert [argument.name for argument in arguments.listed()] == ["in_channels"]


def test_a_share_of_a_size() -> None:
    arguments = arguments_of_two_uses()
    assert text(arguments.share_of(Name("width"), in_uses(arguments, 2, 4))) == "width // 4"
    assert arguments.share_of(Name("width"), in_uses(arguments, 2, 8)) is None
    assert arguments.share_of(Name("width"), in_uses(arguments, 2, 2)) is None
    assert arguments.share_of(Name("nothing"), in_uses(arguments, 2, 4)) is None


def test_copies_read_their_number() -> None:
    arguments = arguments_of_two_uses()
    (first, _), (second, _) = in_uses(arguments, 0, 0)
    values = [(first.copy(0), 4), (first.copy(1), 8), (second.copy(0), 4)]
    assert not arguments.reads_index
    assert text(arguments.choose(values, [parse("4*(index + 1)")], "size")) == "4 * (index + 1)"
    assert arguments.reads_index
    assert arguments.used == set()


def test_copies_that_differ_without_an_expression_can_not_share_a_class() -> None:
    arguments = arguments_of_two_uses()
    (first, _), (second, _) = in_uses(arguments, 0, 0)
    values = [(first.copy(0), 4), (first.copy(1), 9), (second.copy(0), 4)]
    with pytest.raises(CopiesDifferError):
        arguments.choose(values, [Name("width")], "size")
    arguments.dry_run = True
    assert text(arguments.choose(values, [], "size")) == "size"


def test_a_dry_run_takes_candidates_as_they_are() -> None:
    arguments = arguments_of_two_uses()
    arguments.dry_run = True
    assert chosen(arguments, (5, 6), "stride") == "stride"


def test_required_arguments_come_first() -> None:
    arguments = arguments_of_two_uses()
    for name in ("stride", "width", "in_channels"):
        arguments.used.add(name)
    chosen(arguments, (5, 6))
    names = [(argument.name, argument.default) for argument in arguments.listed()]
    assert names == [("in_channels", ...), ("width", ...), ("size", ...), ("stride", 1)]


@pytest.mark.parametrize(
    ("values", "annotation"),
    [
        ((5, 6), "int"),
        ((5, None), "int | None"),
        ((5, (1, 2)), "int | tuple[int, int]"),
        ((0.5, "same"), "float | str"),
        ((Exact("{}", "dict"), Exact("[7]", "list")), "dict | list"),
    ],
)
def test_type_hints_of_new_arguments(values: tuple[Any, Any], annotation: str) -> None:
    arguments = arguments_of_two_uses()
    chosen(arguments, values)
    assert [argument.annotation for argument in arguments.listed()] == [annotation]


def test_arguments_of_calls_say_only_what_differs_from_defaults() -> None:
    def call(*arguments: Any) -> list[str]:
        return [flat(doc) for doc in argument_of_call(*arguments)]

    assert call("width", Literal(8), True, ...) == ["8"]
    assert call("stride", Literal(2), False, 1) == ["stride=2"]
    assert call("stride", Literal(1), False, 1) == []
    assert call("bias", Literal(1), False, True) == ["bias=1"]
    assert call("stride", Name("stride"), False, 1) == ["stride=stride"]
