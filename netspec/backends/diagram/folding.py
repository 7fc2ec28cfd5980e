"""Decides which ops and scopes of a graph are drawn as one box, and which scopes are clusters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netspec.backends.diagram.copy_texts import merged
from netspec.backends.diagram.fused import FusedOps, fuse
from netspec.backends.diagram.view import View
from netspec.graph.model import Graph, Node, Scope

_MAX_SINGLE = 8
"""The largest number of copies that are drawn one by one if their labels are too different for one box."""


class Folding:
    """The keys of boxes and clusters: ops or scopes with the same key are drawn as one.

    A key is a path with `*` for the copies of a repeat that are drawn once: `layer1.0.conv1` and `layer1.1.conv1` have
    the key `layer1.*.conv1`. Scopes with one key are all clusters or none: the copy with most boxes decides.
    """

    def __init__(self, graph: Graph, nodes: Sequence[Node], view: View) -> None:
        self.graph = graph
        self.part = view.part
        self.expand_all = "all" in view.expand
        self.unfolded: set[str] = set()
        """The keys of repeats whose copies are drawn one by one."""
        self._keys: dict[str, str] = {}
        self._kinds: dict[str, tuple[str, str]] = {}
        self._chains: dict[str, tuple[Scope, ...]] = {}
        self._drawn: dict[str, tuple[tuple[int, Scope], ...]] = {}
        self.children = self._children_of(nodes)
        """For each scope, the paths of the scopes and nodes directly in it, in order."""
        for name in sorted(view.expand - {"all"}, key=len):
            self.unfolded.add(self.key(name))
            self._keys.clear()
        self.expanded = frozenset(self.unfolded)
        """The keys of repeats that the view expands."""
        self.heavy: set[str] = set()
        """The keys of scopes that hold more than one box."""
        self.fused = self._fuse(nodes)
        self.keys = [self.op_key(fused.leader) for fused in self.fused]
        """The key of the box of each group of fused ops."""
        self.scope_of_key = {key: fused.leader.scope for key, fused in zip(self.keys, self.fused, strict=True)}
        """For each key of a box of ops, the scope of one of them."""

    def _children_of(self, nodes: Sequence[Node]) -> dict[str, dict[str, None]]:
        children: dict[str, dict[str, None]] = {}
        for node in nodes:
            path, parent = node.path, node.scope
            while parent and parent != self.part and path not in children.setdefault(parent, {}):
                children[parent][path] = None
                path, parent = parent, self.graph.scopes[parent].parent
        return children

    def _fuse(self, nodes: Sequence[Node]) -> list[FusedOps]:
        """Fuse ops repeatedly until no group crosses the border of a drawn scope.

        Scopes are drawn if they hold several boxes, which in turn depends on the fused ops.
        """
        closed: set[str] = set()
        while True:
            groups = fuse(self.graph, nodes, closed)
            self.unfolded |= self._unlike(groups)
            self._keys.clear()
            self._kinds.clear()
            self.heavy = self._heavy(groups)
            crossed = {path for fused in groups if fused.followers for path in self._crossed(fused)} - closed
            if not crossed:
                return groups
            closed |= crossed

    def _unlike(self, groups: Iterable[FusedOps]) -> set[str]:
        """The keys of short repeats of single boxes whose labels can't be merged into one."""
        labels: dict[str, list[str]] = {}
        for fused in groups:
            for scope in self.chain(fused.leader.scope):
                if scope.kind == "repeat":
                    labels.setdefault(scope.path, []).append(fused.leader.op.label())
        by_key: dict[str, list[str]] = {}
        for path in labels:
            by_key.setdefault(self.key(path), []).append(path)
        unlike: set[str] = set()
        for key, paths in by_key.items():
            counts = {(len(labels[path]), len(self.children[path])) for path in paths}
            boxes, copies = next(iter(counts))
            single = len(counts) == 1 and boxes == copies <= _MAX_SINGLE
            if single and any(merged(labels[path]) is None for path in paths):
                unlike.add(key)
        return unlike

    def _heavy(self, groups: Iterable[FusedOps]) -> set[str]:
        """The keys of scopes that hold more than one box."""
        counts: dict[str, int] = {}
        for fused in groups:
            for scope in self.chain(fused.leader.scope):
                counts[scope.path] = counts.get(scope.path, 0) + 1
        heavy: set[str] = set()
        for path, count in counts.items():
            scope = self.graph.scopes[path]
            # A repeat is drawn as one of its copies, and so holds as many boxes as that.
            if count > 1 and scope.kind != "repeat":
                heavy.add(self.key(path))
                if self._is_copy(scope):
                    heavy.add(self.key(scope.parent))
        return heavy

    def _crossed(self, fused: FusedOps) -> Iterable[str]:
        """The paths of drawn scopes that hold the leader of fused ops but not all of its followers."""
        inner = self.chain(fused.leader.scope)
        outer = len(self.chain(fused.scope))
        return (scope.path for scope in inner[outer:] if self._is_drawn(scope))

    def chain(self, path: str) -> tuple[Scope, ...]:
        """The scopes at and around a path, outermost first, inside the drawn part."""
        chain = self._chains.get(path)
        if chain is None:
            if not path or path == self.part:
                return ()
            scope = self.graph.scopes[path]
            chain = self._chains[path] = (*self.chain(scope.parent), scope)
        return chain

    def key(self, path: str) -> str:
        """The key of a scope."""
        key = self._keys.get(path)
        if key is None:
            scope = self.graph.scopes.get(path)
            if scope is None or path == self.part:
                key = path
            else:
                kind = scope.kind, self._block_name(scope)
                key = self._free_key(self._joined(scope.parent, scope.name), kind)
            self._keys[path] = key
        return key

    def _block_name(self, scope: Scope) -> str:
        """The name of the block that a scope, or the copies of a repeat, use; "" for none."""
        path = next(iter(self.children.get(scope.path, ())), "") if scope.kind == "repeat" else scope.path
        used = self.graph.scopes.get(path)
        return used.block.name if used is not None and used.block is not None else ""

    def op_key(self, leader: Node) -> str:
        """The key of the box that an op leads."""
        # A named merge has the path of its scope.
        name = leader.op.opname if leader.path == leader.scope else leader.name
        return self._free_key(self._joined(leader.scope, name), ("op", leader.op.opname))

    def _joined(self, parent: str, name: str) -> str:
        """The key of a scope, extended by a name, or by `*` for a copy of a repeat that is drawn once."""
        scope = self.graph.scopes.get(parent)
        if scope is not None and self.drawn_once(scope):
            name = "*"
        return f"{self.key(parent)}.{name}" if parent else name

    def _free_key(self, key: str, kind: tuple[str, str]) -> str:
        """The key, with a number appended if another kind of item has it: kinds may differ from copy to copy."""
        number, free = 1, key
        while self._kinds.setdefault(free, kind) != kind:
            number += 1
            free = f"{key}~{number}"
        return free

    def drawn_once(self, scope: Scope) -> bool:
        """Whether a scope is a repeat whose copies are drawn as one."""
        return (
            scope.kind == "repeat"
            and scope.path != self.part
            and not self.expand_all
            and self.key(scope.path) not in self.unfolded
        )

    def drawn(self, path: str) -> tuple[tuple[int, Scope], ...]:
        """The scopes at and around a path that are closed boxes or clusters, each with its index in the chain."""
        drawn = self._drawn.get(path)
        if drawn is None:
            chain = enumerate(self.chain(path))
            drawn = self._drawn[path] = tuple([(index, scope) for index, scope in chain if self._is_drawn(scope)])
        return drawn

    def _is_copy(self, scope: Scope) -> bool:
        parent = self.graph.scopes.get(scope.parent)
        return parent is not None and parent.kind == "repeat" and scope.parent != self.part

    def _is_drawn(self, scope: Scope) -> bool:
        """Whether a scope is a closed box or a cluster, that is, holds several boxes and is no branch."""
        if scope.kind == "branch" or self.key(scope.path) not in self.heavy:
            return False
        if scope.kind == "repeat":
            return self.drawn_once(scope)
        return not (self._is_copy(scope) and self.drawn_once(self.graph.scopes[scope.parent]))

    def is_cluster(self, scope: Scope, level: int, depth: int) -> bool:
        """Whether a drawn scope is a cluster and not a closed box, if blocks are opened down to a depth."""
        if level <= depth or not self.expanded:
            return level <= depth
        key = self.key(scope.path)
        inside = any(name.startswith(f"{key}.") for name in self.expanded)
        return inside or key in self.expanded or self.key(scope.parent) in self.expanded

    def boxes(self, depth: int) -> set[str]:
        """The keys of all boxes, of ops and of closed scopes, if blocks are opened down to a depth."""
        keys: set[str] = set()
        for key, path in self.scope_of_key.items():
            closed = self._closed_around(path, depth)
            keys.add(self.key(closed.path) if closed else key)
        return keys

    def _closed_around(self, path: str, depth: int) -> Scope | None:
        """The outermost scope at or around a path that is a closed box; None if there is none."""
        drawn = enumerate(self.drawn(path), start=1)
        return next((scope for level, (_, scope) in drawn if not self.is_cluster(scope, level, depth)), None)
