"""How sizes depend on constructor arguments: a taint analysis over the body of a class.

A class is printed from the values in its uses, and a literal hides its origin: where `width` is 64, the 128 of a later
layer may be `2 * width`. So every value in the body has a `Flow`: its sizes as expressions over the constructor
arguments, where these are known, and the arguments that the rest of its shape depends on.

Where a size is printed as a literal, the arguments that it depends on are *pinned*: with another value of one of them
the class would be wrong. A pinned parameter can't be an argument of the network's class (`source`).

Flows are only candidates: an expression is verified on every use of the class before it is printed (`arguments`). Two
of the names in a flow are no arguments, and have spaces so that they differ from all: SHAPE and UNSEEN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netspec.backends.pytorch.sums import collect_terms
from netspec.expression import Binary, Expression, names_in
from netspec.graph.memo import op_key
from netspec.graph.model import Graph, Node
from netspec.ops.probe import AxisSize, axes_of_arguments, sizes_of
from netspec.types import Tensor

ArgumentNames = frozenset[str]
"""Names of constructor arguments that something depends on; SHAPE and UNSEEN may be among them."""

NO_NAMES: ArgumentNames = frozenset()
SHAPE = "the shape"
"""Stands for the sizes of the inputs of a class."""
UNSEEN = "an unseen value"
"""Stands for the sizes of a value that an expression reads although it is no input of the class."""


@dataclass(frozen=True, slots=True)
class Flow:
    """The sizes of a value in terms of the constructor arguments of the class that it is in.

    Invariants: the shape changes only if one of `dependencies` does. `channels`, if not None, stays right for other
    values of the arguments, as long as the `assumed` ones keep their values.
    """

    channels: Expression | None = None
    """The size of axis 1; None if it is unknown: then the value depends on `others` alone."""
    assumed: ArgumentNames = NO_NAMES
    """The arguments that have to keep their values for `channels` to hold."""
    others: ArgumentNames = NO_NAMES
    """The arguments that the sizes of the other axes depend on."""
    features: Expression | None = None
    """The size of the last axis of a value such as (N, L, F), if that is neither the batch nor the channels."""
    conditional: Expression | None = None
    """The channels after a step that only some uses have, for all uses: `2 * width if stride != 1 else in_channels`."""

    @property
    def dependencies(self) -> ArgumentNames:
        """All arguments that the value's shape depends on."""
        trees = [tree for tree in (self.channels, self.features) if tree is not None]
        return self.assumed | self.others | frozenset(name for tree in trees for name in names_in(tree))


class SizeRules:
    """Finds what the sizes of ops' outputs follow from, by asking each op once for each kind of layer."""

    def __init__(self) -> None:
        self._outputs: dict[tuple[int, ArgumentNames], tuple[tuple[AxisSize, ...], ...]] = {}
        self._arguments: dict[int, dict[str, frozenset[int]]] = {}
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._kinds: dict[tuple[int, ...], int] = {}

    def outputs(self, node: Node, graph: Graph, attributes: frozenset[str]) -> tuple[tuple[AxisSize, ...], ...]:
        """For each output of a node, what each of its axes follows from, if `attributes` are those that may vary."""
        types = graph.input_types(node)
        kind = self._kind(node, types)
        if (kind, attributes) not in self._outputs:
            self._outputs[kind, attributes] = sizes_of(node.op, types, attributes)
        return self._outputs[kind, attributes]

    def arguments(self, node: Node, graph: Graph) -> dict[str, frozenset[int]]:
        """A layer's arguments that are no attributes, such as `in_channels`, with the input axes they depend on."""
        types = graph.input_types(node)
        kind = self._kind(node, types)
        if kind not in self._arguments:
            self._arguments[kind] = axes_of_arguments(node.op, types)
        return self._arguments[kind]

    def _kind(self, node: Node, types: Sequence[Tensor]) -> int:
        """The number of a kind: layers that differ only in their widths and spatial sizes are of one kind."""
        key = op_key(node.op, types)
        if key not in self._kinds:
            self._kinds[key] = self._numbers.setdefault(_kind_of(node, types), len(self._numbers))
        return self._kinds[key]


