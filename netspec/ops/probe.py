"""Finds the axes and attributes on which the sizes of an op's outputs depend, by probing its rules.

`infer` and `torch` are called with another size of one axis, or another value of one attribute: what changes depends on
it. So no op, not even a user's, has to declare it. An op that can't be probed is assumed to depend on everything.
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
"""The changes of sizes that are tried: rules refuse some, and a small change may not show because of rounding."""
_LARGER_BY = (14, 15)
"""The sizes that are added to the maps, on which attributes are tried, too: a stride has no effect on a 1x1 map, and
ceil mode none on a map of even size."""


@dataclass(frozen=True, slots=True)
class AxisSize:
    """The axes and attributes on which the size of one axis of an output depends.

    `same` is the axis of inputs, or the attribute, that equals it in every try; None if none does. `places` are the
    numbers of the inputs with that axis: if `summed`, it is their sum, else equal to each. `others` are further axes
    and attributes on which it depends or may depend.
    """

    same: int | str | None = None
    places: tuple[int, ...] = ()
    summed: bool = False
    others: frozenset[int | str] = frozenset()


def sizes_of(
    op: Op, xs: Sequence[Tensor], attributes: Container[str] | None = None
) -> tuple[tuple[AxisSize, ...], ...]:
    """For each output of an op on inputs of these types, and each axis of it, on what its size depends.

    With `attributes`, only those are tried, and those whose value is a size of an output. The batch is not tried.

    >>> from netspec.ops.linear import Linear
    >>> sizes_of(Linear(out_features=4), [Tensor((2, 6))])  # the attribute is the last axis of the output
    ((AxisSize(same=None, ...), AxisSize(same='out_features', ...)),)
    """
    probe = _Probe(op, xs, attributes)
    return tuple([tuple([probe.size(n, axis) for axis in range(y.rank)]) for n, y in enumerate(probe.outputs)])


def axes_of_arguments(op: Op, xs: Sequence[Tensor]) -> dict[str, frozenset[int]]:
    """The axes of the inputs that each argument of an op's layer depends on, for arguments that are not attributes."""
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
    """The results of an op's rule `infer` for other sizes of axes, and for other attributes."""

    def __init__(self, op: Op, xs: _Inputs, attributes: Container[str] | None) -> None:
        self.op = op
        self.xs = xs
        self.outputs = self.infer(*xs)
        self.axes = {axis: self.with_axis(axis) for axis in range(1, _rank(xs))}
        larger = _answers(self.infer, [_enlarged(xs, more) for more in _LARGER_BY])
        self.maps: list[tuple[_Inputs, tuple[Tensor, ...]]] = [(xs, self.outputs), *larger]
        sizes = {size for y in self.outputs for size in y.shape if isinstance(size, int)}
        names = [n for n in type(op).model_fields if attributes is None or n in attributes or _is_in(op, n, sizes)]
        self.attributes = {name: self.with_attribute(name) for name in names}
        """By attribute, for the map and for larger ones if needed, other values with the outputs for them."""

    def infer(self, *xs: Tensor) -> tuple[Tensor, ...]:
        return _all(self.op.infer(*xs))

    def with_axis(self, axis: int) -> list[tuple[_Inputs, tuple[Tensor, ...]]]:
        """Inputs with other sizes of an axis, with the outputs for them.

        All inputs are changed at once and, if there are several, one at a time. Where no such change is allowed and the
        inputs have unequal numbers of axes, axes are counted from the last, as a layer scale of (C, 1, 1) asks for.
        """
        xs, every = self.xs, [n for n, x in enumerate(self.xs) if len(self.xs) > 1 and x.shape[axis : axis + 1] != (1,)]
        alone = [[*xs[:n], *_changed(xs[n : n + 1], axis, change), *xs[n + 1 :]] for n in every for change in _CHANGES]
        answers = _answers(self.infer, [*[_changed(xs, axis, change) for change in _CHANGES], *alone])
        if answers or len({x.rank for x in xs}) == 1:
            return answers
        rank = _rank(xs)
        padded = [Tensor((*[1] * (rank - x.rank), *x.shape), x.dtype) for x in xs]
        changed = [_changed(padded, axis, change) for change in _CHANGES]
        unpadded = [[Tensor(y.shape[rank - x.rank :], x.dtype) for x, y in zip(xs, ys, strict=True)] for ys in changed]
        return _answers(self.infer, unpadded)

    def with_attribute(self, name: str) -> list[list[tuple[Any, tuple[Tensor, ...]]]]:
        """Other values of an attribute with the outputs for them, on the map and, if needed, on larger maps."""
        values = _other_values(getattr(self.op, name))
        ops = [(value, self.op.model_copy(update={name: value})) for value in values]
        answers: list[list[tuple[Any, tuple[Tensor, ...]]]] = []
        for xs, before in self.maps:
            each = [(value, _answers(op.infer, [xs])) for value, op in ops]
            results = [(value, _all(answer[0][1])) for value, answer in each if answer]
            # Another number of outputs, as of chunks, tells nothing of one of them.
            answers.append([(value, ys) for value, ys in results if len(ys) == len(before)])
            if _every_side_changes(before, [ys for _, ys in answers[-1]]):
                break  # Larger maps would add nothing.
        return answers

    def size(self, output: int, axis: int) -> AxisSize:
        """The axes and attributes on which the size of an axis of an output depends."""

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
            # The op refuses all other sizes, such as a `prelu` with a fixed number of slopes.
            return AxisSize(axis, (0,), False, frozenset(others - self.axes.keys()))
        return AxisSize(others=frozenset(others))

    def places(self, axis: int, every: Sequence[tuple[_Inputs, Dim]]) -> tuple[tuple[int, ...], bool] | None:
        """The inputs whose axis equals the output's in every try, and False; or all and True, if it is their sum."""
        places = tuple([n for n, x in enumerate(self.xs) if axis < x.rank])
        having = tuple([n for n in places if all(xs[n].shape[axis] == size for xs, size in every)])
        if having:
            return having, False
        summed = len(places) > 1 and all(_total([xs[n].shape[axis] for n in places]) == size for xs, size in every)
        return (places, True) if summed else None


