"""A graph as a picture: which boxes, clusters and lines there are, and what stands on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence

from netspec.analysis.cost import Cost, costs
from netspec.backends.diagram.box_text import (
    Shapes,
    block_words,
    figures,
    followers,
    joined,
    label_of,
    name_of,
    totals_text,
    weights_of,
)
from netspec.backends.diagram.copy_texts import differing, shapes_across, which
from netspec.backends.diagram.edges import BoxEdges
from netspec.backends.diagram.folding import ClusterPlan, Folding, Placement, Unit
from netspec.backends.diagram.picture import Box, Cluster, Edge, Picture
from netspec.backends.diagram.residual import is_residual
from netspec.backends.diagram.view import DEEPEST, View, check_expanded, nodes_of, part_of
from netspec.dims import symbols
from netspec.errors import fail
from netspec.gc_pause import gc_paused
from netspec.graph.model import Graph, Mode, Node, Scope
from netspec.types import Tensor

_COMFORTABLE = 40
"""How many boxes a diagram may have for its depth to be chosen by itself."""
_MAX_BOXES = 3_000


def fold(
    graph: Graph, depth: int | None = None, expand: Collection[str] = (), part: str = "", mode: Mode = "inference"
) -> Picture:
    """The picture of a graph in a mode, or of one scope of it.

    `depth` None opens as much as a page holds. `part` is the path of a scope, or a block, for its first use. Raises
    NetspecError NS209 for a name that there is not, NS401 where there are too many boxes to draw.
    """
    check_expanded(graph, expand)
    with gc_paused():
        return _fold(graph, depth, expand, part, mode)


def _fold(graph: Graph, depth: int | None, expand: Collection[str], part: str, mode: Mode) -> Picture:
    view = View(depth if depth is not None else DEEPEST, frozenset(expand), part_of(graph, part, mode), mode)
    nodes = nodes_of(graph, view.part, mode)
    layout = Folding(graph, nodes, view)
    ends = _Ends(graph, view, nodes)
    more = len(ends.entering) + len(ends.leaving)
    depth = _comfortable(layout, more) if depth is None else depth
    count = len(layout.boxes(depth)) + more
    if count > _MAX_BOXES:
        message = f"the diagram of `{graph.name}` would have {count:,} boxes, and at most {_MAX_BOXES:,} fit"
        fail("NS401", message, help="draw less of it: a smaller `--depth`, fewer `--expand`, or one `--part`")
    return _Folder(graph, view, nodes, ends, Placement(layout, depth)).picture()


def _comfortable(layout: Folding, more: int) -> int:
    """The depth down to which blocks may be opened, so that a page holds all with repeats drawn once."""
    boxes = layout.boxes(0)
    for depth in range(1, DEEPEST):
        deeper = layout.boxes(depth)
        if len(deeper) + more > _COMFORTABLE or deeper == boxes:
            return depth - 1
        boxes = deeper
    return DEEPEST


class _Ends:
    """What enters and leaves a picture: by the key of its box, its name and its value."""

    def __init__(self, graph: Graph, view: View, nodes: Sequence[Node]) -> None:
        if not view.part:
            outputs = [o for o in graph.outputs if view.mode == "train" or o.mode == "inference"]
            self.entering = {f"from {i.name}": (i.name, i.name) for i in graph.inputs}
            self.leaving = {f"to {o.name}": (o.name, o.value) for o in outputs}
            return
        made = {value for node in nodes for value, _ in node.values()}
        values = dict.fromkeys(value for node in nodes for value in node.inputs if value not in made)
        self.entering = {f"from {value}": ("input", value) for value in values}
        scope = graph.scopes[view.part]
        names = scope.block.outputs if scope.block is not None and len(scope.outputs) > 1 else ("output",)
        named = zip(scope.outputs, (*names, *scope.outputs[len(names) :]), strict=False)
        self.leaving = {f"to {name}": (name, value) for value, name in named}


class _Folder:
    """Says what stands on the boxes and clusters of a plan."""

    def __init__(self, graph: Graph, view: View, nodes: Sequence[Node], ends: _Ends, plan: Placement) -> None:
        self.graph = graph
        self.view = view
        self.nodes = nodes
        self.ends = ends
        self.plan = plan
        self.costs = costs(graph, nodes)
        self.shapes = Shapes(graph)
        self.left = {value for _, value in ends.leaving.values()}

    def picture(self) -> Picture:
        graph, part = self.graph, self.view.part
        title = graph.title or graph.name
        used = symbols([dim for i in graph.inputs for dim in i.type.shape])
        sizes = [(name, size) for name, size in graph.nominal.items() if name in used]
        picture = Picture(
            graph.name, f"{title}: {part}" if part else title, totals_text(self._costs(self.nodes), sizes)
        )
        picture.clusters = {key: self._cluster(cluster) for key, cluster in self.plan.clusters.items()}
        for key, (name, value) in self.ends.entering.items():
            picture.boxes[key] = self._end(key, "input", name, value)
        for key, units in self.plan.units.items():
            picture.boxes[key] = self._block(key, units) if units[0].scope else self._op(key, units)
        for key, (name, value) in self.ends.leaving.items():
            picture.boxes[key] = self._end(key, "output", name, value)
        self._edges(picture)
        _sort(picture)
        return picture

    def _costs(self, nodes: Collection[Node]) -> list[Cost]:
        return [self.costs[node.path] for node in nodes]

    # Clusters.

    def _cluster(self, cluster: ClusterPlan) -> Cluster:
        scopes = list(cluster.scopes.values())
        first = scopes[0]
        around = Counter(cluster.around)
        counts = _counts(around.values()) if cluster.repeat else (1,)
        only = self.plan.where(cluster.parent, around)
        said, details = self._said(scopes)
        above = self.graph.scopes.get(first.parent)
        name = f"{above.name}.{first.name}" if above is not None and above.kind == "repeat" else first.name
        shape = shapes_across([self.shapes.of(self._used(scope)) for scope in scopes])
        info = figures(shape, self._costs(cluster.nodes))
        return Cluster(
            cluster.key, cluster.parent, name if said == name else f"{name}: {said}", counts, info, details, only
        )

    def _said(self, scopes: Sequence[Scope]) -> tuple[str, tuple[str, ...]]:
        """What scopes that are drawn as one are, without their copies; of a merge with branches, which one."""
        graph = self.graph
        uses = scopes
        if scopes[0].kind == "repeat":
            uses = [graph.scopes[path] for scope in scopes for path in self._copies(scope) if path in graph.scopes]
        merges = [graph.by_path[use.path].op.label() for use in uses if use.path in graph.by_path]
        if merges:
            return differing(merges), ()
        if not uses or uses[0].block is None:
            return (uses or scopes)[0].kind, ()
        return block_words(uses, [self._repeat_of(use) for use in uses])

    def _repeat_of(self, scope: Scope) -> str:
        """The path of the innermost repeat around a scope."""
        above = self.graph.scopes.get(scope.parent)
        while above is not None and above.kind != "repeat":
            above = self.graph.scopes.get(above.parent)
        return above.path if above else ""

    def _copies(self, repeat: Scope) -> Collection[str]:
        return self.plan.layout.children[repeat.path]

    def _used(self, scope: Scope) -> list[Tensor]:
        """The types of what leaves a scope and is used; if nothing is, of all that does."""
        lead = f"{scope.path}."
        used = [
            value
            for value in scope.outputs
            if value in self.left or any(not user.path.startswith(lead) for user in self._users(value))
        ]
        return [self.graph.types[value] for value in used or scope.outputs]

    def _users(self, value: str) -> list[Node]:
        return [user for user in self.graph.users[value] if user.path in self.plan.stands]

    # Boxes.

    def _end(self, key: str, kind: str, name: str, value: str) -> Box:
        shape = self.shapes.text(self.graph.types[value])
        return Box(key, "input" if kind == "input" else "output", name, shape, shape=shape)

    def _block(self, key: str, units: Sequence[Unit]) -> Box:
        """A scope that is closed."""
        scopes = [unit.scope for unit in units if unit.scope is not None]
        sizes = [len(self._copies(scope)) if scope.kind == "repeat" else 1 for scope in scopes]
        box, groups = self._box(key, units, sizes)
        box.kind, box.family = "block", "block"
        box.label, details = self._said(scopes)
        name = name_of(units[0].inner, None, self.plan.layout.drawn_once)
        owners = [scope.weights_of for scope in scopes]
        box.small = joined(name if name != box.label else "", box.shape if box.cluster else "")
        box.small = joined(box.small, weights_of(owners, groups), self._residual(scopes))
        box.details = details
        return box

    def _residual(self, scopes: Sequence[Scope]) -> str:
        """Whether the copies within closed scopes are residual blocks."""
        flags: list[bool] = []
        groups: list[int] = []
        for number, scope in enumerate(scopes):
            copies = self._copies(scope) if scope.kind == "repeat" else (scope.path,)
            for path in copies:
                copy = self.graph.scopes.get(path)
                flags.append(copy is not None and is_residual(self.graph, copy))
                groups.append(number if scope.kind == "repeat" else 0)
        if not any(flags):
            return ""
        where = which(flags, groups)
        return f"residual ({where})" if where else "residual"

    def _op(self, key: str, units: Sequence[Unit]) -> Box:
        """An op with those that follow it."""
        box, groups = self._box(key, units, [1] * len(units))
        leader = units[0].leader
        box.family = leader.op.family
        box.kind = "merge" if box.family == "merge" else "op"
        box.label = label_of([unit.leader.op.label() for unit in units], groups)
        # A named merge in a cluster of its own: the cluster has the name.
        named = None if leader.path == leader.scope else leader
        name = name_of(units[0].inner, named, self.plan.layout.drawn_once)
        box.small = joined(name, followers([unit.nodes[1:] for unit in units], groups))
        box.small = joined(box.small, weights_of([self._owner(unit) for unit in units], groups))
        return box

    def _owner(self, unit: Unit) -> str:
        """The path of the op whose weights an op in a unit uses, if it is not in the unit."""
        shared = (n for n in unit.nodes if n.weights_of != n.path and self.graph.weights(n))
        return next((node.weights_of for node in shared), "")

    def _box(self, key: str, units: Sequence[Unit], sizes: Sequence[int]) -> tuple[Box, list[Hashable]]:
        """A box with what all boxes have, and for each unit a number that tells those that stand together."""
        cluster = self.plan.cluster_of[key]
        around = self.plan.groups(cluster)
        counts: dict[int, int] = {}
        shapes: dict[int, str] = {}
        for unit, size in zip(units, sizes, strict=True):
            counts[unit.copy] = counts.get(unit.copy, 0) + size
            shapes[unit.copy] = self.shapes.of(self._leaving(unit))
        only = self.plan.where(cluster, counts)
        single = len(counts) == len(units)
        groups: list[Hashable] = [around[unit.copy] if single else unit.copy for unit in units]
        box = Box(key, "op", "", cluster=cluster, counts=_counts(counts.values()), only=only)
        box.shape = shapes_across(list(shapes.values()))
        box.paths = tuple(unit.path for unit in units)
        if not cluster:
            box.figures = figures(box.shape, self._costs([node for unit in units for node in unit.nodes]))
        return box, groups

    def _leaving(self, unit: Unit) -> list[Tensor]:
        """The types of the values that leave a unit; where none is drawn, that of the last."""
        last = unit.nodes[-1]
        if unit.scope is None:
            if len(last.types) == 1:
                return [last.type]
            values = [value for value, _ in last.values()]
            inside = {last.path}
        else:
            inside = {node.path for node in unit.nodes}
            values = [value for node in unit.nodes for value, _ in node.values()]
        used = [v for v in values if v in self.left or any(user.path not in inside for user in self._users(v))]
        return [self.graph.types[value] for value in used or values[-1:]]

    # BoxEdges.

    def _edges(self, picture: Picture) -> None:
        entering = [value for _, value in self.ends.entering.values()]
        leaving = {key: value for key, (_, value) in self.ends.leaving.items()}
        lines = BoxEdges(self.graph, self.plan, self.nodes, entering, leaving)
        for (tail, head), line in lines.drawn.items():
            inside = self._where(head, line.heads)
            only = inside or self._where(tail, line.tails)
            picture.edges.append(Edge(tail, head, bool(only), only, line.size, inside))
        tails = {tail for tail, _ in lines.drawn}
        for key, box in picture.boxes.items():
            if key in lines.fed:
                box.small = joined(box.small, "from the copy before")
            if key not in tails and box.kind not in ("input", "output"):
                box.small = joined(box.small, "to the next copy" if box.cluster else "for its size")

    def _where(self, key: str, copies: set[int]) -> str:
        """In which copies of the cluster of a box a line begins or ends; nothing for all."""
        cluster = self.plan.cluster_of.get(key, "")
        return self.plan.where(cluster, copies)


def _counts(counts: Iterable[int]) -> tuple[int, ...]:
    counts = tuple(counts)
    return counts if len(set(counts)) > 1 else counts[:1]


def _sort(picture: Picture) -> None:
    """Put boxes behind those that they take values from: what only a later copy has was found after what follows it."""
    into: dict[str, list[str]] = {}
    for edge in picture.edges:
        into.setdefault(edge.head, []).append(edge.tail)
    boxes: dict[str, Box] = {}
    waiting: set[str] = set()
    todo = list(reversed(picture.boxes))
    while todo:
        key = todo[-1]
        missing = [tail for tail in into.get(key, ()) if tail not in boxes and tail not in waiting]
        if missing and key not in boxes:
            waiting.add(key)
            todo += missing[::-1]
        else:
            boxes[todo.pop()] = picture.boxes[key]
    picture.boxes = boxes
