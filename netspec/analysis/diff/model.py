"""The difference between two graphs as data: pairs of nodes, inputs and outputs."""

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
"""Nothing differs; only sizes differ, because of a change elsewhere; the node itself differs; one side has it."""


@dataclass(frozen=True, slots=True, eq=False)
class NodePair:
    """A node of the first graph and its match in the second, or a node without a match.

    `attributes` are the differing ones, with both values. `inputs_differ` says whether the two read different values,
    and `weights_differ` whether they share weights with different nodes. `types_read` is the first pair of input types
    that differ, for nodes that have not changed themselves. Costs are those in the whole graph.
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
        """The node of the first graph, or of the second if the first has none."""
        node = self.a or self.b
        assert node is not None
        return node

    @property
    def parameters(self) -> int:
        """The parameters of the second node minus those of the first."""
        return (self.cost_b.parameters if self.cost_b else 0) - (self.cost_a.parameters if self.cost_a else 0)

    @property
    def macs(self) -> int | None:
        """The MACs of the second node minus those of the first; None if a size is open and they may differ."""
        if self.status == "same":
            return 0
        a, b = (0 if cost is None or cost.macs is None else cost.macs for cost in (self.cost_a, self.cost_b))
        return minus(b, a)


@dataclass(frozen=True, slots=True)
class End:
    """An input or an output of a graph; only an output has a `value` and a `mode`."""

    name: str
    shape: tuple[Dim, ...]
    dtype: str
    value: str = field(default="", metadata=OPTIONAL)
    mode: Mode | Literal[""] = field(default="", metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class EndPair:
    """An input or output of the first graph and its match in the second; None for a missing match."""

    status: Status
    kind: Literal["input", "output"]
    a: End | None
    b: End | None


@dataclass(frozen=True, slots=True)
class GraphDiff:
    """Two graphs, with their nodes, inputs and outputs in pairs."""

    a: Graph
    b: Graph
    pairs: tuple[NodePair, ...]
    ends: tuple[EndPair, ...]

    @property
    def same(self) -> bool:
        """Whether the graphs differ in nothing that a graph's hash covers."""
        return all(pair.status == "same" for pair in (*self.pairs, *self.ends))


def minus(b: Dim | None, a: Dim | None) -> int | None:
    """The difference `b - a`; None if either is unknown or symbolic."""
    return b - a if isinstance(a, int) and isinstance(b, int) else None
