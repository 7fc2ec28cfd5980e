"""Receptive fields: the part of an input that one unit of a value can see.

Per spatial axis an exact map from a unit's index to an interval of the input: `size` positions from
`stride * index + start`, padding included, as in Araujo, Norris & Sim, "Computing Receptive Fields of
Convolutional Neural Networks", Distill 2019. What sees everything has stride 0 and the input's extent.

Behind upsampling the map is exact too, in `spans`: there units differ in what they see, and where no one size and start
hold for all, a field tells the most that any sees, the stride on average, and why it has no start.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from netspec.analysis.intervals import Spans
from netspec.dims import MAX_DIM, Dim
from netspec.graph.memo import NodeMemo
from netspec.graph.model import Graph, Node
from netspec.ops.base import AxisOrigins
from netspec.types import Reach, Tensor, Upsampling, Window

Offset = int | Fraction


@dataclass(frozen=True, slots=True)
class Field:
    """A receptive field: one entry per spatial axis of the input; `note` says why an entry is None.

    `spans` is what units see apart. `places` are the axes of the value along which units see further on in each axis of
    the input, where they are not axes 2, 3 ... of both, and LOST where there is none; those that are lost may be among
    the axes `among`. `border`: units at the border see other positions than those that the entries tell.
    """

    size: tuple[Dim | Fraction | None, ...]
    stride: tuple[Offset | None, ...]
    start: tuple[Offset | None, ...]
    note: str = ""
    spans: tuple[Spans, ...] = ()
    places: tuple[int, ...] = dataclasses.field(default=(), compare=False)
    border: bool = False
    among: frozenset[int] = dataclasses.field(default=frozenset(), compare=False)


LOST = -1

MISALIGNED = "misaligned: branches of different strides meet here"
VARIES = "varies: windows of different sizes"
DATA_DEPENDENT = "data-dependent"
TOO_LARGE = "too large: more than 2**63 - 1 positions"
UNEVEN = "uneven: behind upsampling units differ, and this is the most that one sees"
BORDER = "border: padding repeats positions of the map there, so that units see other ones than these"
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
    step_of = NodeMemo(graph, _step)
    for node in graph.nodes:
        if node.path == origin:
            continue
        inputs = [types[value] for value in node.inputs]
        step = step_of(node)
        sources = [fields for value in node.inputs[: node.op.reads] if (fields := found.get(value))]
        if sources and step.window is Reach.POINT and len(set(inputs)) > 1:
            sources = [
                {name: _spread(field, types[value], node.type, extents[name]) for name, field in fields.items()}
                for value in node.inputs[: node.op.reads]
                if (fields := found.get(value))
            ]
        seen = _through(step, sources, extents) if sources else {}
        found[node.path] = seen
        if len(node.types) > 1:
            found.update((value, seen) for value, _ in node.values())
    return found


@dataclass(frozen=True, slots=True)
class _Step:
    """What an op says on inputs of some types."""

    window: Window | Upsampling | Reach
    axes: AxisOrigins | None
    mixed: tuple[int, ...]
    inputs: Sequence[Tensor]
    outputs: range


def _step(node: Node, inputs: tuple[Tensor, ...]) -> _Step:
    op = node.op
    return _Step(op.window(*inputs), op.axes(*inputs), op.mixed(*inputs), inputs, range(node.type.rank))


def _through(step: _Step, sources: list[dict[str, Field]], extents: Mapping[str, tuple[Dim, ...]]) -> dict[str, Field]:
    if len(sources) == 1:
        return {name: _seen(field, step, extents[name]) for name, field in sources[0].items()}
    merged: dict[str, Field] = {}
    for fields in sources:
        for name, field in fields.items():
            seen = _seen(field, step, extents[name])
            merged[name] = _union(merged[name], seen, extents[name]) if name in merged else seen
    return merged


def _spread(field: Field, x: Tensor, y: Tensor, extent: tuple[Dim, ...]) -> Field:
    """The field of a value whose one place on an axis is there for all places of a larger output, as a gate's is."""
    places = field.places or tuple(range(2, 2 + len(field.size)))
    spread = [n for n, a in enumerate(places) if 0 <= a < x.rank == y.rank and x.shape[a] == 1 and y.shape[a] != 1]
    if not spread or field == _everything(extent):
        return field
    if field.note:
        return _unknown(field.note if not field.spans else VARIES, len(field.size))
    size, stride, start = list(field.size), list(field.stride), list(field.start)
    for n in spread:
        whole, stride[n] = extent[n], 0
        own, first = _placed(field, n) if isinstance(field.size[n], int | Fraction) else (0, 1)
        if isinstance(whole, int) and first <= 0 and first + own >= whole:
            size[n], start[n] = whole, 0
    return replace(field, size=tuple(size), stride=tuple(stride), start=tuple(start))


