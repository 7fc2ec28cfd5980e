"""The report of `netspec memory`: bytes of weights and activations, layer by layer, and their peak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from netspec.analysis.cost import UNUSED, unused_parameters
from netspec.analysis.graph_of import HasGraph, graph_of
from netspec.analysis.memory_model import (
    DType,
    Optimizer,
    PassMemory,
    batch_sizes,
    fixed_batch,
    simulate_pass,
)
from netspec.analysis.scope_label import scope_label
from netspec.dims import Dim
from netspec.graph.model import Graph, Mode, Node
from netspec.graph.tree import Group, tree
from netspec.graph.walk import live_nodes
from netspec.report import HIDDEN, TypedReport
from netspec.shape_text import shape_text, without_batch
from netspec.tables import Cell, Table, bar

_UNITS = (("MB", 6), ("KB", 3))
"""The units of tables, with their power of ten: the first that makes the peak at least 10 is used, else the last."""
_MODEL = (
    "{unit}: 10^{power} bytes. What an allocator rounds up to, and workspaces of cuDNN and others, come on top.",
    "new: memory the layer takes for its output. live: all that is held while it runs, weights and inputs included;",
    "the bars leave those out.",
)
_INFERENCE = (
    "A value is freed after its last use, as compilers and ONNX Runtime do; eager PyTorch also holds the input of a",
    "block until the block returns.",
)
_TRAINING = (
    "kept: what the layer alone keeps until the backward pass. The peak counts gradients as they come and go.",
)
_OPTIMIZER_NAMES: Mapping[Optimizer, str] = {"none": "no optimizer", "sgd": "SGD with momentum", "adam": "Adam"}


@dataclass(frozen=True, slots=True)
class MemoryTotals:
    """Totals of a pass in bytes: weights, gradients, optimizer state, inputs, values kept for backward, and peak."""

    parameters: int
    buffers: int
    gradients: int
    optimizer: int
    inputs: int
    kept: int
    peak: int

    @property
    def always(self) -> int:
        """The bytes that are held during the whole pass."""
        return self.parameters + self.buffers + self.optimizer + self.inputs


@dataclass(frozen=True, slots=True)
class LayerMemory:
    """The bytes of an op: `new` for its output (0 for a view), `kept` for backward, `live` for all while it runs."""

    name: str
    op: str
    output_shape: tuple[Dim, ...]
    new: int
    kept: int
    live: int


@dataclass(frozen=True, eq=False, repr=False)
class MemoryReport(TypedReport):
    """The memory of one pass in bytes, layer by layer and in total; lower bounds if `complete` is false."""

    network: str
    mode: Mode
    batch: int
    dtype: DType
    optimizer: Optimizer
    complete: bool
    totals: MemoryTotals
    peak_at: str
    layers: tuple[LayerMemory, ...]
    graph: Graph = field(metadata=HIDDEN)
    sizes: Mapping[str, int] = field(metadata=HIDDEN)
    """The sizes of the symbols other than the batch."""

    def table(self) -> Table:
        """The table of the steps of the network's body, with bars for the bytes held while each runs."""
        return _table(self)


def memory(
    network: Graph | HasGraph,
    mode: Mode = "inference",
    *,
    batch: int = 1,
    dtype: DType = "float32",
    optimizer: Optimizer = "none",
    at: Mapping[str, int] | None = None,
) -> MemoryReport:
    """The memory of a pass by layer, and totals: weights, gradients, optimizer state, inputs, activations, peak.

    `batch` is the size of the inputs' first axis if that is symbolic; other symbols have their nominal sizes, or those
    in `at`. If an op does not say what it holds, `complete` is false, and the figures are lower bounds. Raises
    NetspecError NS305 if a size is open.
    """
    graph = graph_of(network)
    held = simulate_pass(graph, mode, batch=batch, dtype=dtype, optimizer=optimizer, at=at)
    return MemoryReport(
        network=graph.name,
        mode=mode,
        batch=fixed_batch(graph) or batch,
        dtype=dtype,
        optimizer=optimizer if mode == "train" else "none",
        complete=not held.unknown,
        totals=MemoryTotals(
            parameters=held.parameters,
            buffers=held.buffers,
            gradients=held.gradients,
            optimizer=held.optimizer,
            inputs=held.inputs,
            kept=held.kept,
            peak=held.peak,
        ),
        peak_at=held.peak_at,
        layers=tuple([_layer(node, held) for node in live_nodes(graph, mode)]),
        graph=graph,
        sizes=_sizes_beside_batch(graph, batch, at or {}),
    )


