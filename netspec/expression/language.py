"""The language of expressions: operators, functions, attributes, and limits on all of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

MAX_LENGTH = 1_000
"""The largest number of characters of an expression."""
MAX_EXPRESSION_DEPTH = 50
"""The largest depth of an expression."""
MAX_OPERATORS = 100
"""The largest number of operators of an expression: a chain of them makes a deep tree, as nesting does."""
MAX_FACTORS = 10_000
"""The largest number of pairs of factors in a product of two symbolic sizes."""
MAX_INTEGER = 2**63 - 1
"""The largest absolute value of an integer."""

PRECEDENCE = {
    "or": 1,
    "and": 2,
    "==": 4,
    "!=": 4,
    "<": 4,
    "<=": 4,
    ">": 4,
    ">=": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "//": 6,
    "%": 6,
}
"""The precedence of each operator; higher binds tighter: `a + b * c` is `a + (b * c)`."""
COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
NOT, UNARY, POSTFIX = 3, 7, 9
"""The precedence of `not`, of unary minus, and of expressions that never need brackets."""

ATTRIBUTES = ("channels", "height", "width", "features", "shape")
"""The attributes of a value: `input.channels`."""


def _floor(x: float) -> int:
    return math.floor(x)


def _ceil(x: float) -> int:
    return math.ceil(x)


FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "ceil": _ceil, "floor": _floor, "len": len}


# Words for true and false in other languages, which are text here.

_TRUE, _FALSE = ("yes", "on", "y", "true"), ("no", "off", "n", "false")


def as_bool(word: str) -> str:
    """`true` for words such as `yes`, `false` for words such as `no`, as in YAML 1.1; "" for other words."""
    return "true" if word.lower() in _TRUE else "false" if word.lower() in _FALSE else ""


def bool_hint(value: Any) -> str:
    """A hint for text such as `yes` or `off` that is meant as a bool; "" for other values."""
    meant = as_bool(value) if isinstance(value, str) else ""
    return f"write {meant}: {value!r} is text" if meant else ""
