"""Which node of one graph stands for which of another: by structure, and by name where that leaves a choice.

Three ways in turn, each for what the one before left over. First, what is made alike from the inputs on is the same
node, wherever it was written (`up` digests, those that hashes order by). Then both graphs are sequences, in an order
that does not depend on how they were written, and gaps between matched nodes are aligned: on tokens that stand once
in both (as patience diffs do), on equal beginnings and ends, and what remains as sequences of genes are, by the best
sum of similarities. Last, neighbours of matched nodes find each other, whatever the order. All is linear in the nodes,
but for sorting and those sums, whose table is kept to a band around its diagonal where it would be large.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

from netspec.analysis.diff.fingerprints import Ends, Ids, Side
from netspec.graph.canonical import canonical, in_order
from netspec.graph.model import Graph, Node

Matches = dict[str, str]
"""Paths of nodes of the first graph, each with the path of its node in the second."""

MOST_CELLS = 300_000
"""How large a table of similarities may be; a larger one is filled only around its diagonal."""

Run = tuple[Sequence[Node], Sequence[Node]]


def align(a: Graph, b: Graph, ends: Ends) -> Matches:
    """The nodes that stand for one another in two graphs; all of them, exactly, where their hashes are equal."""
    if canonical(a) == canonical(b):
        return {x.path: y.path for x, y in zip(in_order(a), in_order(b), strict=True)}
    ids = Ids()
    left, right = Side(a, ids, ends.inputs_a, ends.outputs_a), Side(b, ids, ends.inputs_b, ends.outputs_b)
    return _Aligner(left, right).matches


class _Aligner:
    """The matches of two graphs as they come."""

    def __init__(self, a: Side, b: Side) -> None:
        self.a, self.b = a, b
        self.matches: Matches = {}
        self.taken: set[str] = set()
        self._equal(lambda side, node: (side.up[node.path], side.down[node.path]))
        # Twins are made alike: which is which is told by what reads them, where that is no twin.
        self._equal(lambda side, node: side.up[node.path], once=True)
        self._neighbours(lambda side, node: side.up[node.path])
        self._equal(lambda side, node: side.up[node.path])
        self._gaps()
        self._neighbours(lambda side, node: side.token[node.path])
        self._neighbours(lambda side, node: side.kind[node.path])
        self._neighbours(lambda side, node: node.op.opname)

    def match(self, x: Node, y: Node) -> None:
        self.matches[x.path] = y.path
        self.taken.add(y.path)

    def _left(self, nodes: Iterable[Node]) -> list[Node]:
        return [node for node in nodes if node.path not in self.matches]

    def _right(self, nodes: Iterable[Node]) -> list[Node]:
        return [node for node in nodes if node.path not in self.taken]

    def _equal(self, key: Callable[[Side, Node], Hashable], once: bool = False) -> None:
        """Match what has equal keys, by name and in order where several do; with `once` only where none do."""
        groups: defaultdict[Hashable, tuple[list[Node], list[Node]]] = defaultdict(lambda: ([], []))
        for node in self._left(self.a.nodes):
            groups[key(self.a, node)][0].append(node)
        for node in self._right(self.b.nodes):
            groups[key(self.b, node)][1].append(node)
        for xs, ys in groups.values():
            if not once or len(xs) == len(ys) == 1:
                self._pair(xs, ys)

    def _pair(self, xs: list[Node], ys: list[Node]) -> None:
        if len(xs) != len(ys):
            names = {y.path: y for y in ys}
            for x in xs:
                if y := names.get(x.path):
                    self.match(x, y)
        for x, y in zip(self._left(xs), self._right(ys), strict=False):
            self.match(x, y)

    def _gaps(self) -> None:
        """Align what lies between matched nodes, as far as those come in the same order on both sides."""
        at = {node.path: number for number, node in enumerate(self.b.nodes)}
        fixed = [(number, at[self.matches[x.path]]) for number, x in enumerate(self.a.nodes) if x.path in self.matches]
        i = j = 0
        for x, y in [*_ascending(fixed), (len(self.a.nodes), len(self.b.nodes))]:
            self._run((self._left(self.a.nodes[i:x]), self._right(self.b.nodes[j:y])))
            i, j = x + 1, y + 1

    def _run(self, run: Run) -> None:
        todo = [run]
        while todo:
            xs, ys = todo.pop()
            if not xs or not ys:
                continue
            fixed = self._once(xs, ys, lambda s, n: s.token[n.path])
            if not fixed and len(xs) * len(ys) > MOST_CELLS:
                # Less is sure where sizes differ, so this is for what is too long to be looked at closely.
                fixed = self._once(xs, ys, lambda s, n: s.kind[n.path])
            if not fixed:
                self._closely(*self._trimmed(xs, ys))
                continue
            i = j = 0
            for x, y in [*fixed, (len(xs), len(ys))]:
                todo.append((xs[i:x], ys[j:y]))
                if x < len(xs):
                    self.match(xs[x], ys[y])
                i, j = x + 1, y + 1

    def _once(self, xs: Sequence[Node], ys: Sequence[Node], key: Callable[[Side, Node], int]) -> list[tuple[int, int]]:
        """Places of what stands once on both sides, as far as it comes in the same order."""
        keys_a, keys_b = [key(self.a, x) for x in xs], [key(self.b, y) for y in ys]
        count_a, count_b = Counter(keys_a), Counter(keys_b)
        at = {k: number for number, k in enumerate(keys_b) if count_b[k] == 1}
        return _ascending([(n, at[k]) for n, k in enumerate(keys_a) if count_a[k] == 1 and k in at])

    def _trimmed(self, xs: Sequence[Node], ys: Sequence[Node]) -> Run:
        """Match equal beginnings, then equal ends: further copies of a block stand after those that both have."""
        first, last_x, last_y = 0, len(xs), len(ys)

        def alike(x: Node, y: Node) -> bool:
            return self.a.token[x.path] == self.b.token[y.path]

        while first < min(last_x, last_y) and alike(xs[first], ys[first]):
            self.match(xs[first], ys[first])
            first += 1
        while first < min(last_x, last_y) and alike(xs[last_x - 1], ys[last_y - 1]):
            last_x, last_y = last_x - 1, last_y - 1
            self.match(xs[last_x], ys[last_y])
        return xs[first:last_x], ys[first:last_y]

    def _closely(self, xs: Sequence[Node], ys: Sequence[Node]) -> None:
        """Align two runs by the best sum of similarities, in which every gap that opens costs something."""
        if xs and ys:
            for i, j in _best(len(xs), len(ys), self._similarity(xs, ys)):
                self.match(xs[i], ys[j])

    def _similarity(self, xs: Sequence[Node], ys: Sequence[Node]) -> Callable[[int, int], int]:
        kinds_a, kinds_b = [self.a.token[x.path] for x in xs], [self.b.token[y.path] for y in ys]
        names_a, names_b = [x.path for x in xs], [y.path for y in ys]
        last_a, last_b = [x.name for x in xs], [y.name for y in ys]
        known: dict[tuple[int, int], int] = {}

        def similarity(i: int, j: int) -> int:
            key = kinds_a[i], kinds_b[j]
            score = known.get(key)
            if score is None:
                score = known[key] = self._alike(xs[i], ys[j])
            return score + 2 * (names_a[i] == names_b[j]) + (last_a[i] == last_b[j]) if score else 0

        return similarity

    def _alike(self, x: Node, y: Node) -> int:
        """How much two nodes have in common; 0 where one can't stand for the other."""
        if self.a.kind[x.path] == self.b.kind[y.path]:
            score = 12
        elif x.op.opname == y.op.opname:
            score = 8
        elif x.op.family and x.op.family == y.op.family:
            return 2
        else:
            return 0
        mine, theirs = self.a.types[x.path], self.b.types[y.path]
        if mine == theirs:
            score += 4
        elif mine.rank == theirs.rank and mine.spatial == theirs.spatial:
            score += 3
        # Layers carry the structure: what comes after them follows.
        return 2 * score if x.op.family in ("convolution", "linear", "merge") else score

    def _neighbours(self, key: Callable[[Side, Node], Hashable]) -> None:
        """Match what stands around matched nodes and has equal keys, once on both sides."""
        todo = list(self.matches.items())
        while todo:
            p, q = todo.pop()
            x, y = self.a.graph.by_path[p], self.b.graph.by_path[q]
            for mine, theirs in (
                (self.a.above(x), self.b.above(y)),
                (self.a.below(x), self.b.below(y)),
            ):
                for u, v in self._same(self._left(mine), self._right(theirs), key):
                    self.match(u, v)
                    todo.append((u.path, v.path))

    def _same(
        self, xs: list[Node], ys: list[Node], key: Callable[[Side, Node], Hashable]
    ) -> Iterable[tuple[Node, Node]]:
        if not xs or not ys:
            return []
        groups_a, groups_b = _grouped(self.a, xs, key), _grouped(self.b, ys, key)
        return [(u[0], v[0]) for k, u in groups_a.items() if len(u) == 1 and len(v := groups_b.get(k, [])) == 1]


