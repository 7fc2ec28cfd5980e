"""The language of expressions: operators, functions, attributes, and limits on all of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

MAX_LENGTH = 1_000
"""How many characters an expression may have."""
MAX_EXPRESSION_DEPTH = 50
"""How deep an expression may nest."""
MAX_OPERATORS = 100
"""How many operators an expression may have: a chain of them grows the tree as nesting does."""
MAX_FACTORS = 10_000
"""How many pairs of factors a product of two symbolic sizes may multiply."""
MAX_INTEGER = 2**63 - 1
"""How large an integer may be, either sign."""

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
"""How tightly each operator binds: `a + b * c` is `a + (b * c)`."""
COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
NOT, UNARY, POSTFIX = 3, 7, 9
"""How tightly `not` and unary minus bind, and what never needs brackets."""

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
    """`true` for `yes` and `false` for `no`, as YAML 1.1 and other tools have it; "" for other words."""
    return "true" if word.lower() in _TRUE else "false" if word.lower() in _FALSE else ""


def way_to_bool(value: Any) -> str:
    """A hint where `yes` stands for true, or `off` for false; "" for other values."""
    meant = as_bool(value) if isinstance(value, str) else ""
    return f"write {meant}: {value!r} is text" if meant else ""
