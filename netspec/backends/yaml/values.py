"""Chooses the expression or literal that a spec has for the values of a definition's uses.

An expression of the spec is written again only if, evaluated for every use, it gives exactly that use's value;
otherwise the literal, if all uses agree; otherwise a parameter that the spec did not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from netspec.backends.collapse import collapse
from netspec.backends.yaml.definitions import Definition, DefinitionUse, Match
from netspec.backends.yaml.parts import NOT_IN_YAML, WAY_OUT, BlockUse, Part
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
from netspec.naming import free_name


@dataclass(slots=True, eq=False)
class Occurrence:
    """A body in one use, or in one copy in it: the match of its steps, and the values of the names it can read."""

    use: BlockUse
    match: Match
    names: Mapping[str, Any]
    copies: tuple[int, ...] = ()
    """The numbers of the copies that it stands in, the innermost last."""

    def part(self, template: Part) -> Part | None:
        """The step here that corresponds to one of the template; None where it is left out."""
        return self.match.parts.get(template)


COMPLETE = "whole"
"""The parameter of a block that says whether a use has the steps which others lack."""
_INDEX = Name("index")

OccurrenceValues = Sequence[tuple[Occurrence, Any]]
"""The values that one argument has in the occurrences of a body."""


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
    invented: dict[str, dict[BlockUse, Any]] = field(default_factory=lambda: dict[str, dict[BlockUse, Any]]())
    """Parameters that the spec did not have, each with its value in every use."""

    def choose(self, values: OccurrenceValues, candidates: Iterable[Expression | None], hint: str) -> Expression:
        """The expression for these values, one for each occurrence.

        The first of the candidates that gives all of them, else their literal, else a parameter of the block; for
        copies a case by case expression, for uses a new parameter. `hint` is what that parameter is called.
        """
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

    def holds(self, candidate: Expression, values: OccurrenceValues) -> bool:
        """Whether an expression gives each its value."""
        for here, value in values:
            try:
                evaluated = evaluate(candidate, here.names)
            except ExpressionError:
                return False
            if evaluated is not value and not same(evaluated, value):
                return False
        return True

    def by_copy(self, values: OccurrenceValues, hint: str) -> Expression:
        """A value that differs from copy to copy: `2 if index == 0 else 1`."""
        if any(len(here.copies) > 1 for here, _ in values):
            what = f"copies in copies of a step of `{self.definition.label}` have values of their own for `{hint}`"
            fail("NS401", f"{what}: {NOT_IN_YAML}", help=WAY_OUT)
        by_index: dict[int, list[tuple[Occurrence, Any]]] = {}
        for here, value in values:
            one = Occurrence(here.use, here.match, {k: v for k, v in here.names.items() if k != "index"})
            by_index.setdefault(here.copies[-1], []).append((one, value))
        chosen = {index: self.choose(each, (), hint) for index, each in sorted(by_index.items())}
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

    def invent(self, values: OccurrenceValues, hint: str) -> Expression:
        """A parameter for a value that differs from use to use."""
        by_use: dict[BlockUse, Any] = {}
        for here, value in values:
            if not _identical(by_use.setdefault(here.use, value), value):
                what = f"the values of `{hint}` in `{self.definition.label}` follow no rule"
                fail("NS401", f"{what}: {NOT_IN_YAML}", help=WAY_OUT)
        complete = {m.use: by_use.get(m.use, values[0][1]) for m in self.definition.members}
        for name, other in self.invented.items():
            if name.startswith(hint) and other == complete:
                return Name(name)
        name = free_name(hint, {*self.taken, *self.invented, *(p.name for p in self.definition.template.parameters)})
        self.invented[name] = complete
        return Name(name)

    def parameters(self) -> list[SpecParameter]:
        """The parameters of the block: of its own those that are used, and those invented."""
        own = [p for p in self.definition.template.parameters if p.name in self.used]
        for name, by_use in self.invented.items():
            # Most uses have all steps.
            default = True if name.startswith(COMPLETE) else ...
            own.append(SpecParameter(name, _kind(by_use.values()), default))
        return own

    def value_for(self, name: str, member: DefinitionUse) -> Any:
        """The value of a parameter in a use."""
        if name in self.invented:
            return self.invented[name][member.use]
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
        fail("NS401", f"{what}: {NOT_IN_YAML}", help=WAY_OUT)
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
    """The condition that one of these holds; of none that is false."""
    if not conditions:
        return Unary("not", Literal(True))
    return reduce(lambda a, b: Binary("or", a, b), conditions)
