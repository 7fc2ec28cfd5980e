"""From which axes and attributes the sizes of an op's outputs follow, found by probing its rules.

`infer` and `torch` are called again with another size of one axis, or another value of one attribute, and what changes
depends on it. So ops say nothing of it, not even those of one's own, and an op about which nothing can be found out is
taken to depend on everything.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from netspec.dims import Dim
from netspec.ops.base import Elementwise, Op
from netspec.types import Layer, Tensor

_Change = Callable[[Any], Any]
_CHANGES: tuple[_Change, ...] = (lambda size: 2 * size, lambda size: 3 * size, lambda size: 16 * size)
"""The sizes that are tried. A rule refuses some of them, and a small one can give the same by rounding."""
_LARGER_BY = (14, 15)
"""The sizes added to the maps on which attributes are tried too: a stride changes nothing of a map of one place, and
ceil mode nothing of one of an even size."""


@dataclass(frozen=True, slots=True)
class AxisSize:
    """The axes and attributes from which the size of one axis of an output follows.

    `same` is the axis of inputs, or the attribute, to which it is equal in every try; None where there is none.
    `places` are the numbers of the inputs that have that axis: where `summed` it is their sum, else equal to each.
    `others` are the further axes and attributes on which it depends, or may depend.
    """

    same: int | str | None = None
    places: tuple[int, ...] = ()
    summed: bool = False
    others: frozenset[int | str] = frozenset()


def sizes_of(
    op: Op, xs: Sequence[Tensor], attributes: Container[str] | None = None
) -> tuple[tuple[AxisSize, ...], ...]:
    """For each axis of each output of an op on inputs of these types, from what its size follows.

    Where attributes are named, only those are tried, and those that are a size of an output. The batch is not tried.

    >>> sizes_of(linear, [Tensor((2, 6))])  # its attribute is the last axis of the output
    ((AxisSize(same=None), AxisSize(same='out_features')),)
    """
    probe = _Probe(op, xs, attributes)
    return tuple([tuple([probe.size(n, axis) for axis in range(y.rank)]) for n, y in enumerate(probe.outputs)])


def axes_of_arguments(op: Op, xs: Sequence[Tensor]) -> dict[str, frozenset[int]]:
    """For each argument of an op's layer that is none of its attributes, the axes of the inputs that it depends on."""
    layer: Any = op.torch(*xs)
    assert isinstance(layer, Layer)
    names = [name for name, value in layer.arguments.items() if not _same(getattr(op, name, None), value)]
    axes: dict[str, set[int]] = {name: set() for name in names}
    for axis in range(1, _rank(xs)):
        others = [other for _, other in _answers(op.torch, [_changed(xs, axis, change) for change in _CHANGES])]
        for name in names:
            if not others or any(other.arguments.get(name) != layer.arguments[name] for other in others):
                axes[name].add(axis)
    return {name: frozenset(numbers) for name, numbers in axes.items()}


_Inputs = Sequence[Tensor]


