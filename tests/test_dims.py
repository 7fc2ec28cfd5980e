"""Symbolic sizes against the integers they stand for."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netspec.dims import Dim, Symbolic, always_equal, condition, substitute, symbol, symbols
from netspec.expression import MAX_LENGTH, evaluate, parse

repeatable = settings(deadline=None, derandomize=True, max_examples=300)

H, W = symbol("H"), symbol("W")
OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod}
VALUES = st.integers(-50, 50)

# A tree is a symbol's name, an integer, or (operator, tree, tree); what divides is a positive integer.
Tree = Any


def trees(names: str, max_leaves: int = 8) -> st.SearchStrategy[Tree]:
    leaves = st.sampled_from(names) | st.integers(-4, 9)

    def grown(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
        floors = st.tuples(st.sampled_from(["//", "%"]), inner, st.integers(1, 6))
        return st.tuples(st.sampled_from("+-*"), inner, inner) | floors

    return st.recursive(leaves, grown, max_leaves=max_leaves)


def calculate(tree: Tree, values: dict[str, Dim]) -> Dim:
    """The same Python arithmetic, on integers or on symbols."""
    if isinstance(tree, tuple):
        return OPERATORS[tree[0]](calculate(tree[1], values), calculate(tree[2], values))
    return values.get(tree, tree)


@repeatable
@given(trees("HW"), st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=8))
def test_arithmetic_on_symbols_is_that_on_integers(tree: Tree, places: list[tuple[int, int]]) -> None:
    dim = calculate(tree, {"H": H, "W": W})
    assert symbols([dim]) <= {"H", "W"}
    for h, w in places:
        expected = calculate(tree, {"H": h, "W": w})
        assert substitute(dim, {"H": h, "W": w}) == expected
        assert substitute(substitute(dim, {"W": w}), {"H": h}) == expected


@repeatable
@given(trees("HW", 5), trees("HW", 4))
def test_a_symbol_may_stand_for_a_size(tree: Tree, inner: Tree) -> None:
    dim, size = calculate(tree, {"H": H, "W": W}), calculate(inner, {"H": H, "W": W})
    for h, w in ((0, 0), (7, -3), (-10, 11)):
        there = {"H": h, "W": w}
        assert substitute(substitute(dim, {"H": size}), there) == substitute(
            dim, {"H": substitute(size, there), "W": w}
        )


@repeatable
@given(trees("HW"))
def test_the_text_reads_back_as_the_same_size(tree: Tree) -> None:
    dim = calculate(tree, {"H": H, "W": W})
    assume(len(str(dim)) <= MAX_LENGTH // 4)
    for h, w in ((0, 0), (3, 5), (-7, 4), (31, -13)):
        assert evaluate(parse(str(dim)), {"H": h, "W": w}) == calculate(tree, {"H": h, "W": w})
    assert evaluate(parse(str(dim)), {"H": H, "W": W}) == dim


@repeatable
@given(trees("HW", 4), trees("HW", 4), trees("HW", 4), st.integers(1, 6))
def test_laws_hold_on_the_form(one: Tree, other: Tree, third: Tree, divisor: int) -> None:
    a, b, c = (calculate(tree, {"H": H, "W": W}) for tree in (one, other, third))
    assert a * b == b * a
    assert a + b - a == b
    assert (a + b) * c == c * a + b * c
    assert (a * divisor + b) // divisor == a + b // divisor


# Chains of windows.

Chain = list[tuple[int, int]]
CHAINS = st.lists(st.tuples(st.integers(-6, 6), st.integers(1, 4)), max_size=4)


def slid(size: Dim, chain: Chain) -> Dim:
    for extra, stride in chain:
        size = (size + extra) // stride + 1
    return size


@repeatable
@given(CHAINS)
def test_a_chain_of_windows_is_one_floor(chain: Chain) -> None:
    """The form and the text `(H + b)//c`, with b and c found from the chain's values alone."""
    c = 1
    for _, stride in chain:
        c *= stride
    first = slid(0, chain)
    step = next(h for h in itertools.count(1) if slid(h, chain) > first)
    b = c * (first + 1) - step
    assert slid(H, chain) == (H + b) // c
    inner = "H" if b == 0 else f"H {'-' if b < 0 else '+'} {abs(b)}"
    assert str(slid(H, chain)) == (inner if c == 1 else f"H//{c}" if b == 0 else f"({inner})//{c}")


