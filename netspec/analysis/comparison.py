"""`netspec summary A B C`: networks side by side, as plain data and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from netspec.analysis.layers import COUNTING
from netspec.analysis.receptive_field import is_one_field
from netspec.analysis.summary import summary
from netspec.graph.model import Graph, Mode
from netspec.report import Report
from netspec.shape_text import axes_text, shape_text
from netspec.tables import Cell, Table


def comparison(graphs: Iterable[Graph], mode: Mode = "inference") -> Report:
    """Totals of several networks: sizes in and out, depth, ops, parameters, MACs, and the last receptive field.

    `depth` counts the layers with multiply-accumulates on the longest way from an input to an output, as papers
    count the layers of VGG-19 and ResNet-50. `receptive_field` is that of the last layer with a window, None where
    there is none or several inputs have one each.
    """
    rows = [_row(graph, summary(graph, mode)) for graph in graphs]
    data = {"mode": mode, "networks": rows}
    return Report(data, lambda: _table(data))


def _row(graph: Graph, data: Mapping[str, Any]) -> dict[str, Any]:
    fields = [layer["receptive_field"] for layer in data["layers"]]
    sliding = [field for field in fields if field and is_one_field(field) and _slides(field)]
    return {
        "network": data["network"],
        "title": graph.title,
        "inputs": data["inputs"],
        "outputs": data["outputs"],
        "at": data["at"],
        "ops": len(data["layers"]),
        "depth": _depth(graph, data),
        "parameters": data["totals"]["parameters"],
        "parameters_training": data["totals"]["parameters_training"],
        "macs": data["totals"]["macs"],
        "complete": data["complete"],
        "receptive_field": sliding[-1] if sliding else None,
    }


def _slides(field: Mapping[str, Any]) -> bool:
    return field["size"] != [] and all(field["size"]) and all(field["stride"]) and not field.get("note")


def _depth(graph: Graph, data: Mapping[str, Any]) -> int:
    depth = {i.name: 0 for i in graph.inputs}
    for layer in data["layers"]:
        before = max(depth[value.partition(":")[0]] for value in layer["inputs"])
        depth[layer["name"]] = before + (layer["macs"] != 0)
    return max(depth.values())


def _table(data: Mapping[str, Any]) -> Table:
    rows: list[list[Cell]] = []
    for row in data["networks"]:
        field = row["receptive_field"]
        rows.append(
            [
                row["network"],
                ", ".join(map(_shape, row["inputs"].values())),
                ", ".join(map(_shape, row["outputs"].values())),
                row["depth"],
                row["ops"],
                row["parameters"],
                row["macs"],
                f"{axes_text(field['size'])} /{axes_text(field['stride'])}" if field else None,
            ]
        )
    notes = [
        COUNTING,
        "depth: layers with MACs on the longest way. sees: size and stride (`/`) of the last layer that has a window.",
    ]
    if not all(row["complete"] for row in data["networks"]):
        notes.append("MACs of some ops are unknown: totals with such ops are at least.")
    headings = ["network", "input", "output", "depth", "ops", "parameters", "MACs", "sees"]
    return Table(headings, [list(row) for row in rows], notes=notes)


def _shape(shape: list[int | str]) -> str:
    return shape_text(shape[1:])
