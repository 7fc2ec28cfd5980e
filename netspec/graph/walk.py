"""Ways through a graph."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.errors import choices
from netspec.graph.model import Graph, Mode, Node


def outputs_of(graph: Graph, mode: Mode) -> list[str]:
    """The values that are outputs in a mode: in training all, in inference those not built in training only."""
    return [o.value for o in graph.outputs if mode == "train" or o.mode == "inference"]


def needed_for(graph: Graph, values: Iterable[str]) -> set[str]:
    """The paths of all nodes that these values depend on."""
    wanted = {value.partition(":")[0] for value in values}
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if node.path in wanted:
            found.add(node.path)
            wanted.update([value.partition(":")[0] for value in node.inputs])
    return found


def live_nodes(graph: Graph, mode: Mode) -> list[Node]:
    """The nodes that the outputs of a mode need, in order."""
    needed = needed_for(graph, outputs_of(graph, mode))
    return [node for node in graph.nodes if node.path in needed]


def way_to_uses(graph: Graph, name: str) -> str:
    """A hint for those who name a block or an op where a part is wanted: the paths of its uses."""
    blocks = [path for path, scope in graph.scopes.items() if scope.block is not None and scope.block.name == name]
    if blocks:
        return f"it is a block, used as {choices(blocks, 4)}"
    nodes = [node.path for node in graph.nodes if node.op.opname == name]
    return f"it is an op, of {choices(nodes, 4)}" if nodes else ""


COUNTER = "num_batches_tracked"
"""What old state dicts have not, and nothing reads but a batch norm without momentum."""


def needed_keys(graph: Graph) -> set[str]:
    """The keys of a state dict that inference can't do without: no training output's, and no counters."""
    live = {node.weights_of for node in live_nodes(graph, "inference")}
    return {
        weight.key(node.weights_of)
        for node in graph.nodes
        if node.weights_of in live
        for weight in graph.weights(node)
        if weight.name.rpartition(".")[2] != COUNTER
    }