def _kind_of(node: Node, types: Sequence[Tensor]) -> tuple[Any, ...]:
    """The op, attributes and ranks of a layer, without its widths and spatial sizes."""
    op, widths = node.op, (*node.type.shape[1:2], *node.type.shape[-1:])
    values = [value for name, value in op if name != op.principal or value not in widths]
    return type(op), repr(values), *[(x.rank, x.dtype, *[size == 1 for size in x.shape]) for x in types]


def after(
    uses: Sequence[Sequence[AxisSize]],
    ranks: Sequence[int],
    flows: Sequence[Flow],
    attributes: Mapping[str, Expression],
) -> Flow:
    """The flow of an output of an op.

    For each use of the class, `uses` holds what each axis of the output follows from. `ranks` and `flows` are those of
    the op's inputs; `attributes` are the expressions printed for its attributes.
    """
    axes = _agreed(uses)
    inputs = _Inputs(ranks, flows, attributes)
    features = inputs.expression(axes[-1]) if len(axes) > 2 and not inputs.assumed(axes[-1]) else None
    channels = inputs.expression(axes[1]) if len(axes) > 1 else None
    unknown_axes = axes if features is None else axes[:-1]
    if channels is None:
        names = inputs.dependencies(unknown_axes[1:])
        return Flow(None, names, names, features)
    return Flow(channels, inputs.assumed(axes[1]), inputs.dependencies(unknown_axes[2:]), features)


def _agreed(uses: Sequence[Sequence[AxisSize]]) -> list[AxisSize]:
    """The sizes on which axes depend in any use; if the ranks differ, the axes after the channels become one."""
    ranks = {len(axes) for axes in uses}
    axes: list[AxisSize] = []
    for sizes in zip(*uses, strict=False):
        others = frozenset[int | str]().union(*(size.others for size in sizes))
        agree = len({(size.same, size.places, size.summed) for size in sizes}) == 1
        first = sizes[0]
        axes.append(AxisSize(first.same, first.places, first.summed, others) if agree else AxisSize(others=others))
    return axes if len(ranks) == 1 else [*axes[:2], AxisSize(others=frozenset(range(1, max(ranks))))]


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The inputs and attributes of an op, from which the sizes of its outputs are expressed."""

    ranks: Sequence[int]
    flows: Sequence[Flow]
    attributes: Mapping[str, Expression]

    def expression(self, size: AxisSize) -> Expression | None:
        """An output's size as an expression; None if it is neither an attribute nor made of sizes of inputs."""
        if isinstance(size.same, str):
            return self.attributes.get(size.same)
        if size.same is None:
            return None
        trees = [self._axis(place, size.same) for place in size.places]
        return _total(trees) if size.summed else next((tree for tree in trees if tree is not None), None)

    def assumed(self, size: AxisSize) -> ArgumentNames:
        """The arguments that have to keep their values for the expression of a size to hold."""
        of_channels = [self.flows[place].assumed for place in size.places if size.same == 1]
        return NO_NAMES.union(*of_channels, *(self._names(key) for key in size.others))

    def dependencies(self, sizes: Sequence[AxisSize]) -> ArgumentNames:
        """The arguments that some sizes depend on."""
        keys = {key for size in sizes for key in (size.same, *size.others) if key is not None}
        return NO_NAMES.union(*(self._names(key) for key in keys))

    def _axis(self, place: int, axis: int) -> Expression | None:
        """The size of an axis of an input."""
        if axis == 1:
            return self.flows[place].channels
        return self.flows[place].features if axis == self.ranks[place] - 1 else None

    def _names(self, key: int | str) -> ArgumentNames:
        """The arguments that an attribute, or an axis of the inputs, depends on."""
        if isinstance(key, str):
            return frozenset(names_in(self.attributes[key])) if key in self.attributes else NO_NAMES
        names: set[str] = set()
        for place, flow in enumerate(self.flows):
            tree = self._axis(place, key)
            if tree is not None:
                names |= names_in(tree) | (flow.assumed if key == 1 else NO_NAMES)
            else:
                names |= flow.assumed | flow.others if key == 1 else flow.others
        return frozenset(names)


def _total(sizes: Sequence[Expression | None]) -> Expression | None:
    """The sum of some sizes; None if one is unknown, or if the sum is too long to read."""
    total = sizes[0]
    for size in sizes[1:]:
        total = Binary("+", total, size) if total is not None and size is not None else None
    return collect_terms(total) if total is not None else None
