"""Places every op of a picture: in a box, and in a copy of the cluster around it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from netspec.backends.diagram.copy_texts import which
from netspec.backends.diagram.folding import Folding
from netspec.backends.diagram.fused import FusedOps
from netspec.graph.model import Node, Scope

Loops = tuple[tuple[str, str], ...]
"""The open repeats around an op, outermost first: pairs of the path of the repeat and the path of the copy."""


@dataclass(slots=True)
class OpPlace:
    """The place of an op: its box, the number of the copy of its cluster, and the copies of all open repeats."""

    box: str
    copy: int
    loops: Loops


@dataclass(slots=True)
class Unit:
    """One copy of a box: fused ops, or a closed scope.

    `inner` are the scopes around it inside its cluster, including the closed scope.
    """

    leader: Node
    scope: Scope | None
    copy: int
    inner: tuple[Scope, ...]
    nodes: list[Node] = field(default_factory=list[Node])

    @property
    def path(self) -> str:
        """The path of the closed scope, or of the leading op."""
        return self.scope.path if self.scope else self.leader.path


@dataclass(slots=True)
class ClusterPlan:
    """A cluster before it is labelled: the scopes that it stands for, and its copies.

    `copies` are the numbers of copies by path, and `around[number]` is the number of the parent's copy around a copy.
    """

    key: str
    parent: str
    is_repeat: bool
    scopes: dict[str, Scope] = field(default_factory=dict[str, Scope])
    copies: dict[str, int] = field(default_factory=dict[str, int])
    around: list[int] = field(default_factory=list[int])
    nodes: list[Node] = field(default_factory=list[Node])


class Placement:
    """The boxes and clusters of a folding, with blocks opened down to a depth."""

    def __init__(self, folding: Folding, depth: int) -> None:
        self.folding = folding
        self.depth = depth
        self.units: dict[str, list[Unit]] = {}
        """The units that each box stands for, by the box's key."""
        self.clusters: dict[str, ClusterPlan] = {}
        """By their keys."""
        self.places: dict[str, OpPlace] = {}
        """By the paths of ops."""
        self.cluster_of: dict[str, str] = {}
        """The key of the cluster around each box, by the box's key; "" for none."""
        self._closed: dict[str, Unit] = {}
        for key, fused in zip(folding.keys, folding.fused, strict=True):
            self._place(key, fused)

    def copies(self, cluster: str) -> int:
        """The number of copies that a cluster stands for; 1 outside of clusters."""
        return len(self.clusters[cluster].copies) if cluster else 1

    def groups(self, cluster: str) -> list[int]:
        """A group number for each copy of a cluster, equal for the copies of one repeat."""
        if not cluster:
            return [0]
        plan = self.clusters[cluster]
        if plan.is_repeat:
            return plan.around
        above = self.groups(plan.parent)
        return [above[copy] for copy in plan.around]

    def where(self, cluster: str, copies: Collection[int]) -> str:
        """The copies of the innermost repeat around a cluster that hold some copies of it, in words; "" for all."""
        if len(copies) == self.copies(cluster):
            return ""
        plan = self.clusters[cluster]
        while not plan.is_repeat:
            copies = {plan.around[copy] for copy in copies}
            plan = self.clusters[plan.parent]
        return which([copy in copies for copy in range(len(plan.copies))], plan.around)

    def _place(self, key: str, fused: FusedOps) -> None:
        """Put fused ops into their own box, or into the box of the outermost closed scope around them."""
        folding, leader = self.folding, fused.leader
        chain = folding.chain(leader.scope)
        cluster, copy, start = "", 0, 0
        loops: list[tuple[str, str]] = []
        for level, (index, scope) in enumerate(folding.drawn(leader.scope), start=1):
            if not folding.is_cluster(scope, level, self.depth):
                unit = Unit(leader, scope, copy, chain[start : index + 1])
                self._add_closed(scope, unit, cluster, fused, tuple(loops))
                return
            path = scope.path
            if scope.kind == "repeat":
                path = chain[index + 1].path if index + 1 < len(chain) else leader.path
                loops.append((scope.path, path))
            copy, cluster, start = self._enter(scope, cluster, copy, path, fused), folding.key(scope.path), index + 1
        self._add(key, Unit(leader, None, copy, chain[start:]), cluster, fused, tuple(loops))

    def _enter(self, scope: Scope, parent: str, parent_copy: int, path: str, fused: FusedOps) -> int:
        """Add fused ops to the copy at a path of a scope's cluster, and return the number of the copy."""
        key = self.folding.key(scope.path)
        plan = self.clusters.setdefault(key, ClusterPlan(key, parent, scope.kind == "repeat"))
        plan.scopes[scope.path] = scope
        plan.nodes += fused.nodes
        if path not in plan.copies:
            plan.copies[path] = len(plan.copies)
            plan.around.append(parent_copy)
        return plan.copies[path]

    def _add_closed(self, scope: Scope, unit: Unit, cluster: str, fused: FusedOps, loops: Loops) -> None:
        """Add fused ops to the unit of a closed scope, which the first of them creates."""
        key = self.folding.key(scope.path)
        if scope.path in self._closed:
            self._add_ops(key, self._closed[scope.path], fused, loops)
        else:
            self._closed[scope.path] = unit
            self._add(key, unit, cluster, fused, loops)

    def _add(self, key: str, unit: Unit, cluster: str, fused: FusedOps, loops: Loops) -> None:
        self.units.setdefault(key, []).append(unit)
        self.cluster_of.setdefault(key, cluster)
        self._add_ops(key, unit, fused, loops)

    def _add_ops(self, key: str, unit: Unit, fused: FusedOps, loops: Loops) -> None:
        unit.nodes += fused.nodes
        place = OpPlace(key, unit.copy, loops)
        for node in fused.nodes:
            self.places[node.path] = place
