"""Finds the edges between boxes, and the copies of the boxes for which each edge is valid."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from netspec.backends.diagram.placement import Loops, OpPlace, Placement
from netspec.graph.model import Graph, Node
from netspec.graph.paths import node_of


@dataclass(slots=True)
class BoxEdge:
    """An edge between boxes: the copies in which values leave its tail, and those in which they enter its head."""

    tails: set[int] = field(default_factory=set[int])
    heads: set[int] = field(default_factory=set[int])
    size_only: bool = True
    """Whether only the sizes of the values are read."""
    positions: set[int] = field(default_factory=set[int])
    """The positions of the values among the inputs of the ops that read them."""


_Reads = dict[tuple[str, int, str, bool], set[int]]
"""The copies in which a box reads a value. A key has the value, the number of open repeats that it shares with the box,
the key of the box, and whether only the size of the value is read."""


class BoxEdges:
    """The edges of a placement, by the keys of their boxes in `edges`.

    A value that a copy of a repeat takes from the copy before is drawn as the value that enters the first copy, and a
    value that it passes to the next copy is drawn as the value that leaves the last. If no value enters the first copy
    in its place, the box that takes it is in `fed_by_copies`.
    """

    def __init__(
        self,
        graph: Graph,
        placement: Placement,
        nodes: Sequence[Node],
        entering: Collection[str],
        leaving: Mapping[str, str],
    ) -> None:
        """`entering` are the values of input boxes; `leaving` are the values of output boxes, by key."""
        self.graph = graph
        self.placement = placement
        self.entering = entering
        self.edges: dict[tuple[str, str], BoxEdge] = {}
        self.fed_by_copies: set[str] = set()
        self._leaving_copies: dict[tuple[str, int], set[int]] = {}
        self._positions: dict[tuple[str, int, str], set[int]] = {}
        reads: _Reads = {}
        for node in nodes:
            number = len(node.inputs) if node.op.reads is None else node.op.reads
            # An op that reads nothing, such as a learned tensor, has no edges, not even for sizes.
            for index, value in enumerate(node.inputs if number else ()):
                self._read(value, placement.places[node.path], index, index >= number, reads)
        for key, value in leaving.items():
            reads[value, 0, key, False] = {0}
        for (value, shared, head, size_only), copies in reads.items():
            self._draw(value, shared, head, size_only, copies)

    def _read(self, value: str, head: OpPlace, position: int, size_only: bool, reads: _Reads) -> None:
        """Add to `reads` that a value is read at a place, unless the same box computes it.

        `position` is that of the value among the inputs of the op that reads it.
        """
        tail = self._place(value)
        if tail is not None and tail.box == head.box and tail.copy == head.copy:
            return
        drawn = self._drawn_value(value, head.loops)
        if drawn is None:
            self.fed_by_copies.add(head.box)
        else:
            reads.setdefault((*drawn, head.box, size_only), set()).add(head.copy)
            self._positions.setdefault((*drawn, head.box), set()).add(position)

    def _drawn_value(self, value: str, loops: Loops) -> tuple[str, int] | None:
        """The value to draw for one that is read within `loops`, and the number of loops around both places.

        For a value from another copy of a repeat, this is the value that enters the first copy at the same index; None
        if there is none.
        """
        while True:
            place = self._place(value)
            if place is None:
                return (value, 0) if value in self.entering else None
            if place.loops == loops:
                return value, len(loops)
            pairs = list(zip(place.loops, loops, strict=False))
            shared = next((n for n, (outer, inner) in enumerate(pairs) if outer != inner), len(pairs))
            if shared == len(pairs) or pairs[shared][0][0] != pairs[shared][1][0]:
                return value, shared
            entry = self._first_input(*place.loops[shared], value)
            if entry is None:
                return None
            value = entry

    def _place(self, value: str) -> OpPlace | None:
        """The place of the op that computes a value; None for an input of the picture."""
        return self.placement.places.get(value) or self.placement.places.get(node_of(value))

    def _first_input(self, repeat: str, copy: str, value: str) -> str | None:
        """The input of a repeat at the index that a value has among the outputs of a copy."""
        entries = list(self.graph.scopes[repeat].inputs.values())
        outputs = self._outputs(copy)
        index = outputs.index(value) if value in outputs else 0
        return entries[min(index, len(entries) - 1)] if entries else None

    def _outputs(self, copy: str) -> tuple[str, ...]:
        """The outputs of a copy of a repeat; the copy is a scope or a single op."""
        scope = self.graph.scopes.get(copy)
        if scope is not None:
            return scope.outputs
        return tuple(value for value, _ in self.graph.by_path[copy].values())

    def _draw(self, value: str, shared: int, head: str, size_only: bool, copies: set[int]) -> None:
        """Add a value, which the box `head` reads in some copies, to the edge between the boxes."""
        place = self._place(value)
        tail = place.box if place else f"from {value}"
        edge = self.edges.setdefault((tail, head), BoxEdge())
        edge.heads |= copies
        edge.positions |= self._positions.get((value, shared, head), set())
        edge.size_only = edge.size_only and size_only
        edge.tails |= self._copies_left(value, shared, place) if place else {0}

    def _copies_left(self, value: str, shared: int, place: OpPlace) -> set[int]:
        """The copies of a value's box from which the value leaves all open repeats except the `shared` outer ones."""
        copies = self._leaving_copies.get((value, shared))
        if copies is None:
            copies = {copy for box, copy in self._sources(value, shared) if box == place.box} | {place.copy}
            self._leaving_copies[value, shared] = copies
        return copies

    def _sources(self, value: str, shared: int) -> list[tuple[str, int]]:
        """The boxes and copies from which places outside get a value: for a repeat, one in each of its copies."""
        place = self._place(value)
        assert place is not None
        if len(place.loops) <= shared:
            return [(place.box, place.copy)]
        repeat, _ = place.loops[shared]
        outputs = self.graph.scopes[repeat].outputs
        if value not in outputs:
            # The value leaves only the copy that computes it.
            return self._sources(value, shared + 1)
        index = outputs.index(value)
        sources: list[tuple[str, int]] = []
        for copy in self.placement.folding.children[repeat]:
            of_copy = self._outputs(copy)[index : index + 1]
            inner = self._place(of_copy[0]) if of_copy else None
            # A value that only passes through a copy was computed before it.
            if inner is not None and inner.loops[shared : shared + 1] == ((repeat, copy),):
                sources += self._sources(of_copy[0], shared + 1)
        return sources
