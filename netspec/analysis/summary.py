"""The report of `netspec summary`: the figures of a network, layer by layer.

docs/summary-format.md specifies its JSON. The table is like that of a paper: grouped by block, with totals at the foot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from netspec.analysis.cost import MACS_NOTE, UNUSED, Cost, costs, total_macs, unused_parameters
from netspec.analysis.field import Field, ReceptiveField, positions_word, sees_all
from netspec.analysis.field_propagation import propagate_fields
from netspec.analysis.graph_of import HasGraph, graph_of
from netspec.analysis.scope_label import MINOR, scope_label
from netspec.dims import Dim, Symbolic
from netspec.gc_pause import gc_paused
from netspec.graph.infer import check_sizes
from netspec.graph.model import Graph, Mode, Node, Scope
from netspec.graph.tree import Group, tree
from netspec.graph.walk import live_nodes, outputs_of
from netspec.report import HIDDEN, TypedReport
from netspec.shape_text import axes_text, without_batch
from netspec.tables import Cell, Table, short
from netspec.types import Tensor


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the layers of a summary; `macs` is None if sizes are open.

    `parameters` counts those that the mode needs, and `parameters_training` all that a module has.
    """

    parameters: int
    parameters_training: int
    buffers: int
    macs: int | None


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """One op of a summary: its path, inputs, and figures.

    `macs` is None if the op does not know its cost, and symbolic if a size is open. `receptive_field` is a mapping by
    input if the network has several inputs, and None if the op depends on no input with spatial axes.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    output_shape: tuple[Dim, ...]
    parameters: int
    macs: Dim | None
    receptive_field: ReceptiveField | Mapping[str, ReceptiveField] | None


@dataclass(frozen=True, eq=False, repr=False)
class Summary(TypedReport):
    """The figures of a network: shapes of inputs and outputs, totals, and one entry for each layer.

    `at` are the sizes of symbols at which totals are computed; `complete` is false if the MACs of an op are unknown.
    """

    network: str
    inputs: Mapping[str, tuple[Dim, ...]]
    outputs: Mapping[str, tuple[Dim, ...]]
    at: Mapping[str, int]
    complete: bool
    totals: Totals
    layers: tuple[LayerSummary, ...]
    graph: Graph = field(metadata=HIDDEN)
    mode: Mode = field(metadata=HIDDEN)

    def table(self, depth: int | None = 1) -> Table:
        """The table of layers, with scopes opened down to `depth`; None gives every op a row of its own."""
        return _table(self, depth)


def summary(network: Graph | HasGraph, mode: Mode = "inference", at: Mapping[str, int] | None = None) -> Summary:
    """Summarise a network: totals, and for each layer its shape, parameters, MACs of one sample and receptive field.

    Totals are for one sample at the inputs' nominal sizes, which `at` can replace. `parameters` and `macs` count the
    nodes that the mode needs, and `parameters_training` all that the module has. Raises ValueError for an unknown mode
    or symbol, and NetspecError for sizes that an op refuses.
    """
    graph = graph_of(network)
    if mode not in ("inference", "train"):
        raise ValueError(f'the mode is "inference" or "train", not {mode!r}')
    unknown = (at or {}).keys() - graph.symbols
    if unknown:
        raise ValueError(f"`{graph.name}` has no symbolic size {', '.join(sorted(unknown))}")
    with gc_paused():
        if at:
            check_sizes(graph, graph.sizes(at))
        return _summary(graph, mode, at or {})


def _summary(graph: Graph, mode: Mode, at: Mapping[str, int]) -> Summary:
    nodes = live_nodes(graph, mode)
    held = costs(graph, at=at)
    live = held if len(nodes) == len(graph.nodes) else costs(graph, nodes, at)
    outputs = outputs_of(graph, mode)
    return Summary(
        network=graph.name,
        inputs={i.name: i.type.shape for i in graph.inputs},
        outputs={o.name: graph.types[o.value].shape for o in graph.outputs if o.value in outputs},
        at={name: size for name, size in graph.sizes(at).items() if name in graph.symbols},
        complete=all(cost.macs is not None for cost in live.values()),
        totals=Totals(
            parameters=sum([cost.parameters for cost in live.values()]),
            parameters_training=sum([cost.parameters for cost in held.values()]),
            buffers=sum([cost.buffers for cost in live.values()]),
            macs=total_macs(live.values()),
        ),
        layers=_layers(graph, nodes, live),
        graph=graph,
        mode=mode,
    )


def _layers(graph: Graph, nodes: Sequence[Node], costs: Mapping[str, Cost]) -> tuple[LayerSummary, ...]:
    fields = propagate_fields(graph)
    several = len(graph.inputs) > 1
    # Elementwise ops pass on the fields of their input, so most fields are shared objects.
    public: dict[int, ReceptiveField | Mapping[str, ReceptiveField] | None] = {}
    layers: list[LayerSummary] = []
    for node in nodes:
        by_input, cost = fields[node.path], costs[node.path]
        key = id(by_input)
        if key not in public:
            public[key] = _public_fields(by_input, several)
        shape = node.types[0].shape
        layers.append(
            LayerSummary(node.path, node.op.opname, node.inputs, shape, cost.parameters, cost.macs, public[key])
        )
    return tuple(layers)


def _public_fields(
    by_input: Mapping[str, Field], several: bool
) -> ReceptiveField | Mapping[str, ReceptiveField] | None:
    """The fields of a value in the form of reports: a mapping if the network has several inputs, else one field."""
    if not by_input:
        return None
    if several:
        return {name: field.public() for name, field in by_input.items()}
    (field,) = by_input.values()
    return field.public()


# The table.

_SEES_NOTE = "sees: the receptive field, size and stride (`/`; none once flattened), in {units} of the input."


def _table(summary: Summary, depth: int | None) -> Table:
    graph = summary.graph
    rows = _Rows({layer.name: layer for layer in summary.layers}, graph, depth)
    for i in graph.inputs:
        rows.add([i.name, "input", rows.shape(i.type), None, None, ""])
    rows.open(tree(graph, live_nodes(graph, summary.mode)), 0)
    units = positions_word([i.type.shape for i in graph.inputs])
    foot: list[Cell] = ["total", "", "", summary.totals.parameters, summary.totals.macs, ""]
    headings = ["layer", "kind", "output", "parameters", "MACs", "sees"]
    # Words have no receptive fields.
    columns = len(headings) if any(row[-1] for row in rows.rows) else len(headings) - 1
    return Table(
        headings[:columns],
        [row[:columns] for row in rows.rows],
        [line for line in (graph.title or graph.name, graph.source) if line],
        [foot[:columns]],
        [
            f"{_parameters_note(summary.totals, unused_parameters(graph))}; {_macs_note(summary)}.",
            MACS_NOTE,
            *([_SEES_NOTE.format(units=units)] if columns == len(headings) else []),
        ],
        spare=("sees", "kind") if columns == len(headings) else ("kind",),
    )


def _parameters_note(totals: Totals, unused: int) -> str:
    note = f"{short(totals.parameters)} parameters ({_bytes_text(totals.parameters * 4)} as float32)"
    if totals.parameters_training - unused != totals.parameters:
        note += f", {short(totals.parameters_training - unused)} in training"
    if unused:
        note += f", {short(unused)} more {UNUSED}"
    if totals.buffers:
        note += f", {short(totals.buffers)} values in buffers"
    return note


def _macs_note(summary: Summary) -> str:
    if summary.totals.macs is None:
        sizes = {str(size) for shape in summary.inputs.values() for size in shape if isinstance(size, Symbolic)}
        if sizes <= summary.at.keys():
            return "MACs are unknown where only the data tell sizes"
        return "MACs are unknown while sizes are open: fix them with `--input`"
    least = "" if summary.complete else "at least "
    at = ", ".join(f"{name} = {size}" for name, size in summary.at.items())
    return f"{least}{short(summary.totals.macs)} MACs" + (f" at {at}" if at else "")


def _bytes_text(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} KB"


class _Rows:
    """Collects the rows of layers and scopes; scopes are opened down to a depth, or all of them if it is None."""

    def __init__(self, layers: Mapping[str, LayerSummary], graph: Graph, depth: int | None) -> None:
        self.rows: list[list[Cell]] = []
        self._layers = layers
        self._types = graph.types
        self._batch = graph.batch
        self._depth = depth

    def add(self, row: list[Cell]) -> list[Cell]:
        self.rows.append(row)
        return row

    def open(self, group: Group, level: int) -> None:
        """Add the rows of the items of a group, and of the items inside them down to the depth."""
        indent = "  " * level
        # The row to which activations and other minor ops are added.
        before: list[Cell] | None = None
        for item in group.items:
            if isinstance(item, Node):
                layer = self._layers[item.path]
                minor = item.op.family in MINOR and layer.macs in (0, None)
                if self._depth is not None and before is not None and minor:
                    before[1] = f"{before[1]} + {item.op.label()}"
                    before[3] = _sum(before[3], layer.parameters)
                    continue
                before = self.add(self._node_row(item, layer, indent))
                continue
            assert item.scope is not None
            before = self.add(self._scope_row(item, item.scope, indent))
            if self._depth is None or level + 1 < self._depth:
                before[3] = before[4] = None
                self.open(item, level + 1)
                before = None

    def _node_row(self, node: Node, layer: LayerSummary, indent: str) -> list[Cell]:
        name, output = indent + node.name, self.shape(node.type)
        return [name, node.op.label(), output, layer.parameters, _macs_cell(layer), _sees(layer.receptive_field)]

    def _scope_row(self, group: Group, scope: Scope, indent: str) -> list[Cell]:
        layers = [self._layers[node.path] for node in group.nodes()]
        parameters: Cell = sum(layer.parameters for layer in layers)
        macs: Cell = 0
        for layer in layers:
            macs = _sum(macs, _macs_cell(layer))
        output = self._types.get(scope.output)
        sees = self._layers.get(scope.output, layers[-1]).receptive_field
        name, label = indent + scope.name, scope_label(group, scope)
        return [name, label, self.shape(output) if output else "", parameters, macs, _sees(sees)]

    def shape(self, tensor: Tensor) -> str:
        """The shape of a value; without the batch, if all inputs have the same."""
        return str(Tensor(tuple(without_batch(tensor.shape, self._batch))))


def _macs_cell(layer: LayerSummary) -> Cell:
    return str(layer.macs) if isinstance(layer.macs, Symbolic) else layer.macs


def _sum(a: Cell, b: Cell) -> Cell:
    """The sum of two figures; None if one of them is unknown or open."""
    return a + b if isinstance(a, int) and isinstance(b, int) else None


def _sees(seen: ReceptiveField | Mapping[str, ReceptiveField] | None) -> str:
    """A receptive field as a cell: `7 /2` for size and stride, `all`, or the reason why there is no size."""
    if seen is None:
        return ""
    if isinstance(seen, Mapping):
        return "; ".join(f"{name} {_sees(field)}" for name, field in seen.items())
    if seen.size[0] is None:
        return seen.note.partition(":")[0]
    if sees_all(seen):
        return "all"
    size = axes_text(seen.size)
    return size if seen.start[0] is None else f"{size} /{axes_text(seen.stride)}"
