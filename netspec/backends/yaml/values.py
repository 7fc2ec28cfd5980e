"""Chooses how a spec writes a value: as an expression, a literal, or a parameter of a block.

An expression of the original spec is written only if, evaluated for every use, it equals the value in that use.
Otherwise a literal is written if the value is equal in all uses, and a new parameter if it is not.
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
    """A body in one use, or in one copy inside a use: the match of its steps, and the values of names in it."""

    use: BlockUse
    match: Match
    names: Mapping[str, Any]
    copies: tuple[int, ...] = ()
    """The numbers of the copies around it, the innermost last."""

    def part(self, template: Part) -> Part | None:
        """The step that corresponds to a step of the template; None where it is left out."""
        return self.match.parts.get(template)


COMPLETE = "whole"
"""The parameter of a block that says whether a use has steps that other uses lack."""
_INDEX = Name("index")

OccurrenceValues = Sequence[tuple[Occurrence, Any]]
"""A value, such as `kernel_size` of a step, in each occurrence of a body."""


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal and of one type; `a` may be an int where `b` is a float."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return tuple(a) == tuple(b)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    a, b = collapse(a), collapse(b)
    return (type(a) is type(b) or (type(a) is int and type(b) is float)) and a == b


@dataclass(slots=True)
class Chooser:
    """Chooses how the values of one definition are written, and collects the parameters that this needs."""

    definition: Definition
    taken: frozenset[str]
    """Names that no new parameter can have."""
    used: set[str] = field(default_factory=set[str])
    invented: dict[str, dict[BlockUse, Any]] = field(default_factory=lambda: dict[str, dict[BlockUse, Any]]())
    """New parameters, each with its value in every use."""

    def choose(self, values: OccurrenceValues, candidates: Iterable[Expression | None], hint: str) -> Expression:
        """The expression for a value: the first candidate that holds, else a literal, else a parameter.

        If no existing parameter holds, values in copies become an expression over `index`, and other values become a
        new parameter, which is named `hint`.
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
        if any(each.copies for each, _ in values):
            return self.by_copy(values, hint)
        return self.invent(values, hint)

    def holds(self, candidate: Expression, values: OccurrenceValues) -> bool:
        """Whether an expression has the right value in every occurrence."""
        for each, value in values:
            try:
                evaluated = evaluate(candidate, each.names)
            except ExpressionError:
                return False
            if evaluated is not value and not same(evaluated, value):
                return False
        return True

    def by_copy(self, values: OccurrenceValues, hint: str) -> Expression:
        """An expression over `index` for a value that differs from copy to copy: `2 if index == 0 else 1`."""
        if any(len(each.copies) > 1 for each, _ in values):
            what = f"copies in copies of a step of `{self.definition.label}` have values of their own for `{hint}`"
            fail("NS401", f"{what}: {NOT_IN_YAML}", help=WAY_OUT)
        by_index: dict[int, list[tuple[Occurrence, Any]]] = {}
        for each, value in values:
            outside = Occurrence(each.use, each.match, {k: v for k, v in each.names.items() if k != "index"})
            by_index.setdefault(each.copies[-1], []).append((outside, value))
        chosen = {index: self.choose(of_copy, (), hint) for index, of_copy in sorted(by_index.items())}
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
        """A new parameter for a value that differs from use to use."""
        by_use: dict[BlockUse, Any] = {}
        for each, value in values:
            if not _identical(by_use.setdefault(each.use, value), value):
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
        """The parameters of the block: those of the original that are used, then the new ones."""
        parameters = [p for p in self.definition.template.parameters if p.name in self.used]
        for name, by_use in self.invented.items():
            # Most uses have all steps.
            default = True if name.startswith(COMPLETE) else ...
            parameters.append(SpecParameter(name, _kind(by_use.values()), default))
        return parameters

    def value_for(self, name: str, member: DefinitionUse) -> Any:
        """The value of a parameter in a use."""
        if name in self.invented:
            return self.invented[name][member.use]
        return member.use.names[name]


def _identical(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b


def _kind(values: Iterable[Any]) -> str:
    """The type of a parameter with these values. Raises NetspecError NS401 if they have no common type."""
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
    """The condition on `index` for a copy to be in one of several runs of copies."""
    low, high = first == runs[0][0], last == runs[-1][1]
    if first == last and not (low and last > 0):
        return Binary("==", _INDEX, Literal(first))
    if low:
        return Binary("<", _INDEX, Literal(last + 1))
    above = Binary(">=", _INDEX, Literal(first))
    return above if high else Binary("and", above, Binary("<", _INDEX, Literal(last + 1)))


def _any_of(conditions: Sequence[Expression]) -> Expression:
    """The condition that at least one of several conditions holds."""
    if not conditions:
        return Unary("not", Literal(True))
    return reduce(lambda a, b: Binary("or", a, b), conditions)
