"""Chooses how generated source writes a value: as an expression, a literal, or a constructor argument.

An expression of the spec is printed only if, evaluated for every use of the class, it equals the value in that use.
Otherwise a literal is printed if the value is equal in all uses, and a new constructor argument if it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netspec.backends.collapse import collapse
from netspec.backends.pytorch.bodies import ScopeBody
from netspec.backends.pytorch.classes import Class, ClassUse, Label
from netspec.backends.pytorch.exact import Exact
from netspec.backends.pytorch.expressions import document, tupled
from netspec.backends.pytorch.layout import Doc, prefixed
from netspec.expression import Binary, Expression, ExpressionError, Literal, Name, evaluate, names_in
from netspec.graph.model import Graph
from netspec.naming import free_name

UseValues = Sequence[tuple[ClassUse, Any]]
"""A value, such as `kernel_size` of a layer, in each use of a class that has it; in a repeat, in each copy too."""

NOT_ARGUMENTS = frozenset(("range", "math", "super", "init_weights", "_", "l"))
"""Names that no constructor argument can have: generated code uses them itself, or linters refuse them."""


class CopiesDifferError(Exception):
    """Uses of a class can't share it: the copies of a repeat have values that follow no expression.

    One expression has to stand for all copies where uses have different numbers of them.
    """

    def __init__(self, label: Label) -> None:
        super().__init__(label)
        self.label = label


@dataclass(slots=True)
class ConstructorArgument:
    """An argument of a class's constructor, with its value for the body of every use."""

    name: str
    values: dict[ScopeBody, Any]
    default: Any = ...
    annotation: str = "int"
    is_list: bool = False
    """Whether it is a list, whose items are all printed; for any other argument `(3, 3)` is printed as `3`."""

    @property
    def required(self) -> bool:
        return self.default is ...


@dataclass(frozen=True, slots=True)
class _Choices:
    """A snapshot of the choices of `Arguments`."""

    used: set[str]
    invented: dict[str, ConstructorArgument]
    environments: dict[ScopeBody, Mapping[str, Any]]
    reads_index: bool


