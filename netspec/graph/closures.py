"""Closure conversion: the steps of a `body` argument get all they read through parameters of the blocks around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from netspec.expression import Attribute, Expression, Name, leaves, rewrite
from netspec.graph.lexicon import Binding, Lexicon
from netspec.graph.model import Graph, Node, Scope, SpecParameter
from netspec.naming import free_name


def convert_closures(graph: Graph, *, networks: bool = False) -> Graph:
    """Convert closures: the steps of `body` arguments then read only parameters of the block around them.

    The steps of a `body` argument read the parameters of the place where they are written. Each such parameter is
    captured: all blocks between that place and the steps get a further parameter, under a name that is free there. The
    scope of the steps becomes a "part", in which names mean the same as around it. With `networks`, an embedded network
    becomes a block, and blocks in it capture the parameters of its file, too.
    """
    kinds = {"body": "part", "network": "block"} if networks else {"body": "part"}
    if not any(scope.kind in kinds for scope in graph.scopes.values()) and not _has_defaults(graph):
        return graph
    return _Conversion(graph, kinds).converted()


class _Conversion:
    def __init__(self, graph: Graph, kinds: Mapping[Any, Any]) -> None:
        self.graph = graph
        scopes = {path: replace(s, kind=kinds.get(s.kind, s.kind)) for path, s in graph.scopes.items()}
        self.plain = replace(graph, scopes=scopes)
        self.before = Lexicon(graph)
        """The meaning of names where they are written."""
        self.after = Lexicon(self.plain)
        """The meaning of names where the steps are used, after the conversion."""
        self.captured: dict[str, dict[str, tuple[Binding, Expression]]] = {}
        """The captured parameters of each use, by its path and by name, with the expressions of the arguments."""
        self.names: dict[tuple[str, tuple[str, str]], str] = {}
        """The name of a captured parameter, by the path of the use and the site of the parameter."""

    def converted(self) -> Graph:
        nodes = tuple([self.node(node) for node in self.graph.nodes])
        scopes = {path: self.scope(scope) for path, scope in self.plain.scopes.items()}
        return replace(self.graph, nodes=nodes, scopes={path: self.with_captured(s) for path, s in scopes.items()})

    def node(self, node: Node) -> Node:
        written = self.trees(node.written, node.scope, node.path)
        when = self.tree(node.when, node.scope, node.path)
        return node if written is node.written and when is node.when else replace(node, written=written, when=when)

    def scope(self, scope: Scope) -> Scope:
        written = self.trees(scope.written, scope.parent, scope.path)
        when, count = (self.tree(tree, scope.parent, scope.path) for tree in (scope.when, scope.count))
        return replace(scope, written=written, when=when, count=count)

    def with_captured(self, scope: Scope) -> Scope:
        """A use with the captured parameters and their arguments."""
        captured = self.captured.get(scope.path)
        if captured is None or scope.block is None:
            return scope
        parameters = [SpecParameter(name, _declared_kind(binding)) for name, (binding, _) in captured.items()]
        return replace(
            scope,
            block=replace(scope.block, parameters=(*scope.block.parameters, *parameters)),
            params={**scope.params, **{name: binding.value for name, (binding, _) in captured.items()}},
            written={**scope.written, **{name: tree for name, (_, tree) in captured.items()}},
        )

    def trees(self, trees: Mapping[str, Expression], scope: str, path: str) -> Mapping[str, Expression]:
        converted = {name: self.tree(tree, scope, path) for name, tree in trees.items()}
        changed = any(converted[name] is not tree for name, tree in trees.items())
        return {name: tree for name, tree in converted.items() if tree is not None} if changed else trees

    def tree(self, tree: Expression | None, scope: str, path: str) -> Expression | None:
        """Rename the captured parameters in an expression; return the same object if none is captured."""
        if tree is None:
            return None
        changed = False

        def convert(leaf: Name | Attribute) -> Expression:
            nonlocal changed
            binding = None if isinstance(leaf, Attribute) else self.before.binding(scope, leaf, path)
            if binding is None:
                return leaf
            new = Name(self.name(scope, binding, path))
            changed = changed or new != leaf
            return new

        new = rewrite(tree, convert)
        return new if changed else tree

    def name(self, scope: str, binding: Binding, path: str) -> str:
        """The name of a parameter, or of `index`, in a scope; the blocks between capture it if they have to."""
        here = self.after.binding(scope, binding.name, path)
        if here is not None and here.site == binding.site:
            return binding.name
        use = self.after.use(scope)
        assert use is not None
        assert use.block is not None
        key = use.path, binding.site
        if key not in self.names:
            outer = self.name(use.parent, binding, use.path)
            captured = self.captured.setdefault(use.path, {})
            taken = (*use.block.inputs, *use.params, *(p.name for p in use.block.parameters), *captured)
            name = free_name(binding.name, {"index", *self.after.file_parameters(use.path), *taken})
            self.names[key] = name
            captured[name] = binding, Name(outer)
        return self.names[key]


def _has_defaults(graph: Graph) -> bool:
    """Return whether an expression from a file's `defaults` reads a parameter, which a block's parameter may shadow."""
    trees = {id(tree): tree for node in graph.nodes for tree in node.written.values()}
    return any(isinstance(leaf, Name) and leaf.of_file for tree in trees.values() for leaf in leaves(tree))


def _declared_kind(binding: Binding) -> str:
    """The kind of a parameter: the declared one, else that of its value."""
    block = binding.owner.block if binding.owner is not None else None
    declared = {p.name: p.kind for p in block.parameters} if block is not None else {}
    return declared.get(binding.name) or ("list" if isinstance(binding.value, tuple) else type(binding.value).__name__)
