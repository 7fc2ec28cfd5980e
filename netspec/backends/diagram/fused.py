"""What one box holds: an op with the normalisation, activation and dropout that follow it, as papers draw them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netspec.graph.model import Graph, Node

_FOLLOWERS = ("normalization", "activation", "regularization", "shape")
"""Families that share the box of the op before them."""


@dataclass(slots=True)
class FusedOps:
    """An op and those that follow it; `home` is the scope they stand in together."""

    leader: Node
    home: str
    followers: list[Node] = field(default_factory=list[Node])

    @property
    def nodes(self) -> list[Node]:
        return [self.leader, *self.followers]


def fuse(graph: Graph, nodes: Sequence[Node], walls: Collection[str] = ()) -> list[FusedOps]:
    """The fused_ops in the order of their leaders; none goes on outside a scope of `walls` in which it began."""
    by_path: dict[str, FusedOps] = {}
    made: list[FusedOps] = []
    outputs = {o.value for o in graph.outputs}
    inside = Counter(path for node in nodes for path in _around(graph, node))
    for node in nodes:
        before = by_path.get(node.inputs[0]) if len(node.inputs) == 1 else None
        if (
            before is not None
            and node.op.family in _FOLLOWERS
            and len(graph.users[node.inputs[0]]) == 1
            and node.inputs[0] not in outputs
            and _reaches(graph, before, node.scope, inside, walls)
        ):
            before.followers.append(node)
            before.home = node.scope
            by_path[node.path] = before
        else:
            by_path[node.path] = FusedOps(node, node.scope)
            made.append(by_path[node.path])
    return made


def _around(graph: Graph, node: Node) -> Iterator[str]:
    """The paths of the scopes around a node."""
    path = node.scope
    while path:
        yield path
        path = graph.scopes[path].parent


def _reaches(graph: Graph, fused: FusedOps, scope: str, inside: Mapping[str, int], walls: Collection[str]) -> bool:
    """Whether an fused may go on in a scope: its own, or one around it, of which all between hold nothing else."""
    path = fused.home
    while path != scope:
        if not path or inside[path] > len(fused.nodes) or path in walls:
            return False
        path = graph.scopes[path].parent
    return True