def _seen(field: Field, step: _Step, extent: tuple[Dim, ...]) -> Field:
    window = step.window
    if window is Reach.POINT and not field.places:
        return field
    if field == _everything(extent):
        return field
    if step.axes is not None and (field.places or window is Reach.UNPLACED):
        return _moved(field, step.axes, step.mixed, step.inputs[0], extent)
    if window is Reach.ALL:
        # What depends on the data does so behind a global op too.
        return _unknown(DATA_DEPENDENT, len(extent)) if field.note == DATA_DEPENDENT else _everything(extent)
    if window is Reach.POINT or window is Reach.UNPLACED:
        # What such an op does along the axis of channels is not known, and that may be another axis of the input.
        return _unknown(field.note or UNPLACED, len(extent)) if field.places else _unplaced(field, step.outputs)
    if window is Reach.VARIES or window is Reach.DATA:
        return _unknown(VARIES if window is Reach.VARIES else DATA_DEPENDENT, len(field.size))
    if field.note and not field.spans:
        return _unknown(field.note, len(field.size))
    if len(window.axes if isinstance(window, Upsampling) else window.size) != len(field.size):
        return _unknown(UNPLACED, len(field.size))
    if field.places:
        return _turned(field, step, extent)
    if field.spans or isinstance(window, Upsampling):
        border = field.border or (isinstance(window, Window) and window.border)
        return replace(_upsampled(field, window), border=border)
    axes = zip(field.size, field.stride, field.start, window.size, window.stride, window.start, strict=True)
    size: list[Any] = []
    stride: list[Any] = []
    start: list[Any] = []
    # A field without a note has a number in every place.
    for own, step, begin, window_size, window_stride, window_start in axes:
        size.append(_whole(own + step * (window_size - 1)))  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]
        stride.append(_whole(step * window_stride))  # pyright: ignore[reportOptionalOperand]
        start.append(_whole(begin + step * window_start))  # pyright: ignore[reportOptionalOperand]
    if max((*size, *stride), default=0) > MAX_DIM:
        return _unknown(TOO_LARGE, len(size))
    return Field(tuple(size), tuple(stride), tuple(start), border=field.border or window.border)


def _turned(field: Field, step: _Step, extent: tuple[Dim, ...]) -> Field:
    """A field behind a window where the axes of the map stand in another order; unknown where others are among them."""
    order = [place - 2 for place in field.places]
    if sorted(order) != list(range(len(order))):
        return _unknown(UNPLACED, len(order))

    def take(field: Field, order: Sequence[int]) -> Field:
        entries = {name: tuple([getattr(field, name)[n] for n in order]) for name in ("size", "stride", "start")}
        return replace(field, **entries, spans=tuple([field.spans[n] for n in order if field.spans]), places=())

    back = [order.index(n) for n in range(len(order))]
    seen = _seen(take(field, back), step, extent)
    return seen if seen.places else replace(take(seen, order), places=field.places)


def _unplaced(field: Field, among: Iterable[int]) -> Field:
    """What units see whose index no longer tells where: as much as before."""
    if field.note and not field.spans:
        return field
    none = (None,) * len(field.size)
    return Field(field.size, none, none, UNPLACED, places=(LOST,) * len(field.size), among=frozenset(among))


