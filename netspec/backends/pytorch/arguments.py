"""Verify, then print: which expression, literal or argument stands for a value that a class's uses agree on.

An expression of the spec goes into the source only if, evaluated again for every use of the class, it
gives exactly that use's value; otherwise the literal, if all uses agree; otherwise a new argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netspec.backends.collapse import collapse
from netspec.backends.pytorch.classes import Class, ClassUse, Label
from netspec.backends.pytorch.exact import Exact
from netspec.backends.pytorch.expressions import document, tupled
from netspec.backends.pytorch.layout import Doc, prefixed
from netspec.expression import Binary, Expression, ExpressionError, Literal, Name, evaluate, names_in
from netspec.graph.model import Graph

Values = Sequence[tuple[ClassUse, Any]]

UNSAYABLE = frozenset(("range", "math", "super", "init_weights", "_", "l"))
"""Names of parameters that can't be arguments: the code needs them for itself, or linters refuse them."""


class CopiesDifferError(Exception):
    """Copies whose number differs from use to use have values that no expression gives: the uses need classes apart."""

    def __init__(self, label: Label) -> None:
        super().__init__(label)
        self.label = label


@dataclass(slots=True)
class ConstructorArgument:
    """An argument of a class's constructor, with its value for every use, by the id of the use's body."""

    name: str
    values: dict[int, Any]
    default: Any = ...
    annotation: str = "int"
    is_list: bool = False
    """Whether it is a list, whose items are all written; one number stands for a pair of equal ones."""

    @property
    def required(self) -> bool:
        return self.default is ...


def equal_and_typed(a: Any, b: Any) -> bool:
    """Equal, and of one type: `True` is not 1."""
    a, b = collapse(a), collapse(b)
    return type(a) is type(b) and a == b


