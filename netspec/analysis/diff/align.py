"""Matches the nodes of two graphs: by structure, and by name where structure leaves a choice.

There are three stages, each for the nodes that the one before left unmatched:

1. Nodes that are computed alike from the inputs are matched, wherever they are in the spec (`origin` fingerprints).
2. Both graphs become sequences, in an order that does not depend on the spec's, and the gaps between matched nodes are
   aligned: by nodes that are unique in both (as in patience diff), by equal beginnings and ends, and at last by the
   best sum of similarities, as sequences of genes are.
3. Unmatched neighbours of matched nodes are matched, whatever their order.

The time is linear in the number of nodes, except for sorting and for the table of similarities, of which only a band
around the diagonal is filled if it is large.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

from netspec.analysis.diff.fingerprints import FingerprintedGraph, Numbering
from netspec.analysis.diff.interface import Interface
from netspec.analysis.diff.sequences import MAX_CELLS, best_alignment, longest_ascending
from netspec.graph.canonical import canonical, in_order
from netspec.graph.model import Graph, Node

Matches = dict[str, str]
"""The path of a node's match in the second graph, by the node's path in the first."""

_Key = Callable[[FingerprintedGraph, Node], Hashable]
"""A function that returns the key of a node: nodes with equal keys can be matched."""

_Run = tuple[Sequence[Node], Sequence[Node]]
"""Unmatched nodes of both graphs, in order, between the same matched nodes."""


def align(a: Graph, b: Graph, interface: Interface) -> Matches:
    """Match the nodes of two graphs. If the graphs have equal hashes, every node has its exact match."""
    if canonical(a) == canonical(b):
        return {x.path: y.path for x, y in zip(in_order(a), in_order(b), strict=True)}
    numbers = Numbering()
    left = FingerprintedGraph(a, numbers, interface.inputs_a, interface.outputs_a)
    right = FingerprintedGraph(b, numbers, interface.inputs_b, interface.outputs_b)
    return _Aligner(left, right).align()


def _op(graph: FingerprintedGraph, node: Node) -> Hashable:
    return graph.op[node.path]


def _local(graph: FingerprintedGraph, node: Node) -> Hashable:
    return graph.local[node.path]


def _origin(graph: FingerprintedGraph, node: Node) -> Hashable:
    return graph.origin[node.path]


def _origin_and_purpose(graph: FingerprintedGraph, node: Node) -> Hashable:
    return graph.origin[node.path], graph.purpose[node.path]


def _opname(_: FingerprintedGraph, node: Node) -> Hashable:
    return node.op.opname


class _Aligner:
    """Matches the nodes of two graphs, and holds the matches so far."""

    def __init__(self, a: FingerprintedGraph, b: FingerprintedGraph) -> None:
        self.a, self.b = a, b
        self.matches: Matches = {}
        self.matched_b: set[str] = set()

    def align(self) -> Matches:
        self._match_equal(_origin_and_purpose)
        # Several nodes may be computed alike. They are told apart by the nodes that read them, if these are unique.
        self._match_equal(_origin, unique=True)
        self._match_neighbours(_origin)
        self._match_equal(_origin)
        self._align_gaps()
        self._match_neighbours(_local)
        self._match_neighbours(_op)
        self._match_neighbours(_opname)
        return self.matches

    def _match(self, x: Node, y: Node) -> None:
        self.matches[x.path] = y.path
        self.matched_b.add(y.path)

    def _unmatched_a(self, nodes: Iterable[Node]) -> list[Node]:
        return [node for node in nodes if node.path not in self.matches]

    def _unmatched_b(self, nodes: Iterable[Node]) -> list[Node]:
        return [node for node in nodes if node.path not in self.matched_b]

    # By equal keys.

    def _match_equal(self, key: _Key, unique: bool = False) -> None:
        """Match nodes with equal keys; with `unique`, only keys that one node on each side has."""
        groups: defaultdict[Hashable, tuple[list[Node], list[Node]]] = defaultdict(lambda: ([], []))
        for node in self._unmatched_a(self.a.nodes):
            groups[key(self.a, node)][0].append(node)
        for node in self._unmatched_b(self.b.nodes):
            groups[key(self.b, node)][1].append(node)
        for xs, ys in groups.values():
            if not unique or len(xs) == len(ys) == 1:
                self._match_group(xs, ys)

    def _match_group(self, xs: list[Node], ys: list[Node]) -> None:
        """Match nodes with equal keys in order; first by name, if one side has more of them."""
        if len(xs) != len(ys):
            names = {y.path: y for y in ys}
            for x in xs:
                if y := names.get(x.path):
                    self._match(x, y)
        for x, y in zip(self._unmatched_a(xs), self._unmatched_b(ys), strict=False):
            self._match(x, y)

    # In sequence.

    def _align_gaps(self) -> None:
        """Align the runs between matched nodes that come in the same order on both sides."""
        place = {node.path: number for number, node in enumerate(self.b.nodes)}
        anchors = [(n, place[self.matches[x.path]]) for n, x in enumerate(self.a.nodes) if x.path in self.matches]
        i = j = 0
        for x, y in [*longest_ascending(anchors), (len(self.a.nodes), len(self.b.nodes))]:
            self._align_run((self._unmatched_a(self.a.nodes[i:x]), self._unmatched_b(self.b.nodes[j:y])))
            i, j = x + 1, y + 1

    def _align_run(self, run: _Run) -> None:
        """Align a run at its unique nodes, then the runs between these, and runs without unique nodes by similarity."""
        todo = [run]
        while todo:
            xs, ys = todo.pop()
            if not xs or not ys:
                continue
            anchors = self._anchors(xs, ys, _local)
            if not anchors and len(xs) * len(ys) > MAX_CELLS:
                # Ops without their types are weaker evidence, and so only used for runs too long for similarities.
                anchors = self._anchors(xs, ys, _op)
            if not anchors:
                self._align_by_similarity(*self._without_equal_ends(xs, ys))
                continue
            i = j = 0
            for x, y in [*anchors, (len(xs), len(ys))]:
                todo.append((xs[i:x], ys[j:y]))
                if x < len(xs):
                    self._match(xs[x], ys[y])
                i, j = x + 1, y + 1

    def _anchors(self, xs: Sequence[Node], ys: Sequence[Node], key: _Key) -> list[tuple[int, int]]:
        """The positions of nodes that are unique on both sides and come in the same order."""
        keys_a, keys_b = [key(self.a, x) for x in xs], [key(self.b, y) for y in ys]
        count_a, count_b = Counter(keys_a), Counter(keys_b)
        place = {k: number for number, k in enumerate(keys_b) if count_b[k] == 1}
        return longest_ascending([(n, place[k]) for n, k in enumerate(keys_a) if count_a[k] == 1 and k in place])

    def _without_equal_ends(self, xs: Sequence[Node], ys: Sequence[Node]) -> _Run:
        """Match equal beginnings, then equal ends, so that added copies of a block come after common ones; the rest."""
        first, last_x, last_y = 0, len(xs), len(ys)

        def equal(x: Node, y: Node) -> bool:
            return self.a.local[x.path] == self.b.local[y.path]

        while first < min(last_x, last_y) and equal(xs[first], ys[first]):
            self._match(xs[first], ys[first])
            first += 1
        while first < min(last_x, last_y) and equal(xs[last_x - 1], ys[last_y - 1]):
            last_x, last_y = last_x - 1, last_y - 1
            self._match(xs[last_x], ys[last_y])
        return xs[first:last_x], ys[first:last_y]

    def _align_by_similarity(self, xs: Sequence[Node], ys: Sequence[Node]) -> None:
        if xs and ys:
            for i, j in best_alignment(len(xs), len(ys), self._similarity(xs, ys)):
                self._match(xs[i], ys[j])

    def _similarity(self, xs: Sequence[Node], ys: Sequence[Node]) -> Callable[[int, int], int]:
        """A function that scores a pair of nodes, one of each run: by ops and types, and a little by names."""
        local_a, local_b = [self.a.local[x.path] for x in xs], [self.b.local[y.path] for y in ys]
        paths_a, paths_b = [x.path for x in xs], [y.path for y in ys]
        names_a, names_b = [x.name for x in xs], [y.name for y in ys]
        scores: dict[tuple[int, int], int] = {}

        def similarity(i: int, j: int) -> int:
            key = local_a[i], local_b[j]
            score = scores.get(key)
            if score is None:
                score = scores[key] = self._score(xs[i], ys[j])
            return score + 2 * (paths_a[i] == paths_b[j]) + (names_a[i] == names_b[j]) if score else 0

        return similarity

    def _score(self, x: Node, y: Node) -> int:
        """The similarity of two nodes' ops and types; 0 if the nodes can't match."""
        if self.a.op[x.path] == self.b.op[y.path]:
            score = 12
        elif x.op.opname == y.op.opname:
            score = 8
        elif x.op.family and x.op.family == y.op.family:
            return 2
        else:
            return 0
        type_a, type_b = self.a.types[x.path], self.b.types[y.path]
        if type_a == type_b:
            score += 4
        elif type_a.rank == type_b.rank and type_a.spatial == type_b.spatial:
            score += 3
        # Layers and merges count double: activations and the like follow them.
        return 2 * score if x.op.family in ("convolution", "linear", "merge") else score

    # Around matched nodes.

    def _match_neighbours(self, key: _Key) -> None:
        """Match neighbours of matched nodes that have equal keys, if these are unique among the neighbours."""
        todo = list(self.matches.items())
        while todo:
            path_a, path_b = todo.pop()
            x, y = self.a.graph.by_path[path_a], self.b.graph.by_path[path_b]
            for near_x, near_y in (
                (self.a.sources(x), self.b.sources(y)),
                (self.a.users(x), self.b.users(y)),
            ):
                for u, v in self._unique_pairs(self._unmatched_a(near_x), self._unmatched_b(near_y), key):
                    self._match(u, v)
                    todo.append((u.path, v.path))

    def _unique_pairs(self, xs: list[Node], ys: list[Node], key: _Key) -> list[tuple[Node, Node]]:
        if not xs or not ys:
            return []
        groups_a, groups_b = _grouped(self.a, xs, key), _grouped(self.b, ys, key)
        return [(u[0], v[0]) for k, u in groups_a.items() if len(u) == 1 and len(v := groups_b.get(k, [])) == 1]


def _grouped(graph: FingerprintedGraph, nodes: list[Node], key: _Key) -> dict[Hashable, list[Node]]:
    """Nodes grouped by key, without duplicates."""
    groups: dict[Hashable, list[Node]] = {}
    for node in {node.path: node for node in nodes}.values():
        groups.setdefault(key(graph, node), []).append(node)
    return groups
