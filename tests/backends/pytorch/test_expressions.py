"""Expressions of the spec as Python source."""

from __future__ import annotations

import pytest

from netspec.backends.pytorch.expressions import document, python_text, tupled
from netspec.backends.pytorch.layout import flat
from netspec.expression import Literal, parse


@pytest.mark.parametrize(
    ("spec", "python"),
    [
        ("4*width", "4 * width"),
        ("[1, width]", "(1, width)"),
        ("[width]", "(width,)"),
        ("flag == true", "flag"),
        ("flag != true", "not flag"),
        ("false == flag", "not flag"),
        ("a if a > b else b", "max(a, b)"),
        ("a if a <= b else b", "min(a, b)"),
        ("b if a > b else a", "min(a, b)"),
        ("a if a > c else b", "a if a > c else b"),
        ("1 if a > 1.0 else a", "1 if a > 1.0 else a"),
        ("ceil(a / 2)", "math.ceil(a / 2)"),
        ("layers[index]", "layers[index]"),
        ("not (a and b)", "not (a and b)"),
    ],
)
def test_python_has_words_of_its_own(spec: str, python: str) -> None:
    assert python_text(parse(spec)) == python
    assert flat(document(parse(spec))) == python


def test_lists_are_tuples() -> None:
    assert tupled([3, 4]) == (3, 4)
    assert document(Literal([3, 4])) == "(3, 4)"
    assert tupled(3) == 3


@pytest.mark.parametrize(
    "spec",
    ["a + b - c", "a - (b - c)", "(a + b)*c", "a*b + c", "min(a, b + c)", "a if b else c", "a + (b if c else d)"],
)
def test_brackets_stand_where_operators_need_them(spec: str) -> None:
    assert flat(document(parse(spec))) == python_text(parse(spec))
    assert "".join(flat(document(parse(spec))).split()) == "".join(spec.split())