@dataclass(slots=True)
class Arguments:
    """The arguments of one class, found while its body is written."""

    cls: Class
    graph: Graph
    environments: dict[int, Mapping[str, Any]] = field(default_factory=dict[int, Mapping[str, Any]])
    used: set[str] = field(default_factory=set[str])
    invented: dict[str, ConstructorArgument] = field(default_factory=dict[str, ConstructorArgument])
    trying: bool = False
    """Whether what is found is thrown away, and only tells what follows from what."""

    def __post_init__(self) -> None:
        for member in self.cls.members:
            names = dict(member.names)
            for name, place in self.cls.sizes.items() if member.body.scope is not None else ():
                for value in member.body.inputs[place : place + 1]:
                    entering = self.graph.types[value]
                    if name in self.cls.channels and entering.rank > 1:
                        names[name] = entering.channels
                    if name in self.cls.features and entering.rank == 3:
                        names[name] = entering.features
            self.environments[id(member.body)] = names

    def choose(
        self, values: Values, candidates: Iterable[Expression | None], hint: str, is_list: bool = False
    ) -> Expression:
        """What to print for these values, one a use."""
        for candidate in candidates:
            if candidate is not None and (self.trying or self.holds(candidate, values, is_list)):
                # In the copies of a repeat, `index` is the loop's.
                loop = {"index"} if any(member.index is not None for member, _ in values) else set[str]()
                self.used.update(names_in(candidate) - loop)
                return candidate
        written_as = tupled if is_list else collapse
        given = values[0][1]
        first = written_as(given)
        for _, value in values:
            if value is not given:
                value = written_as(value)
                if type(value) is not type(first) or value != first:
                    break
        else:
            return Literal(first)
        for parameter in self.cls.parameters:
            # A block made in Python has values and no expressions: one that says each use's value is it.
            name = Name(parameter.name)
            if not any(member.index is not None for member, _ in values) and self.holds(name, values, is_list):
                self.used.add(parameter.name)
                return name
        return Name(self.invent([(member, written_as(value)) for member, value in values], hint, is_list))

    def holds(self, candidate: Expression, values: Values, is_list: bool = False) -> bool:
        """Whether an expression gives each use its value."""
        for member, value in values:
            names = self.environments[id(member.body)]
            if member.index is not None:
                names = {**names, "index": member.index}
            try:
                found = evaluate(candidate, names)
            except ExpressionError:
                return False
            if found is value:
                continue
            if is_list and tupled(found) != tupled(value):
                return False
            # Where a float is wanted, an int is as good.
            if not equal_and_typed(found, value) and not (
                type(value) is float and type(found) is int and found == value
            ):
                return False
        return True

    def share_of(self, size: Expression | None, values: Values) -> Expression | None:
        """`channels // 16`, where values that differ from use to use are all that share of a size."""
        if size is None or len({value for _, value in values}) < 2:
            return None
        shares: set[Any] = set()
        for member, value in values:
            try:
                whole = evaluate(size, self.environments[id(member.body)])
            except ExpressionError:
                return None
            if type(whole) is not int or type(value) is not int or value < 1 or whole % value:
                return None
            shares.add(whole // value)
        return Binary("//", size, Literal(shares.pop())) if len(shares) == 1 else None

    def invent(self, values: Values, hint: str, is_list: bool = False) -> str:
        """An argument the spec has not, for a value that differs from use to use."""
        found: dict[int, Any] = {}
        for member, value in values:
            if found.setdefault(id(member.body), value) != value and not self.trying:
                raise CopiesDifferError(self.cls.label)
        first = values[0][1]
        complete = {id(m.body): found.get(id(m.body), first) for m in self.cls.members}
        for argument in self.invented.values():
            if argument.name.startswith(hint) and argument.values == complete:
                return argument.name
        name, number = hint, 1
        taken = {*self.invented, *(p.name for p in self.cls.parameters), *self.graph.params, *self.cls.sizes}
        while name in taken:
            number += 1
            name = f"{hint}_{number}"
        self.invented[name] = ConstructorArgument(
            name, complete, annotation=annotation_of(complete.values()), is_list=is_list
        )
        for body, value in complete.items():
            self.environments[body] = {**self.environments[body], name: value}
        return name

    def listed(self, extra: Sequence[str] = ()) -> list[ConstructorArgument]:
        """The constructor's arguments: those used, required ones first."""
        found: list[ConstructorArgument] = []
        for name in self.cls.sizes:
            if name in self.used:
                found.append(ConstructorArgument(name, self.values_of(name)))
        for parameter in self.cls.parameters:
            if parameter.name in self.used:
                values = self.values_of(parameter.name)
                kind, default = parameter.kind, parameter.default
                if kind == "list":
                    default = default if default is ... else tupled(default)
                    kind = annotation_of_lists([*values.values(), *([] if default is ... else [default])])
                found.append(ConstructorArgument(parameter.name, values, default, kind, parameter.kind == "list"))
        for name in extra:
            if name in self.used and all(argument.name != name for argument in found):
                values = self.values_of(name)
                found.append(ConstructorArgument(name, values, annotation=annotation_of(values.values())))
        found += self.invented.values()
        return sorted(found, key=lambda argument: not argument.required)

    def values_of(self, name: str) -> dict[int, Any]:
        return {id(member.body): self.environments[id(member.body)][name] for member in self.cls.members}


def annotation_of(values: Iterable[Any]) -> str:
    """The type hint for these values."""
    kinds: dict[str, None] = {}
    for value in values:
        if isinstance(value, tuple):
            kinds[f"tuple[{', '.join(_type_of(v) for v in value)}]"] = None  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        else:
            kinds[_type_of(value)] = None
    return " | ".join(sorted(kinds, key=lambda k: k == "None"))


def _type_of(value: Any) -> str:
    """The type of a value, as a type hint calls it."""
    if isinstance(value, Exact):
        return value.kind
    return "None" if value is None else type(value).__name__


def annotation_of_lists(values: Iterable[Sequence[Any]]) -> str:
    """The type hint for lists of any length."""
    kinds = sorted({type(item).__name__ for value in values for item in value})
    return f"tuple[{' | '.join(kinds) or 'int'}, ...]"


def argument_of(name: str, chosen: Expression, positional: bool, default: Any) -> list[Doc]:
    """An argument of a call: by place, or by name where it says other than the default."""
    if positional:
        return [document(chosen)]
    says_nothing = isinstance(chosen, Literal) and equal_and_typed(chosen.value, default)
    return [] if says_nothing else [prefixed(f"{name}=", document(chosen))]
