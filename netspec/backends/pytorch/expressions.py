"""Prints expressions of the spec as Python source."""

from __future__ import annotations

from typing import Any

from netspec.backends.pytorch.layout import Bracket, Choice, Doc, Joined
from netspec.expression import (
    Binary,
    Conditional,
    Expression,
    FunctionCall,
    ListOf,
    Literal,
    Name,
    Subscript,
    Unary,
    expression_text,
    python_literal,
)

_COMPARISON = 4
_LEVELS = {"or": 1, "and": 2, "+": 5, "-": 5, "*": 6, "/": 6, "//": 6, "%": 6}
"""The precedence of operators, from loose to tight; all others are comparisons."""


def tupled(value: Any) -> Any:
    """A list as a tuple, as generated source writes it; any other value unchanged."""
    return tuple(value) if isinstance(value, list | tuple) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def python_text(tree: Expression) -> str:
    """An expression as Python source."""
    return expression_text(_pythonic(tree), python=True)


def document(tree: Expression) -> Doc:
    """An expression as a `Doc`, which knows where its source may be broken into lines."""
    # Most arguments are a number or a name, for which there is nothing to do.
    if isinstance(tree, Name):
        return tree.name
    if isinstance(tree, Literal):
        return python_literal(tupled(tree.value))
    return _document(_pythonic(tree))


def _document(tree: Expression) -> Doc:
    """A `Doc` for an expression that `_pythonic` has converted."""
    match tree:
        case Binary(operator):
            return Joined(_operands(tree, _LEVELS.get(operator, _COMPARISON)))
        case Conditional(then, condition, otherwise):
            return Choice(_operand(then, 1), _operand(condition, 1), _document(otherwise))
        case FunctionCall(_, arguments):
            text = expression_text(tree, python=True)
            return Bracket(text[: text.index("(") + 1], [_document(argument) for argument in arguments])
        case _:
            return expression_text(tree, python=True)


def _operands(tree: Expression, level: int) -> list[tuple[str, Doc]]:
    """The operands of a chain such as `a + b - c`, each with the operator before it: `("", a), ("+", b), ("-", c)`."""
    match tree:
        case Binary(operator, left, right) if _LEVELS.get(operator, _COMPARISON) == level:
            chains = level != _COMPARISON
            first = _operands(left, level) if chains else [("", _operand(left, level + 1))]
            return [*first, (operator, _operand(right, level + 1))]
        case _:
            return [("", _operand(tree, level))]


def _operand(tree: Expression, floor: int) -> Doc:
    """An operand, in brackets if its precedence is below `floor`."""
    bare = expression_text(tree, python=True) == expression_text(tree, python=True, floor=floor)
    return _document(tree) if bare else Bracket("(", [_document(tree)])


def _pythonic(tree: Expression) -> Expression:
    """An expression of the spec in Python's idioms: tuples for lists, and `x` for `x == True`, which linters reject."""
    match tree:
        case Literal(value):
            return Literal(tupled(value))
        case Binary("==" | "!=" as operator, value, Literal(bool() as truth)):
            value = _pythonic(value)
            return value if truth == (operator == "==") else Unary("not", value)
        case Binary("==" | "!=" as operator, Literal(bool() as truth), value):
            return _pythonic(Binary(operator, value, Literal(truth)))
        case Binary(operator, left, right):
            return Binary(operator, _pythonic(left), _pythonic(right))
        case Unary(operator, value):
            return Unary(operator, _pythonic(value))
        case Subscript(value, index):
            return Subscript(_pythonic(value), _pythonic(index))
        case Conditional(then, condition, otherwise):
            return _min_or_max(Conditional(_pythonic(then), _pythonic(condition), _pythonic(otherwise)))
        case FunctionCall(function, arguments):
            return FunctionCall(function, tuple(_pythonic(argument) for argument in arguments))
        case ListOf(items):
            inner = ", ".join(python_text(item) for item in items)
            return Name(f"({inner},)" if len(items) == 1 else f"({inner})")
        case _:
            return tree


def _min_or_max(tree: Conditional) -> Expression:
    """`a if a > b else b` as `max(a, b)`, which linters prefer; any other expression unchanged."""
    # The operands are compared as text, since `Literal(1) == Literal(1.0)`.
    then, otherwise = expression_text(tree.then), expression_text(tree.otherwise)
    match tree.condition:
        case Binary("<" | "<=" | ">" | ">=" as operator, left, right) if {
            expression_text(left),
            expression_text(right),
        } == {
            then,
            otherwise,
        }:
            is_max = (operator in (">", ">=")) == (then == expression_text(left))
            return FunctionCall("max" if is_max else "min", (left, right))
        case _:
            return tree
