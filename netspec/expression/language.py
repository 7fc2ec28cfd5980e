"""What the language of expressions has: operators, functions, attributes, and limits on all of it."""

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
"""How tightly each operator binds; what stands between two operators goes to the higher."""
COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
NOT, UNARY, POSTFIX = 3, 7, 9
"""How tightly `not` binds, unary minus, and all that needs no brackets anywhere."""

ATTRIBUTES = ("channels", "height", "width", "features", "shape")
"""What `input.` may be followed by."""


def _floor(x: float) -> int:
    return math.floor(x)


def _ceil(x: float) -> int:
    return math.ceil(x)


FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "ceil": _ceil, "floor": _floor, "len": len}
