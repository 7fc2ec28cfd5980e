"""Propagates receptive fields through a graph: the part of an input that one unit of a value can see.

Along each spatial axis, a field maps a unit's index to an interval of the input: `size` positions from
`stride * index + start`, padding included, as in Araujo, Norris & Sim, "Computing Receptive Fields of
Convolutional Neural Networks", Distill 2019. A unit that sees everything has stride 0 and the input's extent.

After upsampling, units see intervals of different sizes, which `spans` holds exactly. The field's own entries are then
the largest size, the average stride, and no start, with a note that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from netspec.analysis.field import (
    DATA_DEPENDENT,
    LOST,
    MISALIGNED,
    TOO_LARGE,
    UNEVEN,
    UNPLACED,
    VARIES,
    Field,
    Offset,
    is_whole,
    unknown_field,
    whole_field,
)
from netspec.analysis.intervals import Spans
from netspec.analysis.position_axes import position_axes
from netspec.dims import MAX_DIM, Dim, Symbolic
from netspec.graph.memo import NodeMemo
from netspec.graph.model import Graph, Node
from netspec.ops.base import AxisOrigins
from netspec.types import Reach, Tensor, Upsampling, Window

_Extent = tuple[Dim, ...]
"""The spatial sizes of an input."""


def propagate_fields(graph: Graph, origin: str | None = None) -> dict[str, dict[str, Field]]:
    """The receptive fields of every value: a field for each input with spatial axes that the value depends on.

    If `origin` is the name of a value, fields are measured in that value instead of in the inputs.
    """
    types = graph.types
    origins = [origin] if origin is not None else [i.name for i in graph.inputs]
    positions = {value: position_axes(graph, value) for value in origins}
    extents = {value: tuple([types[value].shape[axis] for axis in axes]) for value, axes in positions.items()}
    fields: dict[str, dict[str, Field]] = {value: _field_in_itself(value, axes) for value, axes in positions.items()}
    rules_of = NodeMemo(graph, _rules)
    for node in graph.nodes:
        if node.path == origin:
            continue
        rules = rules_of(node)
        values = node.inputs[: node.op.reads]
        reads = [(number, read) for number, value in enumerate(values) if (read := fields.get(value))]
        if rules and rules[0].broadcasts:
            reads = [(n, _broadcast(read, types[values[n]], node.type, extents)) for n, read in reads]
        seen = fields[node.path] = _merged([(read, rules[number]) for number, read in reads], extents)
        if len(node.types) > 1:
            fields.update((value, seen) for value, _ in node.values())
    return fields


def _field_in_itself(value: str, positions: tuple[int, ...]) -> dict[str, Field]:
    """The field of a value in itself, where each unit sees its own position."""
    count = len(positions)
    axes = () if positions == tuple(range(2, 2 + count)) else positions
    return {value: Field((1,) * count, (1,) * count, (0,) * count, axes=axes)} if positions else {}


@dataclass(frozen=True, slots=True)
class _Rules:
    """The results of an op's rules for certain types of inputs: what a unit of its output reads of one of them."""

    window: Window | Upsampling | Reach
    axes: AxisOrigins | None
    mixed: tuple[int, ...]
    inputs: Sequence[Tensor]
    outputs: range
    broadcasts: bool
    """Whether an input may have axes of size 1 that the output repeats."""


def _rules(node: Node, inputs: tuple[Tensor, ...]) -> Sequence[_Rules]:
    """The rules of a node's op for each of its inputs."""
    op, window = node.op, node.op.window(*inputs)
    broadcasts = window is Reach.POINT and len(set(inputs)) > 1
    windows = window if isinstance(window, tuple) else (window,) * len(inputs)
    axes, mixed, outputs = op.axes(*inputs), op.mixed(*inputs), range(node.type.rank)
    return [_Rules(each, axes, mixed, inputs, outputs, broadcasts) for each in windows]


def _merged(reads: list[tuple[dict[str, Field], _Rules]], extents: Mapping[str, _Extent]) -> dict[str, Field]:
    """The fields of an op's output, by those of the values that it reads, each with the op's rules for it."""
    if len(reads) == 1:
        ((fields, rules),) = reads
        if rules.window is Reach.POINT and not any(field.axes for field in fields.values()):
            return fields
        return {name: _after_op(field, rules, extents[name]) for name, field in fields.items()}
    merged: dict[str, Field] = {}
    for fields, rules in reads:
        for name, field in fields.items():
            seen = _after_op(field, rules, extents[name])
            merged[name] = _union(merged[name], seen, extents[name]) if name in merged else seen
    return merged


