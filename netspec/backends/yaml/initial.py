"""The initialisers of a spec: under `defaults` for all layers of an op, else beside each step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.graph.model import Graph, Node
from netspec.types import Filling, Init

Fillings = dict[str, Filling]


def fillings_of(graph: Graph, node: Node) -> Fillings:
    """The initialisers of the parameters that a node has; its `init` may name others."""
    if not node.init:
        return {}
    parameters = _parameters(graph, node)
    return {name: filling for name, filling in node.init.items() if name in parameters}


def _parameters(graph: Graph, node: Node) -> set[str]:
    """The names of the parameters of a node, as `init` has them."""
    return {weight.called for weight in graph.weights(node) if weight.kind == "parameter"}


def common_fillings(graph: Graph) -> dict[str, Fillings]:
    """By op, the initialisers that all its nodes have, as far as they have these parameters; ops of one rule only."""
    rules: dict[str, Fillings] = {}
    nodes: dict[str, list[tuple[set[str], Fillings]]] = {}
    for node in graph.nodes:
        parameters = _parameters(graph, node)
        if parameters and node.weights_of == node.path:
            own = fillings_of(graph, node)
            nodes.setdefault(node.op.opname, []).append((parameters, own))
            for name, filling in own.items():
                rules.setdefault(node.op.opname, {}).setdefault(name, filling)
    return {
        op: rule
        for op, rule in rules.items()
        if all(own == {n: f for n, f in rule.items() if n in parameters} for parameters, own in nodes[op])
    }


def fillings(graph: Graph, node: Node, common: Mapping[str, Fillings]) -> Fillings:
    """The initialisers that stand beside a step: none where the file has those of its op."""
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
