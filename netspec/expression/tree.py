"""The syntax tree of an expression: a class for each kind of node, and functions that walk a tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

Value = Any
"""The value of an expression: int, float, bool, str, a list of these, or a symbolic size."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as it is written: `3`, `1e-5`, `true`, `'text'`."""

    value: Value

    def __hash__(self) -> int:
        return hash(_frozen(self.value))


def _frozen(value: Any) -> object:
    """A value in a hashable form: lists become tuples."""
    return tuple([_frozen(item) for item in cast("list[Any]", value)]) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Name:
    """A parameter or `index`: `width`. With `of_file`, the file's parameter, even if a block has one of that name."""

    name: str
    at: int = field(default=0, compare=False)
    of_file: bool = False


@dataclass(frozen=True, slots=True)
class Attribute:
    """`input.channels`: an attribute of one of the body's inputs."""

    name: str
    attribute: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Subscript:
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
class FunctionCall:
    """A function of numbers: `min(a, b)`."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list: `[1, width]`."""

    items: tuple[Expression, ...]


Expression = Literal | Name | Attribute | Subscript | Unary | Binary | Conditional | FunctionCall | ListOf


def leaves(tree: Expression) -> Iterator[Name | Attribute]:
    """The names and attributes that an expression reads, in the order of its text, with repetitions."""
    match tree:
        case Name() | Attribute():
            yield tree
        case Literal():
            return
        case Unary(_, value):
            yield from leaves(value)
        case Subscript(left, right) | Binary(_, left, right):
            yield from leaves(left)
            yield from leaves(right)
        case Conditional(then, condition, otherwise):
            for part in (then, condition, otherwise):
                yield from leaves(part)
        case FunctionCall(_, items) | ListOf(items):
            for item in items:
                yield from leaves(item)


def names_in(tree: Expression) -> set[str]:
    """The names that an expression reads; an attribute is one name, `input.channels`."""
    return {leaf.name if isinstance(leaf, Name) else f"{leaf.name}.{leaf.attribute}" for leaf in leaves(tree)}


def rewrite(tree: Expression, leaf: Callable[[Name | Attribute], Expression]) -> Expression:
    """Replace each name and attribute of an expression by the result of the function `leaf` for it."""
    match tree:
        case Name() | Attribute():
            return leaf(tree)
        case Literal():
            return tree
        case Unary(operator, value):
            return Unary(operator, rewrite(value, leaf))
        case Binary(operator, left, right):
            return Binary(operator, rewrite(left, leaf), rewrite(right, leaf))
        case Subscript(value, index):
            return Subscript(rewrite(value, leaf), rewrite(index, leaf))
        case Conditional(then, condition, otherwise):
            return Conditional(rewrite(then, leaf), rewrite(condition, leaf), rewrite(otherwise, leaf))
        case FunctionCall(function, arguments):
            return FunctionCall(function, tuple(rewrite(a, leaf) for a in arguments))
        case ListOf(items):
            return ListOf(tuple(rewrite(i, leaf) for i in items))
