"""`netspec summary` as a table that reads like one of a paper: grouped by block, folded, totals at the foot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.analysis.cost import UNUSED, unused_parameters
from netspec.analysis.receptive_field import is_one_field
from netspec.expression import show
from netspec.graph.model import Graph, Mode, Node, Scope
from netspec.graph.tree import Group, tree
from netspec.graph.walk import live_nodes
from netspec.shape_text import axes_text
from netspec.tables import Cell, Table, short
from netspec.types import Tensor

MINOR = ("activation", "normalization", "regularization")
"""Families that stand in the row of the layer before them while a table is folded."""

COUNTING = "MACs: multiply-accumulates of convolutions, linear layers, matrix products and recurrence, for one sample."


def layer_table(graph: Graph, data: Mapping[str, Any], mode: Mode = "inference", depth: int | None = 1) -> Table:
    """The table of a summary: scopes open down to `depth`, every op in a row of its own where it is None."""
    by_name = {layer["name"]: layer for layer in data["layers"]}
    rows: list[list[Cell]] = []
    for i in graph.inputs:
        rows.append([i.name, "input", _shape(i.type), None, None, ""])
    _rows(tree(graph, live_nodes(graph, mode)), graph, by_name, depth, 0, rows)
    totals = data["totals"]
    least = "" if data["complete"] else "at least "
    foot: list[Cell] = ["total", "", "", totals["parameters"], totals["macs"], ""]
    return Table(
        ["layer", "kind", "output", "parameters", "MACs", "sees"],
        [list(row) for row in rows],
        [line for line in (graph.title or graph.name, graph.source) if line],
        [foot],
        _notes(data, least, unused_parameters(graph)),
        spare=("sees", "kind"),
    )


def _notes(data: Mapping[str, Any], least: str, unused: int) -> list[str]:
    totals = data["totals"]
    weights = f"{short(totals['parameters'])} parameters ({_bytes(totals['parameters'] * 4)} as float32)"
    if totals["parameters_training"] - unused != totals["parameters"]:
        weights += f", {short(totals['parameters_training'] - unused)} in training"
    if unused:
        weights += f", {short(unused)} more {UNUSED}"
    if totals["buffers"]:
        weights += f", {short(totals['buffers'])} values in buffers"
    at = ", ".join(f"{name} = {size}" for name, size in data["at"].items())
    if totals["macs"] is None:
        sizes = {size for shape in data["inputs"].values() for size in shape if isinstance(size, str)}
        macs = "MACs are unknown where only the data tell sizes"
        if not sizes <= data["at"].keys():
            macs = "MACs are unknown while sizes are open: fix them with `--input`"
    else:
        macs = f"{least}{short(totals['macs'])} MACs" + (f" at {at}" if at else "")
    sees = "sees: the receptive field, size and stride (`/`; none once flattened), in pixels of the input."
    return [f"{weights}; {macs}.", COUNTING, sees]


def _rows(
    group: Group, graph: Graph, by_name: Mapping[str, Any], depth: int | None, level: int, rows: list[list[Cell]]
) -> None:
    lead = "  " * level
    fold_into: list[Cell] | None = None
    for item in group.items:
        if isinstance(item, Node):
            layer = by_name[item.path]
            if depth is not None and fold_into is not None and item.op.family in MINOR and not layer["macs"]:
                _fold(fold_into, item, layer)
                continue
            rows.append(
                [lead + item.name, item.op.label(), _shape(item.type), layer["parameters"], layer["macs"], _sees(layer)]
            )
            fold_into = rows[-1]
            continue
        assert item.scope is not None
        rows.append(_group_row(item, item.scope, graph, by_name, lead))
        fold_into = rows[-1]
        if depth is None or level + 1 < depth:
            rows[-1][3] = rows[-1][4] = None
            _rows(item, graph, by_name, depth, level + 1, rows)
            fold_into = None


def _fold(row: list[Cell], node: Node, layer: Mapping[str, Any]) -> None:
    row[1] = f"{row[1]} + {node.op.label()}"
    row[3] = _plus(row[3], layer["parameters"])


def _group_row(group: Group, scope: Scope, graph: Graph, by_name: Mapping[str, Any], lead: str) -> list[Cell]:
    parameters: Cell = 0
    macs: Cell = 0
    layer: Mapping[str, Any] = {}
    for node in group.nodes():
        layer = by_name[node.path]
        parameters, macs = _plus(parameters, layer["parameters"]), _plus(macs, layer["macs"])
    output = graph.types.get(scope.output)
    shape = _shape(output) if output else ""
    return [lead + scope.name, describe(group, scope), shape, parameters, macs, _sees(by_name.get(scope.output, layer))]


def _plus(a: Cell, b: Cell) -> Cell:
    return a + b if isinstance(a, int) and isinstance(b, int) else None


def describe(group: Group, scope: Scope) -> str:
    """What a scope is: `bottleneck 128`, with `x 4` for a repeat and its arguments where they agree."""
    if scope.kind == "repeat":
        copies = len(group.items)
        return f"{_copies(group)} (x {copies})" if copies > 1 else _copies(group)
    if scope.block is None:
        return scope.kind
    return _use(scope.block.name, scope, scope.params)


def _copies(group: Group) -> str:
    first = group.items[0]
    if isinstance(first, Node):
        return first.op.label()
    scopes = [item.scope for item in group.items if isinstance(item, Group) and item.scope]
    if first.scope is None or first.scope.block is None:
        return first.scope.kind if first.scope else ""
    own = first.scope.params
    shared = {name for name, value in own.items() if all(s.params.get(name) == value for s in scopes)}
    # That the first copy of a stage has another stride is read from the sizes; what else varies is said.
    varying = [f"{name} varies" for name in own if name not in shared and name != "stride"]
    used = _use(first.scope.block.name, first.scope, {name: value for name, value in own.items() if name in shared})
    return ", ".join([used, *varying])


def _use(name: str, scope: Scope, params: Mapping[str, Any]) -> str:
    """A block's name with the arguments that say something: the first alone by its value."""
    assert scope.block is not None
    words = [
        show(params[p.name]) if p.required else f"{p.name} {show(params[p.name])}"
        for p in scope.block.parameters
        if p.name in params and (p.required or params[p.name] != p.default)
    ]
    return " ".join([name, ", ".join(words)]) if words else name


def _shape(tensor: Tensor) -> str:
    return str(Tensor(tensor.shape[1:])) if tensor.rank > 1 else str(tensor)


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} KB"


def _sees(layer: Mapping[str, Any]) -> str:
    field: Any = layer.get("receptive_field")
    if not field:
        return ""
    if not is_one_field(field):
        return "; ".join(f"{name} {_sees({'receptive_field': f})}" for name, f in field.items())
    if field["size"][0] is None:
        return str(field["note"]).partition(":")[0]
    if all(step == 0 for step in field["stride"]):
        return "all"
    size = axes_text(field["size"])
    return size if field["start"][0] is None else f"{size} /{axes_text(field['stride'])}"
