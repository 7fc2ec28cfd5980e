"""Where every op of a picture stands: which copies share a box, and which scopes are boxes, clusters, or neither."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from netspec.backends.diagram.copy_texts import merged, which
from netspec.backends.diagram.fused import FusedOps, fuse
from netspec.backends.diagram.view import View
from netspec.graph.model import Graph, Node, Scope

_MAX_SINGLE = 8
"""As many copies that differ are drawn one by one."""


Loops = tuple[tuple[str, str], ...]
"""The open repeats around an op by their paths, outermost first, each with the path of the copy."""


@dataclass(slots=True)
class OpPlace:
    """Where an op stands: its box, the copy of the cluster around it by number, and the copies of all open repeats."""

    box: str
    copy: int
    loops: Loops


@dataclass(slots=True)
class Unit:
    """What a box stands for once: an fused, or a scope that is closed.

    `inner` are the scopes around it in the cluster, and itself if it is one.
    """

    leader: Node
    scope: Scope | None
    copy: int
    inner: tuple[Scope, ...]
    nodes: list[Node] = field(default_factory=list[Node])

    @property
    def path(self) -> str:
        return self.scope.path if self.scope else self.leader.path


@dataclass(slots=True)
class ClusterPlan:
    """A cluster: its scopes, its copies by their paths, and for each copy that of the cluster around it."""

    key: str
    parent: str
    repeat: bool
    scopes: dict[str, Scope] = field(default_factory=dict[str, Scope])
    copies: dict[str, int] = field(default_factory=dict[str, int])
    around: list[int] = field(default_factory=list[int])
    nodes: list[Node] = field(default_factory=list[Node])


class Folding:
    """The names of scopes and boxes, with `*` for the copy of a repeat that is drawn once; of them, which are clusters.

    What is drawn as one is a cluster, or not, as one: the copy that has most decides.
    """

    def __init__(self, graph: Graph, nodes: Sequence[Node], view: View) -> None:
        self.graph = graph
        self.part = view.part
        self.all = "all" in view.expand
        self.apart: set[str] = set()
        """The repeats that are drawn one by one."""
        self._keys: dict[str, str] = {}
        self._kinds: dict[str, tuple[str, str]] = {}
        self._chains: dict[str, tuple[Scope, ...]] = {}
        self._framed: dict[str, tuple[tuple[int, Scope], ...]] = {}
        self.children = self._children_of(nodes)
        for name in sorted(view.expand - {"all"}, key=len):
            self.apart.add(self.key(name))
            self._keys.clear()
        self.expanded = frozenset(self.apart)
        self.fused_ops, self.heavy = self._settle(nodes)
        self.keys = [self.key_of(fused.leader) for fused in self.fused_ops]
        self.places = {key: fused.leader.scope for key, fused in zip(self.keys, self.fused_ops, strict=True)}
        """For the box of each fused, a scope in which it stands."""

    def _children_of(self, nodes: Sequence[Node]) -> dict[str, dict[str, None]]:
        """By scope, the paths of what stands directly in it, in order."""
        found: dict[str, dict[str, None]] = {}
        for node in nodes:
            path, parent = node.path, node.scope
            while parent and parent != self.part and path not in found.setdefault(parent, {}):
                found[parent][path] = None
                path, parent = parent, self.graph.scopes[parent].parent
        return found

    def _settle(self, nodes: Sequence[Node]) -> tuple[list[FusedOps], set[str]]:
        """The fused_ops, none of which leaves a cluster, and the keys of what holds more than one."""
        walls: set[str] = set()
        while True:
            made = fuse(self.graph, nodes, walls)
            self.apart |= self._differing(made)
            self._keys.clear()
            self._kinds.clear()
            self.heavy = self._heavy(made)
            crossed = {path for fused in made if fused.followers for path in self._crossed(fused)} - walls
            if not crossed:
                return made, self.heavy
            walls |= crossed

    def _differing(self, made: Iterable[FusedOps]) -> set[str]:
        """The keys of repeats of a few single boxes that have no label for all."""
        labels: dict[str, list[str]] = {}
        for fused in made:
            for scope in self.chain(fused.leader.scope):
                if scope.kind == "repeat":
                    labels.setdefault(scope.path, []).append(fused.leader.op.label())
        by_key: dict[str, list[str]] = {}
        for path in labels:
            by_key.setdefault(self.key(path), []).append(path)
        differing: set[str] = set()
        for key, paths in by_key.items():
            counts = {(len(labels[path]), len(self.children[path])) for path in paths}
            count, copies = next(iter(counts))
            single = len(counts) == 1 and count == copies <= _MAX_SINGLE
            if single and any(merged(labels[path]) is None for path in paths):
                differing.add(key)
        return differing

    def _heavy(self, made: Iterable[FusedOps]) -> set[str]:
        weights: dict[str, int] = {}
        for fused in made:
            for scope in self.chain(fused.leader.scope):
                weights[scope.path] = weights.get(scope.path, 0) + 1
        heavy: set[str] = set()
        for path, weight in weights.items():
            scope = self.graph.scopes[path]
            # A repeat is no heavier than its copies are, which are drawn once.
            if weight > 1 and scope.kind != "repeat":
                heavy.add(self.key(path))
                if self._is_copy(scope):
                    heavy.add(self.key(scope.parent))
        return heavy

    def _crossed(self, fused: FusedOps) -> Iterable[str]:
        """The clusters that an fused begins in and leaves."""
        inner = self.chain(fused.leader.scope)
        outer = len(self.chain(fused.home))
        return (scope.path for scope in inner[outer:] if self.framing(scope))

    def chain(self, path: str) -> tuple[Scope, ...]:
        """The scopes around and at a path, outermost first, below the part that is drawn."""
        chain = self._chains.get(path)
        if chain is None:
            if not path or path == self.part:
                return ()
            scope = self.graph.scopes[path]
            chain = self._chains[path] = (*self.chain(scope.parent), scope)
        return chain

    def key(self, path: str) -> str:
        """A scope's path with `*` for the copy of a repeat that is drawn once."""
        key = self._keys.get(path)
        if key is None:
            scope = self.graph.scopes.get(path)
            if scope is None or path == self.part:
                key = path
            else:
                kind = scope.kind, self._block_name(scope)
                key = self._claim(self._below(scope.parent, scope.name), kind)
            self._keys[path] = key
        return key

    def _block_name(self, scope: Scope) -> str:
        """The block that a scope or the copies of a repeat use; "" for none."""
        path = next(iter(self.children.get(scope.path, ())), "") if scope.kind == "repeat" else scope.path
        used = self.graph.scopes.get(path)
        return used.block.name if used is not None and used.block is not None else ""

    def key_of(self, leader: Node) -> str:
        """The key of the box of an op that leads it."""
        # A named merge has the path of its scope.
        name = leader.op.opname if leader.path == leader.scope else leader.name
        return self._claim(self._below(leader.scope, name), ("op", leader.op.opname))

    def _below(self, parent: str, name: str) -> str:
        scope = self.graph.scopes.get(parent)
        if scope is not None and self.drawn_once(scope):
            name = "*"
        return f"{self.key(parent)}.{name}" if parent else name

    def _claim(self, key: str, kind: tuple[str, str]) -> str:
        """The key for what is of a kind: things of one name that differ in kind from copy to copy are drawn apart."""
        number, name = 1, key
        while self._kinds.setdefault(name, kind) != kind:
            number += 1
            name = f"{key}~{number}"
        return name

    def drawn_once(self, scope: Scope) -> bool:
        """Whether a scope is a repeat of which one copy is drawn for all."""
        return (
            scope.kind == "repeat"
            and scope.path != self.part
            and not self.all
            and self.key(scope.path) not in self.apart
        )

    def framed(self, path: str) -> tuple[tuple[int, Scope], ...]:
        """The scopes around and at a path that are boxes or clusters, with their places in its chain."""
        framed = self._framed.get(path)
        if framed is None:
            places = enumerate(self.chain(path))
            framed = self._framed[path] = tuple([(place, scope) for place, scope in places if self.framing(scope)])
        return framed

    def _is_copy(self, scope: Scope) -> bool:
        parent = self.graph.scopes.get(scope.parent)
        return parent is not None and parent.kind == "repeat" and scope.parent != self.part

    def framing(self, scope: Scope) -> bool:
        """Whether a scope is drawn as a box or as a cluster: it holds more than one box, and is no branch."""
        if scope.kind == "branch" or self.key(scope.path) not in self.heavy:
            return False
        if scope.kind == "repeat":
            return self.drawn_once(scope)
        return not (self._is_copy(scope) and self.drawn_once(self.graph.scopes[scope.parent]))

    def opened(self, scope: Scope, level: int, depth: int) -> bool:
        """Whether a scope at a level is a cluster, and not a box."""
        if level <= depth or not self.expanded:
            return level <= depth
        key = self.key(scope.path)
        inside = any(name.startswith(f"{key}.") for name in self.expanded)
        return inside or key in self.expanded or self.key(scope.parent) in self.expanded

    def boxes(self, depth: int) -> set[str]:
        """The keys of the boxes that hold ops where blocks are opened down to a depth."""
        drawn: set[str] = set()
        for key, path in self.places.items():
            closed = self._closed_around(path, depth)
            drawn.add(self.key(closed.path) if closed else key)
        return drawn

    def _closed_around(self, path: str, depth: int) -> Scope | None:
        """The outermost scope around and at a path that is drawn closed."""
        framed = enumerate(self.framed(path), start=1)
        return next((scope for level, (_, scope) in framed if not self.opened(scope, level, depth)), None)


