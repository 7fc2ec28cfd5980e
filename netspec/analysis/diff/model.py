"""The difference between two graphs as data: nodes side by side, and inputs and outputs side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from netspec.analysis.cost import Cost
from netspec.dims import Dim
from netspec.graph.model import Graph, Mode, Node
from netspec.report import OPTIONAL
from netspec.types import Tensor

Status = Literal["same", "sizes", "changed", "only_a", "only_b"]
"""Of a node: nothing differs; sizes follow from what differs elsewhere; the node itself differs; one side has it."""


@dataclass(frozen=True, slots=True, eq=False)
class NodePair:
    """A node of the first graph and its match in the second, or a node without a match.

    `attributes` are those that differ, with both values; `inputs_differ` says whether it reads other values,
    `weights_differ` whether it shares weights with other nodes. `types_read` are the first types it reads that differ,
    where it does not differ itself. Costs are those of the whole graph.
    """

    a: Node | None
    b: Node | None
    status: Status
    attributes: Mapping[str, tuple[Any, Any]]
    inputs_differ: bool
    weights_differ: bool
    types_read: tuple[Tensor, Tensor] | None
    cost_a: Cost | None
    cost_b: Cost | None

    @property
    def node(self) -> Node:
        """The node, of the first graph where it has one."""
        node = self.a or self.b
        assert node is not None
        return node

    @property
    def parameters(self) -> int:
        """By how many parameters the second has more."""
        return (self.cost_b.parameters if self.cost_b else 0) - (self.cost_a.parameters if self.cost_a else 0)

    @property
    def macs(self) -> int | None:
        """By how many multiply-accumulates the second has more; None where a size is open, and they may differ."""
        if self.status == "same":
            return 0
        a, b = (0 if cost is None or cost.macs is None else cost.macs for cost in (self.cost_a, self.cost_b))
        return minus(b, a)


@dataclass(frozen=True, slots=True)
class End:
    """An input or an output of a graph; `value` and `mode` are those of an output."""

    name: str
    shape: tuple[Dim, ...]
    dtype: str
    value: str = field(default="", metadata=OPTIONAL)
    mode: Mode | Literal[""] = field(default="", metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class EndPair:
    """An input or output of the first graph and its match in the second, or one without a match."""

    status: Status
    kind: Literal["input", "output"]
    a: End | None
    b: End | None


@dataclass(frozen=True, slots=True)
class GraphDiff:
    """Two graphs with every node, input and output of both, in pairs."""

    a: Graph
    b: Graph
    pairs: tuple[NodePair, ...]
    ends: tuple[EndPair, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs that the hash of a graph covers."""
        return all(pair.status == "same" for pair in (*self.pairs, *self.ends))


def minus(b: Dim | None, a: Dim | None) -> int | None:
    """A difference, None where either is unknown or open."""
    return b - a if isinstance(a, int) and isinstance(b, int) else None
