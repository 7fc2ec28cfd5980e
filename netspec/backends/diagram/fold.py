"""A graph as a picture: which blocks are opened, what repeats stand for, and which boxes there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from netspec.analysis.summary import summary
from netspec.backends.diagram.atoms import Atom, atoms
from netspec.backends.diagram.picture import Box, Edge, Frame, Picture
from netspec.backends.diagram.words import (
    closed_label,
    figures,
    followers,
    frame_title,
    joined,
    merged,
    name_of,
    shape_text,
    totals_text,
    varying,
    which,
)
from netspec.errors import closest, fail
from netspec.graph.model import Graph, Mode, Node, Scope
from netspec.graph.walk import live_nodes

COMFORTABLE = 40
"""How many boxes a diagram may have for its depth to be chosen by itself."""
MAX_BOXES = 3_000
FEW = 8
"""As many copies that differ are drawn one by one."""
DEEPEST = 64


@dataclass(frozen=True, slots=True)
class View:
    """What is opened: blocks down to `depth`, and the copies of the repeats in `expand` (`all`: of all)."""

    depth: int = 1
    expand: frozenset[str] = frozenset()
    part: str = ""
    mode: Mode = "inference"


def fold(
    graph: Graph, depth: int | None = None, expand: Collection[str] = (), part: str = "", mode: Mode = "inference"
) -> Picture:
    """The picture of a graph in a mode, or of one scope of it.

    `depth` None opens as much as a page holds. Raises NetspecError NS209 for a name that there is not, NS401 where
    there are too many boxes to draw.
    """
    _check_names(graph, expand, part)
    if depth is None:
        depth = _comfortable(graph, part, mode)
    found = _Folder(graph, View(depth, frozenset(expand), part, mode)).picture()
    if len(found.boxes) > MAX_BOXES:
        message = f"the diagram of `{graph.name}` would have {len(found.boxes):,} boxes, and at most {MAX_BOXES:,} fit"
        fail("NS401", message, help="draw less of it: a smaller `--depth`, fewer `--expand`, or one `--part`")
    return found


def _comfortable(graph: Graph, part: str, mode: Mode) -> int:
    """The depth down to which blocks may be opened, so that a page holds all with repeats drawn once."""
    boxes = _Folder(graph, View(0, frozenset(), part, mode)).picture().boxes.keys()
    for depth in range(1, DEEPEST):
        deeper = _Folder(graph, View(depth, frozenset(), part, mode)).picture().boxes.keys()
        if len(deeper) > COMFORTABLE or deeper == boxes:
            return depth - 1
        boxes = deeper
    return DEEPEST


def _check_names(graph: Graph, expand: Collection[str], part: str) -> None:
    for name in (*expand, *([part] if part else [])):
        if name not in graph.scopes and (name != "all" or name == part):
            help = closest(name, graph.scopes) or "`netspec explain` without a part lists what stands at the top"
            fail("NS209", f"`{graph.name}` has no block, branch or repeat `{name}`", help=help)


@dataclass(slots=True)
class _Unit:
    """What a box stands for in one copy: an atom, or a scope that is closed."""

    atom: Atom
    scope: Scope | None
    copy: str
    """The copy of the frame that it stands in."""
    inner: tuple[Scope, ...]
    """The scopes around it in the frame, and itself if it is one."""


@dataclass(slots=True)
class _Folder:
    graph: Graph
    view: View
    nodes: list[Node] = field(default_factory=list[Node])
    atoms: dict[str, Atom] = field(default_factory=dict[str, Atom])
    layers: dict[str, Any] = field(default_factory=dict[str, Any])
    keys: dict[str, str] = field(default_factory=dict[str, str])
    levels: dict[str, int] = field(default_factory=dict[str, int])
    weights: dict[str, int] = field(default_factory=dict[str, int])
    more: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """How many boxes more than one a scope holds, by its key and kind; of a repeat, more than it has copies."""
    varied: set[str] = field(default_factory=set[str])
    units: dict[str, dict[str, _Unit]] = field(default_factory=dict[str, dict[str, "_Unit"]])
    copies: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])
    real: dict[str, Scope] = field(default_factory=dict[str, Scope])
    box_of: dict[str, str] = field(default_factory=dict[str, str])
    homes: dict[str, str] = field(default_factory=dict[str, str])

    def picture(self) -> Picture:
        graph, part = self.graph, self.view.part
        lead = f"{part}." if part else ""
        # A part that is built in training only is drawn as it is there.
        self.nodes = [n for n in live_nodes(graph, self.view.mode) if n.path.startswith(lead)] or [
            n for n in live_nodes(graph, "train") if n.path.startswith(lead)
        ]
        self.atoms = atoms(graph, self.nodes)
        data = summary(graph, "train")
        self.layers = {layer["name"]: layer for layer in data["layers"]}
        self._weigh()
        title = graph.title or graph.name
        totals = totals_text(self._layers(self.nodes), data["at"])
        found = Picture(graph.name, f"{title}: {part}" if part else title, totals)
        for atom in {id(atom): atom for atom in self.atoms.values()}.values():
            self._place(atom)
        self._frames(found)
        self._boxes(found)
        self._edges(found)
        _sort(found)
        return found

    def _layers(self, nodes: Collection[Node]) -> list[Mapping[str, Any]]:
        """What the summary says of some nodes."""
        return [self.layers[node.path] for node in nodes]

    # Scopes: what each is called when copies are drawn once, and how deep it stands.

    def _weigh(self) -> None:
        """How many atoms stand at or below each scope, and which repeats of single ones have no label for all."""
        labels: dict[str, list[str]] = {}
        for atom in {id(atom): atom for atom in self.atoms.values()}.values():
            for scope in self._chain(atom.home):
                self.weights[scope.path] = self.weights.get(scope.path, 0) + 1
                if scope.kind == "repeat":
                    labels.setdefault(scope.path, []).append(atom.leader.op.label())
        for path, own in labels.items():
            if len(own) == len(self._children(self.graph.scopes[path])) <= FEW and merged(own) is None:
                self.varied.add(path)
        # Scopes that are drawn as one are frames, or not, as one: that of the copy that has most decides.
        for path, weight in self.weights.items():
            scope = self.graph.scopes[path]
            more = weight - (len(self._children(scope)) if scope.kind == "repeat" else 1)
            key = self._key(path), scope.kind
            self.more[key] = max(more, self.more.get(key, 0))

    def _chain(self, path: str) -> list[Scope]:
        """The scopes around and at a path, outermost first, below the part that is drawn."""
        found: list[Scope] = []
        while path and path != self.view.part:
            found.append(self.graph.scopes[path])
            path = found[-1].parent
        return found[::-1]

    def _key(self, path: str) -> str:
        """A scope's path with `*` for the copy of a repeat that is drawn once."""
        key = self.keys.get(path)
        if key is None:
            scope = self.graph.scopes.get(path)
            if scope is None or path == self.view.part:
                key = path
            else:
                key = self._below(scope.parent, scope.name)
            self.keys[path] = key
        return key

    def _below(self, parent: str, name: str) -> str:
        scope = self.graph.scopes.get(parent)
        if scope is not None and scope.kind == "repeat" and parent != self.view.part and self._folded(scope):
            name = "*"
        return f"{self._key(parent)}.{name}" if parent else name

    def _folded(self, scope: Scope) -> bool:
        """Whether a repeat is drawn once; a few single boxes that differ are drawn one by one."""
        if self.view.expand & {"all", scope.path, self._key(scope.path)}:
            return False
        return scope.path not in self.varied

    def _is_copy(self, scope: Scope) -> bool:
        parent = self.graph.scopes.get(scope.parent)
        return parent is not None and parent.kind == "repeat" and scope.parent != self.view.part

    def _framing(self, scope: Scope) -> bool:
        """Whether a scope is drawn as a box or as a frame: it holds more than one box, and is no branch."""
        more = self.more.get((self._key(scope.path), scope.kind), 0)
        if scope.kind == "repeat":
            return self._folded(scope) and more > 0
        if scope.kind == "branch" or not more:
            return False
        return not (self._is_copy(scope) and self._folded(self.graph.scopes[scope.parent]))

    def _children(self, scope: Scope) -> set[str]:
        lead = len(scope.path) + 1
        return {node.path[lead:].partition(".")[0] for node in self.nodes if node.path.startswith(f"{scope.path}.")}

    def _open(self, scope: Scope, level: int) -> bool:
        inside = any(name.startswith(f"{scope.path}.") for name in self.view.expand)
        return level <= self.view.depth or inside or bool({scope.path, scope.parent} & self.view.expand)

    # Units: what stands where.

    def _place(self, atom: Atom) -> None:
        """Find the box of an atom: its own, or that of the outermost scope around it that is closed."""
        frame, copy, level, start = "", "", 0, 0
        # The scopes of the op itself name its box too, if what follows it stands outside of them.
        chain = self._chain(atom.home)
        for place, scope in enumerate(chain):
            if not self._framing(scope):
                continue
            level += 1
            key = self._key(scope.path)
            if not self._open(scope, level):
                self._add(key, scope.path, _Unit(atom, scope, copy, tuple(chain[start : place + 1])), frame)
                return
            frame, copy, start = key, scope.path, place + 1
            if scope.kind == "repeat":
                copy = chain[place + 1].path if place + 1 < len(chain) else atom.leader.path
            self.copies.setdefault(key, {})[copy] = None
            self.real.setdefault(key, scope)
        leader = atom.leader
        inner = tuple(self._chain(leader.scope)[start:])
        # A named merge has the path of its scope.
        name = leader.op.opname if leader.path == leader.scope else leader.name
        self._add(self._below(leader.scope, name), leader.path, _Unit(atom, None, copy, inner), frame)

    def _add(self, key: str, real: str, unit: _Unit, frame: str) -> None:
        self.units.setdefault(key, {}).setdefault(real, unit)
        self.homes.setdefault(key, frame)
        for node in unit.atom.nodes:
            self.box_of[node.path] = key

    # What is drawn.

    def _frames(self, found: Picture) -> None:
        for key, scope in self.real.items():
            same = [s for s in self.graph.scopes.values() if self.keys.get(s.path) == key and s.kind == scope.kind]
            nodes = [node for node in self.nodes if any(node.path.startswith(f"{s.path}.") for s in same)]
            above = [self._key(s.path) for s in self._chain(scope.parent) if self._key(s.path) in self.real]
            parent = above[-1] if above else ""
            count = 1
            if scope.kind == "repeat":
                count = len(self.copies[key]) // (len(self.copies[parent]) if parent else 1)
            info = figures(self.graph.types[same[-1].output], self._layers(nodes))
            found.frames[key] = Frame(key, parent, frame_title(self.graph, scope), count, info)

    def _boxes(self, found: Picture) -> None:
        entering, leaving = self._ends()
        for key, (name, value) in entering.items():
            found.boxes[key] = Box(key, "input", name, shape_text(self.graph.types[value]))
        for key, units in self.units.items():
            found.boxes[key] = self._box(key, list(units.values()))
        for key, (name, value) in leaving.items():
            found.boxes[key] = Box(key, "output", name, shape_text(self.graph.types[value]))

    def _ends(self) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
        """What enters and leaves: by the key of its box, its name and its value."""
        if not self.view.part:
            entering = {f"from {i.name}": (i.name, i.name) for i in self.graph.inputs}
            outputs = [o for o in self.graph.outputs if self.view.mode == "train" or o.mode == "inference"]
            return entering, {f"to {o.name}": (o.name, o.value) for o in outputs}
        made = {value for node in self.nodes for value, _ in node.values()}
        values = dict.fromkeys(value for node in self.nodes for value in node.inputs if value not in made)
        entering = {f"from {value}": ("input", value) for value in values}
        scope = self.graph.scopes[self.view.part]
        if len(scope.outputs) == 1:
            return entering, {"to output": ("output", scope.output)}
        names = scope.block.outputs if scope.block is not None else ()
        named = zip(scope.outputs, (*names, *scope.outputs[len(names) :]), strict=False)
        return entering, {f"to {name}": (name, value) for value, name in named}

    def _box(self, key: str, units: list[_Unit]) -> Box:
        frame = self.homes[key]
        copies = list(self.copies.get(frame, {"": None}))
        there = list(dict.fromkeys(unit.copy for unit in units))
        only = which([copies.index(copy) for copy in there], len(copies)) if frame else ""
        per_copy = max(sum(unit.copy == copy for unit in units) for copy in there)
        first, last = units[0], units[-1]
        leader, scope = first.atom.leader, first.scope
        # A named merge in a frame of its own: the frame has the name.
        named = None if scope or leader.path == leader.scope else leader
        name = name_of(first.inner, named, self._folded)
        nodes = [node for unit in units for node in self._nodes_of(unit)]
        paths = tuple(unit.scope.path if unit.scope else unit.atom.leader.path for unit in units)
        box = Box(key, "op", "", frame=frame, count=per_copy, only=only, paths=paths)
        output = self.graph.types[last.scope.output] if last.scope else last.atom.leader.type
        if not frame:
            box.figures = figures(output, self._layers(nodes))
        if scope is not None:
            box.kind, box.family = "block", "block"
            box.label, copies_within = closed_label(self.graph, scope, self.nodes)
            box.count *= copies_within
            box.small = joined(name if name != box.label else "", shape_text(output) if frame else "")
            box.small = joined(box.small, f"weights of {scope.weights_of}" if scope.weights_of else "")
            # Of several values that enter or leave, a way round the block would not tell which it carries.
            one = len(scope.outputs) == 1 and len(set(scope.inputs.values())) == 1
            box.skip = one and any(node.op.opname == "add" for node in nodes)
            return box
        box.family = leader.op.family
        box.kind = "merge" if box.family == "merge" else "op"
        labels = [unit.atom.leader.op.label() for unit in units]
        box.label = merged(labels) or varying(labels)
        shares = leader.weights_of != leader.path
        box.small = joined(name, followers(first.atom))
        box.small = joined(box.small, f"weights of {leader.weights_of}" if shares else "")
        return box

    def _nodes_of(self, unit: _Unit) -> list[Node]:
        if unit.scope is None:
            return unit.atom.nodes
        return [node for node in self.nodes if node.path.startswith(f"{unit.scope.path}.")]

    # Edges.

    def _edges(self, found: Picture) -> None:
        edges: dict[tuple[str, str], None] = {}
        for node in self.nodes:
            head = self.box_of[node.path]
            for value in node.inputs:
                tail = self._tail(value, node)
                if tail not in found.boxes:
                    # What entered the first copy there is needed by nothing, and not drawn.
                    tail = self.box_of[value.partition(":")[0]]
                if tail != head:
                    edges[tail, head] = None
        boxes = found.boxes
        found.edges += [Edge(tail, head, bool(boxes[tail].only or boxes[head].only)) for tail, head in edges]
        for key, (_, value) in self._ends()[1].items():
            path = value.partition(":")[0]
            found.edges.append(Edge(self.box_of.get(path, f"from {path}"), key))

    def _tail(self, value: str, node: Node) -> str:
        """The box that a value comes from; from another copy of a repeat that is drawn once, what enters the first."""
        while True:
            path = value.partition(":")[0]
            if path not in self.atoms:
                return f"from {value}"
            shared = self._copies_apart(path, node.path)
            if shared is None:
                return self.box_of[path]
            entries, copy = list(shared.inputs.values()), self.graph.scopes.get(self._copy_of(shared, path))
            place = copy.outputs.index(value) if copy is not None and value in copy.outputs else 0
            value = entries[min(place, len(entries) - 1)]

    def _copies_apart(self, one: str, other: str) -> Scope | None:
        """The folded repeat of which two nodes stand in different copies."""
        for scope in self._scopes_of(other):
            if scope.kind == "repeat" and self._folded(scope) and one.startswith(f"{scope.path}."):
                lead = len(scope.path) + 1
                if one[lead:].partition(".")[0] != other[lead:].partition(".")[0]:
                    return scope
        return None

    def _copy_of(self, repeat: Scope, path: str) -> str:
        """The copy of a repeat in which a node stands."""
        return f"{repeat.path}.{path[len(repeat.path) + 1 :].partition('.')[0]}"

    def _scopes_of(self, path: str) -> Iterator[Scope]:
        yield from self._chain(self.graph.by_path[path].scope)


def _sort(picture: Picture) -> None:
    """Put boxes behind those that they take values from: what only a later copy has was found after what follows it."""
    into: dict[str, list[str]] = {}
    for edge in picture.edges:
        into.setdefault(edge.head, []).append(edge.tail)
    boxes: dict[str, Box] = {}
    todo = list(reversed(picture.boxes))
    while todo:
        missing = [tail for tail in into.get(todo[-1], ()) if tail not in boxes]
        if missing:
            todo += missing[::-1]
        else:
            key = todo.pop()
            boxes[key] = picture.boxes[key]
    picture.boxes = boxes
