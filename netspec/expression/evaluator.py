"""The evaluator of expressions: exact for symbolic sizes, bounded for numbers, and never Python's `eval`."""

from __future__ import annotations

import math
import operator as op
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from netspec.dims import Dim, Symbolic
from netspec.expression.errors import ExpressionError, NoTruth, UnknownName
from netspec.expression.language import COMPARISONS, FUNCTIONS, MAX_FACTORS, MAX_INTEGER
from netspec.expression.printer import show
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


def evaluate(tree: Expression, names: Mapping[str, Value]) -> Value:
    """Evaluate an expression.

    `names` has the values of parameters and `index`, and the types of the body's inputs (`types.Tensor`). Raises
    ExpressionError.
    """
    # Most expressions are a single name, and a large network evaluates one for almost every node.
    if type(tree) is Name:
        try:
            return names[tree.name]
        except KeyError:
            raise UnknownName(tree.name, tree.at) from None
    match tree:
        case Name():
            raise AssertionError
        case Literal(value):
            return value
        case Attribute(name, attribute, at):
            return _attribute(names, name, attribute, at)
        case Binary("and", left, right):
            return _truth(evaluate(left, names)) and _truth(evaluate(right, names))
        case Binary("or", left, right):
            return _truth(evaluate(left, names)) or _truth(evaluate(right, names))
        case Binary(operator, left, right):
            return _operate(operator, evaluate(left, names), evaluate(right, names))
        case Unary("not", value):
            return not _truth(evaluate(value, names))
        case Unary(_, value):
            return _checked(-_number("-", evaluate(value, names)))
        case Conditional(then, condition, otherwise):
            return evaluate(then if _truth(evaluate(condition, names)) else otherwise, names)
        case Subscript(value, index):
            return _item(evaluate(value, names), evaluate(index, names))
        case FunctionCall(function, arguments):
            return _call(function, [evaluate(argument, names) for argument in arguments])
        case ListOf(items):
            return [evaluate(item, names) for item in items]


def _attribute(names: Mapping[str, Value], name: str, attribute: str, at: int) -> Value:
    """The attribute of a value's type: `input.channels`."""
    if name not in names:
        raise UnknownName(name, at)
    tensor = names[name]
    if not hasattr(tensor, "spatial"):
        raise ExpressionError(f"`{name}` is no value with `.{attribute}`", at, len(name))
    rank = tensor.rank
    if rank < {"channels": 2, "height": 4, "width": 4, "features": 1}.get(attribute, 0):
        raise ExpressionError(f"`{name}` has shape {tensor} and so no {attribute}", at, len(name) + 1 + len(attribute))
    return list(tensor.shape) if attribute == "shape" else getattr(tensor, attribute)