class Placement:
    """The boxes and clusters of a view: `units` by key of box, `clusters` by theirs, a `stand` for every op."""

    def __init__(self, layout: Folding, depth: int) -> None:
        self.layout = layout
        self.depth = depth
        self.units: dict[str, list[Unit]] = {}
        self.clusters: dict[str, ClusterPlan] = {}
        self.stands: dict[str, OpPlace] = {}
        self.cluster_of: dict[str, str] = {}
        self._closed: dict[str, Unit] = {}
        for key, fused in zip(layout.keys, layout.fused_ops, strict=True):
            self._place(key, fused)

    def copies(self, cluster: str) -> int:
        """How many copies a cluster stands for; outside of clusters 1."""
        return len(self.clusters[cluster].copies) if cluster else 1

    def groups(self, cluster: str) -> list[int]:
        """For each copy of a cluster, a number that is equal for the copies of one repeat."""
        if not cluster:
            return [0]
        opened = self.clusters[cluster]
        if opened.repeat:
            return opened.around
        above = self.groups(opened.parent)
        return [above[copy] for copy in opened.around]

    def where(self, cluster: str, copies: Collection[int]) -> str:
        """In which copies of the innermost repeat around a cluster these copies of it stand; nothing if all of them."""
        if len(copies) == self.copies(cluster):
            return ""
        opened = self.clusters[cluster]
        while not opened.repeat:
            copies = {opened.around[copy] for copy in copies}
            opened = self.clusters[opened.parent]
        return which([copy in copies for copy in range(len(opened.copies))], opened.around)

    def _place(self, own: str, fused: FusedOps) -> None:
        """Find the box of an fused: its own, or that of the outermost scope around it that is closed."""
        layout, leader = self.layout, fused.leader
        chain = layout.chain(leader.scope)
        cluster, copy, start = "", 0, 0
        loops: list[tuple[str, str]] = []
        for level, (place, scope) in enumerate(layout.framed(leader.scope), start=1):
            if not layout.opened(scope, level, self.depth):
                self._close(scope, Unit(leader, scope, copy, chain[start : place + 1]), cluster, fused, tuple(loops))
                return
            path = scope.path
            if scope.kind == "repeat":
                path = chain[place + 1].path if place + 1 < len(chain) else leader.path
                loops.append((scope.path, path))
            copy, cluster, start = self._enter(scope, cluster, copy, path, fused), layout.key(scope.path), place + 1
        self._add(own, Unit(leader, None, copy, chain[start:]), cluster, fused, tuple(loops))

    def _enter(self, scope: Scope, outer: str, copy: int, path: str, fused: FusedOps) -> int:
        """The number of the copy of a cluster that has a path; the cluster and the copy are noted if they are new."""
        key = self.layout.key(scope.path)
        cluster = self.clusters.setdefault(key, ClusterPlan(key, outer, scope.kind == "repeat"))
        cluster.scopes[scope.path] = scope
        cluster.nodes += fused.nodes
        if path not in cluster.copies:
            cluster.copies[path] = len(cluster.copies)
            cluster.around.append(copy)
        return cluster.copies[path]

    def _close(self, scope: Scope, unit: Unit, cluster: str, fused: FusedOps, loops: Loops) -> None:
        key = self.layout.key(scope.path)
        known = self._closed.get(scope.path)
        if known is None:
            self._closed[scope.path] = unit
            self._add(key, unit, cluster, fused, loops)
            return
        self._note(key, known, fused, loops)

    def _add(self, key: str, unit: Unit, cluster: str, fused: FusedOps, loops: Loops) -> None:
        self.units.setdefault(key, []).append(unit)
        self.cluster_of.setdefault(key, cluster)
        self._note(key, unit, fused, loops)

    def _note(self, key: str, unit: Unit, fused: FusedOps, loops: Loops) -> None:
        unit.nodes += fused.nodes
        stand = OpPlace(key, unit.copy, loops)
        for node in fused.nodes:
            self.stands[node.path] = stand
