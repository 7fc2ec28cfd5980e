"""Prints values and expressions in the spec language or in Python."""

from __future__ import annotations

from functools import partial

from netspec.expression.language import COMPARISONS, NOT, POSTFIX, PRECEDENCE, UNARY
from netspec.expression.tree import (
    Attribute,
    Binary,
    Conditional,
    Expression,
    FunctionCall,
    ListOf,
    Literal,
    Name,
    Subscript,
    Unary,
    Value,
)


def show(value: Value) -> str:
    """A value as the spec language writes it.

    >>> show([True, 0.5, "same"])
    "[true, 0.5, 'same']"
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, list | tuple):
        items: list[Value] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        return "[" + ", ".join(show(item) for item in items) + "]"
    if value is None:
        return "null"
    return str(value)


def python_literal(value: Value) -> str:
    """A value as Python source: its `repr`, with text in double quotes, as formatters write it."""
    if isinstance(value, str):
        quoted = repr(value)
        return quoted if '"' in value or "\\" in quoted else f'"{quoted[1:-1]}"'
    return repr(value)


def expression_text(tree: Expression, *, python: bool = False, floor: int = 0) -> str:
    """An expression as text with the brackets that it needs, in the spec language or in Python.

    `floor` is the precedence of the operator around it: an expression of lower precedence is put in brackets.

    >>> product = Binary("*", Binary("+", Name("a"), Literal(1)), Name("b"))
    >>> expression_text(product)
    '(a + 1) * b'
    """
    text, level = _text_and_level(tree, python)
    return f"({text})" if level < floor else text


def _text_and_level(tree: Expression, python: bool) -> tuple[str, int]:
    """An expression as text without brackets around it, and the precedence of its outermost operator."""

    write = partial(expression_text, python=python)
    match tree:
        case Literal(value):
            is_negative = type(value) in (int, float) and value < 0
            return python_literal(value) if python else show(value), UNARY if is_negative else POSTFIX
        case Name(name):
            return name, POSTFIX
        case Attribute(name, attribute):
            return f"{name}.{attribute}", POSTFIX
        case Subscript(value, index):
            return f"{write(value, floor=POSTFIX)}[{write(index)}]", POSTFIX
        case FunctionCall(function, arguments):
            module = "math." if python and function in ("ceil", "floor") else ""
            return f"{module}{function}({', '.join(map(write, arguments))})", POSTFIX
        case ListOf(items):
            return f"[{', '.join(map(write, items))}]", POSTFIX
        case Unary("not", value):
            return f"not {write(value, floor=NOT)}", NOT
        case Unary(operator, value):
            return f"{operator}{write(value, floor=UNARY)}", UNARY
        case Binary(operator, left, right):
            level = PRECEDENCE[operator]
            # Operators of equal precedence group to the left; comparisons never chain.
            left_floor = level + 1 if operator in COMPARISONS else level
            return f"{write(left, floor=left_floor)} {operator} {write(right, floor=level + 1)}", level
        case Conditional(then, condition, otherwise):
            return f"{write(then, floor=1)} if {write(condition, floor=1)} else {write(otherwise)}", 0
