"""Puts the layers of two networks side by side: scopes beside scopes, with their differing ops below."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from netspec.analysis.diff.lines import DiffLine, fold_copies, fold_details, fold_layers, pairs_of
from netspec.analysis.diff.model import GraphDiff, NodePair, Status
from netspec.analysis.diff.words import layers_words, op_words, shapes_words
from netspec.analysis.scope_label import scope_label
from netspec.graph.model import Node
from netspec.graph.paths import node_of
from netspec.graph.tree import Group, tree

_Item = Group | Node
"""An item of a scope: a node, or an inner scope with its items."""

_MOST_REPLACED, _MOST_DETAILS = 6, 12
"""The largest numbers of lines below a layer: if it was mostly replaced, and in any case."""


def layer_lines(diff: GraphDiff) -> list[DiffLine]:
    """The lines of a diff in the order of the first network, with details below layers that differ."""
    lines = _LineMaker(diff)
    return fold_layers([lines.line(row) for row in lines.side_by_side(tree(diff.a).items, tree(diff.b).items)])


@dataclass(slots=True)
class _Row:
    """Items of both sides that correspond: most of their nodes match each other."""

    a: list[_Item] = field(default_factory=list[_Item])
    b: list[_Item] = field(default_factory=list[_Item])

    @property
    def items(self) -> list[_Item]:
        """The items of the first side, or of the second if the first has none."""
        return self.a or self.b

    @property
    def groups(self) -> tuple[Group, Group] | None:
        """The groups of both sides, if the row has exactly one group on each."""
        if len(self.a) == len(self.b) == 1:
            (a,), (b,) = self.a, self.b
            if isinstance(a, Group) and isinstance(b, Group):
                return a, b
        return None


class _LineMaker:
    """Creates rows of corresponding items, and the lines of rows, from the pairs of nodes."""

    def __init__(self, diff: GraphDiff) -> None:
        self.pair_of_a: Mapping[str, NodePair] = {pair.a.path: pair for pair in diff.pairs if pair.a}
        self.pair_of_b: Mapping[str, NodePair] = {pair.b.path: pair for pair in diff.pairs if pair.b}

    def side_by_side(self, items_a: Sequence[_Item], items_b: Sequence[_Item]) -> list[_Row]:
        """Group items of both sides into rows, in the order of the first side.

        Items go together if most of their matches are in each other; if this holds for several items, all are one row.
        """
        counts = self._matches(items_a, items_b)
        best_a, best_b = _best_partners(counts)
        # An item of the second side joins its best partner, together with all items whose best partner it is.
        together = _Union(len(items_a))
        for i, j in best_a.items():
            together.join(i, best_b[j])
        rows: dict[int, _Row] = {}
        for i, item in enumerate(items_a):
            rows.setdefault(together.first(i), _Row()).a.append(item)
        only_b: dict[int, list[_Row]] = {}
        before = -1
        for j, item in enumerate(items_b):
            if j in best_b:
                before = together.first(best_b[j])
                rows[before].b.append(item)
            else:
                only_b.setdefault(before, []).append(_Row(b=[item]))
        return [*only_b.get(-1, []), *(row for i in rows for row in [rows[i], *only_b.get(i, [])])]

    def line(self, row: _Row) -> DiffLine:
        """The line of a row, with its details."""
        pairs = self._pairs(row)
        status = _status(pairs)
        name = _name(row.items)
        if status == "same":
            return DiffLine(name, "", status, pairs)
        if status in ("only_a", "only_b"):
            what = f"{'-' if status == 'only_a' else '+'} {_label(row.items)}"
            return DiffLine(name, what, status, pairs, shapes_words(_last(row.items), None))
        if len(row.a) == 1 and isinstance(row.a[0], Node) and all(isinstance(item, Node) for item in row.b):
            pair = self.pair_of_a[row.a[0].path]
            return DiffLine(name, op_words(pair), status, pairs, shapes_words(pair.a, pair.b))
        details = self._details(row)
        if row.groups is None and len(details) == 1 and details[0].status in ("changed", "sizes"):
            return replace(details[0], pairs=pairs)
        return DiffLine(
            name,
            layers_words(_label(row.a), _label(row.b)),
            status,
            pairs,
            shapes_words(_last(row.a), _last(row.b)),
            tuple(_shown(details, pairs)),
            mixed=row.groups is None,
        )

    def _details(self, row: _Row) -> list[DiffLine]:
        """The lines below a row, named relative to it; equal changes in copies of a repeat become one line."""
        if row.groups is None:
            first = row.items[0]
            scope = first.path.removesuffix(_name([first]))
            lines = [_node_line(pair, scope) for pair in self._pairs(row)]
            return fold_details([line for line in lines if not line.quiet])
        a, b = row.groups
        lines = [self.line(inner) for inner in self.side_by_side(a.items, b.items)]
        lines = [line for line in lines if not line.quiet]
        if all(group.scope and group.scope.kind == "repeat" for group in row.groups):
            return fold_copies(lines)
        return fold_details([leaf for line in lines for leaf in _leaves(line)])

    def _matches(self, items_a: Sequence[_Item], items_b: Sequence[_Item]) -> Mapping[tuple[int, int], int]:
        """The numbers of matching nodes in each pair of items, by the items' positions."""
        item_of_b = {node.path: j for j, item in enumerate(items_b) for node in _nodes(item)}
        counts: Counter[tuple[int, int]] = Counter()
        for i, item in enumerate(items_a):
            for node in _nodes(item):
                match = self.pair_of_a[node.path].b
                if match is not None and match.path in item_of_b:
                    counts[i, item_of_b[match.path]] += 1
        return counts

    def _pairs(self, row: _Row) -> tuple[NodePair, ...]:
        """The pairs of a row: those with a node of the first side, then those that only the second has."""
        pairs = [self.pair_of_a[node.path] for item in row.a for node in _nodes(item)]
        of_b = [self.pair_of_b[node.path] for item in row.b for node in _nodes(item)]
        return (*pairs, *(pair for pair in of_b if pair.a is None))


