"""The expression language: values against Python's own, texts that read back, and errors that point at their place."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from netspec.dims import symbol
from netspec.expression import (
    MAX_EXPRESSION_DEPTH,
    MAX_INTEGER,
    MAX_LENGTH,
    MAX_OPERATORS,
    Attribute,
    Binary,
    Conditional,
    Expression,
    ExpressionError,
    FunctionCall,
    ListOf,
    Literal,
    Name,
    Subscript,
    Unary,
    UnknownName,
    evaluate,
    expression_text,
    names_in,
    parse,
    show,
    simplify,
)
from netspec.types import Tensor

repeatable = settings(deadline=None, derandomize=True, max_examples=400)

H = symbol("H")
NAMES: dict[str, Any] = {
    "a": 7,
    "b": -2,
    "x": 2.5,
    "yes": True,
    "no": False,
    "stages": [3, 4, 6, 3],
    "word": "same",
    "input": Tensor((symbol("N"), 64, 56, 48)),
    "map": Tensor((symbol("N"), 64, H, symbol("W"))),
    "pair": Tensor((2, 10)),
    "scalar": Tensor(()),
    "endless": math.inf,
}
PYTHON = {"__builtins__": {}, "min": min, "max": max, "len": len, "math": math}


def value_of(text: str) -> Any:
    return evaluate(parse(text), NAMES)


def same(one: Any, other: Any) -> bool:
    """Equal, and of one type: 1, 1.0 and true are three values."""
    return type(one) is type(other) and one == other


# Good ones.

GOOD: list[tuple[str, Any]] = [
    ("1 + 2*3 - 4", 3),
    ("(1 + 2)*3", 9),
    ("2 - 3 - 4", -5),
    ("100 // 7 // 2", 7),
    ("-7 // 2", -4),
    ("-7 % 3", 2),
    ("7 / 2", 3.5),
    ("4 / 2", 2.0),
    ("- -3", 3),
    ("--3", 3),
    ("-a*2", -14),
    ("2 - -a", 9),
    ("1e-5", 1e-5),
    (".5 + 1. + 2.5e+1", 26.5),
    ("010", 10),
    ("9223372036854775807", MAX_INTEGER),
    ("-9223372036854775807", -MAX_INTEGER),
    ("x * 2", 5.0),
    ("a > 3 and b < 0 or 1 // 0 == 1", True),
    ("no and 1 // 0 == 1", False),
    ("not yes or not no", True),
    ("not a == 7", False),
    ("yes == not no", True),
    ("a == 7.0", True),
    ("a != 7", False),
    ("a <= 7 and a >= 7 and a < 8", True),
    ("word == 'same'", True),
    ("word != 'valid'", True),
    ("'' == ''", True),
    ("1 if a == 7 else 1 // 0", 1),
    ("1 if no else 2 if no else 3", 3),
    ("(1 if no else 2) + 1", 3),
    ("[1, 2.5, true, 'a', [a], ]", [1, 2.5, True, "a", [7]]),
    ("[]", []),
    ("stages[1]", 4),
    ("stages[-1] + stages[a - 7]", 6),
    ("[[1, 2], [3]][0][1]", 2),
    ("stages == [3, 4, 6, 3]", True),
    ("len(stages)", 4),
    ("max(stages) - min(stages)", 3),
    ("min(a, b, 1.5)", -2),
    ("min([a])", 7),
    ("ceil(x) + floor(-x)", 0),
    ("ceil(7 / 2)", 4),
    ("floor(3)", 3),
    ("  1\n +\t2 ", 3),
]
# What Python has no word for, or means otherwise.
OURS: list[tuple[str, Any]] = [
    ("input.channels", 64),
    ("input.height // 2 + input.width", 76),
    ("input.shape[1]", 64),
    ("input.shape[0]", symbol("N")),
    ("pair.features + len(pair.shape)", 12),
    ("map.height // 2 + 1", H // 2 + 1),
    ("(map.height + 1) % 2", (H + 1) % 2),
    ("map.height == map.height", True),
    ("map.height == map.height + 1", False),
    ("map.height + 1 > map.height", True),
    ("map.shape == pair.shape", False),
    ("[map.height] == [map.height]", True),
]


@pytest.mark.parametrize(("text", "value"), GOOD + OURS)
def test_value(text: str, value: Any) -> None:
    assert same(value_of(text), value)


@pytest.mark.parametrize(("text", "value"), GOOD)
def test_value_is_pythons(text: str, value: Any) -> None:
    written = expression_text(parse(text), python=True)
    assert same(eval(written, PYTHON, NAMES), value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("((1)+(2*3))", "1 + 2 * 3"),
        ("(1+2)*3", "(1 + 2) * 3"),
        ("1-(2-3)", "1 - (2 - 3)"),
        ("-(a+1)", "-(a + 1)"),
        ("(-a)[0]", "(-a)[0]"),
        ("not (a and b)", "not (a and b)"),
        ("(not a)==b", "(not a) == b"),
        ("(a==b)==c", "(a == b) == c"),
        ("(a if b else c)if d else(e if f else g)", "(a if b else c) if d else e if f else g"),
        ("min(a,b,)", "min(a, b)"),
        ("true and 'x'=='y'", "true and 'x' == 'y'"),
    ],
)
def test_text(text: str, shown: str) -> None:
    assert expression_text(parse(text)) == shown


def test_names() -> None:
    assert names_in(parse("a + input.channels if not b else min(c, [d[e]])")) == {"a", "input.channels", *"bcde"}


# Bad ones: the message (a part of it) and the offset, None where the text is fine and a value is not.

DEEP = "(" * MAX_EXPRESSION_DEPTH + "1" + ")" * MAX_EXPRESSION_DEPTH
BAD: list[tuple[str, str, int | None]] = [
    ("", "an expression is missing", 0),
    ("   ", "an expression is missing", 0),
    ("9**9**9", "there is no power operator", 1),
    ("__import__('os')", "there is no function `__import__`", 0),
    ("a b", "an operator is missing before `b`", 2),
    ("a..b", "`.` can't stand here", 2),
    ("a.", "something is missing at the end", 2),
    ("a.__class__", "a value has no attribute `__class__`", 2),
    ("1.channels", "an operator is missing before `channels`", 2),
    ("a.b.shape.channels", "`.` can't stand here", 9),
    ("1 < a < 3", "comparisons don't chain", 2),
    ("a == b == 1", "comparisons don't chain", 2),
    ("a = 1", "`=` has no meaning", 2),
    ("1 + ", "something is missing at the end", 3),
    ("1 + * 2", "`*` can't stand here", 4),
    ("+1", "`+` can't stand here", 0),
    ("(1", "`)` is missing before the end", 2),
    ("1)", "`)` can't stand here", 1),
    ("[1, 2", "`]` is missing before the end", 5),
    ("[,]", "`,` can't stand here", 1),
    ("a[1", "`]` is missing before the end", 3),
    ("a[]", "`]` can't stand here", 2),
    ("1 if 2", "`else` is missing before the end", 6),
    ("if 1", "`if` can't stand here", 0),
    ("else", "`else` can't stand here", 0),
    ("lambda: 1", "`:` has no meaning", 6),
    ("a; b", "`;` has no meaning", 1),
    ("'open", "`'` has no meaning", 0),
    ('"a"', '`"` has no meaning', 0),
    ("a @ b", "`@` has no meaning", 2),
    ("\u0663", "`\u0663` has no meaning", 0),
    ("a\u00e9", "`\u00e9` has no meaning", 1),
    ("sum(stages)", "there is no function `sum`", 0),
    ("9223372036854775808", "an integer is at most", 0),
    ("1 + 99999999999999999999", "an integer is at most", 4),
    ("1 + 1e999", "too large for a float", 4),
    ("1" * (MAX_LENGTH + 1), "at most 1000 characters", None),
    (f"({DEEP})", "nests at most 50 deep", MAX_EXPRESSION_DEPTH),
    ("-" * 60 + "a", "nests at most 50 deep", MAX_EXPRESSION_DEPTH - 1),
    ("[" * 400, "nests at most 50 deep", MAX_EXPRESSION_DEPTH),
    ("not " * 200 + "a", "nests at most 50 deep", 4 * (MAX_EXPRESSION_DEPTH - 1)),
    ("a if a else " * 60 + "a", "nests at most 50 deep", 12 * MAX_EXPRESSION_DEPTH),
    ("1" + "+1" * 200, "at most 100 operators", 1 + 2 * MAX_OPERATORS),
    ("a" + "[0]" * 200, "at most 100 operators", 1 + 3 * MAX_OPERATORS),
    ("1/0", "division by zero", None),
    ("1 // 0", "division by zero", None),
    ("1 % 0.0", "division by zero", None),
    ("1e308 * 10", "too large for a float", None),
    ("9223372036854775807 + 1", "an integer is at most", None),
    ("4611686018427387904 * 2", "an integer is at most", None),
    ("ceil(1e300)", "an integer is at most", None),
    ("true + 1", "`+` takes numbers, not true", None),
    ("-true", "`-` takes numbers, not true", None),
    ("true < 2", "`<` takes numbers, not true", None),
    ("min(true, 1)", "`min` takes numbers, not true", None),
    ("'a' + 'b'", "`+` takes numbers, not 'a'", None),
    ("stages * 2", "`*` takes numbers, not [3, 4, 6, 3]", None),
    ("input + 1", "`+` takes numbers", None),
    ("1 and yes", "1 is neither true nor false", None),
    ("not stages", "[3, 4, 6, 3] is neither true nor false", None),
    ("1 if a else 2", "7 is neither true nor false", None),
    ("stages[4]", "the list has 4 items, so no item 4", None),
    ("stages[-5]", "the list has 4 items, so no item -5", None),
    ("stages[1.0]", "the index of a list is an int", None),
    ("stages[true]", "the index of a list is an int, not true", None),
    ("word[0]", "takes an item of a list", None),
    ("len(a)", "`len` takes one list", None),
    ("len(stages, stages)", "`len` takes one list", None),
    ("min()", "`min` takes two numbers or more", None),
    ("min([])", "`min` takes two numbers or more", None),
    ("min(3)", "`min` takes two numbers or more", None),
    ("min(stages, 1)", "`min` takes numbers", None),
    ("floor(1, 2)", "`floor` takes one number", None),
    ("ceil()", "`ceil` takes one number", None),
    ("1 + nothing", "`nothing` is not defined here", 4),
    ("nothing.channels", "`nothing` is not defined here", 0),
    ("None", "`None` is not defined here", 0),
    ("1 + a.channels", "`a` is no value with `.channels`", 4),
    ("pair.height", "so no height", 0),
    ("scalar.features", "so no features", 0),
    ("ceil(endless)", "too large for a float", None),
    ("endless - 1", "too large for a float", None),
    ("map.height == 5", "whether H equals 5 depends on a symbol", None),
    ("map.height == map.width", "whether H equals W depends on a symbol", None),
    ("map.shape == [1, 64, 5, 5]", "whether N equals 1 depends on a symbol", None),
    ("map.height > 5", "whether H > 5 depends on a symbol", None),
    ("map.height < 1.5", "mixes a size with a float", None),
    ("1.5 - map.height", "mixes a size with a float", None),
    ("map.height / 2", "not a size that can be kept exactly", None),
    ("2 // map.height", "not a size that can be kept exactly", None),
    ("map.height // -2", "not a size that can be kept exactly", None),
    ("map.height % 0", "not a size that can be kept exactly", None),
    ("not map.height", "the truth of H depends on a symbol", None),
    ("min(map.height, 3)", "`min` of H depends on a symbol", None),
    ("stages[map.height]", "the index of a list is an int, not H", None),
]


@pytest.mark.parametrize(("text", "message", "at"), [pytest.param(*bad, id=bad[0][:24] or "empty") for bad in BAD])
def test_error(text: str, message: str, at: int | None) -> None:
    with pytest.raises(ExpressionError) as caught:
        value_of(text)
    assert message in caught.value.message
    assert caught.value.at == at
    assert isinstance(caught.value, UnknownName) == ("is not defined" in message)


def test_the_limits_are_reached() -> None:
    assert value_of(DEEP[1:-1]) == 1
    assert value_of("1" + "+1" * MAX_OPERATORS) == MAX_OPERATORS + 1
    assert value_of("1" + " " * (MAX_LENGTH - 1)) == 1


def test_sizes_do_not_explode() -> None:
    names = {f"v{number}": Tensor((1, 1, symbol(f"S{number}"), 1)) for number in range(8)}
    factor = "(" + "+".join(f"{name}.height" for name in names) + ")"
    with pytest.raises(ExpressionError, match="too many terms"):
        evaluate(parse("*".join([factor] * 9)), names)


ALPHABET = [*NAMES, *PYTHON, *"+-*/%()[],.<>='", "//", "**", "==", "!=", "<=", ">=", " and ", " or ", " not "]
ALPHABET += [
    " if ",
    " else ",
    "true",
    "0",
    "1",
    "2.5",
    "1e9",
    ".shape",
    ".height",
    ".channels",
    " ",
    "\u00b2",
    "\u00a0",
]
SNIPPETS = st.lists(st.sampled_from(ALPHABET), max_size=30).map("".join)


@repeatable
@given(st.text(max_size=60) | st.text("a1.+-*/%()[]'<>= \n", max_size=40) | SNIPPETS)
@example("1+" * 499 + "1")
@example("\ud800")
@example("a\x00")
def test_nothing_but_expression_errors(text: str) -> None:
    with suppress(ExpressionError):
        tree = parse(text)
        for names in (NAMES, {}):
            with suppress(ExpressionError):
                evaluate(tree, names)
        assert parse(expression_text(tree)) == tree
        expression_text(simplify(tree, {"a": 1, "yes": False}))


# Random trees.


def trees(*, sound: bool) -> st.SearchStrategy[Expression]:
    """Trees as the parser makes them; `sound` ones mostly have a value."""
    numbers = st.integers(-20, 20) | st.floats(-8, 8).filter(lambda x: x != 0)
    atoms = st.one_of(
        (numbers if sound else numbers | st.booleans() | st.text("ab ", max_size=2)).map(Literal),
        st.sampled_from([Name("a"), Name("b"), Name("x"), Subscript(Name("stages"), Literal(1))]),
    )

    def numeric(literal: Expression) -> bool:
        return isinstance(literal, Literal) and type(literal.value) in (int, float)

    def grown(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        compared = st.builds(Binary, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), inner, inner)
        truths = compared | st.sampled_from([Name("yes"), Name("no"), Literal(True)])
        truths |= st.builds(Binary, st.sampled_from(["and", "or"]), truths, truths)
        truths |= st.builds(Unary, st.just("not"), truths)
        calls = st.builds(
            FunctionCall, st.sampled_from(["min", "max"]), st.lists(inner, min_size=2, max_size=3).map(tuple)
        )
        sound_ones = st.one_of(
            st.builds(Binary, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner, inner),
            st.builds(Unary, st.just("-"), inner.filter(lambda tree: not numeric(tree))),
            st.builds(Conditional, inner, truths, inner),
            st.builds(Subscript, st.lists(inner, min_size=1, max_size=3).map(tuple).map(ListOf), st.just(Literal(0))),
            calls,
            st.builds(FunctionCall, st.sampled_from(["ceil", "floor"]), st.tuples(inner)),
        )
        if sound:
            return sound_ones
        return sound_ones | truths | st.builds(Subscript, inner, inner) | st.just(Attribute("input", "channels"))

    return st.recursive(atoms, grown, max_leaves=12)


@repeatable
@given(trees(sound=False))
def test_the_text_of_a_tree_reads_back_as_it(tree: Expression) -> None:
    text = expression_text(tree)
    assume(len(text) <= MAX_LENGTH)
    again = parse(text)
    assert again == tree
    assert expression_text(again) == text
    assert expression_text(again, python=True) == expression_text(tree, python=True)


@repeatable
@given(trees(sound=True))
def test_the_python_text_has_the_same_value(tree: Expression) -> None:
    try:
        value = evaluate(tree, NAMES)
    except ExpressionError:
        assume(False)
    assert same(eval(expression_text(tree, python=True), PYTHON, NAMES), value)


@repeatable
@given(trees(sound=True), st.sets(st.sampled_from(["a", "b", "x", "yes", "no", "stages"])))
def test_simplify_keeps_the_value(tree: Expression, known: set[str]) -> None:
    simple = simplify(tree, {name: NAMES[name] for name in known})
    assert not names_in(simple) & known
    try:
        value = evaluate(tree, NAMES)
    except ExpressionError:
        return
    assert same(evaluate(simple, NAMES), value)


@pytest.mark.parametrize(
    ("text", "simple"),
    [
        ("stride != 1 or input.channels != 4 * width", "input.channels != 256"),
        ("width * k", "64 * k"),
        ("k * 1 + 0", "k"),
        ("1 * k", "k"),
        ("yes and k > 2", "k > 2"),
        ("not yes and k > 2", "false"),
        ("k > 2 and not yes", "k > 2 and false"),
        ("k if yes else 4 // 0", "k"),
        ("1 if k > 2 else 4 // (stride - 1)", "1 if k > 2 else 4 // 0"),
        ("width if k > 2 else 64", "64"),
        ("1 if k > 2 else 1.0", "1 if k > 2 else 1.0"),
        ("[width, k][stride - 1]", "[64, k][0]"),
        ("max(width, stride)", "64"),
    ],
)
def test_simplified_text(text: str, simple: str) -> None:
    assert expression_text(simplify(parse(text), {"stride": 1, "width": 64, "yes": True})) == simple


def test_show() -> None:
    for value, shown in zip(
        [True, 3, 1e-05, "a", [1, [False]], (2, 2), None, H + 1],
        ["true", "3", "1e-05", "'a'", "[1, [false]]", "[2, 2]", "null", "H + 1"],
        strict=True,
    ):
        assert show(value) == shown
