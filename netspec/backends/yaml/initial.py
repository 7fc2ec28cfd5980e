"""Writes initialisers of a spec: under `defaults` for all layers of an op, or as `init` of single steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.graph.model import Graph, Node
from netspec.types import Filling, Init

Fillings = dict[str, Filling]


def fillings_of(graph: Graph, node: Node) -> Fillings:
    """The initialisers of a node, without those in `init` for parameters that it lacks, such as `bias`."""
    if not node.init:
        return {}
    parameters = _parameters(graph, node)
    return {name: filling for name, filling in node.init.items() if name in parameters}


def _parameters(graph: Graph, node: Node) -> set[str]:
    """The names of a node's parameters, as `init` uses them."""
    return {weight.called for weight in graph.weights(node) if weight.kind == "parameter"}


def common_fillings(graph: Graph) -> dict[str, Fillings]:
    """For each op whose nodes all have the same initialisers, these; a node may lack some of the parameters."""
    rules: dict[str, Fillings] = {}
    nodes: dict[str, list[tuple[set[str], Fillings]]] = {}
    for node in graph.nodes:
        parameters = _parameters(graph, node)
        if parameters and node.weights_of == node.path:
            of_node = fillings_of(graph, node)
            nodes.setdefault(node.op.opname, []).append((parameters, of_node))
            for name, filling in of_node.items():
                rules.setdefault(node.op.opname, {}).setdefault(name, filling)
    return {
        op: rule
        for op, rule in rules.items()
        if all(of_node == {n: f for n, f in rule.items() if n in parameters} for parameters, of_node in nodes[op])
    }


def fillings(graph: Graph, node: Node, common: Mapping[str, Fillings]) -> Fillings:
    """The initialisers to write beside a step: none if the defaults of its op say the same."""
    return {} if node.op.opname in common else fillings_of(graph, node)


def plain_fillings(rule: Fillings) -> dict[str, Any]:
    """Fillings as a spec writes them: `{weight: {normal: {std: 0.01}}, bias: 0}`."""
    return {name: _plain(filling) for name, filling in rule.items()}


def _plain(filling: Filling) -> Any:
    if isinstance(filling, Init):
        return {filling.function: dict(filling.options)} if filling.options else filling.function
    if isinstance(filling, tuple):
        return [_number(value) for value in filling]
    return _number(filling)


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
