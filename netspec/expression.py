"""The expressions of the spec language: a small grammar with a bounded parser of its own, never `eval`.

They stand in numeric, boolean and list fields, `repeat`, `when` and dims: parameters, `index`, attributes
of the body's inputs, literals, `[i]`, unary minus, `+ - * // / %`, comparisons, `and or not`,
`x if c else y`, and `min max ceil floor len`. An expression is kept as a tree, since the PyTorch
writer prints it again where it holds for every use of a block.
"""

from __future__ import annotations

import math
import operator as op
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NoReturn, TypeGuard

from netspec.dims import Dim, Symbolic

MAX_LENGTH = 1_000
MAX_DEPTH = 50
MAX_OPERATORS = 100
MAX_FACTORS = 10_000
MAX_INTEGER = 2**63 - 1


class ExpressionError(Exception):
    """An expression that can't be parsed or evaluated; `at` is a character offset into its text, if known."""

    def __init__(self, message: str, at: int | None = None, length: int = 1, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.length = length
        self.help = help


class UnknownName(ExpressionError):
    """A name that stands for nothing here."""

    def __init__(self, name: str, at: int | None = None) -> None:
        super().__init__(f"`{name}` is not defined here", at, len(name))
        self.name = name


Value = Any
"""What an expression gives: int, float, bool, str, a list of these, or a symbolic size."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as it is written: `3`, `1e-5`, `true`, `'text'`."""

    value: Value


@dataclass(frozen=True, slots=True)
class Name:
    """A parameter or `index`: `width`."""

    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Attribute:
    """`input.channels`: an attribute of one of the body's inputs."""

    name: str
    attribute: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Index:
    """An item of a list: `stages[0]`."""

    value: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x` or `not x`."""

    operator: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic, a comparison, `and` or `or`: `4*width`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Conditional:
    """`then if condition else otherwise`."""

    then: Expression
    condition: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """A function of numbers: `min(a, b)`."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list: `[1, width]`."""

    items: tuple[Expression, ...]


Expression = Literal | Name | Attribute | Index | Unary | Binary | Conditional | Call | ListOf

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+\.[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|[0-9]+)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<text>'[^']*')"
    r"|(?P<symbol>\*\*|//|==|!=|<=|>=|[-+*/%<>()\[\],.]))"
)
_PRECEDENCE = {
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
_COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
_NOT, _UNARY, _POSTFIX = 3, 7, 9
ATTRIBUTES = ("channels", "height", "width", "features", "shape")


def _floor(x: float) -> int:
    return math.floor(x)


def _ceil(x: float) -> int:
    return math.ceil(x)


FUNCTIONS: dict[str, Callable[..., Value]] = {"min": min, "max": max, "ceil": _ceil, "floor": _floor, "len": len}
_RESERVED = frozenset(("if", "else", "and", "or", "not"))


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        self.next = 0
        self.depth = 0
        self.operators = 0
        at = 0
        end = len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                start = at + len(text[at:]) - len(text[at:].lstrip())
                raise ExpressionError(f"`{text[start]}` has no meaning in an expression", start)
            kind = str(match.lastgroup)
            self.tokens.append((kind, match[kind], match.start(kind)))
            at = match.end()
        self.tokens.append(("end", "", end))

    def peek(self) -> str:
        kind, text, _ = self.tokens[self.next]
        return text if kind in ("name", "symbol") else ""

    def take(self) -> tuple[str, str, int]:
        token = self.tokens[self.next]
        self.next += 1
        return token

    def expect(self, symbol: str) -> None:
        kind, text, at = self.take()
        if text != symbol or kind == "text":
            self.unexpected(kind, text, at, f"`{symbol}` is missing before ")

    def unexpected(self, kind: str, text: str, at: int, lead: str = "") -> NoReturn:
        what = "the end" if kind == "end" else f"`{text}`"
        if text == "**":
            raise ExpressionError("there is no power operator", at, 2)
        raise ExpressionError(f"{lead}{what}" if lead else f"{what} can't stand here", at, max(1, len(text)))

    def count_operator(self, at: int) -> None:
        """Chains grow the tree to the left, which MAX_DEPTH does not see."""
        self.operators += 1
        if self.operators > MAX_OPERATORS:
            raise ExpressionError(f"an expression has at most {MAX_OPERATORS} operators", at)

    def conditional(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(f"an expression nests at most {MAX_DEPTH} deep", self.tokens[self.next][2])
        value = self.binary(0)
        if self.peek() == "if":
            self.take()
            condition = self.binary(0)
            self.expect("else")
            value = Conditional(value, condition, self.conditional())
        self.depth -= 1
        return value

    def binary(self, floor: int) -> Expression:
        left = self.unary()
        while True:
            operator = self.peek()
            precedence = _PRECEDENCE.get(operator, 0)
            if precedence <= floor:
                return left
            at = self.take()[2]
            self.count_operator(at)
            right = self.binary(precedence)
            if operator in _COMPARISONS and self.peek() in _COMPARISONS:
                raise ExpressionError("comparisons don't chain: join them with `and`", at, len(operator))
            left = Binary(operator, left, right)

    def unary(self) -> Expression:
        operator = self.peek()
        if operator in ("not", "-"):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise ExpressionError(f"an expression nests at most {MAX_DEPTH} deep", self.tokens[self.next][2])
            self.take()
            if operator == "not":
                value: Expression = Unary("not", self.binary(_NOT))
            else:
                inner = self.unary()
                numeric = isinstance(inner, Literal) and type(inner.value) in (int, float)
                value = Literal(-inner.value) if isinstance(inner, Literal) and numeric else Unary("-", inner)
            self.depth -= 1
            return value
        return self.postfix()

    def postfix(self) -> Expression:
        value = self.primary()
        while self.peek() == "[":
            self.count_operator(self.take()[2])
            value = Index(value, self.conditional())
            self.expect("]")
        return value

    def primary(self) -> Expression:
        kind, text, at = self.take()
        if kind == "number":
            return Literal(self.number(text, at))
        if kind == "text":
            return Literal(text[1:-1])
        if kind == "name" and text not in _RESERVED:
            if text in ("true", "false"):
                return Literal(text == "true")
            if self.peek() == "(":
                return self.call(text, at)
            if self.peek() == ".":
                self.take()
                kind, attribute, place = self.take()
                if kind != "name":
                    self.unexpected(kind, attribute, place)
                if attribute not in ATTRIBUTES:
                    message = f"a value has no attribute `{attribute}`, only {' '.join(ATTRIBUTES)}"
                    raise ExpressionError(message, place, len(attribute))
                return Attribute(text, attribute, at)
            return Name(text, at)
        if text == "(":
            value = self.conditional()
            self.expect(")")
            return value
        if text != "[":
            self.unexpected(kind, text, at)
        return ListOf(self.arguments("]"))

    def call(self, function: str, at: int) -> Expression:
        if function not in FUNCTIONS:
            names = " ".join(FUNCTIONS)
            raise ExpressionError(f"there is no function `{function}`, only {names}", at, len(function))
        self.take()
        return Call(function, self.arguments(")"))

    def arguments(self, close: str) -> tuple[Expression, ...]:
        found: list[Expression] = []
        while self.peek() != close:
            found.append(self.conditional())
            if self.peek() != ",":
                break
            self.take()
        self.expect(close)
        return tuple(found)

    def number(self, text: str, at: int) -> int | float:
        if text.isdigit():
            if len(text) > 19 or int(text) > MAX_INTEGER:
                raise ExpressionError("an integer is at most 2**63 - 1", at, len(text))
            return int(text)
        if not math.isfinite(float(text)):
            raise ExpressionError("a number is too large for a float", at, len(text))
        return float(text)


@lru_cache(maxsize=8192)
def parse(text: str) -> Expression:
    """The tree of an expression; raises ExpressionError with the offset of what is wrong."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression has at most {MAX_LENGTH} characters")
    parser = _Parser(text)
    tree = parser.conditional()
    kind, found, at = parser.take()
    if kind != "end":
        parser.unexpected(kind, found, at)
    return tree


def evaluate(tree: Expression, names: Mapping[str, Value]) -> Value:
    """The value of an expression; `names` holds parameters and, by name, the body's inputs (types.Tensor)."""
    # Most expressions are a name alone: a large network evaluates one for almost every node.
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
        case Index(value, index):
            return _item(evaluate(value, names), evaluate(index, names))
        case Call(function, arguments):
            return _call(function, [evaluate(argument, names) for argument in arguments])
        case ListOf(items):
            return [evaluate(item, names) for item in items]


def _attribute(names: Mapping[str, Value], name: str, attribute: str, at: int) -> Value:
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
    if isinstance(value, bool):
        return value
    if isinstance(value, Symbolic):
        raise ExpressionError(f"the truth of {value} depends on a symbol")
    raise ExpressionError(f"{show(value)} is neither true nor false: compare it with something")


def _number(operator: str, value: Value) -> Any:
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
    if type(left) is int and type(right) is int and operator in _ON_INTEGERS:
        return _checked(_ON_INTEGERS[operator](left, right))
    if operator in ("==", "!="):
        return _equal(left, right) == (operator == "==")
    a: Any = _number(operator, left)
    b: Any = _number(operator, right)
    if (isinstance(a, Symbolic) and isinstance(b, float)) or (isinstance(a, float) and isinstance(b, Symbolic)):
        raise ExpressionError(f"{a} {operator} {b} mixes a size with a float")
    if operator in _COMPARISONS:
        return _compare(operator, a, b)
    if operator in ("//", "/", "%"):
        exact = isinstance(b, int) and b > 0 and operator != "/"
        if isinstance(b, Symbolic) or (isinstance(a, Symbolic) and not exact):
            raise ExpressionError(f"{a} {operator} {b} is not a size that can be kept exactly")
        if b == 0:
            raise ExpressionError("division by zero")
    return _arithmetic(operator, a, b)


def _arithmetic(operator: str, a: Any, b: Any) -> Value:
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
    return sum(len(monomial) for monomial, _ in size.terms)


def _is_list(value: Value) -> TypeGuard[list[Value]]:
    return isinstance(value, list)


def _minus(a: Any, b: Any) -> Dim:
    return a - b


def _equal(left: Value, right: Value) -> bool:
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
    if isinstance(a, Symbolic) or isinstance(b, Symbolic):
        difference = a - b
        if isinstance(difference, Symbolic):
            raise ExpressionError(f"whether {a} {operator} {b} depends on a symbol")
        a, b = difference, 0
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]


def _checked(value: Any) -> Any:
    if isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise ExpressionError("an integer is at most 2**63 - 1")
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("the result is too large for a float")
    return value


def _item(value: Value, index: Value) -> Value:
    if not _is_list(value):
        raise ExpressionError(f"`[...]` takes an item of a list, and {show(value)} is none")
    if isinstance(index, bool) or not isinstance(index, int):
        raise ExpressionError(f"the index of a list is an int, not {show(index)}")
    if not -len(value) <= index < len(value):
        raise ExpressionError(f"the list has {len(value)} items, so no item {index}")
    return value[index]


def _call(function: str, arguments: list[Value]) -> Value:
    values = arguments
    single = len(arguments) == 1 and _is_list(arguments[0])
    if single and function in ("len", "min", "max"):
        values: list[Value] = arguments[0]
    if function == "len":
        if not single:
            raise ExpressionError("`len` takes one list")
        return len(values)
    rounds = function in ("ceil", "floor")
    if not values or (len(values) != 1 if rounds else len(values) == 1 and not single):
        raise ExpressionError(f"`{function}` takes {'one number' if rounds else 'two numbers or more, or a list'}")
    for value in values:
        if isinstance(_number(function, value), Symbolic):
            raise ExpressionError(f"`{function}` of {value} depends on a symbol")
        _checked(value)
    return _checked(FUNCTIONS[function](*values) if len(values) > 1 or rounds else values[0])


def leaves(tree: Expression) -> Iterator[Name | Attribute]:
    """The names and attributes an expression reads, in the order of its text but for `then if condition`."""
    match tree:
        case Name() | Attribute():
            yield tree
        case Literal():
            return
        case Unary(_, value):
            yield from leaves(value)
        case Index(left, right) | Binary(_, left, right):
            yield from leaves(left)
            yield from leaves(right)
        case Conditional(then, condition, otherwise):
            for part in (then, condition, otherwise):
                yield from leaves(part)
        case Call(_, items) | ListOf(items):
            for item in items:
                yield from leaves(item)


def names_in(tree: Expression) -> set[str]:
    """The names an expression reads; `input.channels` counts as `input.channels`."""
    return {leaf.name if isinstance(leaf, Name) else f"{leaf.name}.{leaf.attribute}" for leaf in leaves(tree)}


def show(value: Value) -> str:
    """A value as the spec language writes it."""
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


def to_text(tree: Expression, *, python: bool = False, floor: int = 0) -> str:
    """An expression written out, with the brackets it needs: in the spec language, or in Python."""
    match tree:
        case Literal(value):
            text, level = (python_literal(value) if python else show(value)), _POSTFIX
            if type(value) in (int, float) and value < 0:
                level = _UNARY
        case Name(name):
            text, level = name, _POSTFIX
        case Attribute(name, attribute):
            text, level = f"{name}.{attribute}", _POSTFIX
        case Index(value, index):
            text = f"{to_text(value, python=python, floor=_POSTFIX)}[{to_text(index, python=python)}]"
            level = _POSTFIX
        case Call("ceil" | "floor" as function, arguments) if python:
            text = f"math.{function}({', '.join(to_text(a, python=True) for a in arguments)})"
            level = _POSTFIX
        case Call(function, arguments):
            text, level = f"{function}({', '.join(to_text(a, python=python) for a in arguments)})", _POSTFIX
        case ListOf(items):
            text, level = f"[{', '.join(to_text(i, python=python) for i in items)}]", _POSTFIX
        case Unary("not", value):
            text, level = f"not {to_text(value, python=python, floor=_NOT)}", _NOT
        case Unary(operator, value):
            text, level = f"{operator}{to_text(value, python=python, floor=_UNARY)}", _UNARY
        case Binary(operator, left, right):
            level = _PRECEDENCE[operator]
            # Operators of one level group to the left; comparisons never chain.
            left_floor = level + 1 if operator in _COMPARISONS else level
            left_text = to_text(left, python=python, floor=left_floor)
            text = f"{left_text} {operator} {to_text(right, python=python, floor=level + 1)}"
        case Conditional(then, condition, otherwise):
            text = (
                f"{to_text(then, python=python, floor=1)} if {to_text(condition, python=python, floor=1)}"
                f" else {to_text(otherwise, python=python)}"
            )
            level = 0
    return f"({text})" if level < floor else text


def rewrite(tree: Expression, leaf: Callable[[Name | Attribute], Expression]) -> Expression:
    """An expression with its names and attributes replaced by what `leaf` gives for each."""
    match tree:
        case Name() | Attribute():
            return leaf(tree)
        case Literal():
            return tree
        case Unary(operator, value):
            return Unary(operator, rewrite(value, leaf))
        case Binary(operator, left, right):
            return Binary(operator, rewrite(left, leaf), rewrite(right, leaf))
        case Index(value, index):
            return Index(rewrite(value, leaf), rewrite(index, leaf))
        case Conditional(then, condition, otherwise):
            return Conditional(rewrite(then, leaf), rewrite(condition, leaf), rewrite(otherwise, leaf))
        case Call(function, arguments):
            return Call(function, tuple(rewrite(a, leaf) for a in arguments))
        case ListOf(items):
            return ListOf(tuple(rewrite(i, leaf) for i in items))


def simplify(tree: Expression, known: Mapping[str, Value]) -> Expression:
    """An expression with known names put in and all that follows from them worked out."""
    match tree:
        case Name(name):
            return Literal(known[name]) if name in known else tree
        case Literal() | Attribute():
            return tree
        case Unary(operator, value):
            result: Expression = Unary(operator, simplify(value, known))
        case Index(value, index):
            result = Index(simplify(value, known), simplify(index, known))
        case Call(function, arguments):
            result = Call(function, tuple(simplify(a, known) for a in arguments))
        case ListOf(items):
            result = ListOf(tuple(simplify(item, known) for item in items))
        case Conditional(then, condition, otherwise):
            decided = simplify(condition, known)
            if isinstance(decided, Literal) and isinstance(decided.value, bool):
                return simplify(then if _truth(decided.value) else otherwise, known)
            result = Conditional(simplify(then, known), decided, simplify(otherwise, known))
            # As text, since 1 == 1.0 == true.
            if to_text(result.then) == to_text(result.otherwise):
                return result.then
        case Binary(operator, left, right):
            result = _simplify_binary(Binary(operator, simplify(left, known), simplify(right, known)))
    if not names_in(result) and not isinstance(result, Literal):
        # What can't be worked out may stand where it never is: `4 // 0` in `1 if flag else 4 // 0`.
        with suppress(ExpressionError):
            return Literal(evaluate(result, {}))
    return result


def _simplify_binary(tree: Binary) -> Expression:
    """`true and x` is x, `1*x` is x, `x + 0` is x; what decides alone decides."""
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
