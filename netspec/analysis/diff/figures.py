"""The figures of a diff, which its JSON holds. docs/reports.md specifies them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from netspec.analysis.cost import Cost, costs, total_macs
from netspec.analysis.diff.model import EndPair, GraphDiff, NodePair, Status, minus
from netspec.dims import Dim
from netspec.graph.model import Graph, Node
from netspec.graph.walk import live_nodes
from netspec.report import HIDDEN, TypedReport


@dataclass(frozen=True, slots=True)
class CostTotals:
    """The sums of a graph; `macs` is None if sizes are open."""

    parameters: int
    macs: int | None


@dataclass(frozen=True, slots=True)
class SideFigures:
    """The figures of one of the two networks, for the whole graph; `inference` leaves out training outputs."""

    network: str
    title: str
    hash: str
    at: Mapping[str, int]
    nodes: int
    parameters: int
    macs: int | None
    inference: CostTotals
    complete: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """The figures of B minus those of A; `macs` is None if sizes are open."""

    nodes: int
    parameters: int
    macs: int | None


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """The figures of a node of one side, as in a summary."""

    name: str
    op: str
    inputs: tuple[str, ...]
    output_shape: tuple[Dim, ...]
    parameters: int
    macs: Dim | None


@dataclass(frozen=True, slots=True)
class NodeDiff:
    """A node of A and its match in B, or a node without a match; `attributes` are the differing ones."""

    status: Status
    a: NodeFigures | None
    b: NodeFigures | None
    attributes: Mapping[str, tuple[Any, Any]]
    inputs_differ: bool
    weights_differ: bool


@dataclass(frozen=True, eq=False, repr=False)
class DiffFigures(TypedReport):
    """The figures of a diff; `Diff` adds the tables.

    `counts` are the numbers of nodes by status. `names_differ` counts matched nodes with different paths, and
    `initializers_differ` those with different initialisers.
    """

    same: bool
    a: SideFigures
    b: SideFigures
    params: Mapping[str, tuple[Any, Any]]
    difference: Difference
    counts: Mapping[Status, int]
    names_differ: int
    blocks_differ: bool
    initializers_differ: int
    ends: tuple[EndPair, ...]
    nodes: tuple[NodeDiff, ...]
    graphs: GraphDiff = field(metadata=HIDDEN)


def side_figures(graph: Graph) -> SideFigures:
    """The figures of one of the two networks."""
    by_path = costs(graph)
    totals = _cost_totals(by_path.values())
    return SideFigures(
        network=graph.name,
        title=graph.title,
        hash=graph.hash(),
        at={name: size for name, size in graph.nominal.items() if name in graph.symbols},
        nodes=len(graph),
        parameters=totals.parameters,
        macs=totals.macs,
        inference=_cost_totals(costs(graph, live_nodes(graph, "inference")).values()),
        complete=all(cost.macs is not None for cost in by_path.values()),
    )


def _cost_totals(costs: Iterable[Cost]) -> CostTotals:
    costs = list(costs)
    return CostTotals(sum(cost.parameters for cost in costs), total_macs(costs))


def difference(a: SideFigures, b: SideFigures) -> Difference:
    """The figures of B minus those of A."""
    return Difference(b.nodes - a.nodes, b.parameters - a.parameters, minus(b.macs, a.macs))


def count_statuses(pairs: Iterable[NodePair]) -> dict[Status, int]:
    """The numbers of nodes by status."""
    counts: dict[Status, int] = dict.fromkeys(("same", "sizes", "changed", "only_a", "only_b"), 0)
    for pair in pairs:
        counts[pair.status] += 1
    return counts


def node_diff(pair: NodePair) -> NodeDiff:
    """The figures of a pair of nodes."""
    return NodeDiff(
        pair.status,
        _node_figures(pair.a, pair.cost_a),
        _node_figures(pair.b, pair.cost_b),
        pair.attributes,
        pair.inputs_differ,
        pair.weights_differ,
    )


def _node_figures(node: Node | None, cost: Cost | None) -> NodeFigures | None:
    if node is None or cost is None:
        return None
    return NodeFigures(node.path, node.op.opname, node.inputs, node.type.shape, cost.parameters, cost.macs)