def _moved(field: Field, axes: AxisOrigins, mixed: tuple[int, ...], x: Tensor, extent: tuple[Dim, ...]) -> Field:
    """A field behind an op that moves axes, makes some one, or sees some whole."""
    own = field.places or tuple(range(2, 2 + len(field.size)))
    size, stride, start = list(field.size), list(field.stride), list(field.start)
    places: list[int] = []
    exact = True
    for entry, axis in enumerate(own):
        place, alone = _place_of(axis, axes, x)
        places.append(place)
        if axis in mixed:
            size[entry], stride[entry], start[entry] = extent[entry], 0, 0
        exact = exact and (alone or axis in mixed)
    if set(own) <= {*mixed}:
        return _unknown(DATA_DEPENDENT, len(extent)) if field.note == DATA_DEPENDENT else _everything(extent)
    if field.among & {*mixed}:
        return _unknown(field.note, len(extent))
    among = _among(field.among if LOST in own else own, axes) if LOST in places else frozenset[int]()
    if field.note and not field.spans:
        known = field.size[0] is not None
        return replace(field, size=tuple(size) if known else field.size, places=tuple(places), among=among)
    if not exact:
        return replace(_unplaced(replace(field, size=tuple(size)), among), places=tuple(places))
    if field.spans and {*own} & {*mixed}:
        return _unknown(VARIES, len(extent))
    standard = places == list(range(2, 2 + len(places))) and len(axes) == 2 + len(places)
    return replace(
        field, size=tuple(size), stride=tuple(stride), start=tuple(start), places=() if standard else tuple(places)
    )


def _among(own: Iterable[int], axes: AxisOrigins) -> frozenset[int]:
    """The axes of an output among which these of the input may be: where they went, else those that are others."""
    others = [n for n, source in enumerate(axes) if source is None]
    places: set[int] = set()
    for axis in own:
        went = [n for n, source in enumerate(axes) if source == axis or (isinstance(source, tuple) and axis in source)]
        places.update(went or others)
    return frozenset(places)


def _place_of(axis: int, axes: AxisOrigins, x: Tensor) -> tuple[int, bool]:
    """Which axis of the output an axis of the input is, and whether its index is that of the output's."""
    for place, source in enumerate(axes):
        if source == axis:
            return place, True
        if isinstance(source, tuple) and axis in source:
            return place, all(x.shape[other] == 1 for other in source if other != axis)
    return LOST, False


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
    if max((*sizes, *strides), default=0) > MAX_DIM:
        return _unknown(TOO_LARGE, len(spans))
    starts = [axis.each[0] for axis in known]
    if all(axis.even for axis in known):
        return Field(sizes, strides, tuple(start[0] for start in starts if start is not None))
    return Field(sizes, strides, (None,) * len(known), UNEVEN, known)


def _union(a: Field, b: Field, extent: tuple[Dim, ...]) -> Field:
    """What either sees: an interval where both move alike, else no one interval."""
    if a == b and a.places == b.places:
        return a
    everything = _everything(extent)
    if everything in (a, b):
        return everything
    border = a.border or b.border
    for field in (a, b):
        if field.note and not field.spans:
            return field if field.size[0] is None else _unknown(UNPLACED, len(field.size))
    if a.places != b.places:
        return _unknown(UNPLACED, len(a.size))
    if a.spans or b.spans:
        pairs = zip(_spans(a) or (), _spans(b) or (), strict=False)
        found = [own.with_other(other) for own, other in pairs] or [None] * len(a.size)
        return replace(_of_spans(found, MISALIGNED), places=a.places, border=border)
    if a.stride != b.stride:
        return _unknown(MISALIGNED, len(a.size))
    size: list[Dim | Fraction | None] = []
    start: list[Offset | None] = []
    for axis in range(len(a.size)):
        (size_a, start_a), (size_b, start_b) = (_placed(f, axis) for f in (a, b))
        begin = min(start_a, start_b)
        start.append(_whole(begin))
        size.append(_whole(max(start_a + size_a, start_b + size_b) - begin))
    return Field(tuple(size), a.stride, tuple(start), places=a.places, border=border)


def _placed(field: Field, axis: int) -> tuple[Offset, Offset]:
    size, start = field.size[axis], field.start[axis]
    assert isinstance(size, int | Fraction)
    assert start is not None
    return size, start


def _everything(extent: tuple[Dim, ...]) -> Field:
    return Field(extent, (0,) * len(extent), (0,) * len(extent))


def _unknown(note: str, axes: int) -> Field:
    none = (None,) * axes
    return Field(none, none, none, note, places=(LOST,) * axes)


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
    if field.note or field.border:
        found["note"] = field.note or BORDER
    return found
