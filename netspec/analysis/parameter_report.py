"""`netspec params`: where a network's parameters are, by layer, by kind of op, or by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from netspec.analysis.cost import UNUSED, costs, unused_parameters
from netspec.graph.model import Graph, Mode, Node
from netspec.graph.walk import live_nodes
from netspec.report import Report
from netspec.tables import Cell, Table, bar

By = Literal["layer", "op", "block"]


def parameter_report(graph: Graph, by: By = "layer", mode: Mode = "inference") -> Report:
    """Parameters by layer (in order), or by op or outermost block (largest first), with each row's share.

    A weight that several nodes share is counted once, at the first.
    """
    nodes = live_nodes(graph, mode)
    found = costs(graph, nodes)
    rows: dict[str, dict[str, Any]] = {}
    for node in nodes:
        count = found[node.path].parameters
        if not count:
            continue
        name, kind = _row_of(node, graph, by)
        row = rows.setdefault(name, {"name": name, "kind": kind, "layers": 0, "parameters": 0})
        row["layers"] += 1
        row["parameters"] += count
    total = sum(row["parameters"] for row in rows.values())
    for row in rows.values():
        row["share"] = round(row["parameters"] / total, 6)
    ordered = list(rows.values()) if by == "layer" else sorted(rows.values(), key=lambda row: -row["parameters"])
    data = {"network": graph.name, "by": by, "total": total, "rows": ordered}
    return Report(data, lambda: _table(graph, data))


def _row_of(node: Node, graph: Graph, by: By) -> tuple[str, str]:
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


def _table(graph: Graph, data: Mapping[str, Any]) -> Table:
    """The table of a parameter report, with bars as long as the shares."""
    grouped = data["by"] != "layer"
    most = max((row["share"] for row in data["rows"]), default=1)
    rows: list[Sequence[Cell]] = [
        [
            row["name"],
            row["kind"],
            *([row["layers"]] if grouped else []),
            row["parameters"],
            f"{100 * row['share']:5.1f} %",
            bar(row["share"] / most),
        ]
        for row in data["rows"]
    ]
    headings = [data["by"], "kind", *(["layers"] if grouped else []), "parameters", "share", ""]
    foot: list[Cell] = [
        "total",
        "",
        *([sum(row["layers"] for row in data["rows"])] if grouped else []),
        data["total"],
        "",
        "",
    ]
    unused = unused_parameters(graph)
    notes = [f"A module holds {unused:,} more {UNUSED}."] if unused else []
    return Table(headings, rows, [f"{graph.title or graph.name}: parameters by {data['by']}"], [foot], notes)
