"""What differs between two networks, layer by layer: scopes side by side, and below them the ops that differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from netspec.analysis.diff.diff import Comparison, NodePair, Status
from netspec.analysis.diff.words import layers_words, op_words, shapes_words
from netspec.analysis.layers import MINOR, describe
from netspec.graph.model import Node
from netspec.graph.tree import Group, tree

DiffItem = Group | Node

FEW, MOST = 6, 12
"""Lines below a layer: so many are shown of what was replaced, and of anything."""


@dataclass(slots=True)
class Event:
    """A line of the table: where, what, the output's shape, and by how much parameters and MACs differ.

    `details` are the lines below it; `pairs` are the nodes that it tells of. `mixed`: the two sides nest their nodes in
    other ways, and details have the names that they have beside it.
    """

    name: str
    what: str
    status: Status
    pairs: list[NodePair]
    output: str = ""
    details: list[Event] = field(default_factory=list["Event"])
    mixed: bool = False

    @property
    def parameters(self) -> int:
        return sum(pair.parameters for pair in self.pairs)

    @property
    def macs(self) -> int | None:
        """None where a size is open."""
        found = [pair.macs for pair in self.pairs]
        known = [count for count in found if count is not None]
        return sum(known) if len(known) == len(found) else None

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to tell: the same, or sizes that change no cost."""
        return self.status == "same" or (self.status == "sizes" and not self.parameters and self.macs == 0)


def layer_events(found: Comparison) -> list[Event]:
    """The layers of two networks side by side, in the order of the first; those that differ with their details."""
    rows = _Rows(found)
    top = [rows.event(row) for row in rows.beside(tree(found.a).items, tree(found.b).items)]
    return _shorter(_quiet_together(_only_together(top)))


@dataclass(slots=True)
class _Row:
    """Items of one side and those that stand for them on the other."""

    a: list[DiffItem] = field(default_factory=list[DiffItem])
    b: list[DiffItem] = field(default_factory=list[DiffItem])


