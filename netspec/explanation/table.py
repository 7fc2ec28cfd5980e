"""The table of `explain`: lines about the part, then a row for each value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.expression import show
from netspec.graph.model import Graph
from netspec.shape_text import shape_text
from netspec.tables import Cell, Table


def explanation_table(graph: Graph, data: Mapping[str, Any]) -> Table:
    """The table for the data of an explained part."""
    rows: list[list[Cell]] = []
    for value in data["values"]:
        name = "  " * value["depth"] + value["name"]
        shown = value["value"] if isinstance(value["value"], str) else show(value["value"])
        rows.append([name, shown, value["from"], value["written"], _at(value["place"], data["place"])])
    headings = ["value of", "is", "from", "written", "at"]
    return Table(headings, [list(row) for row in rows], _title(graph, data))


def _at(place: str, title: str) -> str:
    """A place, without its file if the title names that."""
    file, _, position = place.rpartition(":")
    file, _, line = file.rpartition(":")
    return f"{line}:{position}" if file and title.startswith(file) else place


def _title(graph: Graph, data: Mapping[str, Any]) -> list[str]:
    """The lines about the part: its kind, inputs, outputs, costs, receptive field, weights, and inner parts."""
    of = f" ({graph.title})" if graph.title else ""
    of = of if data["part"] == graph.name else f" of {graph.title or graph.name}"
    lines = [f"{data['part']}{of}: {data['what']}" + (f", {data['place']}" if data["place"] else "")]
    for entry in data["inputs"]:
        source = f" from {entry['value']}" if entry["value"] != entry["name"] else ""
        lines.append(f"{entry['name']}: {shape_text(entry['shape'])}{source}")
    if len(data.get("outputs", ())) > 1:
        for entry in data["outputs"]:
            lines.append(f"output {entry['name']}: {shape_text(entry['shape'])} from {entry['value']}")
    elif data["output"]:
        lines.append(f"output: {shape_text(data['output']['shape'])}")
    if data["ops"]:
        ops = "" if data["ops"] == 1 else f"{data['ops']} ops, "
        macs = "unknown MACs" if data["macs"] is None else f"{data['macs']:,} MACs"
        lines.append(f"costs: {ops}{data['parameters']:,} parameters, {macs}{_at_sizes(graph, data)}")
    if data["receptive_field"]:
        lines.append(f"sees: {_field(data['receptive_field'])}")
    if data["weights"]:
        lines.append("weights: " + ", ".join(map(_weight, data["weights"])))
    for label, left_out in (("holds", False), ("left out", True)):
        names = [_item(item) for item in data["holds"] if item["left_out"] == left_out]
        if names:
            lines.append(f"{label}: {', '.join(names)}")
    return lines


def _at_sizes(graph: Graph, data: Mapping[str, Any]) -> str:
    """The sizes of symbols, other than the batch, at which MACs are counted: ` at T = 1024`; "" if there are none."""
    sizes = [f"{name} = {size}" for name, size in graph.nominal.items() if name in graph.symbols and name != "N"]
    return f" at {', '.join(sizes)}" if sizes and data["macs"] else ""


def _item(item: Mapping[str, Any]) -> str:
    """An inner part as `stem (conv)`: its name, and its block or op if that differs."""
    return item["name"] if item["name"] == item["what"] else f"{item['name']} ({item['what']})"


def _weight(weight: Mapping[str, Any]) -> str:
    init = f" ({weight['init']})" if weight["init"] is not None else ""
    return f"{weight['name']} {shape_text(weight['shape'], scalar='scalar')}{init}"


def _field(field: Mapping[str, Any]) -> str:
    """A receptive field in words; if there are several inputs, one for each."""
    if not isinstance(field.get("size"), list):
        return "; ".join(f"of {name} {_field(inner)}" for name, inner in field.items())
    if field["size"] and field["size"][0] is None:
        return str(field["note"])
    if not any(field["stride"]):
        return f"all, {shape_text(field['size'])}" if field["size"] else "all"
    size, stride = shape_text(field["size"]), shape_text(field["stride"])
    if None in field["start"]:
        return f"windows of at most {size}, stride {stride}; units differ"
    return f"windows of {size}, stride {stride}, from {shape_text(field['start'])}"
