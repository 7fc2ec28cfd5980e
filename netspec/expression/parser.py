"""Parses expressions by recursive descent of bounded depth; errors have the offset of a character."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import NoReturn

from netspec.expression.errors import ExpressionError
from netspec.expression.language import (
    ATTRIBUTES,
    COMPARISONS,
    FUNCTIONS,
    MAX_EXPRESSION_DEPTH,
    MAX_INTEGER,
    MAX_LENGTH,
    MAX_OPERATORS,
    NOT,
    PRECEDENCE,
)
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
)

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+\.[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|[0-9]+)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<text>'[^']*')"
    r"|(?P<symbol>\*\*|//|==|!=|<=|>=|[-+*/%<>()\[\],.]))"
)
_RESERVED = frozenset(("if", "else", "and", "or", "not"))

_POWER = "a power is a product: `x * x`"
_FUNCTION_HINTS = {
    "int": "`floor(x)` gives an int, and so does `x // y`",
    "round": "write `floor(x + 0.5)`",
    "pow": _POWER,
    "size": "sizes are `input.channels`, `input.height`, `input.width`, `input.features`",
}
"""Hints for Python functions that expressions lack."""

_SYMBOL_HINTS = {
    "=": "`==` compares; arguments with names are written {name: value}",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`",
    "?": "a choice is written `x if condition else y`",
    ":": "an item is taken by its number, as in `x[0]`; there are no slices",
    "^": _POWER,
    **dict.fromkeys("${}@", "a parameter is written by its name alone"),
    **dict.fromkeys('"`\u2018\u2019\u201c\u201d', "text stands in single quotes: 'text'"),
    "is": "`==` compares",
    "in": "compare with each: `x == 1 or x == 2`",
}
"""Hints for operators and quotes of other languages."""


_Token = tuple[str, str, int]
"""A token's kind (`number`, `name`, `text`, `symbol` or `end`), its text, and its offset."""