def _sizes_beside_batch(graph: Graph, batch: int, at: Mapping[str, int]) -> dict[str, int]:
    of_batch = batch_sizes(graph, batch)
    sizes = graph.sizes({**at, **of_batch})
    return {symbol: size for symbol, size in sizes.items() if symbol in graph.symbols - of_batch.keys()}


def _layer(node: Node, held: PassMemory) -> LayerMemory:
    use = held.nodes[node.path]
    return LayerMemory(node.path, node.op.opname, node.type.shape, use.output, use.kept, use.live)


# The table.


def _table(report: MemoryReport) -> Table:
    graph, train = report.graph, report.mode == "train"
    unit, power = next((u for u in _UNITS if report.totals.peak >= 10 * 10 ** u[1]), _UNITS[-1])
    columns = ["new", *(["kept"] if train else []), "live"]
    headings = ["layer", "kind", "output", *(f"{column} {unit}" for column in columns), ""]
    what = f"training, {_OPTIMIZER_NAMES[report.optimizer]}" if train else "inference"
    sizes = "".join(f", {symbol} = {size}" for symbol, size in report.sizes.items())
    title = f"{graph.title or graph.name}: memory of {what}, batch {report.batch}{sizes}, {report.dtype}"
    unused = unused_parameters(graph)
    notes = [
        f"Most is held in {report.peak_at}.",
        _MODEL[0].format(unit=unit, power=power),
        *_MODEL[1:],
        *(_TRAINING if train else _INFERENCE),
        *([f"A module holds {unused:,} more parameters {UNUSED}."] if unused else []),
    ]
    return Table(headings, _rows(report, 10**power), [title], _foot(report, len(headings), 10**power), notes)


def _rows(report: MemoryReport, unit: int) -> list[Sequence[Cell]]:
    """A row for each step of the network's body; the longest bar is that of the layer that holds most."""
    by_name = {layer.name: layer for layer in report.layers}
    always = report.totals.always
    most = max((layer.live - always for layer in report.layers), default=0) or 1
    rows: list[Sequence[Cell]] = []
    for item in tree(report.graph, live_nodes(report.graph, report.mode)).items:
        layers = [by_name[node.path] for node in ([item] if isinstance(item, Node) else item.nodes())]
        kept = [sum(layer.kept for layer in layers)] if report.mode == "train" else []
        live = max(layer.live for layer in layers)
        sizes = [sum(layer.new for layer in layers), *kept, live]
        rows.append([*_labels(report.graph, item), *(size / unit for size in sizes), bar((live - always) / most)])
    return rows


def _labels(graph: Graph, item: Node | Group) -> list[Cell]:
    """The name, kind and output shape of a step of the network's body."""
    if isinstance(item, Node):
        return [item.name, item.op.label(), _output_text(item.path, graph)]
    assert item.scope is not None
    return [item.scope.name, scope_label(item, item.scope), _output_text(item.scope.output, graph)]


def _output_text(value: str, graph: Graph) -> str:
    type = graph.types.get(value)
    return "" if type is None else shape_text(without_batch(type.shape, graph.batch))


def _foot(report: MemoryReport, columns: int, unit: int) -> list[Sequence[Cell]]:
    """The rows of totals: weights, gradients, optimizer state, inputs, values kept for backward, and the peak."""
    totals = report.totals
    lines = [
        ("weights", "parameters and buffers", totals.parameters + totals.buffers),
        ("gradients", "of the parameters", totals.gradients),
        ("optimizer", report.optimizer, totals.optimizer),
        ("inputs", "", totals.inputs),
        ("kept", "for the backward pass", totals.kept),
        ("peak", "at least" if not report.complete else "", totals.peak),
    ]
    blank: list[Cell] = [""] * (columns - 4)
    return [[name, kind, *blank, size / unit, ""] for name, kind, size in lines if size or name in ("weights", "peak")]
