"""Verify, then print: which expression or literal of the spec language stands for a value of a definition's uses.

An expression of the spec is written again only if, evaluated for every use, it gives exactly that use's value;
otherwise the literal, if all uses agree; otherwise a parameter that the spec did not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netspec.backends.collapse import collapse
from netspec.backends.yaml.definitions import Definition, DefinitionUse, Match
from netspec.backends.yaml.parts import OTHERWISE, UNSAYABLE, BlockUse, Part
from netspec.errors import fail
from netspec.expression import (
    Binary,
    Conditional,
    Expression,
    ExpressionError,
    Literal,
    Name,
    Unary,
    evaluate,
    leaves,
)
from netspec.graph.model import SpecParameter


@dataclass(slots=True, eq=False)
class Occurrence:
    """A body in one use, or in one copy in it: what stands there for the template's steps, and what names mean."""

    use: BlockUse
    match: Match
    names: Mapping[str, Any]
    copies: tuple[int, ...] = ()
    """The numbers of the copies that it stands in, the innermost last."""

    def part(self, template: Part) -> Part | None:
        """What stands here for a step of the template."""
        return self.match.parts.get(id(template))


WHOLE = "whole"
"""The parameter of a block that says whether a use has the steps which others lack."""
_INDEX = Name("index")

Values = Sequence[tuple[Occurrence, Any]]


def same(a: Any, b: Any) -> bool:
    """Equal, and of one type; an int for a float is as good."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return tuple(a) == tuple(b)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    a, b = collapse(a), collapse(b)
    return (type(a) is type(b) or (type(a) is int and type(b) is float)) and a == b


@dataclass(slots=True)
class Chooser:
    """Chooses what is written for the values of one definition, and notes which parameters that needs."""

    definition: Definition
    taken: frozenset[str]
    """Names that a new parameter can't have."""
    used: set[str] = field(default_factory=set[str])
    invented: dict[str, dict[int, Any]] = field(default_factory=dict[str, dict[int, Any]])
    """Parameters that the spec did not have, with the value for each use, by its id."""

    def choose(self, values: Values, candidates: Iterable[Expression | None], hint: str) -> Expression:
        """What to write for these values, one for each occurrence."""
        for candidate in candidates:
            if candidate is not None and self.holds(candidate, values):
                self.used.update(leaf.name for leaf in leaves(candidate))
                return candidate
        first = values[0][1]
        if all(_identical(value, first) for _, value in values):
            return Literal(first)
        for parameter in self.definition.template.parameters:
            if self.holds(Name(parameter.name), values):
                self.used.add(parameter.name)
                return Name(parameter.name)
        if any(here.copies for here, _ in values):
            return self.by_copy(values, hint)
        return self.invent(values, hint)

    def holds(self, candidate: Expression, values: Values) -> bool:
        """Whether an expression gives each its value."""
        for here, value in values:
            try:
                found = evaluate(candidate, here.names)
            except ExpressionError:
                return False
            if found is not value and not same(found, value):
                return False
        return True

    def by_copy(self, values: Values, hint: str) -> Expression:
        """A value that differs from copy to copy: `2 if index == 0 else 1`."""
        if any(len(here.copies) > 1 for here, _ in values):
            what = f"copies in copies of a step of `{self.definition.label}` have values of their own for `{hint}`"
            fail("NS401", f"{what}: {UNSAYABLE}", help=OTHERWISE)
        by_index: dict[int, list[tuple[Occurrence, Any]]] = {}
        for here, value in values:
            one = Occurrence(here.use, here.match, {k: v for k, v in here.names.items() if k != "index"})
            by_index.setdefault(here.copies[-1], []).append((one, value))
        chosen = {index: self.choose(found, (), hint) for index, found in sorted(by_index.items())}
        runs: list[tuple[int, int, Expression]] = []
        for index, tree in chosen.items():
            if runs and runs[-1][2] == tree:
                runs[-1] = (runs[-1][0], index, tree)
            else:
                runs.append((index, index, tree))
        if all(isinstance(tree, Literal) and isinstance(tree.value, bool) for *_, tree in runs):
            return _any_of([_within(first, last, runs) for first, last, tree in runs if tree == Literal(True)])
        tree = runs[-1][2]
        for _, last, then in reversed(runs[:-1]):
            until = Binary("==", _INDEX, Literal(0)) if last == 0 else Binary("<", _INDEX, Literal(last + 1))
            tree = Conditional(then, until, tree)
        return tree

    def invent(self, values: Values, hint: str) -> Expression:
        """A parameter for a value that differs from use to use."""
        found: dict[int, Any] = {}
        for here, value in values:
            if not _identical(found.setdefault(id(here.use), value), value):
                what = f"the values of `{hint}` in `{self.definition.label}` follow no rule"
                fail("NS401", f"{what}: {UNSAYABLE}", help=OTHERWISE)
        complete = {id(m.use): found.get(id(m.use), values[0][1]) for m in self.definition.members}
        for name, other in self.invented.items():
            if name.startswith(hint) and other == complete:
                return Name(name)
        name, number = hint, 1
        known = {*self.taken, *self.invented, *(p.name for p in self.definition.template.parameters)}
        while name in known:
            number += 1
            name = f"{hint}_{number}"
        self.invented[name] = complete
        return Name(name)

    def parameters(self) -> list[SpecParameter]:
        """The parameters of the block: of its own those that are used, and those invented."""
        own = [p for p in self.definition.template.parameters if p.name in self.used]
        for name, found in self.invented.items():
            # Most uses are whole.
            default = True if name.startswith(WHOLE) else ...
            own.append(SpecParameter(name, _kind(found.values()), default))
        return own

    def value_for(self, name: str, member: DefinitionUse) -> Any:
        """What a parameter is in a use."""
        if name in self.invented:
            return self.invented[name][id(member.use)]
        return member.use.names[name]


def _identical(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b


def _kind(values: Iterable[Any]) -> str:
    """The type of a parameter that takes these values."""
    kinds = {type(value).__name__ for value in values}
    if kinds <= {"list", "tuple"}:
        return "list"
    if kinds == {"int", "float"}:
        return "float"
    if len(kinds) > 1 or not kinds <= {"bool", "int", "float", "str"}:
        what = f"a block's parameter would be of several kinds ({', '.join(sorted(kinds))})"
        fail("NS401", f"{what}: {UNSAYABLE}", help=OTHERWISE)
    return kinds.pop()


def _within(first: int, last: int, runs: Sequence[tuple[int, int, Expression]]) -> Expression:
    """The condition that a copy is of one run of several."""
    low, high = first == runs[0][0], last == runs[-1][1]
    if first == last and not (low and last > 0):
        return Binary("==", _INDEX, Literal(first))
    if low:
        return Binary("<", _INDEX, Literal(last + 1))
    above = Binary(">=", _INDEX, Literal(first))
    return above if high else Binary("and", above, Binary("<", _INDEX, Literal(last + 1)))


def _any_of(conditions: Sequence[Expression]) -> Expression:
    found = conditions[0] if conditions else Unary("not", Literal(True))
    for condition in conditions[1:]:
        found = Binary("or", found, condition)
    return found
