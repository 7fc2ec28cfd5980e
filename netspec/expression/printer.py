"""Values and expressions as text: in the spec language, or in Python."""

from __future__ import annotations

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
    """A value as Python source: `repr`, with text in double quotes as formatters want it."""
    if isinstance(value, str):
        quoted = repr(value)
        return quoted if '"' in value or "\\" in quoted else f'"{quoted[1:-1]}"'
    return repr(value)


def expression_text(tree: Expression, *, python: bool = False, floor: int = 0) -> str:
    """An expression as text with the brackets it needs, in the spec language or in Python.

    `floor` is how tightly the operator around it binds: what binds less stands in brackets.
    """
    match tree:
        case Literal(value):
            text, level = (python_literal(value) if python else show(value)), POSTFIX
            if type(value) in (int, float) and value < 0:
                level = UNARY
        case Name(name):
            text, level = name, POSTFIX
        case Attribute(name, attribute):
            text, level = f"{name}.{attribute}", POSTFIX
        case Subscript(value, index):
            text = f"{expression_text(value, python=python, floor=POSTFIX)}[{expression_text(index, python=python)}]"
            level = POSTFIX
        case FunctionCall("ceil" | "floor" as function, arguments) if python:
            text = f"math.{function}({', '.join(expression_text(a, python=True) for a in arguments)})"
            level = POSTFIX
        case FunctionCall(function, arguments):
            text, level = f"{function}({', '.join(expression_text(a, python=python) for a in arguments)})", POSTFIX
        case ListOf(items):
            text, level = f"[{', '.join(expression_text(i, python=python) for i in items)}]", POSTFIX
        case Unary("not", value):
            text, level = f"not {expression_text(value, python=python, floor=NOT)}", NOT
        case Unary(operator, value):
            text, level = f"{operator}{expression_text(value, python=python, floor=UNARY)}", UNARY
        case Binary(operator, left, right):
            level = PRECEDENCE[operator]
            # Operators of one level group to the left; comparisons never chain.
            left_floor = level + 1 if operator in COMPARISONS else level
            left_text = expression_text(left, python=python, floor=left_floor)
            text = f"{left_text} {operator} {expression_text(right, python=python, floor=level + 1)}"
        case Conditional(then, condition, otherwise):
            text = (
                f"{expression_text(then, python=python, floor=1)}"
                f" if {expression_text(condition, python=python, floor=1)}"
                f" else {expression_text(otherwise, python=python)}"
            )
            level = 0
    return f"({text})" if level < floor else text
