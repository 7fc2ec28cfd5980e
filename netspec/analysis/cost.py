"""Parameters, buffers and multiply-accumulates of each node.

MACs are those of one sample (N = 1): convolutions, linear layers, matrix products and recurrence; bias,
normalisation, pooling and activations are not counted. A weight that several nodes share is counted once.
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
"""The note below tables of what MACs count."""

UNUSED = "in steps that no output needs"
"""Where parameters are that are in no total, in words."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a node; `macs` is None where the op's cost is unknown, symbolic where a size is open."""

    parameters: int
    buffers: int
    macs: Dim | None


def costs(graph: Graph, nodes: Iterable[Node] | None = None, at: Mapping[str, int] | None = None) -> dict[str, Cost]:
    """The cost of every node by its path, at the graph's nominal sizes unless `at` gives others."""
    sizes = {**graph.nominal, **(at or {})}
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
    """The batch that all inputs have where it is a number, else 1: MACs are divided by it."""
    batches = {i.type.batch for i in graph.inputs}
    (batch,) = batches if len(batches) == 1 else (1,)
    return batch if isinstance(batch, int) else 1


def _cost(node: Node, inputs: tuple[Tensor, ...], sizes: Mapping[str, int], batch: int) -> Cost:
    weights = node.op.weights(*inputs)
    macs = node.op.macs(node.type.at(sizes), *[x.at(sizes) for x in inputs])
    if batch > 1 and macs is not None and (one := macs // batch) * batch == macs:
        macs = one
    return Cost(
        sum([w.size for w in weights if w.kind == "parameter"]),
        sum([w.size for w in weights if w.kind == "buffer"]),
        macs,
    )


def total_macs(costs: Iterable[Cost]) -> int | None:
    """The sum of MACs; None while a size is open. Unknown ones count as 0: the total is a lower bound."""
    total = 0
    for cost in costs:
        if isinstance(cost.macs, Symbolic):
            return None
        total += cost.macs or 0
    return total


def unused_parameters(graph: Graph) -> int:
    """How many parameters no output needs, built in training only or not; a compiled module holds them all the same."""
    needed = live_nodes(graph, "train")
    if len(needed) == len(graph.nodes):
        return 0
    held, used = [sum(cost.parameters for cost in each.values()) for each in (costs(graph), costs(graph, needed))]
    return held - used
