"""The report of `netspec rf`: the receptive field of each layer in the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from netspec.analysis.field import BORDER, UNEVEN, Field, Offset, positions_word
from netspec.analysis.field_propagation import propagate_fields
from netspec.analysis.graph_of import HasGraph, graph_of
from netspec.analysis.position_axes import position_axes
from netspec.dims import Dim
from netspec.graph.model import Graph, Mode, Node
from netspec.graph.walk import live_nodes
from netspec.report import HIDDEN, OPTIONAL, TypedReport
from netspec.shape_text import axes_text, common_batch, shape_text, without_batch
from netspec.tables import Cell, Table

_NOTES = (
    "size: {units} of the input that one unit sees, and share: how much of the input that is, at most 100 %.",
    "stride: how far the window moves from one unit to the next. 0: every unit sees the same.",
    "start: where the window of the first unit begins. Below 0 it begins in the padding.",
)
_UNEVEN_NOTE = "No start: behind upsampling units differ, and the size is the most that one sees."
_BORDER_NOTE = "Padding here repeats positions, or a roll brings them around: units at the border see other ones too."


@dataclass(frozen=True, slots=True)
class LayerField:
    """The receptive field of one layer in one input, with one entry for each spatial axis of the input.

    `share` is the part of the input's extent that the field spans, at most 1; None if a size is open.
    """

    name: str
    op: str
    kind: str
    input: str
    output_shape: tuple[Dim, ...]
    size: tuple[Dim | Fraction | None, ...]
    stride: tuple[Offset | None, ...]
    start: tuple[Offset | None, ...]
    note: str = field(metadata=OPTIONAL)
    share: tuple[float | None, ...]


@dataclass(frozen=True, eq=False, repr=False)
class ReceptiveFieldReport(TypedReport):
    """The receptive fields of a network, layer by layer, in each input with spatial axes."""

    network: str
    inputs: Mapping[str, tuple[Dim, ...]]
    layers: tuple[LayerField, ...]
    title: str = field(metadata=HIDDEN)
    sequences: frozenset[str] = field(metadata=HIDDEN)
    """The inputs (N, T, F), of which the last axis has features."""

    def table(self) -> Table:
        """The table of layers; one number stands for all axes if they are equal."""
        maps = {name: shape for name, shape in self.inputs.items() if len(shape) > 2}
        several = len(maps) > 1
        headings = ["layer", "kind", *(["of"] if several else []), "map", "size", "stride", "start", "share"]
        if not maps:
            return Table(headings, [], [f"{self.title}: no receptive fields, since no input has positions on a map"])
        batch = common_batch(self.inputs.values())
        shapes = ", ".join(f"{name} {shape_text(without_batch(shape, batch))}" for name, shape in maps.items())
        notes = [
            *[note.format(units=positions_word(self.inputs.values())) for note in _NOTES],
            *([_UNEVEN_NOTE] if any(layer.note == UNEVEN for layer in self.layers) else []),
            *([_BORDER_NOTE] if any(layer.note == BORDER for layer in self.layers) else []),
        ]
        title = [f"{self.title}: receptive fields in {shapes}"]
        return Table(
            headings, [_row(layer, several, layer.input in self.sequences) for layer in self.layers], title, notes=notes
        )


def receptive_fields(network: Graph | HasGraph, mode: Mode = "inference", every: bool = False) -> ReceptiveFieldReport:
    """The receptive fields of the layers that change them, or of all nodes with `every`, in each input."""
    graph = graph_of(network)
    fields = propagate_fields(graph)
    inputs = {i.name: i.type for i in graph.inputs}
    positions = {name: position_axes(graph, name) for name in inputs}
    layers = [
        _layer(node, name, field, [inputs[name].at(graph.nominal).shape[axis] for axis in positions[name]])
        for node in live_nodes(graph, mode)
        for name, field in fields[node.path].items()
        if every or _changes(node, fields, name)
    ]
    shapes = {name: type.shape for name, type in inputs.items()}
    sequences = frozenset(name for name, axes in positions.items() if axes == (1,))
    return ReceptiveFieldReport(graph.name, shapes, tuple(layers), graph.title or graph.name, sequences)


def _changes(node: Node, fields: Mapping[str, Mapping[str, Field]], name: str) -> bool:
    """Whether a node's receptive field differs from those of all values that it reads."""
    before = [fields.get(value, {}).get(name) for value in node.inputs]
    seen = fields[node.path][name].public()
    return all(field is None or field.public() != seen for field in before)


def _layer(node: Node, name: str, field: Field, extent: Sequence[Dim]) -> LayerField:
    seen = field.public()
    share = tuple([_share(size, whole) for size, whole in zip(seen.size, extent, strict=True)])
    return LayerField(
        node.path,
        node.op.opname,
        node.op.label(),
        name,
        node.type.shape,
        seen.size,
        seen.stride,
        seen.start,
        seen.note,
        share,
    )


def _share(size: Dim | Fraction | None, whole: Dim) -> float | None:
    if isinstance(size, int | Fraction) and isinstance(whole, int):
        return round(min(1.0, float(size / whole)), 4)
    return None


def _row(layer: LayerField, several: bool, of_sequence: bool) -> list[Cell]:
    return [
        layer.name,
        layer.kind,
        *([layer.input] if several else []),
        shape_text(layer.output_shape[1:2] if of_sequence else _map_of(layer)),
        layer.note.partition(":")[0] if layer.size[0] is None else _axes(layer.size),
        _axes(layer.stride),
        _axes(layer.start),
        _axes([None if share is None else f"{100 * share:.0f} %" for share in layer.share]),
    ]


def _map_of(layer: LayerField) -> Sequence[Dim]:
    """The sizes behind the channels; of a sequence that an image became, which has none, all but the batch."""
    shape = layer.output_shape
    return shape[2:] if len(shape) in (2, 2 + len(layer.size)) else shape[1:]


def _axes(entries: Sequence[object]) -> str:
    return axes_text(["-" if entry is None else entry for entry in entries], times=" x ")
