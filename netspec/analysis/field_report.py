"""`netspec rf`: what one unit of each layer sees of the input, as plain data and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from netspec.analysis.receptive_field import BORDER, UNEVEN, Field, plain_field, receptive_fields
from netspec.analysis.shapes import plain_shape
from netspec.dims import Dim
from netspec.graph.model import Graph, Mode, Node
from netspec.graph.walk import live_nodes
from netspec.report import Report
from netspec.shape_text import axes_text, shape_text
from netspec.tables import Cell, Table
from netspec.types import Tensor

NOTES = (
    "size: pixels of the input that one unit sees, and share: how much of the input that is, at most 100 %.",
    "stride: how far the window moves from one unit to the next. 0: every unit sees the same.",
    "start: where the window of the first unit begins. Below 0 it begins in the padding.",
)


def field_report(graph: Graph, mode: Mode = "inference", every: bool = False) -> Report:
    """The receptive field of each layer that changes it, or with `every` of each node, in each input.

    `share` is the part of the input's extent that a unit's window spans, per axis, 1 at most; None where a size
    is open. The other entries are those of the summary.
    """
    fields = receptive_fields(graph)
    inputs = {i.name: i.type for i in graph.inputs}
    layers: list[dict[str, Any]] = []
    for node in live_nodes(graph, mode):
        for name, field in fields[node.path].items():
            if every or _changes(node, fields, name):
                extent = inputs[name].at(graph.nominal)
                layers.append(
                    {
                        "name": node.path,
                        "op": node.op.opname,
                        "kind": node.op.label(),
                        "input": name,
                        "output_shape": plain_shape(node.type),
                        **plain_field(field),
                        "share": _share(field, extent),
                    }
                )
    data = {
        "network": graph.name,
        "inputs": {name: plain_shape(type) for name, type in inputs.items()},
        "layers": layers,
    }
    return Report(data, lambda: _table(graph, data))


def _changes(node: Node, fields: Mapping[str, Mapping[str, Field]], name: str) -> bool:
    """Whether a node sees other than each of the values that enter it."""
    before = [fields.get(value, {}).get(name) for value in node.inputs]
    seen = plain_field(fields[node.path][name])
    return all(field is None or plain_field(field) != seen for field in before)


def _share(field: Field, extent: Tensor) -> list[float | None]:
    return [_part(size, whole) for size, whole in zip(field.size, extent.spatial, strict=True)]


def _part(size: Any, whole: Dim) -> float | None:
    if isinstance(size, int | Fraction) and isinstance(whole, int):
        return round(min(1.0, float(size / whole)), 4)
    return None


def _table(graph: Graph, data: Mapping[str, Any]) -> Table:
    """The table of a field report; one number stands for both axes where they are alike."""
    several = len(graph.inputs) > 1
    headings = ["layer", "kind", *(["of"] if several else []), "map", "size", "stride", "start", "share"]
    rows: list[list[Cell]] = []
    for layer in data["layers"]:
        of = [layer["input"]] if several else []
        note = str(layer.get("note", "")).partition(":")[0]
        rows.append(
            [
                layer["name"],
                layer["kind"],
                *of,
                shape_text(layer["output_shape"][2:]),
                note if layer["size"][0] is None else _axes(layer["size"]),
                _axes(layer["stride"]),
                _axes(layer["start"]),
                _axes([None if s is None else f"{100 * s:.0f} %" for s in layer["share"]]),
            ]
        )
    shapes = ", ".join(f"{name} {shape_text(shape[1:])}" for name, shape in data["inputs"].items())
    uneven = any(layer.get("note") == UNEVEN for layer in data["layers"])
    notes = (
        [*NOTES, "No start: behind upsampling units differ, and the size is the most that one sees."]
        if uneven
        else NOTES
    )
    if any(layer.get("note") == BORDER for layer in data["layers"]):
        notes = [*notes, "Padding here repeats positions of the map, so that units at its border see other ones too."]
    title = [f"{graph.title or graph.name}: receptive fields in {shapes}"]
    return Table(headings, [list(row) for row in rows], title, notes=notes)


def _axes(entries: list[Any]) -> str:
    return axes_text(["-" if entry is None else entry for entry in entries], times=" x ")
