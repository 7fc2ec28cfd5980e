"""`rebuild` builds a new graph from an old one, node by node: this is how passes and people edit a graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from netspec.errors import NetspecError, fail
from netspec.graph.build import Builder
from netspec.graph.infer import located
from netspec.graph.model import Graph, Node, Scope
from netspec.naming import MAX_NAME, free_name
from netspec.ops.base import Op, RuleError

Visit = Callable[["Editor", Node, tuple[str, ...]], str]


class Editor:
    """The first argument of a visitor of `rebuild`: the old graph, and the Builder of the new one.

    `values` maps the values of the old graph to those of the new one.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.builder = Builder(graph.name, title=graph.title, source=graph.source, params=graph.params)
        self.builder.decided |= graph.decided
        self.builder.vanished |= graph.vanished
        self.values: dict[str, str] = {}
        self.owners: dict[str, str] = {}
        """The new owners of weights, by the old ones."""

    def keep(self, node: Node, inputs: tuple[str, ...], op: Op | None = None, **changes: Any) -> str:
        """Add a node to the new graph on these inputs, and return its value.

        `op` replaces its op, and `changes` replace other fields of Node. If the owner of its weights was dropped, the
        first node that shares them becomes the owner. Raises NetspecError NS401 if that one lacks some of the weights
        that this node needs.
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
        except NetspecError as error:
            owner = fields["weights_of"]
            if owner in (node.path, node.weights_of) or error.diagnostics[0].code != "NS302":
                raise
            message = f"`{node.weights_of}` is dropped, and `{owner}`, which shares its weights, has not all of them"
            help = f"keep `{node.weights_of}`, as one more output"
            fail("NS401", message, node.span, f"`{node.path}` needs more", help=help)


def rebuild(graph: Graph, visit: Visit) -> Graph:
    """Build a new graph: `visit(editor, node, inputs)` is called for each node, and returns the value to use for it.

    To keep a node, return `editor.keep(node, inputs)`; to change it, pass another op to `keep`; to drop it, return one
    of its inputs. All types are inferred again, and scopes that lose all nodes are dropped. To change inputs or
    outputs, or to remove nodes, pass `dataclasses.replace(graph, ...)`: it need not be consistent.

    This removes all dropouts:

    >>> import netspec
    >>> def without_dropout(editor, node, inputs):
    ...     return inputs[0] if node.op.opname == "dropout" else editor.keep(node, inputs)
    >>> graph = netspec.load("vgg_e").graph
    >>> len(graph.nodes), len(rebuild(graph, without_dropout).nodes)
    (45, 43)
    """
    editor = Editor(graph)
    for i in graph.inputs:
        editor.values[i.name] = editor.builder.input(
            i.name, i.type.shape, i.type.dtype, i.nominal, i.span, i.written, i.preprocess
        )
    for node in graph.nodes:
        inputs = tuple([editor.values[value] for value in node.inputs])
        value = visit(editor, node, inputs)
        editor.builder.require(value, span=node.span)
        editor.values[node.path] = value
        for (further, _), name in zip(node.values()[1:], node.op.named_outputs[1:], strict=True):
            # Further outputs follow the first where the node is kept; one that is dropped has no others.
            editor.values[further] = f"{value}:{name}"
    for o in graph.outputs:
        editor.builder.output(o.name, editor.values[o.value], o.mode, o.span, o.labels)
    _Scopes(graph, editor).keep()
    return editor.builder.build()


class _Scopes:
    """Adds the scopes of the old graph to the new one, except those without nodes."""

    def __init__(self, graph: Graph, editor: Editor) -> None:
        self.graph = graph
        self.editor = editor
        self.inside: dict[str, list[Node]] = {}
        """The nodes in each scope that stays, directly or in inner scopes, by its path."""
        for node in editor.builder.nodes:
            path = node.scope
            while path:
                self.inside.setdefault(path, []).append(node)
                path = graph.scopes[path].parent if path in graph.scopes else ""
        self.paths = {*self.inside, *(node.path for node in editor.builder.nodes)}
        self.owners: dict[str, str] = {}

    def keep(self) -> None:
        """Add all scopes that have nodes, except those that the visitor added."""
        for path, scope in self.graph.scopes.items():
            if path in self.inside and path not in self.editor.builder.scopes:
                self.editor.builder.add_scope(self.updated(scope))

    def updated(self, scope: Scope) -> Scope:
        """A scope with the new graph's values for its inputs and outputs; those that are gone are left out."""
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
            # All outputs are gone: the new ones are the values that are read outside, or the last value.
            outputs = self.escaping(scope.path) or (self.inside[scope.path][-1].path,)
            if block is not None and len(outputs) > 1:
                names = flat_names(value[len(scope.path) + 1 :] for value in outputs)
                block = replace(block, outputs=tuple(names))
        return replace(scope, inputs=inputs, outputs=outputs, block=block, weights_of=owner)

    def escaping(self, path: str) -> tuple[str, ...]:
        """The values of a scope's nodes that nodes outside read, or that are outputs of the graph."""
        inside = {node.path for node in self.inside[path]}
        builder = self.editor.builder
        read = {value for node in builder.nodes if node.path not in inside for value in node.inputs}
        read |= {self.editor.values[o.value] for o in self.graph.outputs}
        return tuple([value for node in self.inside[path] for value, _ in node.values() if value in read])

    def owner_of(self, scope: Scope) -> str:
        """The scope whose weights a scope shares; "" if the two no longer have the same nodes."""
        owner = scope.weights_of
        if owner not in self.paths:
            owner = self.owners.setdefault(owner, scope.path)
        return "" if owner == scope.path or not self.has_nodes_of(scope, owner) else owner

    def has_nodes_of(self, scope: Scope, owner: str) -> bool:
        """Return whether a scope, or each copy of a repeat, has the same relative paths of nodes as its owner."""
        expected = _relative_paths(owner, self.inside.get(owner, ())) or {""}
        above = self.graph.scopes.get(owner)
        if scope.kind != "repeat" or (above is not None and above.kind == "repeat"):
            return _relative_paths(scope.path, self.inside[scope.path]) == expected
        copies: dict[str, set[str]] = {}
        for path in _relative_paths(scope.path, self.inside[scope.path]):
            _, number, rest = path.split(".", 2) if path.count(".") > 1 else (*path.split("."), "")
            copies.setdefault(number, set()).add(f".{rest}" if rest else "")
        return all(copy == expected for copy in copies.values())


def _relative_paths(path: str, nodes: Sequence[Node]) -> set[str]:
    """The paths of nodes relative to a scope, with the dot: `.conv2d`."""
    return {node.path[len(path) :] for node in nodes}


def flat_names(values: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """A name without dots for each value; the names are distinct, and none is taken.

    >>> flat_names(["layer1.0", "layer1_0"])
    ['layer1_0', 'layer1_0_2']
    """
    names: list[str] = []
    used = set(taken)
    for value in values:
        # A path that is too long for a name keeps its end, which tells more than its beginning.
        name = free_name(re.sub(r"\W", "_", value)[4 - MAX_NAME :].lstrip("_0123456789"), used)
        used.add(name)
        names.append(name)
    return names
