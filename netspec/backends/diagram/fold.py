"""Folds a graph into a picture: boxes, clusters and edges, with their texts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from netspec.backends.diagram.box_text import joined
from netspec.backends.diagram.edges import BoxEdges
from netspec.backends.diagram.folding import Folding
from netspec.backends.diagram.labeller import Labeller
from netspec.backends.diagram.picture import Box, Edge, Picture
from netspec.backends.diagram.placement import Placement
from netspec.backends.diagram.spine import has_order
from netspec.backends.diagram.view import DEEPEST, View, check_expanded, nodes_of, part_of
from netspec.errors import fail
from netspec.gc_pause import gc_paused
from netspec.graph.model import Graph, Mode, Node

_COMFORTABLE = 30
"""The largest number of boxes for which a deeper diagram is chosen automatically: text on A4 then has 7 points."""
_MAX_BOXES = 3_000


def fold(
    graph: Graph, depth: int | None = None, expand: Collection[str] = (), part: str = "", mode: Mode = "inference"
) -> Picture:
    """The picture of a graph in a mode, or of one scope of it.

    With `depth` None, blocks are opened as long as all boxes fit on a page. `part` is the path of a scope, or the name
    of a block, which means its first use. Raises NetspecError NS209 for an unknown name, and NS401 for too many boxes.
    """
    check_expanded(graph, expand)
    with gc_paused():
        return _fold(graph, depth, expand, part, mode)


def _fold(graph: Graph, depth: int | None, expand: Collection[str], part: str, mode: Mode) -> Picture:
    view = View(depth if depth is not None else DEEPEST, frozenset(expand), part_of(graph, part, mode), mode)
    nodes = nodes_of(graph, view.part, mode)
    folding = Folding(graph, nodes, view)
    ends = _Ends(graph, view, nodes)
    depth = _comfortable_depth(folding, ends.count) if depth is None else depth
    count = len(folding.boxes(depth)) + ends.count
    if count > _MAX_BOXES:
        message = f"the diagram of `{graph.name}` would have {count:,} boxes, and at most {_MAX_BOXES:,} fit"
        fail("NS401", message, help="draw less of it: a smaller `--depth`, fewer `--expand`, or one `--part`")
    return _picture(graph, view, nodes, ends, Placement(folding, depth))


def _comfortable_depth(folding: Folding, ends: int) -> int:
    """The largest depth at which a page holds all boxes; `ends` is the number of input and output boxes."""
    boxes = folding.boxes(0)
    for depth in range(1, DEEPEST):
        deeper = folding.boxes(depth)
        if len(deeper) + ends > _COMFORTABLE or deeper == boxes:
            return depth - 1
        boxes = deeper
    return DEEPEST


class _Ends:
    """The input and output boxes of a picture: names and values by key."""

    def __init__(self, graph: Graph, view: View, nodes: Sequence[Node]) -> None:
        if not view.part:
            outputs = [o for o in graph.outputs if view.mode == "train" or o.mode == "inference"]
            self.entering = {f"from {i.name}": (i.name, i.name) for i in graph.inputs}
            self.leaving = {f"to {o.name}": (o.name, o.value) for o in outputs}
            return
        computed = {value for node in nodes for value, _ in node.values()}
        values = dict.fromkeys(value for node in nodes for value in node.inputs if value not in computed)
        scope = graph.scopes[view.part]
        named_inputs = {value: name for name, value in scope.inputs.items()} if len(values) > 1 else {}
        self.entering = {f"from {value}": (named_inputs.get(value, "input"), value) for value in values}
        names = scope.block.outputs if scope.block is not None and len(scope.outputs) > 1 else ("output",)
        named = zip(scope.outputs, (*names, *scope.outputs[len(names) :]), strict=False)
        self.leaving = {f"to {name}": (name, value) for value, name in named}

    @property
    def count(self) -> int:
        """The number of input and output boxes."""
        return len(self.entering) + len(self.leaving)


def _picture(graph: Graph, view: View, nodes: Sequence[Node], ends: _Ends, placement: Placement) -> Picture:
    """Create the picture of a placement, with labels and edges."""
    labeller = Labeller(graph, placement, nodes, {value for _, value in ends.leaving.values()})
    title = graph.title or graph.name
    picture = Picture(graph.name, f"{title}: {view.part}" if view.part else title, labeller.totals(nodes))
    picture.clusters = {key: labeller.cluster(plan) for key, plan in placement.clusters.items()}
    for key, (name, value) in ends.entering.items():
        picture.boxes[key] = labeller.end(key, "input", name, value)
    for key, units in placement.units.items():
        picture.boxes[key] = labeller.closed_scope(key, units) if units[0].scope else labeller.ops(key, units)
    for key, (name, value) in ends.leaving.items():
        picture.boxes[key] = labeller.end(key, "output", name, value)
    entering = [value for _, value in ends.entering.values()]
    leaving = {key: value for key, (_, value) in ends.leaving.items()}
    _add_edges(picture, placement, BoxEdges(graph, placement, nodes, entering, leaving))
    _sort(picture)
    return picture


def _add_edges(picture: Picture, placement: Placement, box_edges: BoxEdges) -> None:
    """Add edges to a picture, and notes to boxes whose values go where no edge shows it."""

    def where(key: str, copies: set[int]) -> str:
        return placement.where(placement.cluster_of.get(key, ""), copies)

    for (tail, head), edge in box_edges.edges.items():
        inside = where(head, edge.heads)
        only = inside or where(tail, edge.tails)
        is_second = has_order(picture.boxes[head]) and edge.positions == {1}
        picture.edges.append(Edge(tail, head, bool(only), only, edge.size_only, inside, is_second))
    tails = {tail for tail, _ in box_edges.edges}
    for key, box in picture.boxes.items():
        if key in box_edges.fed_by_copies:
            box.subtitle = joined(box.subtitle, "from the copy before")
        if key not in tails and box.kind not in ("input", "output"):
            box.subtitle = joined(box.subtitle, "to the next copy" if box.cluster else "for its size")


def _sort(picture: Picture) -> None:
    """Sort boxes such that each is after those that it takes values from.

    A box that only a later copy of a repeat has is placed after the boxes that follow it in the first copy.
    """
    tails: dict[str, list[str]] = {}
    for edge in picture.edges:
        tails.setdefault(edge.head, []).append(edge.tail)
    boxes: dict[str, Box] = {}
    waiting: set[str] = set()
    todo = list(reversed(picture.boxes))
    while todo:
        key = todo[-1]
        missing = [tail for tail in tails.get(key, ()) if tail not in boxes and tail not in waiting]
        if missing and key not in boxes:
            waiting.add(key)
            todo += missing[::-1]
        else:
            boxes[todo.pop()] = picture.boxes[key]
    picture.boxes = boxes