class _Probe:
    """The answers of an op's rule `infer` for other sizes of axes, and other attributes, than it has."""

    def __init__(self, op: Op, xs: _Inputs, attributes: Container[str] | None) -> None:
        self.op = op
        self.xs = xs
        self.outputs = self.infer(*xs)
        self.axes = {axis: _answers(self.infer, self.with_axis(axis)) for axis in range(1, _rank(xs))}
        larger = _answers(self.infer, [_enlarged(xs, more) for more in _LARGER_BY])
        self.maps: list[tuple[_Inputs, tuple[Tensor, ...]]] = [(xs, self.outputs), *larger]
        sizes = {size for y in self.outputs for size in y.shape if isinstance(size, int)}
        names = [n for n in type(op).model_fields if attributes is None or n in attributes or _is_in(op, n, sizes)]
        self.attributes = {name: self.with_attribute(name) for name in names}
        """By name, for the map and where need be for larger ones, the outputs under other values of it."""

    def infer(self, *xs: Tensor) -> tuple[Tensor, ...]:
        return _all(self.op.infer(*xs))

    def with_axis(self, axis: int) -> list[_Inputs]:
        """The inputs with other sizes of an axis: in all of them and, where there are several, in one of them alone."""
        xs, every = self.xs, [n for n, x in enumerate(self.xs) if len(self.xs) > 1 and x.shape[axis : axis + 1] != (1,)]
        alone = [[*xs[:n], *_changed(xs[n : n + 1], axis, change), *xs[n + 1 :]] for n in every for change in _CHANGES]
        return [*[_changed(xs, axis, change) for change in _CHANGES], *alone]

    def with_attribute(self, name: str) -> list[list[tuple[Any, tuple[Tensor, ...]]]]:
        """Other values of an attribute with the outputs under them, on the map and, where need be, on larger ones."""
        values = _other_values(getattr(self.op, name))
        ops = [(value, self.op.model_copy(update={name: value})) for value in values]
        answers: list[list[tuple[Any, tuple[Tensor, ...]]]] = []
        for xs, before in self.maps:
            each = [(value, _answers(op.infer, [xs])) for value, op in ops]
            answers.append([(value, _all(answer[0][1])) for value, answer in each if answer])
            if _every_side_changes(before, [ys for _, ys in answers[-1]]):
                break  # Larger maps would tell no more.
        return answers

    def size(self, output: int, axis: int) -> AxisSize:
        """From what the size of an axis of an output follows."""

        def of(ys: tuple[Tensor, ...]) -> Dim:
            return ys[output].shape[axis] if axis < ys[output].rank else -1

        size = of(self.outputs)
        others: set[int | str] = {a for a, ways in self.axes.items() if not ways or any(of(y) != size for _, y in ways)}
        for name, by_map in self.attributes.items():
            pairs = zip(self.maps, by_map, strict=False)
            if not by_map[0] or any(of(y) != of(before) for (_, before), ways in pairs for _, y in ways):
                others.add(name)
        for name, (ways, *_) in self.attributes.items():
            if _same(getattr(self.op, name), size) and ways and all(other == of(y) for other, y in ways):
                return AxisSize(name, others=frozenset(others - {name}))
        for own, ways in self.axes.items():
            if ways and (places := self.places(own, [(self.xs, size), *[(xs, of(y)) for xs, y in ways]])):
                return AxisSize(own, *places, frozenset(others - {own}))
        if isinstance(self.op, Elementwise) and self.outputs[output].shape == self.xs[0].shape and axis:
            # It refuses other sizes: slopes for so many channels, say.
            return AxisSize(axis, (0,), False, frozenset(others - self.axes.keys()))
        return AxisSize(others=frozenset(others))

    def places(self, axis: int, every: Sequence[tuple[_Inputs, Dim]]) -> tuple[tuple[int, ...], bool] | None:
        """The inputs whose axis has the size of the output each time, and whether it is their sum."""
        places = tuple([n for n, x in enumerate(self.xs) if axis < x.rank])
        having = tuple([n for n in places if all(xs[n].shape[axis] == size for xs, size in every)])
        if having:
            return having, False
        summed = len(places) > 1 and all(_total([xs[n].shape[axis] for n in places]) == size for xs, size in every)
        return (places, True) if summed else None


def _every_side_changes(before: tuple[Tensor, ...], others: Sequence[tuple[Tensor, ...]]) -> bool:
    """Whether each side of each map has another size in one of several answers."""
    sides = [(n, axis) for n, y in enumerate(before) for axis in range(2, y.rank)]
    return bool(sides) and all(
        any(ys[n].shape[a : a + 1] != before[n].shape[a : a + 1] for ys in others) for n, a in sides
    )


def _is_in(op: Op, name: str, sizes: Container[int]) -> bool:
    value = getattr(op, name)
    return type(value) is int and value in sizes


def _all(inferred: Any) -> tuple[Tensor, ...]:
    return cast("tuple[Tensor, ...]", inferred) if isinstance(inferred, tuple) else (inferred,)


def _answers(ask: Callable[..., Any], each: Iterable[_Inputs]) -> list[tuple[_Inputs, Any]]:
    """Those of some inputs that a rule takes, with its answers."""
    answers: list[tuple[_Inputs, Any]] = []
    for xs in each:
        try:
            answers.append((xs, ask(*xs)))
        except Exception:  # rules refuse sizes that do not fit, and those of one's own may raise anything
            continue
    return answers


def _rank(xs: _Inputs) -> int:
    return max((x.rank for x in xs), default=0)


def _changed(xs: _Inputs, axis: int, change: _Change) -> list[Tensor]:
    """The inputs with another size of one axis; a 1 stays beside larger sizes, for all of which it may be there."""
    ones = all(x.shape[axis] == 1 for x in xs if axis < x.rank)

    def changed(x: Tensor) -> Tensor:
        if axis >= x.rank or (x.shape[axis] == 1 and not ones):
            return x
        return Tensor((*x.shape[:axis], change(x.shape[axis]), *x.shape[axis + 1 :]), x.dtype)

    return [changed(x) for x in xs]


def _enlarged(xs: _Inputs, more: int) -> list[Tensor]:
    return [Tensor((*x.shape[:2], *[size + more for size in x.shape[2:]]), x.dtype) for x in xs]


def _other_values(value: Any) -> list[Any]:
    """Other values of an attribute; none where nobody knows what it may be."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [*[change(value) for change in _CHANGES], value + 1]
    items = cast("tuple[Any, ...]", value) if isinstance(value, tuple) else ()
    return [tuple(map(change, items)) for change in _CHANGES] if all(isinstance(i, int | float) for i in items) else []


def _total(sizes: Iterable[Dim]) -> Dim:
    total: Dim = 0
    for size in sizes:
        total = size + total
    return total


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b
