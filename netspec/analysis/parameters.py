"""The report of `netspec params`: the numbers of parameters by layer, kind of op, or block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from netspec.analysis.cost import UNUSED, costs, unused_parameters
from netspec.analysis.graph_of import HasGraph, graph_of
from netspec.graph.model import Graph, Mode, Node
from netspec.graph.walk import live_nodes
from netspec.report import HIDDEN, TypedReport
from netspec.tables import Cell, Table, bar

By = Literal["layer", "op", "block"]


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """The parameters of one layer, of all layers of an op, or of all in a block; `share` is their part of the total."""

    name: str
    kind: str
    layers: int
    parameters: int
    share: float


@dataclass(frozen=True, eq=False, repr=False)
class ParameterReport(TypedReport):
    """The numbers of parameters by layer, op or block."""

    network: str
    by: By
    total: int
    rows: tuple[ParameterRow, ...]
    title: str = field(metadata=HIDDEN)
    unused: int = field(metadata=HIDDEN)
    """The number of parameters in steps that no output needs."""

    def table(self) -> Table:
        """The table of parameters, with bars for the shares."""
        grouped = self.by != "layer"
        most = max((row.share for row in self.rows), default=1)
        rows: list[Sequence[Cell]] = [
            [
                row.name,
                row.kind,
                *([row.layers] if grouped else []),
                row.parameters,
                f"{100 * row.share:5.1f} %",
                bar(row.share / most),
            ]
            for row in self.rows
        ]
        headings = [self.by, "kind", *(["layers"] if grouped else []), "parameters", "share", ""]
        layers: list[Cell] = [sum(row.layers for row in self.rows)] if grouped else []
        foot: list[Cell] = ["total", "", *layers, self.total, "", ""]
        notes = [f"A module holds {self.unused:,} more {UNUSED}."] if self.unused else []
        return Table(headings, rows, [f"{self.title}: parameters by {self.by}"], [foot], notes)


def parameters(network: Graph | HasGraph, by: By = "layer", mode: Mode = "inference") -> ParameterReport:
    """Count parameters by layer (in order), or by op or outermost block (largest first), with shares.

    A weight that several nodes share is counted once, at the first of them.
    """
    graph = graph_of(network)
    nodes = live_nodes(graph, mode)
    by_path = costs(graph, nodes)
    kinds: dict[str, str] = {}
    counts: dict[str, list[int]] = {}
    for node in nodes:
        if count := by_path[node.path].parameters:
            name, kind = _row_of(node, graph, by)
            kinds.setdefault(name, kind)
            counts.setdefault(name, []).append(count)
    total = sum(map(sum, counts.values()))
    rows = [
        ParameterRow(name, kinds[name], len(layers), sum(layers), round(sum(layers) / total, 6))
        for name, layers in counts.items()
    ]
    if by != "layer":
        rows.sort(key=lambda row: -row.parameters)
    return ParameterReport(graph.name, by, total, tuple(rows), graph.title or graph.name, unused_parameters(graph))


def _row_of(node: Node, graph: Graph, by: By) -> tuple[str, str]:
    """The name and the kind of the row that a node belongs to."""
    if by == "layer":
        return node.path, node.op.label()
    if by == "op":
        return node.op.opname, node.op.family
    path, row = node.scope, (graph.name, "network")
    while path:
        scope = graph.scopes[path]
        if scope.block is not None:
            row = (scope.block.name, "block")
        path = scope.parent
    return row