def _broadcast(fields: dict[str, Field], x: Tensor, y: Tensor, extents: Mapping[str, _Extent]) -> dict[str, Field]:
    """The fields of an operand after broadcasting: axes of size 1 are repeated, as those of a channel gate."""
    return {name: _broadcast_field(field, x, y, extents[name]) for name, field in fields.items()}


def _broadcast_field(field: Field, x: Tensor, y: Tensor, extent: _Extent) -> Field:
    axes = enumerate(field.value_axes)
    repeated = [n for n, a in axes if 0 <= a < x.rank == y.rank and x.shape[a] == 1 and y.shape[a] != 1]
    if (not repeated and x.rank == y.rank) or is_whole(field, extent):
        return field
    if x.rank != y.rank:
        return unknown_field(UNPLACED, len(field.size))
    if field.note:
        return unknown_field(field.note if not field.spans else VARIES, len(field.size))
    size, stride, start = list(field.size), list(field.stride), list(field.start)
    for n in repeated:
        # All units see what the single unit saw.
        stride[n] = 0
        seen, first = _interval(field, n) if isinstance(field.size[n], int | Fraction) else (0, 1)
        all_positions = extent[n]
        if isinstance(all_positions, int) and first <= 0 and first + seen >= all_positions:
            size[n], start[n] = all_positions, 0
    return replace(field, size=tuple(size), stride=tuple(stride), start=tuple(start))


def _after_op(field: Field, rules: _Rules, extent: _Extent) -> Field:
    """The field of an op's output, from the field of one value that it reads."""
    window = rules.window
    if (window is Reach.POINT and not field.axes) or is_whole(field, extent):
        return field
    if rules.axes is not None and (field.axes or window is Reach.UNPLACED or rules.mixed):
        return _after_axes_moved(field, rules.axes, rules.mixed, rules.inputs[0], extent)
    if window is Reach.ALL:
        # A field that depends on the data still does after a global op.
        return unknown_field(DATA_DEPENDENT, len(extent)) if field.note == DATA_DEPENDENT else whole_field(extent)
    if window is Reach.POINT or window is Reach.UNPLACED:
        # Such an op may do anything along the channels, which may follow a spatial axis of the input.
        return unknown_field(field.note or UNPLACED, len(extent)) if field.axes else _unplaced(field, rules.outputs)
    if isinstance(window, Reach):
        return unknown_field(VARIES if window is Reach.VARIES else DATA_DEPENDENT, len(field.size))
    return _after_sliding(field, window, rules, extent)


def _after_sliding(field: Field, window: Window | Upsampling, rules: _Rules, extent: _Extent) -> Field:
    """The field after a sliding window or an upsampling."""
    if field.note and not field.spans:
        return unknown_field(field.note, len(field.size))
    if len(window.axes if isinstance(window, Upsampling) else window.size) != len(field.size):
        return unknown_field(UNPLACED, len(field.size))
    if field.axes:
        return _with_axes_in_order(field, rules, extent)
    if field.spans or isinstance(window, Upsampling):
        border = field.border or (isinstance(window, Window) and window.border)
        return replace(_after_spans(field, window), border=border)
    return _after_window(field, window)


def _after_window(field: Field, window: Window) -> Field:
    """The field after a window, for a field whose entries are all known."""
    axes = zip(field.size, field.stride, field.start, window.size, window.stride, window.start, strict=True)
    size: list[Any] = []
    stride: list[Any] = []
    start: list[Any] = []
    for field_size, field_stride, field_start, window_size, window_stride, window_start in axes:
        size.append(_integral(field_size + field_stride * (window_size - 1)))  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]
        stride.append(_integral(field_stride * window_stride))  # pyright: ignore[reportOptionalOperand]
        start.append(_integral(field_start + field_stride * window_start))  # pyright: ignore[reportOptionalOperand]
    # Along an axis that is seen whole, the size may be an open one.
    if max([number for number in (*size, *stride) if not isinstance(number, Symbolic)], default=0) > MAX_DIM:
        return unknown_field(TOO_LARGE, len(size))
    return Field(tuple(size), tuple(stride), tuple(start), border=field.border or window.border)