class _Rows:
    """The items of two scopes side by side, by the nodes that they have in common."""

    def __init__(self, found: Comparison) -> None:
        self.found = found
        self.of_a = {pair.a.path: pair for pair in found.pairs if pair.a}
        self.of_b = {pair.b.path: pair for pair in found.pairs if pair.b}

    def beside(self, items_a: Sequence[DiffItem], items_b: Sequence[DiffItem]) -> list[_Row]:
        """Rows of items that share most of their nodes, in the order of the first side."""
        at_b = {node.path: number for number, item in enumerate(items_b) for node in _nodes(item)}
        shared: dict[tuple[int, int], int] = {}
        for i, item in enumerate(items_a):
            for node in _nodes(item):
                other = self.of_a[node.path].b
                if other is not None and (j := at_b.get(other.path)) is not None:
                    shared[i, j] = shared.get((i, j), 0) + 1
        best_a: dict[int, tuple[int, int]] = {}
        best_b: dict[int, tuple[int, int]] = {}
        for (i, j), count in shared.items():
            best_a[i] = max(best_a.get(i, (0, 0)), (count, -j))
            best_b[j] = max(best_b.get(j, (0, 0)), (count, -i))
        # An item of the second side goes to that of the first which it has most of, and brings those together that
        # have most of it.
        home = {j: -i for j, (_, i) in best_b.items()}
        together = list(range(len(items_a)))

        def first_of(i: int) -> int:
            while together[i] != i:
                together[i] = i = together[together[i]]
            return i

        for i, (_, j) in best_a.items():
            low, high = sorted((first_of(i), first_of(home[-j])))
            together[high] = low
        row_of: dict[int, _Row] = {}
        for i, item in enumerate(items_a):
            row_of.setdefault(first_of(i), _Row()).a.append(item)
        after: dict[int, list[_Row]] = {}
        last = -1
        for j, item in enumerate(items_b):
            if j in home:
                last = first_of(home[j])
                row_of[last].b.append(item)
            else:
                after.setdefault(last, []).append(_Row(b=[item]))
        rows = after.get(-1, [])
        for i, row in row_of.items():
            rows += [row, *after.get(i, [])]
        return rows

    def pairs(self, row: _Row) -> list[NodePair]:
        """The nodes of a row: those of the first side, and those that only the second has."""
        found = [self.of_a[node.path] for item in row.a for node in _nodes(item)]
        mine = {pair.a.path for pair in found if pair.a}
        for item in row.b:
            for node in _nodes(item):
                pair = self.of_b[node.path]
                if pair.a is None or (not row.a and pair.a.path not in mine):
                    found.append(pair)
        return [pair for pair in found if row.a or pair.a is None]

    def event(self, row: _Row) -> Event:
        """A row as a line, with the details below it."""
        pairs = self.pairs(row)
        status = _status(pairs)
        name = _names(row.a or row.b)
        if status == "same":
            return Event(name, "", status, pairs)
        if status in ("only_a", "only_b"):
            sign = "-" if status == "only_a" else "+"
            item = (row.a or row.b)[-1]
            what = f"{sign} {self._described(row.a or row.b)}"
            return Event(name, what, status, pairs, shapes_words(self._last(item), None))
        if len(row.a) == 1 and isinstance(row.a[0], Node) and all(isinstance(item, Node) for item in row.b):
            pair = self.of_a[row.a[0].path]
            return Event(name, op_words(pair), status, pairs, shapes_words(pair.a, pair.b))
        mine, theirs = self._described(row.a), self._described(row.b)
        mixed = not (_is_group(row.a) and _is_group(row.b))
        output = shapes_words(*(self._last(side[-1]) if side else None for side in (row.a, row.b)))
        details = self.details(row)
        if mixed and len(details) == 1 and details[0].status in ("changed", "sizes"):
            return replace(details[0], pairs=pairs)
        kept = sum(pair.status in ("same", "sizes") for pair in pairs)
        if len(details) > FEW and 2 * kept < len(pairs):
            # One thing in place of another: how its ops came to be paired says nothing.
            details = []
        elif len(details) > MOST:
            rest = [pair for event in details[MOST - 1 :] for pair in event.pairs]
            more = Event(f".. {len(details) - MOST + 1} more", "csv and json list all", "changed", rest)
            details = [*details[: MOST - 1], more]
        return Event(name, layers_words(mine, theirs), status, pairs, output, details, mixed)

    def details(self, row: _Row) -> list[Event]:
        """What differs inside a row, by the paths below it; copies of a repeat that differ alike are told once."""
        if _is_group(row.a) and _is_group(row.b):
            (a,), (b,) = row.a, row.b
            assert isinstance(a, Group)
            assert isinstance(b, Group)
            events = [event for r in self.beside(a.items, b.items) if not (event := self.event(r)).quiet]
            if all(item.scope and item.scope.kind == "repeat" for item in (a, b)):
                return _copies(events)
            return _alike_together(_only_together(_absorbed([leaf for event in events for leaf in _leaves(event)])))
        first = (row.a or row.b)[0]
        around = len(first.path) - len(_names([first]))
        leaves = [_leaf(pair, around) for pair in self.pairs(row)]
        return _alike_together(_only_together(_absorbed([leaf for leaf in leaves if not leaf.quiet])))

    def _described(self, items: list[DiffItem]) -> str:
        words = [item.op.label() if isinstance(item, Node) else self._group_words(item) for item in items]
        return " + ".join(words) if len(words) <= 3 else f"{words[0]} + .. + {words[-1]}"

    def _group_words(self, group: Group) -> str:
        scope = group.scope
        if scope is None or scope.kind in ("branch", "merge"):
            return self._described(group.items)
        return describe(group, scope)

    def _last(self, item: DiffItem) -> Node | None:
        if isinstance(item, Node):
            return item
        nodes = list(item.nodes())
        wanted = item.scope.output.partition(":")[0] if item.scope else ""
        return next((node for node in nodes if node.path == wanted), nodes[-1])


def _nodes(item: DiffItem) -> Iterable[Node]:
    return [item] if isinstance(item, Node) else item.nodes()


def _names(items: list[DiffItem]) -> str:
    names = [item.name if isinstance(item, Node) else item.scope.name if item.scope else "" for item in items]
    return names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"


def _status(pairs: list[NodePair]) -> Status:
    found: set[Status] = {pair.status for pair in pairs} or {"same"}
    if len(found) == 1:
        return found.pop()
    return "sizes" if found <= {"same", "sizes"} else "changed"


def _is_group(items: list[DiffItem]) -> bool:
    return len(items) == 1 and isinstance(items[0], Group)


def _leaf(pair: NodePair, around: int) -> Event:
    return Event(pair.node.path[around:], op_words(pair), pair.status, [pair], shapes_words(pair.a, pair.b))


def _absorbed(events: list[Event]) -> list[Event]:
    """Lines of which those of mere sizes, of a norm or the like, count with the layer before them."""
    found: list[Event] = []
    for event in events:
        minor = event.status == "sizes" and all(pair.node.op.family in MINOR for pair in event.pairs)
        if minor and found and found[-1].status in ("changed", "sizes") and _beside(found[-1], event):
            found[-1] = replace(found[-1], pairs=found[-1].pairs + event.pairs)
        else:
            found.append(event)
    return found


