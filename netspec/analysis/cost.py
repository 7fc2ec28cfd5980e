"""Parameters, buffers and multiply-accumulates of each node.

MACs are for one sample (N = 1). Convolutions, linear layers, matrix products and recurrence count; biases,
normalisation, pooling and activations do not. A weight that several nodes share is counted once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from netspec.dims import Dim, Symbolic
from netspec.graph.memo import NodeMemo
from netspec.graph.model import Graph, Node
from netspec.graph.walk import live_nodes
from netspec.types import Tensor

MACS_NOTE = "MACs: multiply-accumulates of convolutions, linear layers, matrix products and recurrence, for one sample."
"""The note below tables that says what MACs count."""

UNUSED = "in steps that no output needs"
"""The place of parameters that no total includes, as part of a sentence."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a node; `macs` is None if the op does not know its cost, and symbolic if a size is open."""

    parameters: int
    buffers: int
    macs: Dim | None


def costs(graph: Graph, nodes: Iterable[Node] | None = None, at: Mapping[str, int] | None = None) -> dict[str, Cost]:
    """The cost of every node by path, at the nominal sizes of the graph, which `at` can replace."""
    sizes = graph.sizes(at or {})
    batch = _fixed_batch(graph)
    cost_of = NodeMemo(graph, lambda node, inputs: _cost(node, inputs, sizes, batch))
    owners: set[str] = set()
    by_path: dict[str, Cost] = {}
    for node in graph.nodes if nodes is None else nodes:
        cost = cost_of(node)
        if node.weights_of in owners and (cost.parameters or cost.buffers):
            cost = Cost(0, 0, cost.macs)
        owners.add(node.weights_of)
        by_path[node.path] = cost
    return by_path


def _fixed_batch(graph: Graph) -> int:
    """The batch size by which MACs are divided: that of all inputs if it is a number, else 1."""
    batches = {i.type.batch for i in graph.inputs}
    (batch,) = batches if len(batches) == 1 else (1,)
    return batch if isinstance(batch, int) else 1


def _cost(node: Node, inputs: tuple[Tensor, ...], sizes: Mapping[str, int], batch: int) -> Cost:
    weights = node.op.weights(*inputs)
    macs = node.op.macs(node.type.at(sizes), *[x.at(sizes) for x in inputs])
    if batch > 1 and macs is not None and (per_sample := macs // batch) * batch == macs:
        macs = per_sample
    return Cost(
        sum([w.size for w in weights if w.kind == "parameter"]),
        sum([w.size for w in weights if w.kind == "buffer"]),
        macs,
    )


def total_macs(costs: Iterable[Cost]) -> int | None:
    """The sum of MACs; None if a size is open. Unknown MACs count as 0, so that the sum is a lower bound."""
    total = 0
    for cost in costs:
        if isinstance(cost.macs, Symbolic):
            return None
        total += cost.macs or 0
    return total


def unused_parameters(graph: Graph) -> int:
    """The number of parameters that no output needs, not even in training; a compiled module has them nevertheless."""
    needed = live_nodes(graph, "train")
    if len(needed) == len(graph.nodes):
        return 0
    held, used = [sum(cost.parameters for cost in each.values()) for each in (costs(graph), costs(graph, needed))]
    return held - used
