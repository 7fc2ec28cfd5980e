"""Simplifies expressions, some of whose names have values: partial evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from netspec.expression.errors import ExpressionError
from netspec.expression.evaluator import evaluate
from netspec.expression.printer import expression_text
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


def simplify(tree: Expression, values: Mapping[str, Value]) -> Expression:
    """Replace some names of an expression by values, and evaluate it as far as possible.

    >>> from netspec.expression import expression_text, parse
    >>> expression_text(simplify(parse("4*width if wide else k*(n + 1)"), {"wide": False, "n": 2}))
    'k * 3'
    """
    match tree:
        case Name(name):
            return Literal(values[name]) if name in values else tree
        case Literal() | Attribute():
            return tree
        case Unary(operator, value):
            parts = (simplify(value, values),)
            result: Expression = Unary(operator, *parts)
        case Subscript(value, index):
            parts = (simplify(value, values), simplify(index, values))
            result = Subscript(*parts)
        case FunctionCall(function, arguments):
            parts = tuple([simplify(a, values) for a in arguments])
            result = FunctionCall(function, parts)
        case ListOf(items):
            parts = tuple([simplify(item, values) for item in items])
            result = ListOf(parts)
        case Conditional():
            return _simplify_conditional(tree, values)
        case Binary(operator, left, right):
            parts = (simplify(left, values), simplify(right, values))
            result = _simplify_binary(Binary(operator, *parts))
    if not isinstance(result, Literal) and all(isinstance(part, Literal) for part in parts):
        # An error may be in a branch that is never taken: `4 // 0` in `1 if flag else 4 // 0`.
        with suppress(ExpressionError):
            return Literal(evaluate(result, {}))
    return result


def _simplify_conditional(tree: Conditional, values: Mapping[str, Value]) -> Expression:
    """The branch that is taken, if the condition is known or both branches are equal; else a shorter conditional."""
    condition = simplify(tree.condition, values)
    if isinstance(condition, Literal) and isinstance(condition.value, bool):
        return simplify(tree.then if condition.value else tree.otherwise, values)
    then, otherwise = simplify(tree.then, values), simplify(tree.otherwise, values)
    # As text, since 1 == 1.0 == true.
    if expression_text(then) == expression_text(otherwise):
        return then
    return Conditional(then, condition, otherwise)


def _simplify_binary(tree: Binary) -> Expression:
    """`true and x` is x, `1*x` is x, `x + 0` is x; `false and x` is false."""
    neutral = {"and": True, "or": False, "*": 1, "+": 0}
    for literal, other in ((tree.left, tree.right), (tree.right, tree.left)):
        if not isinstance(literal, Literal) or tree.operator not in neutral:
            continue
        if literal.value is neutral[tree.operator] or (
            type(literal.value) is int
            and type(neutral[tree.operator]) is int
            and literal.value == neutral[tree.operator]
        ):
            return other
        if tree.operator in ("and", "or") and literal is tree.left:
            return literal
    return tree