def _every_side_changes(before: tuple[Tensor, ...], others: Sequence[tuple[Tensor, ...]]) -> bool:
    """Return whether each side of each output map differs from before in at least one of several results."""
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
    """The results of a rule for several sets of inputs; those that it refuses are left out."""
    answers: list[tuple[_Inputs, Any]] = []
    for xs in each:
        try:
            answers.append((xs, ask(*xs)))
        except Exception:  # rules refuse sizes that do not fit, and those of a user's op may raise anything
            continue
    return answers


def _rank(xs: _Inputs) -> int:
    return max((x.rank for x in xs), default=0)


def _changed(xs: _Inputs, axis: int, change: _Change) -> list[Tensor]:
    """The inputs with another size of one axis; a 1 beside larger sizes is kept, since it may be broadcast."""
    ones = all(x.shape[axis] == 1 for x in xs if axis < x.rank)

    def changed(x: Tensor) -> Tensor:
        if axis >= x.rank or (x.shape[axis] == 1 and not ones):
            return x
        return Tensor((*x.shape[:axis], change(x.shape[axis]), *x.shape[axis + 1 :]), x.dtype)

    return [changed(x) for x in xs]


def _enlarged(xs: _Inputs, more: int) -> list[Tensor]:
    return [Tensor((*x.shape[:2], *[size + more for size in x.shape[2:]]), x.dtype) for x in xs]


def _other_values(value: Any) -> list[Any]:
    """Other values of an attribute; [] for a type whose values can't be guessed."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        # A conv with a group for each channel takes no more groups, and one.
        return [*[change(value) for change in _CHANGES], value + 1, *([1] if value > 1 else [])]
    items = cast("tuple[Any, ...]", value) if isinstance(value, tuple) else ()
    return [tuple(map(change, items)) for change in _CHANGES] if all(isinstance(i, int | float) for i in items) else []


def _total(sizes: Iterable[Dim]) -> Dim:
    total: Dim = 0
    for size in sizes:
        total = size + total
    return total


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b
