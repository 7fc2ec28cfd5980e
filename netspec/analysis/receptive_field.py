"""Receptive fields: the part of an input that one unit of a value can see.

Per spatial axis an exact map from a unit's index to an interval of the input: `size` positions from
`stride * index + start`, padding included, as in Araujo, Norris & Sim, "Computing Receptive Fields of
Convolutional Neural Networks", Distill 2019. What sees everything has stride 0 and the input's extent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from netspec.dims import Dim
from netspec.graph.model import Graph, Node
from netspec.types import Reach, Window

Offset = int | Fraction


@dataclass(frozen=True, slots=True)
class Field:
    """A receptive field: one entry per spatial axis; `note` says why an entry is None."""

    size: tuple[Dim | Fraction | None, ...]
    stride: tuple[Offset | None, ...]
    start: tuple[Offset | None, ...]
    note: str = ""


MISALIGNED = "misaligned: branches of different strides meet here"
VARIES = "varies: windows of different sizes"
DATA = "data-dependent"
UNPLACED = "unplaced: the unit's index does not tell where"


def receptive_fields(graph: Graph, origin: str | None = None) -> dict[str, dict[str, Field]]:
    """For every value, its receptive field in each input it depends on that has spatial axes.

    With `origin`, a value's name, fields are measured there instead of at the inputs.
    """
    types = graph.types
    found: dict[str, dict[str, Field]] = {}
    begins = [origin] if origin is not None else [i.name for i in graph.inputs]
    for value in begins:
        axes = len(types[value].spatial)
        found[value] = {value: Field((1,) * axes, (1,) * axes, (0,) * axes)} if axes else {}
    extents = {value: types[value].spatial for value in begins}
    for node in graph.nodes:
        if node.path == origin:
            continue
        sources = [fields for fields in (found.get(value) for value in node.inputs) if fields]
        if not sources:
            found[node.path] = {}
            continue
        seen = _through(node, graph, sources, extents)
        for value, _ in node.values() if len(node.types) > 1 else ((node.path, None),):
            found[value] = seen
    return found


def _through(
    node: Node, graph: Graph, sources: list[dict[str, Field]], extents: Mapping[str, tuple[Dim, ...]]
) -> dict[str, Field]:
    window = node.op.window(*graph.input_types(node))
    if len(sources) == 1:
        if window is Reach.POINT:
            return sources[0]
        return {name: _seen(field, window, extents[name]) for name, field in sources[0].items()}
    merged: dict[str, Field] = {}
    for fields in sources:
        for name, field in fields.items():
            seen = _seen(field, window, extents[name])
            merged[name] = _union(merged[name], seen, extents[name]) if name in merged else seen
    return merged


def _seen(field: Field, window: Window | Reach, extent: tuple[Dim, ...]) -> Field:
    if window is Reach.POINT:
        return field
    if window is Reach.ALL:
        return _everything(extent)
    if field == _everything(extent):
        return field
    if window is Reach.UNPLACED:
        if field.note:
            return field
        none = (None,) * len(field.size)
        return Field(field.size, none, none, UNPLACED)
    if window is Reach.VARIES or window is Reach.DATA:
        return _unknown(VARIES if window is Reach.VARIES else DATA, len(field.size))
    if field.note:
        return _unknown(field.note, len(field.size))
    assert isinstance(window, Window)
    if len(window.size) != len(field.size):
        return _unknown(UNPLACED, len(field.size))
    size: list[Dim | Fraction | None] = []
    stride: list[Offset | None] = []
    start: list[Offset | None] = []
    for axis, (own, step, begin) in enumerate(zip(field.size, field.stride, field.start, strict=True)):
        assert own is not None
        assert step is not None
        assert begin is not None
        reach = step * (window.size[axis] - 1)
        size.append(_whole(own + reach if isinstance(own, Fraction) else own + _int(reach)))
        stride.append(_whole_offset(step * window.stride[axis]))
        start.append(_whole_offset(begin + step * window.start[axis]))
    return Field(tuple(size), tuple(stride), tuple(start))


def _union(a: Field, b: Field, extent: tuple[Dim, ...]) -> Field:
    """What either sees: an interval where both move alike, else no one interval."""
    if a == b:
        return a
    everything = _everything(extent)
    if everything in (a, b):
        return everything
    for field in (a, b):
        if field.note:
            return field if field.size[0] is None else _unknown(UNPLACED, len(field.size))
    if a.stride != b.stride:
        return _unknown(MISALIGNED, len(a.size))
    size: list[Dim | Fraction | None] = []
    start: list[Offset | None] = []
    for axis in range(len(a.size)):
        (size_a, start_a), (size_b, start_b) = (_placed(f, axis) for f in (a, b))
        begin = min(start_a, start_b)
        start.append(_whole_offset(begin))
        size.append(_whole(max(start_a + size_a, start_b + size_b) - begin))
    return Field(tuple(size), a.stride, tuple(start))


def _placed(field: Field, axis: int) -> tuple[Offset, Offset]:
    size, start = field.size[axis], field.start[axis]
    assert isinstance(size, int | Fraction)
    assert start is not None
    return size, start


def _everything(extent: tuple[Dim, ...]) -> Field:
    return Field(extent, (0,) * len(extent), (0,) * len(extent))


def _unknown(note: str, axes: int) -> Field:
    none = (None,) * axes
    return Field(none, none, none, note)


def _int(value: Offset) -> int:
    assert value == int(value)
    return int(value)


def _whole(value: Dim | Fraction) -> Dim | Fraction:
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value


def _whole_offset(value: Offset) -> Offset:
    return int(value) if value == int(value) else value


def plain_field(field: Field) -> dict[str, object]:
    """A receptive field for JSON: ints, fractions as text, None where there is no such number, with the reason."""

    def plain(entry: Dim | Fraction | None) -> int | str | None:
        return entry if entry is None or isinstance(entry, int) else str(entry)

    found: dict[str, object] = {
        "size": [plain(entry) for entry in field.size],
        "stride": [plain(entry) for entry in field.stride],
        "start": [plain(entry) for entry in field.start],
    }
    if field.note:
        found["note"] = field.note
    return found