def _with_axes_in_order(field: Field, rules: _Rules, extent: _Extent) -> Field:
    """The field after a window over a map whose spatial axes are in another order than the input's, such as rows last.

    It is unknown if the window also slides over an axis that is no spatial axis of the input.
    """
    order = [axis - 2 for axis in field.axes]
    if sorted(order) != list(range(len(order))):
        return unknown_field(UNPLACED, len(order))

    def reordered(field: Field, order: Sequence[int]) -> Field:
        entries = {name: tuple([getattr(field, name)[n] for n in order]) for name in ("size", "stride", "start")}
        return replace(field, **entries, spans=tuple([field.spans[n] for n in order if field.spans]), axes=())

    inverse = [order.index(n) for n in range(len(order))]
    seen = _after_op(reordered(field, inverse), rules, extent)
    return seen if seen.axes else replace(reordered(seen, order), axes=field.axes)


def _unplaced(field: Field, among: Iterable[int]) -> Field:
    """The field of units that see as much as before, at positions that their index does not tell any more."""
    if field.note and not field.spans:
        return field
    unknown = (None,) * len(field.size)
    return Field(field.size, unknown, unknown, UNPLACED, axes=(LOST,) * len(field.size), among=frozenset(among))


def _after_axes_moved(field: Field, origins: AxisOrigins, mixed: tuple[int, ...], x: Tensor, extent: _Extent) -> Field:
    """The field after an op that moves axes, folds several into one, or reads all of some axes (`mixed`)."""
    before = field.value_axes
    size, stride, start = list(field.size), list(field.stride), list(field.start)
    axes: list[int] = []
    exact = True
    for n, axis in enumerate(before):
        moved, alone = _moved_axis(axis, origins, x)
        axes.append(moved)
        if axis in mixed:
            size[n], stride[n], start[n] = extent[n], 0, 0
        # No index is needed along an axis of which every unit sees the same.
        exact = exact and (alone or stride[n] == 0)
    if set(before) <= {*mixed}:
        return unknown_field(DATA_DEPENDENT, len(extent)) if field.note == DATA_DEPENDENT else whole_field(extent)
    if field.among & {*mixed}:
        return unknown_field(field.note, len(extent))
    among = _moved_axes(field.among if LOST in before else before, origins) if LOST in axes else frozenset[int]()
    if field.note and not field.spans:
        has_size = field.size[0] is not None
        return replace(field, size=tuple(size) if has_size else field.size, axes=tuple(axes), among=among)
    if not exact:
        return replace(_unplaced(replace(field, size=tuple(size)), among), axes=tuple(axes))
    default = axes == list(range(2, 2 + len(axes))) and len(origins) == 2 + len(axes)
    places = () if default else tuple(axes)
    if field.spans and {*before} & {*mixed}:
        spans = [_all_of(extent[n]) if axis in mixed else field.spans[n] for n, axis in enumerate(before)]
        return replace(_as_field(spans, VARIES), axes=places, border=field.border)
    return replace(field, size=tuple(size), stride=tuple(stride), start=tuple(start), axes=places)


def _all_of(size: Dim) -> Spans | None:
    """The spans of units that all see an axis whole; None if its size is open."""
    return Spans(0, ((0, size - 1),)) if isinstance(size, int) else None


def _moved_axes(axes: Iterable[int], origins: AxisOrigins) -> frozenset[int]:
    """The axes of an output that some axes of its input may be in: those they moved to, else all without an origin."""
    without_origin = [n for n, origin in enumerate(origins) if origin is None]
    moved: set[int] = set()
    for axis in axes:
        went = [n for n, o in enumerate(origins) if o == axis or (isinstance(o, tuple) and axis in o)]
        moved.update(went or without_origin)
    return frozenset(moved)


def _moved_axis(axis: int, origins: AxisOrigins, x: Tensor) -> tuple[int, bool]:
    """The axis of the output that an axis of the input becomes, and whether indexes along it stay the same."""
    for n, origin in enumerate(origins):
        if origin == axis:
            return n, True
        if isinstance(origin, tuple) and axis in origin:
            return n, all(x.shape[folded] == 1 for folded in origin if folded != axis)
    return LOST, False


