"""Sums of sizes in their shortest form."""

from __future__ import annotations

import pytest

from netspec.backends.pytorch.sums import collect_terms
from netspec.expression import parse
from tests.backends.pytorch.printing import text


@pytest.mark.parametrize(
    ("tree", "shortest"),
    [
        ("a + 3 + a - 1", "2*a + 2"),
        ("a - a", "0"),
        ("2 + 3", "5"),
        ("a", "a"),
        ("1 + a + 1", "a + 2"),
        ("b - a + a + a", "b + a"),
        ("2*a - (a - b)", "a + b"),
        ("(index + 1)*growth - growth", "index*growth"),
        ("growth*(index - 1) + growth", "growth*index"),
        ("(index - 1)*growth + growth", "index*growth"),
        ("a // 2 + a // 2", "2*(a//2)"),
    ],
)
def test_like_terms_are_collected(tree: str, shortest: str) -> None:
    assert text(collect_terms(parse(tree))) == text(parse(shortest))


def test_a_sum_is_kept_where_collecting_makes_it_no_shorter() -> None:
    assert text(collect_terms(parse("2*(a + b)"))) == "2 * (a + b)"


def test_sums_into_sums_are_not_multiplied_out() -> None:
    assert text(collect_terms(parse("(a + b)*(c + d)"))) == "(a + b) * (c + d)"


def test_a_sum_that_is_too_long_to_read_is_given_up() -> None:
    long = " + ".join(f"{name}*a_rather_long_name" for name in "abcd")
    assert collect_terms(parse(long)) is None
    assert text(collect_terms(parse(f"{long} - ({long})"))) == "0"