@lru_cache(maxsize=8192)
def parse(text: str) -> Expression:
    """Parse an expression into a tree. Raises ExpressionError with the offset of the error."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression has at most {MAX_LENGTH} characters")
    parser = _Parser(text)
    tree = parser.conditional()
    kind, rest, at = parser.take()
    if kind != "end":
        parser.unexpected(kind, rest, at)
    return tree


def _tokens(text: str) -> list[_Token]:
    """The tokens of a text; the last has the kind `end`."""
    tokens: list[_Token] = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            symbol = text[start]
            message = f"`{symbol}` has no meaning in an expression"
            raise ExpressionError(message, start, help=_SYMBOL_HINTS.get(symbol, ""))
        kind = str(match.lastgroup)
        tokens.append((kind, match[kind], match.start(kind)))
        at = match.end()
    tokens.append(("end", "", end))
    return tokens


class _Parser:
    """Parses tokens: the method for each rule of the grammar takes the rule's tokens, and returns its tree."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.next = 0
        self.depth = 0
        self.operators = 0

    def peek(self) -> str:
        """The text of the next token, if that is a name or a symbol; "" for a number or text."""
        kind, text, _ = self.tokens[self.next]
        return text if kind in ("name", "symbol") else ""

    def take(self) -> _Token:
        """Take the next token."""
        token = self.tokens[self.next]
        self.next += 1
        return token

    def expect(self, symbol: str) -> None:
        """Take the next token, which has to be this symbol or word."""
        kind, text, at = self.take()
        if text != symbol or kind == "text":
            self.unexpected(kind, text, at, f"`{symbol}` is missing before ")

    def unexpected(self, kind: str, text: str, at: int, lead: str = "") -> NoReturn:
        """Raise the error for an unexpected token; `lead` is the beginning of the message, before the token."""
        if text == "**":
            raise ExpressionError("there is no power operator", at, 2, _POWER)
        what = "the end" if kind == "end" else f"`{text}`"
        message = f"{lead}{what}" if lead else f"{what} can't stand here"
        is_operand = kind in ("name", "number", "text") and text not in (*_RESERVED, *_SYMBOL_HINTS)
        if is_operand and not lead and self.next > 1:
            message = f"an operator is missing before {what}"
        if kind == "end" and not lead:
            message = "something is missing at the end" if at else "an expression is missing"
        raise ExpressionError(message, at, max(1, len(text)), _SYMBOL_HINTS.get(text, ""))

    def descend(self) -> None:
        """Count one level of nesting."""
        self.depth += 1
        if self.depth > MAX_EXPRESSION_DEPTH:
            raise ExpressionError(f"an expression nests at most {MAX_EXPRESSION_DEPTH} deep", self.tokens[self.next][2])

    def count_operator(self, at: int) -> None:
        """Count an operator: a chain of them makes a deep tree to the left, which `descend` does not count."""
        self.operators += 1
        if self.operators > MAX_OPERATORS:
            raise ExpressionError(f"an expression has at most {MAX_OPERATORS} operators", at)

    def conditional(self) -> Expression:
        """`binary`, or `binary if binary else conditional`."""
        self.descend()
        value = self.binary(0)
        if self.peek() == "if":
            self.take()
            condition = self.binary(0)
            self.expect("else")
            value = Conditional(value, condition, self.conditional())
        self.depth -= 1
        return value

    def binary(self, floor: int) -> Expression:
        """Operators with a precedence above `floor`, and their operands."""
        left = self.unary()
        while True:
            operator = self.peek()
            precedence = PRECEDENCE.get(operator, 0)
            if precedence <= floor:
                return left
            at = self.take()[2]
            self.count_operator(at)
            right = self.binary(precedence)
            if operator in COMPARISONS and self.peek() in COMPARISONS:
                raise ExpressionError("comparisons don't chain: join them with `and`", at, len(operator))
            left = Binary(operator, left, right)

    def unary(self) -> Expression:
        """`not binary`, `-unary`, or `postfix`."""
        operator = self.peek()
        if operator not in ("not", "-"):
            return self.postfix()
        self.descend()
        self.take()
        value = Unary("not", self.binary(NOT)) if operator == "not" else self.minus()
        self.depth -= 1
        return value

    def minus(self) -> Expression:
        """The operand of a `-`, negated; before a number, `-` is its sign."""
        inner = self.unary()
        if isinstance(inner, Literal) and type(inner.value) in (int, float):
            return Literal(-inner.value)
        return Unary("-", inner)

    def postfix(self) -> Expression:
        """`primary`, and any number of `[conditional]` after it."""
        value = self.primary()
        while self.peek() == "[":
            self.count_operator(self.take()[2])
            value = Subscript(value, self.conditional())
            self.expect("]")
        return value

    def primary(self) -> Expression:
        """A number, a text, `true`, a name, an attribute, a call, a list, or `(conditional)`."""
        kind, text, at = self.take()
        if kind == "number":
            return Literal(_number(text, at))
        if kind == "text":
            return Literal(text[1:-1])
        if kind == "name" and text not in _RESERVED:
            if text in ("true", "false"):
                return Literal(text == "true")
            follows = self.peek()
            if follows == "(":
                return self.call(text, at)
            return self.attribute(text, at) if follows == "." else Name(text, at)
        if text == "(":
            value = self.conditional()
            if self.peek() == ",":
                raise ExpressionError("a list stands in square brackets", at, help="write [...]")
            self.expect(")")
            return value
        if text != "[":
            self.unexpected(kind, text, at)
        return ListOf(self.arguments("]"))

    def attribute(self, name: str, at: int) -> Attribute:
        """`.attribute` after a name, or after the name of a step's output: `lstm.hidden.features`."""
        self.take()
        kind, attribute, place = self.take()
        if kind != "name":
            self.unexpected(kind, attribute, place)
        if self.peek() == "." and "." not in name:
            return self.attribute(f"{name}.{attribute}", at)
        if self.peek() == "(":
            self.unknown_function(f"{name}.{attribute}", at)
        if attribute not in ATTRIBUTES:
            message = f"a value has no attribute `{attribute}`, only {' '.join(ATTRIBUTES)}"
            raise ExpressionError(message, place, len(attribute))
        return Attribute(name, attribute, at)

    def call(self, function: str, at: int) -> FunctionCall:
        """`(arguments)` after the name of a function."""
        if function not in FUNCTIONS:
            self.unknown_function(function, at)
        self.take()
        return FunctionCall(function, self.arguments(")"))

    def unknown_function(self, name: str, at: int) -> NoReturn:
        """Raise the error for a call of no function of the language, such as `round` or `math.floor`."""
        function = name.rpartition(".")[2]
        help = f"write `{function}(...)`" if function in FUNCTIONS else _FUNCTION_HINTS.get(function, "")
        names = " ".join(FUNCTIONS)
        raise ExpressionError(f"there is no function `{name}`, only {names}", at, len(name), help)

    def arguments(self, close: str) -> tuple[Expression, ...]:
        """Expressions separated by commas, up to a closing bracket."""
        items: list[Expression] = []
        while self.peek() != close:
            items.append(self.conditional())
            if self.peek() != ",":
                break
            self.take()
        self.expect(close)
        return tuple(items)


def _number(text: str, at: int) -> int | float:
    """The number of a token, within bounds."""
    if text.isdigit():
        if len(text) > 19 or int(text) > MAX_INTEGER:
            raise ExpressionError("an integer is at most 2**63 - 1", at, len(text))
        return int(text)
    if not math.isfinite(float(text)):
        raise ExpressionError("a number is too large for a float", at, len(text))
    return float(text)
