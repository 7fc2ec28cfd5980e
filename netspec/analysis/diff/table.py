"""The tables of a diff: one of the layers that differ, and for CSV one of all nodes that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from netspec.analysis.diff.figures import DiffFigures, NodeDiff
from netspec.analysis.diff.lines import DiffLine
from netspec.analysis.diff.model import End, EndPair, Status, minus
from netspec.analysis.diff.rows import layer_lines
from netspec.analysis.diff.words import sizes_words
from netspec.dims import Dim, Symbolic
from netspec.expression import show
from netspec.shape_text import shape_text
from netspec.tables import Cell, Table, short

_HEADINGS = ("layer", "change", "output", "parameters", "MACs")
_STATUS_WORDS: Mapping[Status, str] = {
    "same": "the same",
    "sizes": "with other sizes only",
    "changed": "changed",
    "only_a": "only in A",
    "only_b": "only in B",
}


def diff_table(diff: DiffFigures) -> Table:
    """The table of layers that differ, with their differing ops and totals; a single line if nothing differs."""
    if diff.same:
        return Table(_HEADINGS, [], [f"the same network, {diff.a.nodes:,} nodes"], notes=_naming_notes(diff))
    rows: list[Sequence[Cell]] = _end_rows(diff, "input")
    for line in layer_lines(diff.graphs):
        rows.append(_row(line, ""))
        rows += [_row(detail, "  ") for detail in line.details]
    rows += _end_rows(diff, "output")
    return Table(_HEADINGS, rows, _title(diff), _foot(diff), _notes(diff), ["output"])


def _title(diff: DiffFigures) -> list[str]:
    title = [f"A: {diff.a.title or diff.a.network}", f"B: {diff.b.title or diff.b.network}"]
    if diff.params:
        params = ", ".join(f"{name} {show(a)} -> {show(b)}" for name, (a, b) in diff.params.items())
        title.append(f"params: {params}")
    counts = [f"{diff.counts[status]:,} {words}" for status, words in _STATUS_WORDS.items() if diff.counts[status]]
    return [*title, f"nodes: {', '.join(counts)}"]


def _foot(diff: DiffFigures) -> list[Sequence[Cell]]:
    sides: list[Sequence[Cell]] = [
        [f"{letter}  {side.network}", f"{side.nodes:,} nodes", "", side.parameters, side.macs]
        for letter, side in (("A", diff.a), ("B", diff.b))
    ]
    difference = diff.difference
    macs = None if difference.macs is None else _signed(difference.macs)
    return [*sides, ["B - A", f"{_signed(difference.nodes)} nodes", "", _signed(difference.parameters), macs]]


def _row(line: DiffLine, indent: str) -> list[Cell]:
    name = indent + line.name
    if line.status == "same":
        return [name, line.what, "", "", ""]
    macs = "?" if line.macs is None else _signed(line.macs)
    return [name, line.what, line.output, _signed(line.parameters), macs]


def _signed(number: int) -> str:
    return f"{number:+,}" if number else "0"


def _end_rows(diff: DiffFigures, kind: Literal["input", "output"]) -> list[Sequence[Cell]]:
    """The rows of inputs, or outputs, that differ."""
    return [_end_row(pair) for pair in diff.ends if pair.kind == kind and pair.status != "same"]


def _end_row(pair: EndPair) -> list[Cell]:
    a, b = pair.a, pair.b
    if a and b:
        # The batch is shown only if it is the difference.
        first = 0 if a.shape[1:] == b.shape[1:] and a.shape != b.shape else 1
        return [
            a.name,
            f"{pair.kind}{_end_words(pair.status, a, b)}",
            sizes_words(a.shape[first:], b.shape[first:]),
            "",
            "",
        ]
    end = a or b
    assert end is not None
    return [end.name, f"{'-' if a else '+'} {pair.kind}", shape_text(end.shape[1:]), "", ""]


def _end_words(status: Status, a: End, b: End) -> str:
    """The differences between two inputs or outputs, apart from sizes, in words."""
    words = ": another place or value" if status == "changed" and a.mode == b.mode else ""
    if a.mode != b.mode:
        words += f": mode {a.mode} -> {b.mode}"
    if a.dtype != b.dtype:
        words += f": {a.dtype} -> {b.dtype}"
    return words


def _notes(diff: DiffFigures) -> list[str]:
    a, b = diff.a, diff.b
    notes = ["parameters, MACs: those of B less those of A, of one sample. Sizes that only follow are not listed."]
    if (a.parameters, b.parameters) != (a.inference.parameters, b.inference.parameters):
        parameters = f"{_short(a.inference.parameters)} -> {_short(b.inference.parameters)} parameters"
        macs = f"{_short(a.inference.macs)} -> {_short(b.inference.macs)} MACs"
        notes.append(f"Outputs of training are counted; without them: {parameters}, {macs}.")
    if not (a.complete and b.complete):
        notes.append("MACs of some ops are unknown: totals with such ops are at least.")
    return notes


def _short(number: int | None) -> str:
    return "?" if number is None else short(number)


def _naming_notes(diff: DiffFigures) -> list[str]:
    """Notes on differences that a hash does not cover: names, blocks, initialisers."""
    notes: list[str] = []
    if diff.names_differ:
        notes.append(f"Names differ: {diff.names_differ:,} of {diff.a.nodes:,} nodes have another path.")
    if diff.blocks_differ:
        notes.append("Blocks differ: the specs group their steps in other ways.")
    if diff.initializers_differ:
        notes.append(f"Initialisers differ, of {diff.initializers_differ:,} nodes.")
    return notes


def node_table(diff: DiffFigures) -> Table:
    """The table of all nodes that differ, with a row for each and the figures of both sides."""
    headings = ["status", "a", "b", "op_a", "op_b", "attributes", "inputs_differ", "output_a", "output_b"]
    headings += [f"{figure}_{side}" for figure in ("parameters", "macs") for side in ("a", "b", "difference")]
    return Table(headings, [_node_row(node) for node in diff.nodes if node.status != "same"])


def _node_row(node: NodeDiff) -> list[Cell]:
    a, b = node.a, node.b
    return [
        node.status,
        *(side.name if side else None for side in (a, b)),
        *(side.op if side else None for side in (a, b)),
        "; ".join(f"{name}: {value_a} -> {value_b}" for name, (value_a, value_b) in node.attributes.items()),
        "yes" if node.inputs_differ else "no",
        *(shape_text(side.output_shape) if side else None for side in (a, b)),
        *(side.parameters if side else None for side in (a, b)),
        minus(b.parameters if b else 0, a.parameters if a else 0),
        *(_macs_cell(side.macs) if side else None for side in (a, b)),
        minus(b.macs if b else 0, a.macs if a else 0),
    ]


def _macs_cell(macs: Dim | None) -> Cell:
    return str(macs) if isinstance(macs, Symbolic) else macs
