"""Receptive fields: the part of an input that one unit of a value can see.

Per spatial axis an exact map from a unit's index to an interval of the input: `size` positions from
`stride * index + start`, padding included, as in Araujo, Norris & Sim, "Computing Receptive Fields of
Convolutional Neural Networks", Distill 2019. What sees everything has stride 0 and the input's extent.

Behind upsampling the map is exact too, in `spans`: there units differ in what they see, and where no one size and start
hold for all, a field tells the most that any sees, the stride on average, and why it has no start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from netspec.analysis.spans import Spans
from netspec.dims import MAX_SIZE, Dim
from netspec.graph.model import Graph
from netspec.types import Reach, Upsampling, Window

Offset = int | Fraction


@dataclass(frozen=True, slots=True)
class Field:
    """A receptive field: one entry per spatial axis; `note` says why an entry is None, `spans` what units see apart."""

    size: tuple[Dim | Fraction | None, ...]
    stride: tuple[Offset | None, ...]
    start: tuple[Offset | None, ...]
    note: str = ""
    spans: tuple[Spans, ...] = ()


MISALIGNED = "misaligned: branches of different strides meet here"
VARIES = "varies: windows of different sizes"
DATA = "data-dependent"
TOO_LARGE = "too large: more than 2**63 - 1 positions"
UNEVEN = "uneven: behind upsampling units differ, and this is the most that one sees"
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
    windows: dict[tuple[int, ...], Window | Upsampling | Reach] = {}
    for node in graph.nodes:
        if node.path == origin:
            continue
        inputs = [types[value] for value in node.inputs]
        # Few pairs of op and input types are different objects.
        key = (id(node.op), *map(id, inputs))
        window = windows.get(key)
        if window is None:
            window = windows[key] = node.op.window(*inputs)
        sources = [fields for value in node.inputs[: node.op.reads] if (fields := found.get(value))]
        seen = _through(window, sources, extents) if sources else {}
        found[node.path] = seen
        if len(node.types) > 1:
            found.update((value, seen) for value, _ in node.values())
    return found


def _through(
    window: Window | Upsampling | Reach, sources: list[dict[str, Field]], extents: Mapping[str, tuple[Dim, ...]]
) -> dict[str, Field]:
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


def _seen(field: Field, window: Window | Upsampling | Reach, extent: tuple[Dim, ...]) -> Field:
    if window is Reach.POINT:
        return field
    if window is Reach.ALL:
        return _everything(extent)
    if field == _everything(extent):
        return field
    if window is Reach.UNPLACED:
        if field.note and not field.spans:
            return field
        none = (None,) * len(field.size)
        return Field(field.size, none, none, UNPLACED)
    if window is Reach.VARIES or window is Reach.DATA:
        return _unknown(VARIES if window is Reach.VARIES else DATA, len(field.size))
    if field.note and not field.spans:
        return _unknown(field.note, len(field.size))
    if len(window.axes if isinstance(window, Upsampling) else window.size) != len(field.size):
        return _unknown(UNPLACED, len(field.size))
    if field.spans or isinstance(window, Upsampling):
        return _upsampled(field, window)
    axes = zip(field.size, field.stride, field.start, window.size, window.stride, window.start, strict=True)
    size: list[Any] = []
    stride: list[Any] = []
    start: list[Any] = []
    # A field without a note has a number in every place.
    for own, step, begin, window_size, window_stride, window_start in axes:
        size.append(_whole(own + step * (window_size - 1)))  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]
        stride.append(_whole(step * window_stride))  # pyright: ignore[reportOptionalOperand]
        start.append(_whole(begin + step * window_start))  # pyright: ignore[reportOptionalOperand]
    if max((*size, *stride), default=0) > MAX_SIZE:
        return _unknown(TOO_LARGE, len(size))
    return Field(tuple(size), tuple(stride), tuple(start))


def _upsampled(field: Field, window: Window | Upsampling) -> Field:
    before = _spans(field)
    if before is None:
        return _unknown(VARIES, len(field.size))
    if isinstance(window, Upsampling):
        return _of_spans([own.behind_upsampling(axis) for own, axis in zip(before, window.axes, strict=True)], VARIES)
    found: list[Spans | None] = []
    for own, size, step, start in zip(before, window.size, window.stride, window.start, strict=True):
        if isinstance(step, int) and isinstance(start, int):
            found.append(own.behind_window(size, step, start))
        else:
            found.append(None)
    return _of_spans(found, VARIES)


def _spans(field: Field) -> tuple[Spans, ...] | None:
    """A field as spans: one for all units where they see alike; None where it has fractions already."""
    if field.spans:
        return field.spans
    found: list[Spans] = []
    for size, stride, start in zip(field.size, field.stride, field.start, strict=True):
        if not (isinstance(size, int) and isinstance(stride, int) and isinstance(start, int)):
            return None
        found.append(Spans(stride, ((start, start + size - 1),)))
    return tuple(found)


def _of_spans(spans: Sequence[Spans | None], why_not: str) -> Field:
    """Spans as a field: with a start where all units see alike; `why_not` says why an axis has no spans."""
    known = tuple(axis for axis in spans if axis is not None)
    if len(known) < len(spans):
        return _unknown(why_not, len(spans))
    sizes, strides = tuple(axis.size for axis in known), tuple(_whole(axis.stride) for axis in known)
    if max((*sizes, *strides), default=0) > MAX_SIZE:
        return _unknown(TOO_LARGE, len(spans))
    starts = [axis.each[0] for axis in known]
    if all(axis.even for axis in known):
        return Field(sizes, strides, tuple(start[0] for start in starts if start is not None))
    return Field(sizes, strides, (None,) * len(known), UNEVEN, known)


def _union(a: Field, b: Field, extent: tuple[Dim, ...]) -> Field:
    """What either sees: an interval where both move alike, else no one interval."""
    if a == b:
        return a
    everything = _everything(extent)
    if everything in (a, b):
        return everything
    for field in (a, b):
        if field.note and not field.spans:
            return field if field.size[0] is None else _unknown(UNPLACED, len(field.size))
    if a.spans or b.spans:
        pairs = zip(_spans(a) or (), _spans(b) or (), strict=False)
        found = [own.with_other(other) for own, other in pairs] or [None] * len(a.size)
        return _of_spans(found, MISALIGNED)
    if a.stride != b.stride:
        return _unknown(MISALIGNED, len(a.size))
    size: list[Dim | Fraction | None] = []
    start: list[Offset | None] = []
    for axis in range(len(a.size)):
        (size_a, start_a), (size_b, start_b) = (_placed(f, axis) for f in (a, b))
        begin = min(start_a, start_b)
        start.append(_whole(begin))
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


def _whole(value: Any) -> Any:
    """A fraction that is whole as an int."""
    return int(value) if type(value) is Fraction and value.denominator == 1 else value


def is_one_field(plain: Mapping[str, Any]) -> bool:
    """Whether a layer's entry in a report is one field, and not a field for each input, one of which is `size`."""
    return isinstance(plain.get("size"), list)


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
