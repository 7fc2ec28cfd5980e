"""Which nodes of a model in half precision compute in float32: those whose op needs it, and those between them."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.graph.dag import Node
from netspec.graph.paths import node_of


def float32_nodes(nodes: Sequence[Node]) -> set[str]:
    """The paths of the nodes that compute in float32, of nodes in topological order.

    Where an op needs it (`Op.precision`), so do the values that it gives and takes: nodes whose op is right in either
    dtype hand them on in float32. Boxes that are joined before they are compared stay exact so.
    """
    wide = {node.path for node in nodes if node.op.precision == "float32"}
    for node in nodes:
        if node.op.precision == "either" and not wide.isdisjoint(map(node_of, node.inputs)):
            wide.add(node.path)
    wanted = {node_of(value) for node in nodes if node.path in wide for value in node.inputs}
    for node in reversed(nodes):
        if node.op.precision == "either" and node.path in wanted:
            wide.add(node.path)
            wanted.update(map(node_of, node.inputs))
    return wide
