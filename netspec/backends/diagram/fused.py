"""Fuses ops into one box: an op with the normalisation, activation and dropout after it, as papers draw them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from netspec.backends.diagram.view import scopes_around
from netspec.graph.model import Graph, Node

_FOLLOWERS = ("normalization", "activation", "regularization", "shape")
"""Families of ops that share the box of the op before them."""


@dataclass(slots=True)
class FusedOps:
    """An op with its followers, such as a convolution with its batch norm and ReLU."""

    leader: Node
    scope: str
    """The path of the innermost scope around all of them."""
    followers: list[Node] = field(default_factory=list[Node])

    @property
    def nodes(self) -> list[Node]:
        """The leader and the followers, in order."""
        return [self.leader, *self.followers]


def fuse(graph: Graph, nodes: Sequence[Node], closed: Collection[str] = ()) -> list[FusedOps]:
    """Fuse nodes with their followers; the groups are in the order of their leaders.

    Ops inside a scope whose path is in `closed` are not fused with ops outside it.
    """
    by_path: dict[str, FusedOps] = {}
    groups: list[FusedOps] = []
    outputs = {o.value for o in graph.outputs}
    counts = Counter(path for node in nodes for path in scopes_around(graph, node))
    for node in nodes:
        before = by_path.get(node.inputs[0]) if len(node.inputs) == 1 else None
        if (
            before is not None
            and node.op.family in _FOLLOWERS
            and len(graph.users[node.inputs[0]]) == 1
            and node.inputs[0] not in outputs
            and _may_reach(graph, before, node.scope, counts, closed)
        ):
            before.followers.append(node)
            before.scope = node.scope
            by_path[node.path] = before
        else:
            by_path[node.path] = FusedOps(node, node.scope)
            groups.append(by_path[node.path])
    return groups


def _may_reach(graph: Graph, fused: FusedOps, scope: str, counts: Mapping[str, int], closed: Collection[str]) -> bool:
    """Whether an op in a scope may follow fused ops: it is in their scope, or the scopes in between hold only them.

    `counts` are the numbers of nodes below each scope.
    """
    path = fused.scope
    while path != scope:
        if not path or counts[path] > len(fused.nodes) or path in closed:
            return False
        path = graph.scopes[path].parent
    return True
