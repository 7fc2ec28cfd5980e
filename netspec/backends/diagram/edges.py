"""The lines of a diagram: which boxes give values to which, and in which of the copies that they stand for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from netspec.backends.diagram.folding import Loops, OpPlace, Placement
from netspec.graph.model import Graph, Node


@dataclass(slots=True)
class BoxEdge:
    """From a box to another, in these copies of the clusters around them; `size`: only the size of the value counts."""

    tails: set[int] = field(default_factory=set[int])
    heads: set[int] = field(default_factory=set[int])
    size: bool = True


_Arrivals = dict[tuple[str, int, str, bool], set[int]]
"""By a value, how many open repeats it shares with what reads it, a box, and whether it counts for its size alone:
the copies in which it is read."""


class BoxEdges:
    """The lines of a plan, by the keys of their boxes.

    What a copy of a repeat takes from the one before is drawn as what enters the first, and what it gives to the
    next as what leaves the last. `fed` are the boxes that take from the copy before what does not enter the first.
    `entering` are the values that stand in boxes of their own, `leaving` those that go to such boxes, by their keys.
    """

    def __init__(
        self,
        graph: Graph,
        plan: Placement,
        nodes: Sequence[Node],
        entering: Collection[str],
        leaving: Mapping[str, str],
    ) -> None:
        self.graph = graph
        self.plan = plan
        self.entering = entering
        self.drawn: dict[tuple[str, str], BoxEdge] = {}
        self.fed: set[str] = set()
        self._leaves: dict[tuple[str, int], set[int]] = {}
        arrivals: _Arrivals = {}
        for node in nodes:
            reads = len(node.inputs) if node.op.reads is None else node.op.reads
            # An op that reads nothing, a learned tensor, stands for itself.
            for place, value in enumerate(node.inputs if reads else ()):
                self._arrive(value, plan.stands[node.path], place >= reads, arrivals)
        for key, value in leaving.items():
            arrivals[value, 0, key, False] = {0}
        for (value, shared, head, size), copies in arrivals.items():
            self._draw(value, shared, head, size, copies)

    def _arrive(self, value: str, head: OpPlace, size: bool, arrivals: _Arrivals) -> None:
        """Note a value that is read at a stand, unless all of it is within one box."""
        tail = self._stand(value)
        if tail is not None and tail.box == head.box and tail.copy == head.copy:
            return
        enters = self._enters(value, head.loops)
        if enters is None:
            self.fed.add(head.box)
        else:
            arrivals.setdefault((*enters, head.box, size), set()).add(head.copy)

    def _enters(self, value: str, loops: Loops) -> tuple[str, int] | None:
        """The value, or if another copy of an open repeat makes it, what enters the first at the same place.

        With it goes the number of open repeats that it shares. None where nothing that is drawn enters.
        """
        while True:
            stand = self._stand(value)
            if stand is None:
                return (value, 0) if value in self.entering else None
            if stand.loops == loops:
                return value, len(loops)
            pairs = list(zip(stand.loops, loops, strict=False))
            shared = next((n for n, (one, other) in enumerate(pairs) if one != other), len(pairs))
            if shared == len(pairs) or pairs[shared][0][0] != pairs[shared][1][0]:
                return value, shared
            entry = self._entry(*stand.loops[shared], value)
            if entry is None:
                return None
            value = entry

    def _stand(self, value: str) -> OpPlace | None:
        """Where the op stands that makes a value; None for what enters."""
        return self.plan.stands.get(value) or self.plan.stands.get(value.partition(":")[0])

    def _entry(self, repeat: str, copy: str, value: str) -> str | None:
        """What enters a repeat at the place at which a copy of it gives a value."""
        entries = list(self.graph.scopes[repeat].inputs.values())
        given = self._given(copy)
        place = given.index(value) if value in given else 0
        return entries[min(place, len(entries) - 1)] if entries else None

    def _given(self, copy: str) -> tuple[str, ...]:
        """The values that a copy of a repeat gives."""
        scope = self.graph.scopes.get(copy)
        if scope is not None:
            return scope.outputs
        return tuple(value for value, _ in self.graph.by_path[copy].values())

    def _draw(self, value: str, shared: int, head: str, size: bool, copies: set[int]) -> None:
        stand = self._stand(value)
        tail = stand.box if stand else f"from {value}"
        line = self.drawn.setdefault((tail, head), BoxEdge())
        line.heads |= copies
        line.size = line.size and size
        line.tails |= self._copies_left(value, shared, stand) if stand else {0}

    def _copies_left(self, value: str, shared: int, stand: OpPlace) -> set[int]:
        """The copies of the box of a value in which it leaves the open repeats around, but for those shared."""
        copies = self._leaves.get((value, shared))
        if copies is None:
            copies = {copy for box, copy in self._places(value, shared) if box == stand.box} | {stand.copy}
            self._leaves[value, shared] = copies
        return copies

    def _places(self, value: str, shared: int) -> list[tuple[str, int]]:
        """The boxes and copies that give a value to what stands outside, each copy of a repeat for itself."""
        stand = self._stand(value)
        assert stand is not None
        if len(stand.loops) <= shared:
            return [(stand.box, stand.copy)]
        repeat, _ = stand.loops[shared]
        given = self.graph.scopes[repeat].outputs
        if value not in given:
            # It leaves the one copy that makes it.
            return self._places(value, shared + 1)
        place = given.index(value)
        places: list[tuple[str, int]] = []
        for copy in self.plan.layout.children[repeat]:
            made = self._given(copy)[place : place + 1]
            inner = self._stand(made[0]) if made else None
            # What only goes through a copy was given by one before.
            if inner is not None and inner.loops[shared : shared + 1] == ((repeat, copy),):
                places += self._places(made[0], shared + 1)
        return places