def _after_spans(field: Field, window: Window | Upsampling) -> Field:
    """The field after an upsampling, or after a window over an upsampled map."""
    before = _as_spans(field)
    if before is None:
        return unknown_field(VARIES, len(field.size))
    if isinstance(window, Upsampling):
        return _as_field([span.after_upsampling(axis) for span, axis in zip(before, window.axes, strict=True)], VARIES)
    after: list[Spans | None] = []
    for span, size, stride, start in zip(before, window.size, window.stride, window.start, strict=True):
        if isinstance(stride, int) and isinstance(start, int):
            after.append(span.after_window(size, stride, start))
        else:
            after.append(None)
    return _as_field(after, VARIES)


def _as_spans(field: Field) -> tuple[Spans, ...] | None:
    """The spans of a field, one for each axis; None if its entries are not all integers."""
    if field.spans:
        return field.spans
    spans: list[Spans] = []
    for size, stride, start in zip(field.size, field.stride, field.start, strict=True):
        if not (isinstance(size, int) and isinstance(stride, int) and isinstance(start, int)):
            return None
        spans.append(Spans(stride, ((start, start + size - 1),)))
    return tuple(spans)


def _as_field(axes: Sequence[Spans | None], note: str) -> Field:
    """The field of spans. It has a start if all units see alike; `note` is for an axis whose spans are None."""
    spans = tuple(axis for axis in axes if axis is not None)
    if len(spans) < len(axes):
        return unknown_field(note, len(axes))
    sizes, strides = tuple(axis.size for axis in spans), tuple(_integral(axis.stride) for axis in spans)
    if max((*sizes, *strides), default=0) > MAX_DIM:
        return unknown_field(TOO_LARGE, len(axes))
    if all(axis.even for axis in spans):
        intervals = [axis.each[0] for axis in spans]
        return Field(sizes, strides, tuple(interval[0] for interval in intervals if interval is not None))
    return Field(sizes, strides, (None,) * len(spans), UNEVEN, spans)


def _union(a: Field, b: Field, extent: _Extent) -> Field:
    """The field of a unit that sees what either of two fields sees; unknown if they move at different strides."""
    if a == b and a.axes == b.axes:
        return a
    if whole_field(extent) in (a, b):
        return whole_field(extent)
    for field in (a, b):
        if field.note and not field.spans:
            return field if field.size[0] is None else unknown_field(UNPLACED, len(field.size))
    if a.axes != b.axes:
        return unknown_field(UNPLACED, len(a.size))
    if a.spans or b.spans:
        pairs = zip(_as_spans(a) or (), _as_spans(b) or (), strict=False)
        field = _as_field([x.union(y) for x, y in pairs] or [None] * len(a.size), MISALIGNED)
    elif a.stride != b.stride:
        return unknown_field(MISALIGNED, len(a.size))
    else:
        field = _interval_union(a, b, extent)
    return replace(field, axes=a.axes, border=a.border or b.border)


def _interval_union(a: Field, b: Field, extent: _Extent) -> Field:
    """The smallest field that contains two fields of equal stride; unknown if open sizes do not tell which it is."""
    size: list[Any] = []
    start: list[Offset | None] = []
    for axis, whole in enumerate(extent):
        either = [(field.size[axis], field.start[axis]) for field in (a, b)]
        if any(isinstance(entry, Symbolic) for entry, _ in either):
            if either[0] != either[1] and (whole, 0) not in either:
                return unknown_field(MISALIGNED, len(extent))
            union = either[0] if either[0] == either[1] else (whole, 0)
            size.append(union[0])
            start.append(union[1])
            continue
        (size_a, start_a), (size_b, start_b) = _interval(a, axis), _interval(b, axis)
        first = min(start_a, start_b)
        start.append(_integral(first))
        size.append(_integral(max(start_a + size_a, start_b + size_b) - first))
    return Field(tuple(size), a.stride, tuple(start))


def _interval(field: Field, axis: int) -> tuple[Offset, Offset]:
    """The size and start of a field along an axis; both must be known."""
    size, start = field.size[axis], field.start[axis]
    assert isinstance(size, int | Fraction)
    assert start is not None
    return size, start


def _integral(value: Any) -> Any:
    """An int for a fraction without a remainder; any other value unchanged."""
    return int(value) if type(value) is Fraction and value.denominator == 1 else value
