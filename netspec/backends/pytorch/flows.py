"""What the source knows of a value: its channels in the terms of the class, and what that depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netspec.backends.pytorch.sums import tidy
from netspec.expression import Binary, Expression, ListOf, names_in
from netspec.graph.memo import op_key
from netspec.graph.model import Graph, Node
from netspec.ops.probe import AxisSize, axes_of_arguments, sizes_of
from netspec.types import Tensor

Names = frozenset[str]

NONE: Names = frozenset()
SHAPE = "the shape"
"""Stands among the names that something depends on for the sizes of what enters a class."""
UNSEEN = "what stands around"
"""Stands among them for the sizes of a value that an expression reads and that does not enter the class."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What the source knows of a value: its channels in the class's terms, and which names that leaves open.

    `channels` holds for every use of the class; for other arguments it may fail to where one of `doubt` is
    another. `sizes` are the names that the other axes depend on. `features` is the last axis, where it is
    neither of these.
    """

    channels: Expression | None = None
    doubt: Names = NONE
    sizes: Names = NONE
    features: Expression | None = None
    exact: Expression | None = None
    """The channels behind a step that only some uses have: of those that have it, and of those that have it not."""

    @property
    def names(self) -> Names:
        """All that the value's shape depends on."""
        trees = [tree for tree in (self.channels, self.features) if tree is not None]
        return self.doubt | self.sizes | frozenset(name for tree in trees for name in names_in(tree))


class SizeRules:
    """What the ops of a graph say of sizes, asked once for each kind of layer."""

    def __init__(self) -> None:
        self._outputs: dict[tuple[int, Names], tuple[tuple[AxisSize, ...], ...]] = {}
        self._arguments: dict[int, dict[str, frozenset[int]]] = {}
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._kinds: dict[tuple[int, ...], int] = {}

    def of(self, node: Node, graph: Graph, attributes: Names) -> tuple[tuple[AxisSize, ...], ...]:
        """What the size of each axis of each output of a node follows from; of its attributes those that may vary."""
        types = graph.input_types(node)
        kind = self.kind(node, types)
        if (kind, attributes) not in self._outputs:
            self._outputs[kind, attributes] = sizes_of(node.op, types, attributes)
        return self._outputs[kind, attributes]

    def arguments(self, node: Node, graph: Graph) -> dict[str, frozenset[int]]:
        """The arguments of a node's layer that are no attributes, with the axes they follow from."""
        types = graph.input_types(node)
        kind = self.kind(node, types)
        if kind not in self._arguments:
            self._arguments[kind] = axes_of_arguments(node.op, types)
        return self._arguments[kind]

    def kind(self, node: Node, types: Sequence[Tensor]) -> int:
        """The number of what is the same for layers that differ in their widths and the sizes of their maps alone."""
        key = op_key(node.op, types)
        if key not in self._kinds:
            self._kinds[key] = self._numbers.setdefault(_kind(node, types), len(self._numbers))
        return self._kinds[key]


def _kind(node: Node, types: Sequence[Tensor]) -> tuple[Any, ...]:
    """What is the same for layers that differ in their widths and in the sizes of their maps alone."""
    op, widths = node.op, (*node.type.shape[1:2], *node.type.shape[-1:])
    values = [value for name, value in op if name != op.principal or value not in widths]
    return type(op), repr(values), *[(x.rank, x.dtype, *[size == 1 for size in x.shape]) for x in types]


def item_of(node: Node, number: int) -> Expression | None:
    """The expression of a size of a parameter, whose first axis is that of the batch."""
    tree = node.written.get("shape")
    return tree.items[number - 1] if isinstance(tree, ListOf) and number else None


def behind(
    uses: Sequence[Sequence[AxisSize]], ranks: Sequence[int], flows: Sequence[Flow], given: Mapping[str, Expression]
) -> Flow:
    """What is known of an output of an op.

    `uses` say of each use of the class what each axis of the output follows from, `ranks` are those of the inputs,
    `flows` what is known of these, and `given` the expressions of the op's attributes.
    """
    axes = _agreed(uses)
    known = _Known(ranks, flows, given)
    features = known.expression(axes[-1]) if len(axes) > 2 and not known.doubt(axes[-1]) else None
    channels = known.expression(axes[1]) if len(axes) > 1 else None
    open_axes = axes if features is None else axes[:-1]
    if channels is None:
        names = known.names(open_axes[1:])
        return Flow(None, names, names, features)
    return Flow(channels, known.doubt(axes[1]), known.names(open_axes[2:]), features)


def _agreed(uses: Sequence[Sequence[AxisSize]]) -> list[AxisSize]:
    """What each axis follows from in all uses; of outputs of several ranks nothing but that there are channels."""
    ranks = {len(axes) for axes in uses}
    axes: list[AxisSize] = []
    for each in zip(*uses, strict=False):
        others = frozenset[int | str]().union(*(size.others for size in each))
        agree = len({(size.same, size.places, size.summed) for size in each}) == 1
        first = each[0]
        axes.append(AxisSize(first.same, first.places, first.summed, others) if agree else AxisSize(others=others))
    return axes if len(ranks) == 1 else [*axes[:2], AxisSize(others=frozenset(range(1, max(ranks))))]


@dataclass(frozen=True, slots=True)
class _Known:
    """Sizes of an output in the terms of a class, by what is known of the inputs and attributes."""

    ranks: Sequence[int]
    flows: Sequence[Flow]
    given: Mapping[str, Expression]

    def expression(self, size: AxisSize) -> Expression | None:
        if isinstance(size.same, str):
            return self.given.get(size.same)
        if size.same is None:
            return None
        trees = [self.of_input(place, size.same) for place in size.places]
        return _total(trees) if size.summed else next((tree for tree in trees if tree is not None), None)

    def of_input(self, place: int, axis: int) -> Expression | None:
        if axis == 1:
            return self.flows[place].channels
        return self.flows[place].features if axis == self.ranks[place] - 1 else None

    def doubt(self, size: AxisSize) -> Names:
        """The names with other values of which a size may be another than its expression says."""
        own = [self.flows[place].doubt for place in size.places if size.same == 1]
        return NONE.union(*own, *(self.of(key) for key in size.others))

    def names(self, sizes: Sequence[AxisSize]) -> Names:
        """The names on which some sizes depend."""
        keys = {key for size in sizes for key in (size.same, *size.others) if key is not None}
        return NONE.union(*(self.of(key) for key in keys))

    def of(self, key: int | str) -> Names:
        """The names on which an attribute, or an axis of the inputs, depends."""
        if isinstance(key, str):
            return frozenset(names_in(self.given[key])) if key in self.given else NONE
        found: set[str] = set()
        for place, flow in enumerate(self.flows):
            tree = self.of_input(place, key)
            if tree is not None:
                found |= names_in(tree) | (flow.doubt if key == 1 else NONE)
            else:
                found |= flow.doubt | flow.sizes if key == 1 else flow.sizes
        return frozenset(found)


def _total(parts: Sequence[Expression | None]) -> Expression | None:
    total = parts[0]
    for part in parts[1:]:
        total = Binary("+", total, part) if total is not None and part is not None else None
    return tidy(total) if total is not None else None
