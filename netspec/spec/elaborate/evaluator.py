"""Evaluates arguments: constants, and expressions in a frame."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from netspec.errors import Diagnostic, Findings, fail
from netspec.expression import (
    Expression,
    ExpressionError,
    Name,
    NoTruth,
    UnknownName,
    Value,
    as_bool,
    evaluate,
    leaves,
    names_in,
)
from netspec.source import Span
from netspec.spec.elaborate.errors import Failed, notes_of, open_size_hint
from netspec.spec.elaborate.frame import Frame, UseNote
from netspec.spec.limits import MAX_ITEMS_READ
from netspec.spec.read.body import Argument


class Evaluator:
    """Evaluates arguments; expressions in `defaults` read the file's parameters alone."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.read: dict[int, tuple[Expression, tuple[str, ...]]] = {}
        """By an expression's `id`, the expression (kept alive here) and the names of its leaves, with repetitions."""
        self.declared: dict[str, Span] = {}
        """The places of parameters whose default is text that looks like a bool, such as `yes`."""
        self.items = 0
        """The number of list items that expressions have read so far."""

    def value(self, argument: Argument, frame: Frame) -> Value:
        """The value of an argument in a frame."""
        if argument.expression is None:
            return argument.value
        names = frame.environment.file if argument.of_file else frame.environment.names
        return self.evaluate(argument.expression, names, argument, frame.uses, frame.values)

    def evaluate(
        self,
        tree: Expression,
        names: Mapping[str, Value],
        argument: Argument,
        uses: tuple[UseNote, ...],
        values: Collection[str] = (),
    ) -> Value:
        """The value of an expression under these names.

        `values` are the names of all values in reach: one that is not among `names` has an error, which is reported.
        """
        try:
            if type(tree) is not Name:
                self.count(tree, names, argument)
            return evaluate(tree, names)
        except ExpressionError as error:
            if isinstance(error, UnknownName) and error.name in values:
                raise Failed from None
            code = "NS215" if argument.name in ("when", "repeat") else "NS208"
            diagnostic = Diagnostic(
                code,
                f"`{argument.name}` can't be worked out: {error.message}",
                argument.span,
                notes=notes_of(uses),
                help=error.help
                or (self.flag_hint(tree, names) if isinstance(error, NoTruth) else open_size_hint(error.message)),
            )
            self.findings.add(diagnostic)
            raise Failed from None

    def flag_hint(self, tree: Expression | None, names: Mapping[str, Value]) -> str:
        """A hint for a condition that reads a text such as `yes`; "" where it reads none."""
        read = sorted(names_in(tree)) if tree is not None else ()
        for name in read:
            value = names.get(name)
            if isinstance(value, str) and (meant := as_bool(value)):
                span = self.declared.get(name)
                where = f" at {span.place}" if span is not None else ""
                return f"`{name}` is text: write `{name}: {meant}`{where}"
        return ""

    def count(self, tree: Expression, names: Mapping[str, Value], argument: Argument) -> None:
        """Bound the work of expressions on lists: every copy of a `repeat` may read all items many times."""
        names_read = self.read.get(id(tree))
        if names_read is None:
            names_read = self.read[id(tree)] = (tree, tuple(leaf.name for leaf in leaves(tree)))
        for name in names_read[1]:
            value = names.get(name)
            if isinstance(value, list):
                self.items += len(cast(list[Value], value))
        if self.items > MAX_ITEMS_READ:
            help = "an expression that is worked out for every copy reads a long list"
            fail("NS214", f"expressions read more than {MAX_ITEMS_READ:,} items of lists", argument.span, help=help)


def hashable(value: Value) -> Any:
    """A value as part of a key; a list becomes a tuple of its types and items, since `1 == True` in Python."""
    if not isinstance(value, list):
        return value
    items = cast(list[Value], value)
    return (*map(type, items), *map(hashable, items))
