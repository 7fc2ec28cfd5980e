"""Verify, then print: which expression, literal or argument stands for a value that a class's uses agree on.

An expression of the spec goes into the source only if, evaluated again for every use of the class, it
gives exactly that use's value; otherwise the literal, if all uses agree; otherwise a new argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netspec.backends.pytorch.classes import Class, Member
from netspec.expression import Expression, ExpressionError, Literal, Name, evaluate, names_in, to_text
from netspec.graph.model import Graph

Values = Sequence[tuple[Member, Any]]


@dataclass(slots=True)
class Argument:
    """An argument of a class's constructor, with its value for every use, by the id of the use's body."""

    name: str
    values: dict[int, Any]
    default: Any = ...
    annotation: str = "int"

    @property
    def required(self) -> bool:
        return self.default is ...


def collapse(value: Any) -> Any:
    """A value as it is written: `(3, 3)` is 3, a list is a tuple."""
    if isinstance(value, list | tuple):
        items: tuple[Any, ...] = tuple(value)  # pyright: ignore[reportUnknownArgumentType]
        if len(items) > 1 and all(item == items[0] and type(item) is type(items[0]) for item in items):
            return items[0]
        return items
    return value


def same(a: Any, b: Any) -> bool:
    """Equal, and of one type: `True` is not 1."""
    a, b = collapse(a), collapse(b)
    return type(a) is type(b) and a == b


@dataclass(slots=True)
class Arguments:
    """The arguments of one class, found while its body is written."""

    cls: Class
    graph: Graph
    channels: str
    environments: dict[int, Mapping[str, Any]] = field(default_factory=dict[int, Mapping[str, Any]])
    used: set[str] = field(default_factory=set[str])
    invented: dict[str, Argument] = field(default_factory=dict[str, Argument])

    def __post_init__(self) -> None:
        for member in self.cls.members:
            names = dict(member.names)
            if member.body.inputs and member.body.scope is not None:
                entering = self.graph.types[member.body.inputs[0]]
                if entering.rank > 1:
                    names[self.channels] = entering.channels
            self.environments[id(member.body)] = names

    def choose(self, values: Values, candidates: Iterable[Expression | None], hint: str) -> Expression:
        """What to print for these values, one a use."""
        for candidate in candidates:
            if candidate is not None and self.holds(candidate, values):
                self.used.update(names_in(candidate))
                return candidate
        first = values[0][1]
        if all(same(first, value) for _, value in values[1:]):
            return Literal(collapse(first))
        return Name(self.invent(values, hint))

    def holds(self, candidate: Expression, values: Values) -> bool:
        """Whether an expression gives each use its value."""
        for member, value in values:
            try:
                if not same(evaluate(candidate, self.environments[id(member.body)]), value):
                    return False
            except ExpressionError:
                return False
        return True

    def invent(self, values: Values, hint: str) -> str:
        """An argument the spec has not, for a value that differs from use to use."""
        found = {id(member.body): collapse(value) for member, value in values}
        first = collapse(values[0][1])
        complete = {id(m.body): found.get(id(m.body), first) for m in self.cls.members}
        for argument in self.invented.values():
            if argument.name.startswith(hint) and argument.values == complete:
                return argument.name
        name, number = hint, 1
        taken = {*self.invented, *(p.name for p in self.cls.parameters), *self.graph.params, self.channels}
        while name in taken:
            number += 1
            name = f"{hint}_{number}"
        self.invented[name] = Argument(name, complete, annotation=annotation_of(complete.values()))
        for body, value in complete.items():
            self.environments[body] = {**self.environments[body], name: value}
        return name

    def listed(self, extra: Sequence[str] = ()) -> list[Argument]:
        """The constructor's arguments: those used, required ones first."""
        found: list[Argument] = []
        bodies = [id(member.body) for member in self.cls.members]
        if self.channels in self.used:
            values = {body: self.environments[body][self.channels] for body in bodies}
            found.append(Argument(self.channels, values))
        for parameter in self.cls.parameters:
            if parameter.name in self.used:
                values = {body: self.environments[body][parameter.name] for body in bodies}
                kind = "list[int]" if parameter.kind == "list" else parameter.kind
                found.append(Argument(parameter.name, values, parameter.default, kind))
        for name in extra:
            if name in self.used and all(argument.name != name for argument in found):
                values = {body: self.environments[body][name] for body in bodies}
                found.append(Argument(name, values, annotation=annotation_of(values.values())))
        found += self.invented.values()
        return sorted(found, key=lambda argument: not argument.required)


def annotation_of(values: Iterable[Any]) -> str:
    """The type hint for these values."""
    kinds: dict[str, None] = {}
    for value in values:
        if isinstance(value, tuple):
            kinds[f"tuple[{', '.join(type(v).__name__ for v in value)}]"] = None  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        else:
            kinds["None" if value is None else type(value).__name__] = None
    return " | ".join(sorted(kinds, key=lambda k: k == "None"))


def written(tree: Expression) -> str:
    """An expression as Python source."""
    return to_text(tree, python=True)
