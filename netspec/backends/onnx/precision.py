"""Finds the nodes that compute in float32 although the model is in half precision."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.graph.dag import Node
from netspec.graph.paths import node_of


def float32_nodes(nodes: Sequence[Node]) -> set[str]:
    """The paths of nodes that compute in float32; `nodes` are in topological order.

    These are nodes whose op needs it (`Op.precision`), and nodes before or after them whose op can compute in either
    dtype. So boxes stay exact that are concatenated before they are compared.
    """
    wide = {node.path for node in nodes if node.op.precision == "float32"}
    for node in nodes:
        if node.op.precision == "either" and not wide.isdisjoint(map(node_of, node.inputs)):
            wide.add(node.path)
    sources = {node_of(value) for node in nodes if node.path in wide for value in node.inputs}
    for node in reversed(nodes):
        if node.op.precision == "either" and node.path in sources:
            wide.add(node.path)
            sources.update(map(node_of, node.inputs))
    return wide
