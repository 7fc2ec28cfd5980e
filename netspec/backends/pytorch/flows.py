"""What the source knows of a value: its channels in the terms of the class, and what that depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netspec.backends.pytorch.bodies import Item
from netspec.backends.pytorch.sums import tidy
from netspec.expression import Binary, Expression, ListOf, names_in
from netspec.graph.model import Node
from netspec.ops.base import Elementwise, Rearranging
from netspec.ops.pooling import AdaptivePool2d
from netspec.ops.shape import Flatten
from netspec.types import Call, Tensor

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


def merged(item: Item, sources: Sequence[Flow], types: Sequence[Tensor]) -> Flow:
    """What is known behind a function of values of these types."""
    op = item.node.op if item.node is not None else None
    if isinstance(op, Rearranging):
        return _rearranged(op.axes(*types), sources, types[0].rank)
    rank = types[0].rank
    names = NONE.union(*(flow.names for flow in sources))
    doubt = NONE.union(*(flow.doubt for flow in sources))
    sizes = NONE.union(*(flow.sizes for flow in sources))
    channels = sources[0].channels
    # The last axis is one of those that are equal, unless it is the one along which the values are joined.
    features = next((flow.features for flow in sources if flow.features is not None), None)
    if isinstance(item.printed, Call):
        if item.printed.arguments.get("dim", 1) % rank == 1:
            channels = _total([flow.channels for flow in sources])
        else:
            doubt, sizes, features = names, names, None
    if channels is None:
        doubt, sizes = names, names
    return Flow(channels, doubt, sizes, features)


def _rearranged(axes: Sequence[int | None], sources: Sequence[Flow], rank: int) -> Flow:
    """What is known where axes changed places: by the place of each the one that was there before, if one was."""
    names = NONE.union(*(flow.names for flow in sources))
    flow = sources[0]
    last = flow.features if rank > 2 else flow.channels
    sources_of = {rank - 1: last, 1: flow.channels}
    features = sources_of.get(axes[-1] or 0) if len(axes) > 2 else None
    if len(axes) < 2 or axes[1] not in sources_of or sources_of[axes[1]] is None:
        return Flow(None, names, names, None if flow.doubt else features)
    doubt = flow.doubt if axes[1] == 1 else NONE
    return Flow(sources_of[axes[1]], doubt, names, None if flow.doubt else features)


def item_of(node: Node, number: int) -> Expression | None:
    """The expression of a size of a parameter, whose first axis is that of the batch."""
    tree = node.written.get("shape")
    return tree.items[number - 1] if isinstance(tree, ListOf) and number else None


def _total(parts: Sequence[Expression | None]) -> Expression | None:
    total = parts[0]
    for part in parts[1:]:
        total = Binary("+", total, part) if total is not None and part is not None else None
    return tidy(total) if total is not None else None


def behind(
    node: Node, pairs: Sequence[tuple[Tensor, Tensor]], flow: Flow, out: Expression | None, names: Names
) -> Flow:
    """What is known behind a layer.

    `pairs` are the types of its input and output in every use, `out` the channels or features it makes,
    `names` what its other arguments depend on.
    """
    if node.op.opname == "linear":
        return Flow(out) if pairs[0][0].rank == 2 else Flow(flow.channels, flow.doubt, flow.sizes, out)
    if isinstance(node.op, Flatten):
        return _flattened(flow, pairs, node.op)
    if isinstance(node.op, Rearranging):
        return _rearranged(node.op.axes(pairs[0][0]), [flow], pairs[0][0].rank)
    if node.op.opname == "parameter":
        return Flow(None, names, names)
    if node.op.opname == "multihead_attention":
        return flow
    if isinstance(node.op, AdaptivePool2d) and None not in node.op.output_size:
        return Flow(flow.channels, flow.doubt, names)
    if isinstance(node.op, Elementwise):
        return flow
    if out is not None:
        return Flow(out, NONE, flow.sizes | names)
    return Flow(flow.channels, flow.doubt, flow.sizes | names)


def _flattened(flow: Flow, pairs: Sequence[tuple[Tensor, Tensor]], op: Flatten) -> Flow:
    """A flattened map has as many features as channels only while it is 1x1, unless its channels stay apart."""
    if all(op.start_dim % x.rank >= 2 for x, _ in pairs):
        return Flow(flow.channels, flow.doubt, flow.sizes)
    if all(x.rank > 1 and y.rank > 1 and x.shape[1] == y.shape[1] for x, y in pairs):
        # With axis 1 as it was, either nothing is merged into it or all that is are ones.
        return Flow(flow.channels, flow.doubt | flow.sizes, flow.sizes)
    return Flow(None, flow.names, flow.names)
