"""Parameters of a spec that say what a pass changes: they get the new value where they say nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

from netspec.expression import Attribute, Expression, ExpressionError, Name, evaluate, leaves
from netspec.graph.model import Graph, Node, Scope

_Site = tuple[str, str]
"""A parameter: the path of the use of a block that has it, "" for the spec's own, and its name."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """An expression in a graph: where it is read, what it gives, and which parameter it is the argument for."""

    tree: Expression
    scope: str
    value: Any
    argument_of: _Site | None = None


def with_width(graph: Graph, layers: Mapping[str, str], width: int) -> Graph:
    """The graph with parameters, and expressions of the spec, that are right once layers have another width.

    `layers` are paths with the attribute that is to be the width. A parameter changes if an expression that is its
    name alone says such an attribute, directly or as the argument of a block, and if all else that reads it gives what
    it gave. Expressions that no longer hold go; the ops are as they were.
    """
    return _Parameters(graph, layers, width).changed()


class _Parameters:
    def __init__(self, graph: Graph, layers: Mapping[str, str], width: int) -> None:
        self.graph = graph
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
        """The parameters that say an attribute by their names alone, from the innermost out."""
        tree, scope = node.written.get(attribute), node.scope
        while isinstance(tree, Name) and (site := self.site(scope, tree.name)) is not None:
            if not site[0] and site[1] in self.graph.decided:
                return  # It says more than the graph shows.
            yield site
            use = self.graph.scopes.get(site[0])
            tree, scope = (use.written.get(tree.name), use.parent) if use is not None else (None, "")

    def site(self, scope: str, name: str) -> _Site | None:
        """The parameter that an expression in a scope calls by a name; None where that is not known here."""
        while scope:
            around = self.graph.scopes[scope]
            if around.kind == "body":
                return None  # Its steps read what the place knows where they were written.
            if name in around.params:
                return scope, name
            if around.kind == "network" and around.params:
                return None  # Another spec's network has parameters of its own.
            scope = around.parent
        return ("", name) if name in self.graph.params else None

    def value(self, site: _Site) -> Any:
        """The value of a parameter, new for those that change."""
        path, name = site
        params = self.graph.scopes[path].params if path else self.graph.params
        return self.width if site in self.sites else params[name]

    def wrong(self) -> set[_Site]:
        """Parameters that change and must not: something that stays as it is reads them."""
        return {site for reading in self.readings() if not self.holds(reading) for site in self.read(reading)}

    def read(self, reading: _Reading) -> Set[_Site]:
        """The parameters that change which an expression reads."""
        found: set[_Site] = set()
        for leaf in leaves(reading.tree):
            site = self.site(reading.scope, leaf.name) if isinstance(leaf, Name) else None
            # A name that is not known here may be that of any.
            found |= {each for each in self.sites if each == site or (site is None and each[1] == leaf.name)}
        return found

    def holds(self, reading: _Reading) -> bool:
        """Whether an expression gives what is there, or reads nothing that changes."""
        if not self.read(reading):
            return True
        sites = {leaf.name: self.site(reading.scope, leaf.name) for leaf in leaves(reading.tree)}
        if None in sites.values() or any(isinstance(leaf, Attribute) for leaf in leaves(reading.tree)):
            return False
        try:
            found = evaluate(reading.tree, {name: self.value(site) for name, site in sites.items() if site})
        except ExpressionError:
            return False
        return type(found) is type(reading.value) and found == reading.value

    def readings(self) -> Iterator[_Reading]:
        """All expressions, but for those that say what changes."""
        for i in self.graph.inputs:
            yield from (_Reading(tree, "", i.type.shape[axis]) for axis, tree in i.written.items())
        for node in self.graph.nodes:
            changing = self.layers.get(node.path)
            for name, tree in node.written.items():
                if name != changing:
                    yield _Reading(tree, node.scope, getattr(node.op, name))
            if node.when is not None:
                yield _Reading(node.when, node.scope, True)
        for path, scope in self.graph.scopes.items():
            for name, tree in scope.written.items():
                if (path, name) not in self.sites:
                    yield _Reading(tree, scope.parent, scope.params.get(name))
            if scope.when is not None:
                yield _Reading(scope.when, scope.parent, True)
            if scope.count is not None:
                yield _Reading(scope.count, scope.parent, ...)

    def scope(self, scope: Scope) -> Scope:
        """A scope with the arguments it has now, and their expressions that hold."""
        own = {name for path, name in self.sites if path == scope.path}
        if not own:
            return scope
        params = {name: self.value((scope.path, name)) for name in scope.params}
        trees = scope.written.items()
        kept = {n: t for n, t in trees if n not in own or self.holds_now(_Reading(t, scope.parent, self.width))}
        return replace(scope, params=params, written=kept)

    def node(self, node: Node) -> Node:
        """A layer with those of its expressions that hold."""
        attribute = self.layers[node.path]
        trees = node.written.items()
        kept = {n: t for n, t in trees if n != attribute or self.holds_now(_Reading(t, node.scope, self.width))}
        return replace(node, written=kept)

    def holds_now(self, reading: _Reading) -> bool:
        """Whether an expression reads what changes, and gives the width."""
        return bool(self.read(reading)) and self.holds(reading)
