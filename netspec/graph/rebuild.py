"""`rebuild`, by which passes and people edit a graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from netspec.graph.build import Builder, located
from netspec.graph.model import Graph, Node
from netspec.ops.base import Op, RuleError

Visit = Callable[["Editor", Node, tuple[str, ...]], str]


class Editor:
    """What `rebuild` hands to its visitor: the graph that was, and ways to keep, change, or drop a node."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.builder = Builder(graph.name, title=graph.title, source=graph.source, params=graph.params)
        self.builder.decided |= graph.decided
        self.values: dict[str, str] = {}

    def keep(self, node: Node, inputs: tuple[str, ...], op: Op | None = None, **changes: Any) -> str:
        """The node again, on these inputs; with another op, or other fields, if given."""
        fields: dict[str, Any] = {
            "weights_of": node.weights_of,
            "scope": node.scope,
            "span": node.span,
            "written": node.written,
            "when": node.when,
            "init": node.init,
            **changes,
        }
        self.builder.need(*inputs, span=node.span)
        try:
            return self.builder.node(node.path, op or node.op, inputs, **fields)
        except RuleError as error:
            raise located(error, node.path, node.span) from None


def rebuild(graph: Graph, visit: Visit) -> Graph:
    """A graph made again with each node through `visit(editor, node, inputs)`, which gives the value to use instead.

    Keep a node with `editor.keep(node, inputs)`, change it by giving `keep` another op, drop it by giving
    back one of its inputs. All shapes are inferred again; scopes that lose all their nodes go.
    """
    editor = Editor(graph)
    for i in graph.inputs:
        editor.values[i.name] = editor.builder.input(i.name, i.type.shape, i.type.dtype, i.nominal, i.span)
    for node in graph.nodes:
        inputs = tuple([editor.values[value] for value in node.inputs])
        made = visit(editor, node, inputs)
        editor.builder.need(made, span=node.span)
        editor.values[node.path] = made
        for value, name in zip(list(node.values())[1:], node.op.output_names[1:], strict=True):
            # Further outputs follow the first where the node is kept; one that is dropped has no others.
            editor.values[value[0]] = f"{made}:{name}"
    for o in graph.outputs:
        editor.builder.output(o.name, editor.values[o.value], o.mode, o.span)
    _keep_scopes(graph, editor)
    return editor.builder.build()


def _keep_scopes(graph: Graph, editor: Editor) -> None:
    used: set[str] = set()
    for node in editor.builder.nodes:
        scope = node.scope
        while scope and scope not in used:
            used.add(scope)
            scope = graph.scopes[scope].parent if scope in graph.scopes else ""
    for path, scope in graph.scopes.items():
        if path in used and path not in editor.builder.scopes:
            inputs = {name: editor.values[value] for name, value in scope.inputs.items()}
            outputs = tuple([editor.values.get(value, value) for value in scope.outputs])
            editor.builder.open(replace(scope, inputs=inputs, outputs=outputs))
