"""Proves that a written spec, when it is read back, is the graph."""

from __future__ import annotations

from typing import Any

from netspec.backends.yaml.initial import fillings_of
from netspec.backends.yaml.parts import NOT_IN_YAML, WAY_OUT
from netspec.errors import NetspecError, fail
from netspec.graph.model import Graph, Node
from netspec.source import Source
from netspec.spec.elaborate.elaborate import elaborate
from netspec.spec.read.read_spec import read_spec


def prove_spec(graph: Graph, text: str) -> None:
    """Read back a spec, and raise NetspecError NS401 unless its graph has the same nodes, inputs and outputs."""
    try:
        back = elaborate(read_spec(Source("<written>", text))).graph
    except NetspecError as error:
        fail("NS401", f"{NOT_IN_YAML}: {error.diagnostics[0].message}", help=WAY_OUT)
    if differing := _first_difference(_described(graph), _described(back)):
        fail("NS401", f"{NOT_IN_YAML}: `{differing}` would be another when it is read", help=WAY_OUT)


def _described(graph: Graph) -> dict[str, Any]:
    """All facts of a graph except its blocks, by node, input and output."""
    facts: dict[str, Any] = {node.path: _node(graph, node) for node in graph.nodes}
    facts.update({f"input {i.name}": (i.type, dict(i.nominal), i.preprocess) for i in graph.inputs})
    facts.update({f"output {o.name}": (o.value, o.mode, o.labels) for o in graph.outputs})
    return {**facts, "the order of the inputs": [i.name for i in graph.inputs]}


def _node(graph: Graph, node: Node) -> tuple[Any, ...]:
    """The facts of a node that a spec has to preserve."""
    # A node that borrows weights does not initialise them.
    init = fillings_of(graph, node) if node.weights_of == node.path else {}
    return node.op, node.inputs, node.types, node.weights_of, init


def _first_difference(a: dict[str, Any], b: dict[str, Any]) -> str:
    """The first key whose facts differ; "" if none do."""
    return next((key for key in {**a, **b} if key not in a or key not in b or a[key] != b[key]), "")
