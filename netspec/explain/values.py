"""Where a value comes from: the spec, a default, `--set`, the copy of a repeat, or a shape."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from netspec.explain.places import Places, lexical
from netspec.expression import Attribute, Expression, Name, Value, evaluate, leaves
from netspec.graph.model import Node, Scope
from netspec.source import Span
from netspec.spec.body import Argument

MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Origin:
    """A value, where it comes from in a word, how the spec wrote it, and where; `depth` below the value it explains."""

    name: str
    value: Value
    origin: str
    written: str = ""
    place: str = ""
    depth: int = 0


class Values:
    """Follows values from where they are used to where they were written."""

    def __init__(self, places: Places, given: Collection[str]) -> None:
        self.places = places
        self.graph = places.graph
        self.given = given

    def of_argument(
        self, name: str, value: Value, argument: Argument, part: Node | Scope, depth: int = 0
    ) -> Iterator[Origin]:
        """An argument that the spec wrote, then the names in it. `part` is what the step became."""
        origin = "defaults" if argument.of_file else "spec"
        yield self._written(name, value, origin, argument, depth)
        if argument.expression is not None:
            around = () if argument.of_file else tuple(self.places.around(part))
            yield from self.of_names(argument.expression, part.path, around, depth + 1)

    def of_names(
        self, tree: Expression, path: str, around: tuple[Scope, ...], depth: int, entry: str | None = None
    ) -> Iterator[Origin]:
        """The names of an expression that stands at a path, inside these scopes.

        `entry` is the value that `input` stands for, where no scope says it.
        """
        if depth > MAX_DEPTH:
            return
        seen: set[tuple[str, ...]] = set()
        for leaf in leaves(tree):
            key = (leaf.name, leaf.attribute) if isinstance(leaf, Attribute) else (leaf.name,)
            if key not in seen:
                seen.add(key)
                if isinstance(leaf, Attribute):
                    yield from self._size(leaf, around, depth, entry)
                elif leaf.name == "index":
                    yield from self._index(path, around, depth)
                else:
                    yield from self._parameter(leaf, around, depth)

    def _parameter(self, leaf: Name, around: tuple[Scope, ...], depth: int) -> Iterator[Origin]:
        """A parameter: of the block around, by its argument or its default; else of the spec."""
        outside = False
        for scope in lexical(around):
            # Behind the innermost block come the parameters of its file: the spec's, or those of one that is embedded.
            if scope.block is None or (outside and scope.kind != "network"):
                continue
            if leaf.name not in scope.params:
                outside = True
                continue
            value = scope.params[leaf.name]
            step = self.places.step(scope)
            argument = step.arguments.get(leaf.name) if step else None
            if argument is not None:
                yield self._written(leaf.name, value, f"argument of {scope.path}", argument, depth)
                if argument.expression is not None:
                    outer = around[around.index(scope) + 1 :]
                    yield from self.of_names(argument.expression, scope.path, outer, depth + 1)
            else:
                span = next(p.span for p in scope.block.parameters if p.name == leaf.name)
                yield Origin(leaf.name, value, f"default of {scope.block.name}", "", place(span), depth)
            return
        yield self.of_spec(leaf.name, depth)

    def of_spec(self, name: str, depth: int = 0) -> Origin:
        """A parameter of the spec: given from outside, or its default."""
        parameter = self.places.spec.parameters.get(name)
        value = self.graph.params.get(name)
        where = place(parameter.span) if parameter else ""
        return Origin(name, value, "--set" if name in self.given else "params", "", where, depth)

    def _index(self, path: str, around: tuple[Scope, ...], depth: int) -> Iterator[Origin]:
        for scope in lexical(around):
            if scope.kind == "repeat":
                copy = path[len(scope.path) + 1 :].partition(".")[0]
                yield Origin("index", int(copy), f"copy of {scope.path}", "", place(scope.span), depth)
                return

    def _size(self, leaf: Attribute, around: tuple[Scope, ...], depth: int, entry: str | None) -> Iterator[Origin]:
        """`input.channels`: what the shape that enters says."""
        value = entry if leaf.name == "input" else None
        if value is None:
            value = next((s.inputs[leaf.name] for s in around if leaf.name in s.inputs), None)
        if value is None:
            only = self.graph.inputs[0].name if len(self.graph.inputs) == 1 else ""
            value = only if leaf.name == "input" else leaf.name
        type = self.graph.types.get(value)
        if type is not None:
            size = evaluate(leaf, {leaf.name: type})
            yield Origin(f"{leaf.name}.{leaf.attribute}", size, f"{value} is {type}", "", "", depth)

    def condition(
        self, argument: Argument, path: str, around: tuple[Scope, ...], entry: str | None
    ) -> Iterator[Origin]:
        """A `when` that is false or a `repeat` of 0, for a step that is not there, with what it follows from."""
        value = False if argument.name == "when" else 0
        yield self._written(argument.name, value, "spec", argument, 0)
        if argument.expression is not None:
            yield from self.of_names(argument.expression, path, around, 1, entry)

    @staticmethod
    def _written(name: str, value: Value, origin: str, argument: Argument, depth: int) -> Origin:
        written = " ".join(argument.span.text.strip("\"'").split()) if argument.expression is not None else ""
        return Origin(name, value, origin, written, argument.span.place, depth)


def place(span: Span | None) -> str:
    """A span's place, or nothing."""
    return span.place if span is not None else ""