def _grouped(side: Side, nodes: list[Node], key: Callable[[Side, Node], Hashable]) -> dict[Hashable, list[Node]]:
    groups: dict[Hashable, list[Node]] = {}
    for node in dict.fromkeys(node.path for node in nodes):
        groups.setdefault(key(side, found := side.graph.by_path[node]), []).append(found)
    return groups


def _ascending(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of these pairs, which ascend on the left, that ascends on the right too."""
    ends: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for number, (_, y) in enumerate(pairs):
        place = bisect_left(ends, y)
        before.append(at[place - 1] if place else -1)
        if place == len(ends):
            ends.append(y)
            at.append(number)
        else:
            ends[place], at[place] = y, number
    found: list[tuple[int, int]] = []
    number = at[-1] if at else -1
    while number >= 0:
        found.append(pairs[number])
        number = before[number]
    return found[::-1]


_OPEN = 3
"""What it costs to open a gap in an alignment."""
_NEVER = -(10**9)


def _best(n: int, m: int, similarity: Callable[[int, int], int]) -> list[tuple[int, int]]:
    """The pairs of the best alignment of n things with m; in a band around the diagonal where there are many."""
    half = max(n, m) if n * m <= MOST_CELLS else max(MOST_CELLS // (2 * n), m // n + 1)
    # Scores of the row before, by whether it ends in a pair or in a gap; the way back, a byte for each cell.
    pair, gap = [_NEVER] * (m + 1), [0] * (m + 1)
    pair[0] = 0
    ways = [bytes(m + 1)]
    for i in range(1, n + 1):
        middle = i * m // n
        low, high = max(1, middle - half), min(m, middle + half)
        pair_now, gap_now = [_NEVER] * (m + 1), [_NEVER] * (m + 1)
        gap_now[0] = 0
        way = bytearray(m + 1)
        for j in range(low, high + 1):
            score = similarity(i - 1, j - 1)
            if score:
                p, g = pair[j - 1], gap[j - 1]
                # 1: the pair before it is a pair too.
                pair_now[j] = score + (p if p >= g else g)
                way[j] = 1 if p >= g else 0
            # 0, 2, 4, 6: a gap that skips y after a gap or a pair, one that skips x after a gap or a pair.
            skips = gap_now[j - 1], pair_now[j - 1] - _OPEN, gap[j], pair[j] - _OPEN
            best = max(skips)
            gap_now[j] = best
            way[j] |= 2 * skips.index(best)
        pair, gap = pair_now, gap_now
        ways.append(bytes(way))
    found: list[tuple[int, int]] = []
    i, j, paired = n, m, pair[m] >= gap[m]
    while i and j:
        way = ways[i][j]
        if paired:
            i, j, paired = i - 1, j - 1, bool(way & 1)
            found.append((i, j))
        else:
            paired = bool(way & 2)
            if way & 4:
                i -= 1
            else:
                j -= 1
    return found[::-1]
