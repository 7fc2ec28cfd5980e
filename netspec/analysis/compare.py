"""The report of `netspec summary A B C`: several networks side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from netspec.analysis.cost import MACS_NOTE
from netspec.analysis.field import ReceptiveField, sees_all
from netspec.analysis.graph_of import HasGraph
from netspec.analysis.summary import Summary, summary
from netspec.dims import Dim
from netspec.graph.model import Graph, Mode
from netspec.graph.paths import node_of
from netspec.report import TypedReport
from netspec.shape_text import axes_text, common_batch, shape_text, without_batch
from netspec.tables import Cell, Table


@dataclass(frozen=True, slots=True)
class NetworkTotals:
    """The totals of one network in a comparison.

    `depth` is the number of layers with multiply-accumulates on the longest path from an input to an output, as papers
    count the layers of VGG-19 and ResNet-50. `receptive_field` is that of the last map of positions; None if there
    is none, or if there are several inputs. The other figures are those of the summary.
    """

    network: str
    title: str
    inputs: Mapping[str, tuple[Dim, ...]]
    outputs: Mapping[str, tuple[Dim, ...]]
    at: Mapping[str, int]
    ops: int
    depth: int
    parameters: int
    parameters_training: int
    macs: int | None
    complete: bool
    receptive_field: ReceptiveField | None


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(TypedReport):
    """Networks side by side: shapes of inputs and outputs, depth, ops, parameters, MACs, and receptive field."""

    mode: Mode
    networks: tuple[NetworkTotals, ...]

    def table(self) -> Table:
        """The table of the comparison, with a row for each network."""
        notes = [
            MACS_NOTE,
            "depth: layers with MACs on the longest way. sees: size and stride (`/`) of a unit of the last map.",
        ]
        if not all(network.complete for network in self.networks):
            notes.append("MACs of some ops are unknown: totals with such ops are at least.")
        headings = ["network", "input", "output", "depth", "ops", "parameters", "MACs", "sees"]
        return Table(headings, [_row(network) for network in self.networks], notes=notes)


def compare(networks: Iterable[Graph | HasGraph], mode: Mode = "inference") -> Comparison:
    """Compare several networks by their totals."""
    return Comparison(mode, tuple([_totals(summary(network, mode)) for network in networks]))


def _totals(summary: Summary) -> NetworkTotals:
    return NetworkTotals(
        network=summary.network,
        title=summary.graph.title,
        inputs=summary.inputs,
        outputs=summary.outputs,
        at=summary.at,
        ops=len(summary.layers),
        depth=_depth(summary),
        parameters=summary.totals.parameters,
        parameters_training=summary.totals.parameters_training,
        macs=summary.totals.macs,
        complete=summary.complete,
        receptive_field=_field_of_last_map(summary),
    )


def _field_of_last_map(summary: Summary) -> ReceptiveField | None:
    """The last field that slides over the input, or that of a later map each of whose units sees all of it.

    Such maps are behind gates and attention; a map of one position is no map.
    """
    last: ReceptiveField | None = None
    for layer in summary.layers:
        field, is_map = layer.receptive_field, sum(size != 1 for size in layer.output_shape[1:]) > 1
        if isinstance(field, ReceptiveField) and (_is_window(field) or (sees_all(field) and is_map)):
            last = field
    return last


def _is_window(field: ReceptiveField) -> bool:
    """Whether a receptive field slides over the input, with the same size and stride for every unit."""
    entries = (*field.size, *field.stride)
    return entries != () and all(entry is not None and entry != 0 for entry in entries)


def _depth(summary: Summary) -> int:
    """The largest number of layers with MACs on a path from an input; an op with unknown MACs counts."""
    depth = dict.fromkeys(summary.inputs, 0)
    for layer in summary.layers:
        depth[layer.name] = max(depth[node_of(value)] for value in layer.inputs) + (layer.macs != 0)
    return max(depth.values())


def _row(network: NetworkTotals) -> list[Cell]:
    field, batch = network.receptive_field, common_batch(network.inputs.values())
    return [
        network.network,
        _shapes(network.inputs, batch),
        _shapes(network.outputs, batch),
        network.depth,
        network.ops,
        network.parameters,
        network.macs,
        None if field is None else "all" if sees_all(field) else f"{axes_text(field.size)} /{axes_text(field.stride)}",
    ]


def _shapes(shapes: Mapping[str, tuple[Dim, ...]], batch: Dim | None) -> str:
    return ", ".join(shape_text(without_batch(shape, batch)) for shape in shapes.values())