class Arguments:
    """The constructor arguments of one class, chosen while its body is printed."""

    def __init__(self, cls: Class, graph: Graph) -> None:
        self._cls = cls
        self._taken = {*graph.params, *(p.name for p in cls.parameters)}
        self.dry_run = False
        """Whether candidates are accepted unverified, since only the dependencies of values are of interest."""
        self.used: set[str] = set()
        """The names that chosen expressions read."""
        self.invented: dict[str, ConstructorArgument] = {}
        self.reads_index = False
        """Whether a chosen expression reads `index`, the number of a copy; the caller clears the flag before."""
        self.environments: dict[ScopeBody, Mapping[str, Any]] = {
            use.body: _environment(cls, use, graph) for use in cls.uses
        }
        """The values of all names that expressions can read, by the body of a use."""

    def snapshot(self) -> _Choices:
        """The choices so far, to be restored later."""
        return _Choices(set(self.used), dict(self.invented), dict(self.environments), self.reads_index)

    def restore(self, snapshot: _Choices) -> None:
        """Forget what was chosen since a snapshot."""
        self.used, self.invented = snapshot.used, snapshot.invented
        self.environments, self.reads_index = snapshot.environments, snapshot.reads_index

    def choose(
        self, values: UseValues, candidates: Iterable[Expression | None], hint: str, is_list: bool = False
    ) -> Expression:
        """The expression to print for a value: the first candidate that holds, else a literal, else an argument.

        A new argument is named `hint`, with a number if the name is taken.
        """
        in_copies = any(use.index is not None for use, _ in values)
        for candidate in candidates:
            if candidate is not None and (self.dry_run or self.holds(candidate, values, is_list)):
                names = names_in(candidate)
                if in_copies and "index" in names:
                    # `index` is the variable of the loop over the copies, not an argument.
                    self.reads_index = True
                    names.remove("index")
                self.used |= names
                return candidate
        literal_of = tupled if is_list else collapse
        if (literal := _agreed_literal(values, literal_of)) is not None:
            return literal
        for parameter in self._cls.parameters if not in_copies else ():
            # A block built in Python has no expressions: use a parameter that has the right value in every use.
            name = Name(parameter.name)
            if self.holds(name, values, is_list):
                self.used.add(parameter.name)
                return name
        return Name(self._invent([(use, literal_of(value)) for use, value in values], hint, is_list))

    def holds(self, candidate: Expression, values: UseValues, is_list: bool = False) -> bool:
        """Whether an expression has the right value in every use."""
        for use, value in values:
            names = self.environments[use.body]
            if use.index is not None:
                names = {**names, "index": use.index}
            try:
                evaluated = evaluate(candidate, names)
            except ExpressionError:
                return False
            if evaluated is value:
                continue
            if is_list and tupled(evaluated) != tupled(value):
                return False
            # An int may stand for a float, but not the other way round.
            if not _equal_and_typed(evaluated, value) and not (
                type(value) is float and type(evaluated) is int and evaluated == value
            ):
                return False
        return True

    def share_of(self, size: Expression | None, values: UseValues) -> Expression | None:
        """An expression such as `channels // 16`, if the values differ and all are the same fraction of a size."""
        if size is None or len({value for _, value in values}) < 2:
            return None
        divisors: set[int] = set()
        for use, value in values:
            try:
                dividend = evaluate(size, self.environments[use.body])
            except ExpressionError:
                return None
            if type(dividend) is not int or type(value) is not int or value < 1 or dividend % value:
                return None
            divisors.add(dividend // value)
        return Binary("//", size, Literal(divisors.pop())) if len(divisors) == 1 else None

    def _invent(self, values: UseValues, hint: str, is_list: bool) -> str:
        """Add a constructor argument that the spec lacks, for a value that differs from use to use; return its name."""
        by_body: dict[ScopeBody, Any] = {}
        for use, value in values:
            if by_body.setdefault(use.body, value) != value and not self.dry_run:
                raise CopiesDifferError(self._cls.label)
        _, any_value = values[0]
        by_body = {use.body: by_body.get(use.body, any_value) for use in self._cls.uses}
        for argument in self.invented.values():
            if argument.name.startswith(hint) and argument.values == by_body:
                return argument.name
        name = free_name(hint, {*self.invented, *self._taken, *self._cls.sizes})
        annotation = _annotation_of(by_body.values())
        self.invented[name] = ConstructorArgument(name, by_body, annotation=annotation, is_list=is_list)
        for body, value in by_body.items():
            self.environments[body] = {**self.environments[body], name: value}
        return name

    def listed(self, extra: Sequence[str] = ()) -> list[ConstructorArgument]:
        """The constructor's arguments, required ones first: the sizes, parameters and `extra` names that are read."""
        arguments = [ConstructorArgument(name, self._values_of(name)) for name in self._cls.sizes if name in self.used]
        for parameter in self._cls.parameters:
            if parameter.name in self.used:
                values = self._values_of(parameter.name)
                kind, default = parameter.kind, parameter.default
                if kind == "list":
                    default = default if default is ... else tupled(default)
                    kind = _annotation_of_lists([*values.values(), *([] if default is ... else [default])])
                arguments.append(ConstructorArgument(parameter.name, values, default, kind, parameter.kind == "list"))
        for name in extra:
            if name in self.used and all(argument.name != name for argument in arguments):
                values = self._values_of(name)
                arguments.append(ConstructorArgument(name, values, annotation=_annotation_of(values.values())))
        arguments += self.invented.values()
        return sorted(arguments, key=lambda argument: not argument.required)

    def _values_of(self, name: str) -> dict[ScopeBody, Any]:
        return {use.body: self.environments[use.body][name] for use in self._cls.uses}


def _environment(cls: Class, use: ClassUse, graph: Graph) -> dict[str, Any]:
    """The values of all names in a use: those of the spec's expressions, and arguments such as `in_channels`."""
    values = dict(use.environment)
    for name, number in cls.sizes.items() if use.body.scope is not None else ():
        for value in use.body.inputs[number : number + 1]:
            type = graph.types[value]
            if name in cls.channels and type.rank > 1:
                values[name] = type.channels
            if name in cls.features and type.rank == 3:
                values[name] = type.features
    return values


def _agreed_literal(values: UseValues, literal_of: Callable[[Any], Any]) -> Literal | None:
    """The literal for a value that has one type and is equal in all uses; None where it differs."""
    _, first = values[0]
    literal = literal_of(first)
    for _, value in values:
        if value is not first:
            value = literal_of(value)
            if type(value) is not type(literal) or value != literal:
                return None
    return Literal(literal)


def _equal_and_typed(a: Any, b: Any) -> bool:
    """Whether two values are equal and of one type: `True` is not 1."""
    a, b = collapse(a), collapse(b)
    return type(a) is type(b) and a == b


def _annotation_of(values: Iterable[Any]) -> str:
    """The type hint for some values, such as `int | tuple[int, int]`."""
    kinds: dict[str, None] = {}
    for value in values:
        if isinstance(value, tuple):
            kinds[f"tuple[{', '.join(_type_name(v) for v in value)}]"] = None  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        else:
            kinds[_type_name(value)] = None
    return " | ".join(sorted(kinds, key=lambda kind: kind == "None"))


def _type_name(value: Any) -> str:
    if isinstance(value, Exact):
        return value.annotation
    return "None" if value is None else type(value).__name__


def _annotation_of_lists(values: Iterable[Sequence[Any]]) -> str:
    """The type hint for lists of any length, such as `tuple[int, ...]`."""
    kinds = sorted({type(item).__name__ for value in values for item in value})
    return f"tuple[{' | '.join(kinds) or 'int'}, ...]"


def argument_of_call(name: str, chosen: Expression, positional: bool, default: Any) -> list[Doc]:
    """An argument of a call, by position or by name; an empty list for a named one that equals the default."""
    if positional:
        return [document(chosen)]
    is_default = isinstance(chosen, Literal) and _equal_and_typed(chosen.value, default)
    return [] if is_default else [prefixed(f"{name}=", document(chosen))]
