"""What fills weights at first: for all layers of an op under `defaults`, else beside each step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.graph.model import Graph, Node
from netspec.types import Filling, Init

Fillings = dict[str, Filling]


def known_fillings(graph: Graph, node: Node) -> Fillings:
    """What the spec says of the parameters that a node has."""
    if not node.init:
        return {}
    known = {weight.called for weight in graph.weights(node) if weight.kind == "parameter"}
    return {name: filling for name, filling in node.init.items() if name in known}


def common_fillings(graph: Graph) -> dict[str, Fillings]:
    """By op, what fills the parameters of all its nodes, where that is one rule."""
    found: dict[str, Fillings] = {}
    nodes: dict[str, list[tuple[set[str], Fillings]]] = {}
    for node in graph.nodes:
        known = {weight.called for weight in graph.weights(node) if weight.kind == "parameter"}
        if known and node.weights_of == node.path:
            own = known_fillings(graph, node)
            nodes.setdefault(node.op.opname, []).append((known, own))
            for name, filling in own.items():
                found.setdefault(node.op.opname, {}).setdefault(name, filling)
    return {
        op: rule
        for op, rule in found.items()
        if all(own == {n: f for n, f in rule.items() if n in known} for known, own in nodes[op])
    }


def fillings(graph: Graph, node: Node, common: Mapping[str, Fillings]) -> Fillings:
    """What a step says of its own weights, beside what the file says of its op."""
    return {} if node.op.opname in common else known_fillings(graph, node)


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