def test_equal_chains_have_equal_forms_and_others_not() -> None:
    links = list(itertools.product((-2, -1, 0, 1, 2), (1, 2, 3)))
    chains = [list(chain) for length in (0, 1, 2) for chain in itertools.product(links, repeat=length)]
    forms = {(slid(H, chain), tuple(slid(h, chain) for h in range(18))) for chain in chains}
    assert len(forms) == len({form for form, _ in forms}) == len({values for _, values in forms}) > 50


@pytest.mark.parametrize(
    ("dim", "text"),
    [
        (H, "H"),
        (H * 2 + W * 3 - 1, "2*H + 3*W - 1"),
        (H * W * -2, "-2*H*W"),
        (3 - H, "-H + 3"),
        ((H + 3) // 2 * 4, "4*((H + 1)//2) + 4"),
        ((H * H + W) // 3, "(H*H + W)//3"),
        (((H + 1) // 2 - 1) // 2, "(H - 1)//4"),
        (H // 2 + W // 2, "(H//2) + (W//2)"),
        ((H * 6 + 3) // 9, "(2*H + 1)//3"),
        (H % 32, "H - 32*(H//32)"),
    ],
)
def test_text(dim: Dim, text: str) -> None:
    assert str(dim) == text


# Conditions.


def holds(text: str | None, h: int) -> bool | None:
    """Whether a condition holds; None where it does not say."""
    if text is None:
        return None
    claim, _, case = text.partition(", as when ")
    said = evaluate(parse(claim), {"H": h}) if claim else True
    assert not case or not evaluate(parse(case), {"H": h}) or said
    return said


def check_condition(a: Dim, b: Dim) -> None:
    text = condition(a, b)
    equal = [substitute(a, {"H": h}) == substitute(b, {"H": h}) for h in range(-150, 150)]
    assert always_equal(a, b) == (text == "")
    if text is None:
        assert not all(equal)
    else:
        assert equal == [holds(text, h) for h in range(-150, 150)]
        assert any(equal)


@repeatable
@given(CHAINS, CHAINS)
def test_conditions_of_chains(one: Chain, other: Chain) -> None:
    check_condition(slid(H, one), slid(H, other))


@repeatable
@given(CHAINS, st.integers(1, 8), st.integers(-3, 3))
def test_conditions_of_upsampled_chains(chain: Chain, factor: int, shift: int) -> None:
    check_condition(slid(H, chain) * factor, H + shift)


@repeatable
@given(trees("H", 6), trees("H", 6))
def test_conditions_of_any_sizes(one: Tree, other: Tree) -> None:
    check_condition(calculate(one, {"H": H}), calculate(other, {"H": H}))


@pytest.mark.parametrize(
    ("a", "b", "text"),
    [
        (H // 32 * 32, H, "H % 32 == 0"),
        ((H + 1) // 4, H // 4 + 1, "H % 4 == 3"),
        ((H + 1) // 2, H // 2, "H % 2 == 0"),
        ((H + 1) // 4, H // 4, "(H + 1)//4 == H//4, as when H % 2 == 0"),
        (H, H, ""),
        (H, H + 1, None),
        (H, W, None),
        (H, 5, None),
        (3, 3, ""),
        (H // 5000 * 5000, H, None),
        # Zero in each first period, and growing later.
        (H * H * H + H * 2, H * H * 3, None),
        ((H - 1) * (H % 2), 0, None),
        # One floor both outside and inside another division.
        ((H // 2 * 2 + H) // 2, H // 2 * 2, ""),
    ],
)
def test_condition(a: Dim, b: Dim, text: str | None) -> None:
    assert condition(a, b) == text


def test_what_a_symbol_refuses() -> None:
    for divisor in (0, -2):
        with pytest.raises(ZeroDivisionError):
            H // divisor
    with pytest.raises(TypeError, match="truth"):
        bool(H)
    assert isinstance(H, Symbolic)
    assert H - H == 0
    assert H != 5
    assert {H: 1}[symbol("H")] == 1