def _leaves(event: Event) -> list[Event]:
    """The lines that stand for an event below another: its details by longer names, or itself where it has none."""
    if not event.details or event.mixed:
        return event.details or [event]
    return [replace(inner, name=f"{event.name}.{inner.name}") for inner in event.details]


def _copies(events: list[Event]) -> list[Event]:
    """The copies of a repeat, each line once with all copies that it is true of: `0.shortcut`, `1-35.conv`."""
    groups: dict[tuple[str, str], list[tuple[str, Event]]] = {}
    for copy in events:
        for line in copy.details or [copy]:
            below = f".{line.name}" if copy.details and not copy.mixed else ""
            groups.setdefault((below, line.what), []).append((copy.name, line))
    found: list[Event] = []
    for (below, what), lines in groups.items():
        first, last = lines[0][1], lines[-1][1]
        pairs = [pair for _, line in lines for pair in line.pairs]
        if below or first.status == "changed":
            output = first.output if all(line.output == first.output for _, line in lines) else ""
        else:
            what += f" (x {len(lines)})" if len(lines) > 1 else ""
            output = last.output
        found.append(Event(_ranges([name for name, _ in lines]) + below, what, first.status, pairs, output))
    return found


def _ranges(names: list[str]) -> str:
    if not all(name.isdecimal() for name in names):
        return names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"
    spans: list[list[int]] = []
    for number in map(int, names):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(f"{a}-{b}" if a != b else str(a) for a, b in spans)


def _only_together(events: list[Event]) -> list[Event]:
    """Neighbours that one side alone has, in one line."""
    found: list[Event] = []
    for event in events:
        before = found[-1] if found else None
        if before and event.status == before.status and event.status in ("only_a", "only_b") and _beside(before, event):
            found[-1] = Event(
                f"{before.name.partition(' .. ')[0]} .. {event.name}",
                _joined(before.what, event.what[2:]),
                event.status,
                before.pairs + event.pairs,
                event.output,
            )
        else:
            found.append(event)
    return found


def _beside(before: Event, event: Event) -> bool:
    """Whether two lines stand in one scope."""
    return before.name.partition(" .. ")[0].rpartition(".")[0] == event.name.rpartition(".")[0]


def _joined(mine: str, more: str) -> str:
    return f"{mine} + {more}" if mine.count(" + ") < 3 else f"{mine.partition(' + .. + ')[0]} + .. + {more}"


def _alike_together(events: list[Event], most: int = 1) -> list[Event]:
    """Lines that tell the same of several nodes as one, where these are more than `most`."""
    groups: dict[tuple[str, str, int], list[Event]] = {}
    for number, event in enumerate(events):
        alone = number if event.details or event.status == "same" else -1
        groups.setdefault((event.status, event.what, alone), []).append(event)
    # Each stands where the first of its group does, and what is left as it was where it was.
    place = {id(event): number for number, event in enumerate(events)}
    found: list[tuple[int, Event]] = []
    for alike in groups.values():
        if len(alike) <= most:
            found += [(place[id(event)], event) for event in alike]
            continue
        first = alike[0]
        pairs = [pair for event in alike for pair in event.pairs]
        output = first.output if all(event.output == first.output for event in alike) else ""
        name = f"{first.name} and {len(alike) - 1} more"
        found.append((place[id(first)], Event(name, first.what, first.status, pairs, output)))
    return [event for _, event in sorted(found, key=lambda pair: pair[0])]


def _quiet_together(events: list[Event]) -> list[Event]:
    """Neighbours with nothing to tell in one line."""
    found: list[Event] = []
    run: list[Event] = []
    for event in [*events, None]:
        if event is not None and event.quiet:
            run.append(event)
            continue
        if run:
            pairs = [pair for quiet in run for pair in quiet.pairs]
            name = run[0].name if len(run) == 1 else f"{run[0].name.partition(' .. ')[0]} .. {run[-1].name}"
            nodes = f"{len(pairs)} node{'s' if len(pairs) > 1 else ''}"
            sizes = any(pair.status == "sizes" for pair in pairs)
            what = f"the same but for sizes ({nodes})" if sizes else f"the same ({nodes})"
            found.append(Event(name, what, "same", pairs))
            run = []
        if event is not None:
            found.append(event)
    return found


def _shorter(events: list[Event]) -> list[Event]:
    """Layers that differ as one before them refer to it, and lines that come again and again are one."""
    told: dict[tuple[object, ...], str] = {}
    for event in events:
        if event.details:
            key = tuple((inner.name, inner.what) for inner in event.details)
            first = told.setdefault(key, event.name)
            if first != event.name:
                event.what, event.details = f"{event.what}: as {first}", []
                event.status = "changed"
    return _alike_together(events, 3)