def _truth(value: Value) -> bool:
    """A value as a condition."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Symbolic):
        raise ExpressionError(f"the truth of {value} depends on a symbol")
    raise NoTruth(show(value))


def _number(operator: str, value: Value) -> Any:
    """A value as an operand of arithmetic."""
    if isinstance(value, bool) or not isinstance(value, int | float | Symbolic):
        raise ExpressionError(f"`{operator}` takes numbers, not {show(value)}")
    return value


_ON_INTEGERS: dict[str, Callable[[int, int], Value]] = {
    "+": op.add,
    "-": op.sub,
    "*": op.mul,
    "==": op.eq,
    "!=": op.ne,
    "<": op.lt,
    "<=": op.le,
    ">": op.gt,
    ">=": op.ge,
}


def _operate(operator: str, left: Value, right: Value) -> Value:
    """Apply a binary operator; refuse a result that is no exact size."""
    if type(left) is int and type(right) is int and operator in _ON_INTEGERS:
        return _checked(_ON_INTEGERS[operator](left, right))
    if operator in ("==", "!="):
        return _equal(left, right) == (operator == "==")
    a: Any = _number(operator, left)
    b: Any = _number(operator, right)
    if (isinstance(a, Symbolic) and isinstance(b, float)) or (isinstance(a, float) and isinstance(b, Symbolic)):
        raise ExpressionError(f"{a} {operator} {b} mixes a size with a float")
    if operator in COMPARISONS:
        return _compare(operator, a, b)
    if operator in ("//", "/", "%"):
        exact = isinstance(b, int) and b > 0 and operator != "/"
        if isinstance(b, Symbolic) or (isinstance(a, Symbolic) and not exact):
            raise ExpressionError(f"{a} {operator} {b} is not a size that can be kept exactly")
        if b == 0:
            raise ExpressionError("division by zero")
    return _arithmetic(operator, a, b)


def _arithmetic(operator: str, a: Any, b: Any) -> Value:
    """Apply an arithmetic operator to numbers or sizes, within bounds."""
    match operator:
        case "+":
            return _checked(a + b)
        case "-":
            return _checked(a - b)
        case "*":
            if isinstance(a, Symbolic) and isinstance(b, Symbolic) and _factors(a) * _factors(b) > MAX_FACTORS:
                raise ExpressionError("a size has too many terms")
            return _checked(a * b)
        case "//":
            return _checked(a // b)
        case "%":
            return _checked(a % b)
        case _:
            return _checked(a / b)


def _factors(size: Symbolic) -> int:
    """The number of factors in all terms of a size, which bounds the time of a product."""
    return sum(len(monomial) for monomial, _ in size.terms)


def _is_list(value: Value) -> TypeGuard[list[Value]]:
    return isinstance(value, list)


def _minus(a: Any, b: Any) -> Dim:
    return a - b


def _equal(left: Value, right: Value) -> bool:
    """Return whether two values are equal; refuse sizes whose equality depends on a symbol."""
    if _is_list(left) and _is_list(right):
        return len(left) == len(right) and all(map(_equal, left, right))
    if isinstance(left, Symbolic) or isinstance(right, Symbolic):
        sizes = all(type(value) in (int, Symbolic) for value in (left, right))
        difference = _minus(left, right) if sizes else None
        if difference is None or isinstance(difference, Symbolic):
            raise ExpressionError(f"whether {show(left)} equals {show(right)} depends on a symbol")
        return difference == 0
    return left == right


def _compare(operator: str, a: Any, b: Any) -> bool:
    """Apply `<`, `<=`, `>` or `>=`; refuse sizes whose order depends on a symbol."""
    if isinstance(a, Symbolic) or isinstance(b, Symbolic):
        difference = a - b
        if isinstance(difference, Symbolic):
            raise ExpressionError(f"whether {a} {operator} {b} depends on a symbol")
        a, b = difference, 0
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]


def _checked(value: Any) -> Any:
    """Return a value that is within the bounds of integers and floats; refuse others."""
    if isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise ExpressionError("an integer is at most 2**63 - 1")
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("the result is too large for a float")
    return value


def _item(value: Value, index: Value) -> Value:
    """The value of `value[index]`."""
    if not _is_list(value):
        raise ExpressionError(f"`[...]` takes an item of a list, and {show(value)} is none")
    if isinstance(index, bool) or not isinstance(index, int):
        raise ExpressionError(f"the index of a list is an int, not {show(index)}")
    if not -len(value) <= index < len(value):
        raise ExpressionError(f"the list has {len(value)} items, so no item {index}")
    return value[index]


def _call(function: str, arguments: list[Value]) -> Value:
    """Call a function; `len`, `min` and `max` also take a list."""
    values = arguments
    takes_list = len(arguments) == 1 and _is_list(arguments[0])
    if takes_list and function in ("len", "min", "max"):
        values: list[Value] = arguments[0]
    if function == "len":
        if not takes_list:
            raise ExpressionError("`len` takes one list")
        return len(values)
    rounds = function in ("ceil", "floor")
    if not values or (len(values) != 1 if rounds else len(values) == 1 and not takes_list):
        raise ExpressionError(f"`{function}` takes {'one number' if rounds else 'two numbers or more, or a list'}")
    for value in values:
        if isinstance(_number(function, value), Symbolic):
            raise ExpressionError(f"`{function}` of {value} depends on a symbol")
        _checked(value)
    return _checked(FUNCTIONS[function](*values) if len(values) > 1 or rounds else values[0])
