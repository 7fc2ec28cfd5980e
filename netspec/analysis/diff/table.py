"""`netspec diff` as tables: the layers that differ, folded, and for CSV every node that differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.analysis.diff.diff import Comparison, minus
from netspec.analysis.diff.rows import Event, layer_events
from netspec.analysis.diff.words import sizes_words
from netspec.expression import show
from netspec.shape_text import shape_text
from netspec.tables import Cell, Table, short

HEADINGS = ("layer", "change", "output", "parameters", "MACs")


def diff_table(found: Comparison, data: Mapping[str, Any]) -> Table:
    """The layers that differ with the ops that make the difference, and totals; a line where nothing differs."""
    a, b = data["a"], data["b"]
    if data["same"]:
        return Table(HEADINGS, [], [f"the same network, {a['nodes']:,} nodes"], notes=_names(data))
    events = layer_events(found)
    rows: list[list[Cell]] = [_end(end) for end in data["ends"] if end["kind"] == "input" and end["status"] != "same"]
    for event in events:
        rows.append(_row(event, ""))
        rows += [_row(inner, "  ") for inner in event.details]
    rows += [_end(end) for end in data["ends"] if end["kind"] == "output" and end["status"] != "same"]
    foot: list[list[Cell]] = [
        [f"A  {a['network']}", f"{a['nodes']:,} nodes", "", a["parameters"], a["macs"]],
        [f"B  {b['network']}", f"{b['nodes']:,} nodes", "", b["parameters"], b["macs"]],
        ["B - A", f"{_sign(data['difference']['nodes'])} nodes", "", *_signed(data["difference"])],
    ]
    title = [f"A: {a['title'] or a['network']}", f"B: {b['title'] or b['network']}"]
    if data["params"]:
        given = (f"{name} {show(mine)} -> {show(theirs)}" for name, (mine, theirs) in data["params"].items())
        title.append(f"params: {', '.join(given)}")
    title.append(_counts(data))
    return Table(HEADINGS, [list(row) for row in rows], title, [list(row) for row in foot], _notes(data), ["output"])


def _counts(data: Mapping[str, Any]) -> str:
    counts = data["counts"]
    words = {
        "same": "the same",
        "sizes": "with other sizes only",
        "changed": "changed",
        "only_a": "only in A",
        "only_b": "only in B",
    }
    return "nodes: " + ", ".join(f"{counts[key]:,} {words[key]}" for key in words if counts[key])


def _row(event: Event, lead: str) -> list[Cell]:
    if event.status == "same":
        return [lead + event.name, event.what, "", "", ""]
    macs = event.macs
    return [
        lead + event.name,
        event.what,
        event.output,
        _sign(event.parameters),
        "?" if macs is None else _sign(macs),
    ]


def _sign(number: int) -> str:
    return f"{number:+,}" if number else "0"


def _signed(difference: Mapping[str, Any]) -> list[Cell]:
    return [None if difference[key] is None else _sign(difference[key]) for key in ("parameters", "macs")]


def _end(end: Mapping[str, Any]) -> list[Cell]:
    a, b = end["a"], end["b"]
    one = a or b
    sign = {"only_a": "- ", "only_b": "+ "}.get(end["status"], "")
    what = f"{sign}{end['kind']}"
    shape = one["shape"]
    if a and b:
        what += ": another place or value" if end["status"] == "changed" and a.get("mode") == b.get("mode") else ""
        if a.get("mode") != b.get("mode"):
            what += f": mode {a['mode']} -> {b['mode']}"
        if a["dtype"] != b["dtype"]:
            what += f": {a['dtype']} -> {b['dtype']}"
        # The batch is shown where it is what differs.
        whole = a["shape"][1:] == b["shape"][1:] and a["shape"] != b["shape"]
        mine, theirs = (side["shape"] if whole else side["shape"][1:] for side in (a, b))
        return [one["name"], what, sizes_words(mine, theirs), "", ""]
    return [one["name"], what, shape_text(shape[1:]), "", ""]


def _notes(data: Mapping[str, Any]) -> list[str]:
    a, b = data["a"], data["b"]
    notes = ["parameters, MACs: those of B less those of A, of one sample. Sizes that only follow are not listed."]
    if (a["parameters"], b["parameters"]) != (a["inference"]["parameters"], b["inference"]["parameters"]):
        mine, theirs = a["inference"], b["inference"]
        words = f"{_short(mine['parameters'])} -> {_short(theirs['parameters'])} parameters"
        words += f", {_short(mine['macs'])} -> {_short(theirs['macs'])} MACs"
        notes.append(f"Outputs of training are counted; without them: {words}.")
    if not (a["complete"] and b["complete"]):
        notes.append("MACs of some ops are unknown: totals with such ops are at least.")
    return notes


def _short(number: int | None) -> str:
    return "?" if number is None else short(number)


def _names(data: Mapping[str, Any]) -> list[str]:
    """What differs where nothing else does: names, blocks, how weights begin."""
    notes: list[str] = []
    if data["names_differ"]:
        notes.append(f"Names differ: {data['names_differ']:,} of {data['a']['nodes']:,} nodes have another path.")
    if data["blocks_differ"]:
        notes.append("Blocks differ: the specs group their steps in other ways.")
    if data["initializers_differ"]:
        notes.append(f"Initialisers differ, of {data['initializers_differ']:,} nodes.")
    return notes


def node_table(data: Mapping[str, Any]) -> Table:
    """Every node that differs, a row each, with figures of both sides."""
    figures = ("parameters", "macs")
    headings = ["status", "a", "b", "op_a", "op_b", "attributes", "inputs_differ", "output_a", "output_b"]
    headings += [f"{figure}_{side}" for figure in figures for side in ("a", "b", "difference")]
    rows: list[list[Cell]] = []
    for entry in data["nodes"]:
        a, b = entry["a"], entry["b"]
        if entry["status"] == "same":
            continue
        attributes = "; ".join(f"{name}: {mine} -> {theirs}" for name, (mine, theirs) in entry["attributes"].items())
        row: list[Cell] = [entry["status"], *(side["name"] if side else None for side in (a, b))]
        row += [side["op"] if side else None for side in (a, b)]
        row += [attributes, "yes" if entry["inputs_differ"] else "no"]
        row += [shape_text(side["output_shape"]) if side else None for side in (a, b)]
        for figure in figures:
            mine, theirs = (side[figure] if side else None for side in (a, b))
            row += [mine, theirs, minus(theirs if b else 0, mine if a else 0)]
        rows.append(row)
    return Table(headings, [list(row) for row in rows])