def _best_partners(counts: Mapping[tuple[int, int], int]) -> tuple[dict[int, int], dict[int, int]]:
    """For each item of either side, the item of the other side with most matches; the first one of equals."""
    best_a: dict[int, int] = {}
    best_b: dict[int, int] = {}
    for (i, j), _ in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])):
        best_a.setdefault(i, j)
        best_b.setdefault(j, i)
    return best_a, best_b


class _Union:
    """A disjoint-set forest of numbers, in which the lowest number represents its set."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def first(self, number: int) -> int:
        """The lowest number in the set of a number."""
        while self._parents[number] != number:
            self._parents[number] = number = self._parents[self._parents[number]]
        return number

    def join(self, a: int, b: int) -> None:
        """Join the sets of two numbers."""
        low, high = sorted((self.first(a), self.first(b)))
        self._parents[high] = low


def _shown(details: list[DiffLine], pairs: Sequence[NodePair]) -> list[DiffLine]:
    """The details that are shown below a layer: none if it was mostly replaced, and not too many."""
    kept = sum(pair.status in ("same", "sizes") for pair in pairs)
    if len(details) > _MOST_REPLACED and 2 * kept < len(pairs):
        # The layer was replaced by another one, and the pairs of their ops mean nothing.
        return []
    if len(details) <= _MOST_DETAILS:
        return details
    shown, rest = details[: _MOST_DETAILS - 1], details[_MOST_DETAILS - 1 :]
    return [*shown, DiffLine(f".. {len(rest)} more", "csv and json list all", "changed", pairs_of(rest))]


def _node_line(pair: NodePair, scope: str) -> DiffLine:
    """The line of one node, named by its path below a scope."""
    name = pair.node.path[len(scope) :]
    return DiffLine(name, op_words(pair), pair.status, (pair,), shapes_words(pair.a, pair.b))


def _leaves(line: DiffLine) -> Sequence[DiffLine]:
    """The details of a line with full names, or the line itself if it has none."""
    if not line.details or line.mixed:
        return line.details or [line]
    return [replace(detail, name=f"{line.name}.{detail.name}") for detail in line.details]


def _nodes(item: _Item) -> Iterable[Node]:
    return [item] if isinstance(item, Node) else item.nodes()


def _name(items: Sequence[_Item]) -> str:
    names = [item.name if isinstance(item, Node) else item.scope.name if item.scope else "" for item in items]
    return names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"


def _label(items: Sequence[_Item]) -> str:
    labels = [item.op.label() if isinstance(item, Node) else _group_label(item) for item in items]
    return " + ".join(labels) if len(labels) <= 3 else f"{labels[0]} + .. + {labels[-1]}"


def _group_label(group: Group) -> str:
    scope = group.scope
    if scope is None or scope.kind in ("branch", "merge"):
        return _label(group.items)
    return scope_label(group, scope)


def _last(items: Sequence[_Item]) -> Node | None:
    """The node that computes the output of the last item."""
    if not items:
        return None
    item = items[-1]
    if isinstance(item, Node):
        return item
    nodes = list(item.nodes())
    output = node_of(item.scope.output) if item.scope else ""
    return next((node for node in nodes if node.path == output), nodes[-1])


def _status(pairs: Sequence[NodePair]) -> Status:
    """The common status of several nodes."""
    statuses: set[Status] = {pair.status for pair in pairs} or {"same"}
    if len(statuses) == 1:
        return statuses.pop()
    return "sizes" if statuses <= {"same", "sizes"} else "changed"
