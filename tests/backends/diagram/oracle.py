"""What a folded picture must show, worked out from the graph and the paths that boxes stand for.

It shares no code with the folding: which op is in which box follows from the paths of boxes, which copies there are
from the names of boxes and clusters, and every line from the inputs of nodes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from netspec.backends.diagram.picture import Box, Cluster, Picture
from netspec.graph.model import Graph, Mode, Node
from netspec.graph.walk import live_nodes


class Oracle:
    """The truth about a picture of a whole graph: `complaints` is empty where it is right."""

    def __init__(self, graph: Graph, picture: Picture, mode: Mode = "inference") -> None:
        self.graph = graph
        self.picture = picture
        self.nodes = live_nodes(graph, mode)
        self.box: dict[str, Box] = {}
        self.held: defaultdict[str, list[Node]] = defaultdict(list)
        self.complaints: list[str] = []
        # A named merge has the path of its scope: a block holds all below its paths, an op what has its path.
        blocks = {path: box for box in picture.boxes.values() if box.kind == "block" for path in box.paths}
        ops = {path: box for box in picture.boxes.values() if box.kind != "block" for path in box.paths}
        for node in self.nodes:
            box = ops.get(node.path) or next((blocks[path] for path in upwards(node.path) if path in blocks), None)
            if box is None:  # what follows an op in its box
                box = self.box[node.inputs[0].partition(":")[0]]
            self.box[node.path] = box
            self.held[box.key].append(node)
        self.repeats = {
            key: pattern(key + ".*")
            for key, cluster in picture.clusters.items()
            if any(s.kind == "repeat" and re.fullmatch(pattern(key), s.path) for s in graph.scopes.values())
        }
        self.copies_of: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for node in self.nodes:
            for path in upwards(node.path):
                above = path.rpartition(".")[0]
                if above in graph.scopes and graph.scopes[above].kind == "repeat":
                    self.copies_of[above][path] = None
        self.instances: defaultdict[str, set[Any]] = defaultdict(set)
        for node in self.nodes:
            for cluster in self.clusters(self.box[node.path].cluster):
                self.instances[cluster].add(self.copy(node.path, cluster))

    def wrong(self, text: str) -> None:
        self.complaints.append(text)

    def clusters(self, key: str) -> list[str]:
        """A cluster and those around it, innermost first."""
        chain: list[str] = []
        while key:
            chain.append(key)
            key = self.picture.clusters[key].parent
        return chain

    def copy(self, path: str, cluster: str) -> tuple[str, ...]:
        """In which copy of a cluster, and of those around it, an op stands."""
        found: list[str] = []
        for key in reversed(self.clusters(cluster)):
            match = re.match(self.repeats.get(key, pattern(key)), path)
            assert match is not None, (path, key)
            found.append(match[0])
        return tuple(found)

    def check(self) -> list[str]:
        self.lines()
        for box in self.picture.boxes.values():
            if box.kind not in ("input", "output"):
                self.counts(box)
                self.shape(box)
                self.labels(box)
        for cluster in self.picture.clusters.values():
            self.frame_counts(cluster)
        return self.complaints

    # Lines.

    def lines(self) -> None:
        heads: defaultdict[tuple[str, str], set[Any]] = defaultdict(set)
        tails: defaultdict[tuple[str, str], set[Any]] = defaultdict(set)
        data: set[tuple[str, str]] = set()
        for node in self.nodes:
            reads = node.op.reads
            for place, value in enumerate(node.inputs):
                if reads == 0 or self.within(value, node):
                    continue
                tail = self.enters(value, node)
                if tail is None:
                    continue
                source, at = tail
                edge = source, self.box[node.path].key
                heads[edge].add(self.copy(node.path, self.box[node.path].cluster))
                tails[edge] |= at
                if reads is None or place < reads:
                    data.add(edge)
        for output in self.graph.outputs:
            if f"to {output.name}" in self.picture.boxes:
                maker = self.box.get(output.value.partition(":")[0])
                edge = (maker.key if maker else f"from {output.value}"), f"to {output.name}"
                heads[edge].add(())
                tails[edge] |= self.leaves(output.value, frozenset()) if maker else {()}
                data.add(edge)
        drawn = {(edge.tail, edge.head): edge for edge in self.picture.edges}
        for edge in heads.keys() - drawn.keys():
            self.wrong(f"no line {edge}")
        for edge in drawn.keys() - heads.keys():
            self.wrong(f"a line too many {edge}")
        for edge in drawn.keys() & heads.keys():
            whole = heads[edge] == self.all_copies(edge[1]) and tails[edge] == self.all_copies(edge[0])
            if whole == drawn[edge].partial:
                self.wrong(f"{edge} is {'dashed' if drawn[edge].partial else 'solid'}")
            if bool(drawn[edge].only) != drawn[edge].partial:
                self.wrong(f"{edge} does not say where it is")
            if drawn[edge].size_only == (edge in data):
                self.wrong(f"{edge} carries {'more' if drawn[edge].size_only else 'no more'} than its size")

    def all_copies(self, key: str) -> set[Any]:
        cluster = self.picture.boxes[key].cluster
        return self.instances[cluster] if cluster else {()}

    def within(self, value: str, node: Node) -> bool:
        """Whether a value is made in the same box in the same copy."""
        path = value.partition(":")[0]
        if self.box.get(path) is not self.box[node.path]:
            return False
        cluster = self.box[node.path].cluster
        return self.copy(path, cluster) == self.copy(node.path, cluster)

    def enters(self, value: str, node: Node) -> tuple[str, set[Any]] | None:
        """The box that a value is drawn from, and the copies of it: outside the repeat if another copy makes it."""
        while True:
            path = value.partition(":")[0]
            if path not in self.box:
                return (f"from {value}", {()}) if f"from {value}" in self.picture.boxes else None
            repeat = self.parting(path, node.path)
            if repeat is None:
                return self.box[path].key, self.leaves(value, frozenset(self.open_repeats(node.path)))
            own = next(copy for copy in upwards(path)[::-1] if copy.startswith(f"{repeat}."))
            given = self.gives(own)
            entries = list(self.graph.scopes[repeat].inputs.values())
            place = given.index(value) if value in given else 0
            value = entries[min(place, len(entries) - 1)]

    def open_repeats(self, path: str) -> list[str]:
        """The real repeats around an op that are drawn once as clusters, outermost first."""
        keys = [key for key in self.clusters(self.box[path].cluster)[::-1] if key in self.repeats]
        return [re.match(pattern(key), path)[0] for key in keys]  # type: ignore[index]

    def parting(self, one: str, other: str) -> str | None:
        """The outermost repeat of which two ops stand in different copies."""
        shared = set(self.open_repeats(one)) & set(self.open_repeats(other))
        for repeat in sorted(shared, key=len):
            lead = len(repeat) + 1
            if one[lead:].partition(".")[0] != other[lead:].partition(".")[0]:
                return repeat
        return None

    def leaves(self, value: str, passed: frozenset[str]) -> set[Any]:
        """The copies of its box from which a value, or its like in other copies, leaves the repeats around it."""
        box = self.box[value.partition(":")[0]]
        ways = self.ways(value, passed) | {value.partition(":")[0]}
        return {self.copy(path, box.cluster) for path in ways if self.box[path] is box}

    def ways(self, value: str, passed: frozenset[str]) -> set[str]:
        """The ops that give what a value is, each copy of the repeats around for itself."""
        path = value.partition(":")[0]
        outer = next((repeat for repeat in self.open_repeats(path) if repeat not in passed), None)
        if outer is None:
            return {path}
        outputs = self.graph.scopes[outer].outputs
        if value not in outputs:
            return self.ways(value, passed | {outer})
        found: set[str] = set()
        for copy in self.copies_of[outer]:
            for made in self.gives(copy)[outputs.index(value) :][:1]:
                if (made.partition(":")[0] + ".").startswith(f"{copy}."):
                    found |= self.ways(made, passed | {outer})
        return found

    def gives(self, copy: str) -> tuple[str, ...]:
        """What a copy of a repeat gives."""
        if copy in self.graph.scopes:
            return self.graph.scopes[copy].outputs
        return tuple(value for value, _ in self.graph.by_path[copy].values())

    # What stands on boxes and clusters.

    def counts(self, box: Box) -> None:
        """Each path of a box is a copy, and of a closed repeat each path below."""
        copies: defaultdict[Any, int] = defaultdict(int)
        for path in box.paths:
            scope = self.graph.scopes.get(path)
            inner = self.copies_of[path] if scope is not None and scope.kind == "repeat" else {path}
            held = next(node.path for node in self.held[box.key] if self.below(node, path, box))
            copies[self.copy(held, box.cluster)] += len(inner)
        told = box.counts if len(box.counts) > 1 else box.counts * len(copies)
        if list(told) != list(copies.values()):
            self.wrong(f"{box.key} stands for {list(copies.values())}, not {box.counts}")
        if (copies.keys() == self.all_copies(box.key)) != (not box.only):
            self.wrong(f"{box.key} says `{box.only}`")
        first = {copy for copy in self.all_copies(box.key) if self.is_first(copy)}
        if box.only == "first only" and set(copies) != first:
            self.wrong(f"{box.key} is not in each first copy alone")
        if box.only == "not first" and (first & set(copies) or set(copies) != self.all_copies(box.key) - first):
            self.wrong(f"{box.key} is not in all copies but the first")

    def below(self, node: Node, path: str, box: Box) -> bool:
        return node.path == path or (box.kind == "block" and node.path.startswith(f"{path}."))

    def is_first(self, copy: tuple[str, ...]) -> bool:
        """Whether a copy stands first in the innermost repeat around."""
        path = next((path for path in copy[::-1] if self.repeat_of(path)), "")
        return bool(path) and path == min(self.copies_of[self.repeat_of(path)], key=number)

    def repeat_of(self, path: str) -> str:
        above = path.rpartition(".")[0]
        return above if above in self.copies_of else ""

    def frame_counts(self, cluster: Cluster) -> None:
        around: defaultdict[Any, int] = defaultdict(int)
        for copy in self.instances[cluster.key]:
            around[copy[:-1]] += 1
        wanted = sorted(around.values()) if cluster.key in self.repeats else [1] * len(around)
        told = cluster.counts if len(cluster.counts) > 1 else cluster.counts * len(around)
        if sorted(told) != wanted:
            self.wrong(f"cluster {cluster.key} stands for {wanted}, not {cluster.counts}")
        parents = self.instances[cluster.parent] if cluster.parent else {()}
        if (around.keys() == parents) != (not cluster.only):
            self.wrong(f"cluster {cluster.key} says `{cluster.only}`")

    def shape(self, box: Box) -> None:
        """Of each copy, the shape of the last op that something outside the copy reads."""
        shapes: dict[Any, str] = {}
        for path in box.paths:
            nodes = [n for n in self.held[box.key] if self.below(n, path, box)]
            if box.kind != "block":  # with all that follows it
                nodes = self.followed(nodes)
            inside = {n.path for n in nodes}
            read = [value for n in nodes for value, _ in n.values() if self.read_outside(value, inside)]
            texts = dict.fromkeys(text_of(self.graph, value) for value in read or [nodes[-1].path])
            text = "; ".join([*texts][:2] + ["…"] * (len(texts) > 2))
            if box.kind != "block" and len(read) == 1 and ":" in read[0]:  # a further output, by its name
                text = f"{read[0].partition(':')[2]} {text}"
            shapes[self.copy(nodes[0].path, box.cluster)] = text
        told, wanted = box.shape, list(shapes.values())
        if len(set(wanted)) == 1 and told != wanted[0]:
            self.wrong(f"{box.key} has the shape {wanted[0]}, not {told}")
        if len(set(wanted)) > 1 and told in wanted:
            self.wrong(f"the shapes of {box.key} differ, and it says {told}")

    def followed(self, nodes: list[Node]) -> list[Node]:
        chain = list(nodes)
        for node in self.nodes:
            if node not in chain and self.box[node.path] is self.box[chain[0].path] and chain[-1].path in node.inputs:
                chain.append(node)
        return chain

    def read_outside(self, value: str, inside: set[str]) -> bool:
        outputs = {o.value for o in self.graph.outputs if f"to {o.name}" in self.picture.boxes}
        return value in outputs or any(u.path in self.box and u.path not in inside for u in self.graph.users[value])

    def labels(self, box: Box) -> None:
        """What differs from copy to copy is not said as if it were the same."""
        if box.kind == "block":
            for name, values in self.arguments(box).items():
                if len(values) > 1 and not any(name in text for text in box.details):
                    self.wrong(f"{box.key} hides that {name} differs")
            return
        said = {self.title(self.graph.by_path[path]).op.label() for path in box.paths}
        if (box.label in said) != (len(said) == 1):
            self.wrong(f"{box.key} stands for {said}, and says {box.label}")

    def title(self, first: Node) -> Node:
        """The node that a box is called after: the first, or a normalisation rather than the permute before it."""
        chain = self.followed([first]) if first.op.abbreviation == "" else [first]
        return chain[1] if len(chain) > 1 and chain[1].op.family == "normalization" else first

    def arguments(self, box: Box) -> dict[str, set[str]]:
        uses = [path for path in box.paths if self.graph.scopes[path].kind != "repeat"]
        uses += [copy for path in box.paths for copy in self.copies_of.get(path, ()) if copy in self.graph.scopes]
        found: defaultdict[str, set[str]] = defaultdict(set)
        for path in uses:
            for name, value in self.graph.scopes[path].params.items():
                found[name].add(repr(value))
        return found


def number(path: str) -> int:
    return int("".join(re.findall(r"\d", path.rpartition(".")[2])) or 0)


def pattern(key: str) -> str:
    """The paths that a key of a picture stands for."""
    return re.escape(re.sub(r"~\d+", "", key)).replace(r"\*", "[^.]+")


def upwards(path: str) -> list[str]:
    """A path and those above it."""
    parts = path.split(".")
    return [".".join(parts[:end]) for end in range(len(parts), 0, -1)]


def text_of(graph: Graph, value: str) -> str:
    """A shape without the batch that all inputs have."""
    shape = graph.types[value].shape
    batches = {i.type.shape[:1] for i in graph.inputs}
    if len(shape) > 1 and batches == {shape[:1]}:
        shape = shape[1:]
    return " × ".join(map(str, shape)) or "scalar"
