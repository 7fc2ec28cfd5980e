"""A spec that was written, read back and held against its graph."""

from __future__ import annotations

from typing import Any

from netspec.backends.yaml.initial import known_fillings
from netspec.backends.yaml.parts import OTHERWISE, UNSAYABLE
from netspec.errors import NetspecError, fail
from netspec.graph.model import Graph, Node
from netspec.source import Source
from netspec.spec.elaborate.elaborate import elaborate
from netspec.spec.read.read_spec import read_spec


def prove_spec(graph: Graph, text: str) -> None:
    """Raise NetspecError NS401 unless a spec's text is a graph: its paths, ops, values, weights and initialisers."""
    try:
        back = elaborate(read_spec(Source("<written>", text))).graph
    except NetspecError as error:
        fail("NS401", f"{UNSAYABLE}: {error.diagnostics[0].message}", help=OTHERWISE)
    if differing := _first_difference(_described(graph), _described(back)):
        fail("NS401", f"{UNSAYABLE}: `{differing}` would be another when it is read", help=OTHERWISE)


def _described(graph: Graph) -> dict[str, Any]:
    """All that a graph says but for its blocks, by what it says it of."""
    found: dict[str, Any] = {node.path: _node(graph, node) for node in graph.nodes}
    found.update({f"input {i.name}": (i.type, dict(i.nominal), i.preprocess) for i in graph.inputs})
    found.update({f"output {o.name}": (o.value, o.mode, o.labels) for o in graph.outputs})
    return {**found, "the order of the inputs": [i.name for i in graph.inputs]}


def _node(graph: Graph, node: Node) -> Any:
    # A layer with the weights of another is not initialised.
    init = known_fillings(graph, node) if node.weights_of == node.path else {}
    return node.op, node.inputs, node.types, node.weights_of, init


def _first_difference(a: dict[str, Any], b: dict[str, Any]) -> str:
    return next((key for key in {**a, **b} if key not in a or key not in b or a[key] != b[key]), "")
