"""Changes the parameters of a spec that determine the width of layers, if nothing else depends on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

from netspec.expression import Attribute, Expression, ExpressionError, Name, evaluate, leaves
from netspec.graph.lexicon import Lexicon
from netspec.graph.model import Graph, Node, Scope

_Site = tuple[str, str]
"""A parameter: the path of the use of the block that has it ("" for the spec itself), and its name."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """An expression in a graph, with its value, the `scope` in which it is read, and the path of its node or scope."""

    tree: Expression
    scope: str
    value: Any
    path: str = ""
    """The path of its node or scope, which tells the number of the copy in a repeat."""


def with_width(graph: Graph, layers: Mapping[str, str], width: int) -> Graph:
    """Adapt the parameters and expressions of a graph to a new width of some layers; the ops are not changed.

    `layers` has the attribute of the width by the path of a layer. A parameter changes if such an attribute is its name
    alone, directly or through arguments of blocks, and if every other expression that reads it keeps its value.
    Expressions that would have a wrong value are dropped.

    For the width 10 of `fc`, `params: {classes: 1000}` becomes 10 if `fc` has `out_features: classes` and no other step
    reads `classes`.
    """
    return _Parameters(graph, layers, width).changed()


class _Parameters:
    def __init__(self, graph: Graph, layers: Mapping[str, str], width: int) -> None:
        self.graph = graph
        self.lexicon = Lexicon(graph)
        self.layers = layers
        self.width = width
        self.sites = {site for path, attribute in layers.items() for site in self.of(graph[path], attribute)}

    def changed(self) -> Graph:
        while wrong := self.wrong():
            self.sites -= wrong
        params = {name: self.value(("", name)) for name in self.graph.params}
        scopes = {path: self.scope(scope) for path, scope in self.graph.scopes.items()}
        nodes = tuple([self.node(node) if node.path in self.layers else node for node in self.graph.nodes])
        return replace(self.graph, params=params, scopes=scopes, nodes=nodes)

    def of(self, node: Node, attribute: str) -> Iterator[_Site]:
        """The parameters that determine an attribute by their name alone, the innermost first."""
        tree, scope = node.written.get(attribute), node.scope
        while isinstance(tree, Name) and (binding := self.lexicon.binding(scope, tree)) is not None:
            site = binding.site
            if binding.owner is not None and binding.owner.block is None:
                return  # The number of a copy.
            if not site[0] and site[1] in self.graph.decided:
                return  # It also decided things that the graph does not show.
            yield site
            use = binding.owner
            tree, scope = (use.written.get(tree.name), use.parent) if use is not None else (None, "")

    def value(self, site: _Site) -> Any:
        """The value of a parameter: the new width if it changes, else the old value."""
        path, name = site
        params = self.graph.scopes[path].params if path else self.graph.params
        return self.width if site in self.sites else params[name]

    def wrong(self) -> set[_Site]:
        """The parameters that must not change, since an expression that reads them has to keep its value."""
        return {site for reading in self.readings() if not self.holds(reading) for site in self.read(reading)}

    def read(self, reading: _Reading) -> Set[_Site]:
        """Those of the parameters to change that an expression reads."""
        names = {leaf for leaf in leaves(reading.tree) if isinstance(leaf, Name)}
        bindings = [self.lexicon.binding(reading.scope, name, reading.path) for name in names]
        return {binding.site for binding in bindings if binding is not None} & self.sites

    def holds(self, reading: _Reading) -> bool:
        """Return whether an expression keeps the value in the graph when the parameters change."""
        if not self.read(reading):
            return True
        names: dict[str, Any] = {}
        for leaf in leaves(reading.tree):
            binding = self.lexicon.binding(reading.scope, leaf, reading.path)
            if binding is None or isinstance(leaf, Attribute):
                return False
            names[leaf.name] = self.width if binding.site in self.sites else binding.value
        try:
            value = evaluate(reading.tree, names)
        except ExpressionError:
            return False
        return type(value) is type(reading.value) and value == reading.value

    def readings(self) -> Iterator[_Reading]:
        """All expressions in the graph, except those of the widths."""
        for i in self.graph.inputs:
            yield from (_Reading(tree, "", i.type.shape[axis]) for axis, tree in i.written.items())
        for node in self.graph.nodes:
            changing = self.layers.get(node.path)
            for name, tree in node.written.items():
                if name != changing:
                    yield _Reading(tree, node.scope, getattr(node.op, name), node.path)
            if node.when is not None:
                yield _Reading(node.when, node.scope, True, node.path)
        for path, scope in self.graph.scopes.items():
            for name, tree in scope.written.items():
                if (path, name) not in self.sites:
                    yield _Reading(tree, scope.parent, scope.params.get(name), path)
            if scope.when is not None:
                yield _Reading(scope.when, scope.parent, True, path)
            if scope.count is not None:
                yield _Reading(scope.count, scope.parent, ..., path)

    def scope(self, scope: Scope) -> Scope:
        """A scope with its new arguments, and without expressions that have another value now."""
        changing = {name for path, name in self.sites if path == scope.path}
        if not changing:
            return scope
        params = {name: self.value((scope.path, name)) for name in scope.params}
        trees = scope.written.items()
        kept = {
            n: t
            for n, t in trees
            if n not in changing or self.holds_now(_Reading(t, scope.parent, self.width, scope.path))
        }
        return replace(scope, params=params, written=kept)

    def node(self, node: Node) -> Node:
        """A layer without the expression of its width, unless that has the new value."""
        attribute = self.layers[node.path]
        trees = node.written.items()
        kept = {
            n: t for n, t in trees if n != attribute or self.holds_now(_Reading(t, node.scope, self.width, node.path))
        }
        return replace(node, written=kept)

    def holds_now(self, reading: _Reading) -> bool:
        """Return whether an expression reads a parameter that changes, and has the new width as its value."""
        return bool(self.read(reading)) and self.holds(reading)
