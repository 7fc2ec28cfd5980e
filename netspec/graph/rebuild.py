"""`rebuild`, by which passes and people edit a graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain, count
from typing import Any

from netspec.graph.build import Builder
from netspec.graph.infer import located
from netspec.graph.model import Graph, Node, Scope
from netspec.naming import MAX_NAME
from netspec.ops.base import Op, RuleError

Visit = Callable[["Editor", Node, tuple[str, ...]], str]


class Editor:
    """What `rebuild` hands to its visitor: the graph that was, and ways to keep, change, or drop a node."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.builder = Builder(graph.name, title=graph.title, source=graph.source, params=graph.params)
        self.builder.decided |= graph.decided
        self.builder.vanished |= graph.vanished
        self.values: dict[str, str] = {}
        self.owners: dict[str, str] = {}
        """By the path that owned weights the one that owns them now."""

    def keep(self, node: Node, inputs: tuple[str, ...], op: Op | None = None, **changes: Any) -> str:
        """The node again, on these inputs; with another op, or other fields, if given.

        Where the node that owned its weights is gone, the first of those that share them owns them.
        """
        fields: dict[str, Any] = {
            "weights_of": self.owners.setdefault(node.weights_of, node.path),
            "scope": node.scope,
            "span": node.span,
            "written": node.written,
            "when": node.when,
            "init": node.init,
            **changes,
        }
        self.builder.require(*inputs, span=node.span)
        try:
            return self.builder.node(node.path, op or node.op, inputs, **fields)
        except RuleError as error:
            raise located(error, node.path, node.span) from None


def rebuild(graph: Graph, visit: Visit) -> Graph:
    """A graph made again with each node through `visit(editor, node, inputs)`, which gives the value to use instead.

    Keep a node with `editor.keep(node, inputs)`, change it by giving `keep` another op, drop it by giving
    back one of its inputs. All shapes are inferred again; scopes that lose all their nodes go. For other inputs or
    outputs, or fewer nodes, give it `dataclasses.replace(graph, ...)`: what such a graph lacks is mended here.
    """
    editor = Editor(graph)
    for i in graph.inputs:
        editor.values[i.name] = editor.builder.input(
            i.name, i.type.shape, i.type.dtype, i.nominal, i.span, i.written, i.preprocess
        )
    for node in graph.nodes:
        inputs = tuple([editor.values[value] for value in node.inputs])
        made = visit(editor, node, inputs)
        editor.builder.require(made, span=node.span)
        editor.values[node.path] = made
        for value, name in zip(list(node.values())[1:], node.op.output_names[1:], strict=True):
            # Further outputs follow the first where the node is kept; one that is dropped has no others.
            editor.values[value[0]] = f"{made}:{name}"
    for o in graph.outputs:
        editor.builder.output(o.name, editor.values[o.value], o.mode, o.span, o.labels)
    _Scopes(graph, editor).keep()
    return editor.builder.build()


class _Scopes:
    """The scopes of a graph that was edited, with what is left of each."""

    def __init__(self, graph: Graph, editor: Editor) -> None:
        self.graph = graph
        self.editor = editor
        self.inside: dict[str, list[Node]] = {}
        """By the path of every scope that stays the nodes at or below it."""
        for node in editor.builder.nodes:
            path = node.scope
            while path:
                self.inside.setdefault(path, []).append(node)
                path = graph.scopes[path].parent if path in graph.scopes else ""
        self.there = {*self.inside, *(node.path for node in editor.builder.nodes)}
        self.owners: dict[str, str] = {}

    def keep(self) -> None:
        """Open all scopes again that have nodes, but for those that the visitor opened."""
        for path, scope in self.graph.scopes.items():
            if path in self.inside and path not in self.editor.builder.scopes:
                self.editor.builder.add_scope(self.again(scope))

    def again(self, scope: Scope) -> Scope:
        """A scope with the values that there are now in place of those that were."""
        values = self.editor.values
        inputs = {name: values[value] for name, value in scope.inputs.items() if value in values}
        outputs = tuple([values[value] for value in scope.outputs if value in values])
        owner = self.owner_of(scope) if scope.weights_of else ""
        if len(inputs) == len(scope.inputs) and len(outputs) == len(scope.outputs):
            return replace(scope, inputs=inputs, outputs=outputs, weights_of=owner)
        block = scope.block
        if block is not None and len(block.inputs) > 1:
            block = replace(block, inputs=tuple([name for name in block.inputs if name in inputs]))
        if block is not None:
            pairs = zip(block.outputs, scope.outputs, strict=False)
            names = tuple([name for name, value in pairs if value in values])
            block = replace(block, outputs=names if outputs else ("output",))
        if not outputs:
            # None of what it gave is there: it gives what others take from it, or what it makes last.
            outputs = self.leaving(scope.path) or (self.inside[scope.path][-1].path,)
            if block is not None and len(outputs) > 1:
                names = flat_names(value[len(scope.path) + 1 :] for value in outputs)
                block = replace(block, outputs=tuple(names))
        return replace(scope, inputs=inputs, outputs=outputs, block=block, weights_of=owner)

    def leaving(self, path: str) -> tuple[str, ...]:
        """The values made in a scope that something outside takes, or that are outputs."""
        own = {node.path for node in self.inside[path]}
        builder = self.editor.builder
        taken = {value for node in builder.nodes if node.path not in own for value in node.inputs}
        taken |= {self.editor.values[o.value] for o in self.graph.outputs}
        return tuple([value for node in self.inside[path] for value, _ in node.values() if value in taken])

    def owner_of(self, scope: Scope) -> str:
        """The scope whose weights a scope shares; none where they are no longer the same step once more."""
        owner = scope.weights_of
        if owner not in self.there:
            owner = self.owners.setdefault(owner, scope.path)
        return "" if owner == scope.path or not self.alike(scope, owner) else owner

    def alike(self, scope: Scope, owner: str) -> bool:
        """Whether a scope, or each copy of a repeat, has the nodes that the owner of its weights has."""
        wanted = _below(owner, self.inside.get(owner, ())) or {""}
        above = self.graph.scopes.get(owner)
        if scope.kind != "repeat" or (above is not None and above.kind == "repeat"):
            return _below(scope.path, self.inside[scope.path]) == wanted
        copies: dict[str, set[str]] = {}
        for path in _below(scope.path, self.inside[scope.path]):
            _, number, rest = path.split(".", 2) if path.count(".") > 1 else (*path.split("."), "")
            copies.setdefault(number, set()).add(f".{rest}" if rest else "")
        return all(copy == wanted for copy in copies.values())


def _below(path: str, nodes: Sequence[Node]) -> set[str]:
    """The paths of nodes from a scope on: `.conv2d`."""
    return {node.path[len(path) :] for node in nodes}


def flat_names(values: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Names for values, each once, and none that is taken: `layer1.0` gives `layer1_0`."""
    found: list[str] = []
    busy = set(taken)
    for value in values:
        # The end tells more of a path that is too long for a name.
        base = re.sub(r"\W", "_", value)[4 - MAX_NAME :].lstrip("_0123456789")
        numbered = (f"{base}_{number}" for number in count(2))
        name = next(name for name in chain((base,), numbered) if name not in busy)
        busy.add(name)
        found.append(name)
    return found
