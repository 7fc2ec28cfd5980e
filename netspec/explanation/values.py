"""Traces values to their origins: the spec, a default, `--set`, the copy of a repeat, or a shape."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from netspec.explanation.places import Places
from netspec.expression import Attribute, Expression, Value, evaluate, leaves
from netspec.graph.lexicon import Binding, Lexicon
from netspec.graph.model import Node, Scope
from netspec.source import Span
from netspec.spec.read.body import Argument

_MAX_TRACE = 20
"""The largest number of arguments through which a value is traced: deeper blocks would make an endless table."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A value with its origin in words (`params`, `default`), its text in the spec, and its place.

    `depth` is its indentation below the value that it explains.
    """

    name: str
    value: Value
    origin: str
    written: str = ""
    place: str = ""
    depth: int = 0


class ValueOrigins:
    """Traces values from where they are used to where they are written."""

    def __init__(self, places: Places, overridden: Collection[str]) -> None:
        self.places = places
        self.graph = places.graph
        self.lexicon = Lexicon(places.graph)
        self.overridden = overridden

    def of_argument(
        self, name: str, value: Value, argument: Argument, part: Node | Scope, depth: int = 0
    ) -> Iterator[Origin]:
        """The origin of an argument, then those of the names in it; `part` is the node or scope of its step."""
        origin = "defaults" if argument.of_file else "spec"
        yield self._written(name, value, origin, argument, depth)
        if argument.expression is not None:
            scope = part.scope if isinstance(part, Node) else part.parent
            if argument.of_file:
                file = self.lexicon.file(scope)
                scope = file.path if file is not None else ""
            yield from self.of_names(argument.expression, scope, part.path, depth + 1)

    def of_names(
        self, tree: Expression, scope: str, path: str, depth: int, entry: str | None = None
    ) -> Iterator[Origin]:
        """The origins of the names in an expression of the step at `path`, which is written in the scope at `scope`.

        `entry` is the value of `input`, for a step that was left out and has no scope.
        """
        if depth > _MAX_TRACE:
            return
        for leaf in dict.fromkeys(leaves(tree)):
            if isinstance(leaf, Attribute):
                yield from self._size(leaf, scope, depth, entry)
            elif (binding := self.lexicon.binding(scope, leaf, path)) is not None:
                yield from self._bound(binding, depth)

    def _bound(self, binding: Binding, depth: int) -> Iterator[Origin]:
        """The origin of a name: the number of a copy, a parameter's argument or default, or a parameter of the spec."""
        owner, name = binding.owner, binding.name
        if owner is None:
            yield self.of_spec(name, depth)
        elif owner.block is None:
            yield Origin(name, binding.value, f"copy of {owner.path}", "", place_text(owner.span), depth)
        elif (argument := self.places.argument(owner, name)) is not None:
            yield self._written(name, binding.value, f"argument of {owner.path}", argument, depth)
            if argument.expression is not None:
                yield from self.of_names(argument.expression, owner.parent, owner.path, depth + 1)
        else:
            span = next(p.span for p in owner.block.parameters if p.name == name)
            yield Origin(name, binding.value, f"default of {owner.block.name}", "", place_text(span), depth)

    def of_spec(self, name: str, depth: int = 0) -> Origin:
        """The origin of a parameter of the spec: `--set`, or its default."""
        parameter = self.places.spec.parameters.get(name)
        value = self.graph.params.get(name)
        where = place_text(parameter.span) if parameter else ""
        return Origin(name, value, "--set" if name in self.overridden else "params", "", where, depth)

    def _size(self, leaf: Attribute, scope: str, depth: int, entry: str | None) -> Iterator[Origin]:
        """The origin of `input.channels`: the shape of a value."""
        value = entry if leaf.name == "input" else None
        if value is None:
            value = self.lexicon.value(scope, leaf.name) or leaf.name
        type = self.graph.types.get(value)
        if type is not None:
            size = evaluate(leaf, {leaf.name: type})
            yield Origin(f"{leaf.name}.{leaf.attribute}", size, f"{value} is {type}", "", "", depth)

    def condition(self, argument: Argument, scope: str, path: str, entry: str | None) -> Iterator[Origin]:
        """The origin of the `when` or `repeat` of a step that was left out, then those of the names in it."""
        value = False if argument.name == "when" else 0
        yield self._written(argument.name, value, "spec", argument, 0)
        if argument.expression is not None:
            yield from self.of_names(argument.expression, scope, path, 1, entry)

    @staticmethod
    def _written(name: str, value: Value, origin: str, argument: Argument, depth: int) -> Origin:
        written = " ".join(argument.span.text.strip("\"'").split()) if argument.expression is not None else ""
        return Origin(name, value, origin, written, argument.span.place, depth)


def place_text(span: Span | None) -> str:
    """The place of a span; "" for None."""
    return span.place if span is not None else ""
