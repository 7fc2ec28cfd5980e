"""Fingerprints of nodes, by which two graphs are aligned, and an order of nodes that does not depend on the spec's.

A fingerprint is a number. The two graphs share a table of numbers, so that equal numbers mean equal things. For `relu`
in `image -> conv -> relu -> fc`, the fingerprints cover:

| fingerprint | covers | equal for |
|---|---|---|
| `op` | the op and its attributes | every relu |
| `local` | `op`, and the types of inputs and outputs | every relu on maps of this size |
| `origin` | `op`, and all nodes that it is computed from | the relu after this conv of the image |
| `purpose` | `local`, and all nodes that use it | the relu before this fc, which is the output |

Compilers call `origin` a value number; `purpose` is the same from the outputs upwards. A change of `conv` keeps the
`op` and `purpose` of `relu`, and a change of `fc` keeps its `op`, `local` and `origin`, so that nodes on both sides of
a change can be matched.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from netspec.analysis.diff.interface import common_symbols
from netspec.graph.model import Graph, Node
from netspec.graph.paths import node_of
from netspec.types import Tensor

_NEIGHBOURHOOD = 3
"""The number of steps back that a node's neighbourhood reaches."""


class Numbering:
    """A table that gives equal things equal numbers, in the order in which they come."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def of(self, *parts: Hashable) -> int:
        """The number of the thing that has these parts."""
        return self._numbers.setdefault(parts, len(self._numbers))


class FingerprintedGraph:
    """A graph with the fingerprints of its nodes, and its nodes in a canonical order.

    `inputs` and `outputs` are numbers of the graph's inputs and outputs, equal for those that match in two graphs.
    `op`, `local` and `purpose` are fingerprints by path, `origin` and `types` are by value. `nodes` are in the order in
    which a depth-first search from the outputs completes them, with the longer branch of a sum first. So neither the
    order of the spec nor a change elsewhere moves a node.
    """

    def __init__(self, graph: Graph, numbers: Numbering, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
        self.graph = graph
        self.types = _common_types(graph)
        self._numbers = numbers
        self.op = self._op()
        self.local = self._local()
        self.origin = self._origin(inputs)
        self.purpose = self._purpose(outputs)
        self.nodes = self._in_order()

    def sources(self, node: Node) -> list[Node]:
        """The nodes that a node reads."""
        sources = [self.graph.by_path.get(node_of(value)) for value in node.inputs]
        return [source for source in sources if source is not None]

    def users(self, node: Node) -> list[Node]:
        """The nodes that read a node's outputs."""
        return [user for value, _ in node.values() for user in self.graph.users[value]]

    def _op(self) -> dict[str, int]:
        numbers: dict[int, int] = {}
        for node in self.graph.nodes:
            if id(node.op) not in numbers:
                numbers[id(node.op)] = self._numbers.of("op", node.op.opname, node.op.model_dump_json())
        return {node.path: numbers[id(node.op)] for node in self.graph.nodes}

    def _local(self) -> dict[str, int]:
        types = {value: self._numbers.of("type", type) for value, type in self.types.items()}
        local: dict[str, int] = {}
        for node in self.graph.nodes:
            read = [types[value] for value in node.inputs]
            read = sorted(read) if node.op.commutes else read
            local[node.path] = self._numbers.of("local", self.op[node.path], *read, types[node.path])
        return local

    def _origin(self, inputs: Mapping[str, int]) -> dict[str, int]:
        origin = {i.name: self._numbers.of("input", inputs[i.name], self.types[i.name]) for i in self.graph.inputs}
        for node in self.graph.nodes:
            read = [origin[value] for value in node.inputs]
            number = self._numbers.of("origin", self.op[node.path], *(sorted(read) if node.op.commutes else read))
            for place, (value, _) in enumerate(node.values()):
                origin[value] = self._numbers.of("output", number, place) if place else number
        return origin

    def _purpose(self, outputs: Mapping[str, int]) -> dict[str, int]:
        uses: dict[str, list[tuple[int, ...]]] = {value: [] for value in self.graph.types}
        for o in self.graph.outputs:
            uses[o.value].append((-1, outputs[o.name], o.mode == "train"))
        purpose: dict[str, int] = {}
        for node in reversed(self.graph.nodes):
            uses_of_node = tuple(tuple(sorted(uses[value])) for value, _ in node.values())
            purpose[node.path] = self._numbers.of("purpose", self.local[node.path], uses_of_node)
            for place, value in enumerate(node.inputs):
                uses[value].append((purpose[node.path], 0 if node.op.commutes else place))
        return purpose

    def _neighbourhood(self) -> dict[str, int]:
        """A fingerprint of every value, from the names of ops a few steps back, unaffected by changes further away."""
        nearby = {i.name: 0 for i in self.graph.inputs}
        for _ in range(_NEIGHBOURHOOD):
            # Values that the step before did not reach have the number 0.
            before, nearby = nearby, dict.fromkeys(nearby, 0)
            for node in self.graph.nodes:
                read = sorted([before.get(value, 0) for value in node.inputs])
                number = self._numbers.of("neighbourhood", node.op.opname, *read)
                for value, _ in node.values():
                    nearby[value] = number
        return nearby

    def _depths(self) -> dict[str, int]:
        """The number of nodes on the longest path from an input to each value."""
        depths = {i.name: 0 for i in self.graph.inputs}
        for node in self.graph.nodes:
            depth = 1 + max([depths[value] for value in node.inputs], default=0)
            for value, _ in node.values():
                depths[value] = depth
        return depths

    def _in_order(self) -> list[Node]:
        depths, nearby = self._depths(), self._neighbourhood()

        def deepest_first(values: tuple[str, ...]) -> list[str]:
            return sorted(values, key=lambda value: (-depths[value], nearby[value]))

        # Nodes that no output needs come last, starting from the deepest.
        starts = [*(o.value for o in self.graph.outputs), *deepest_first(tuple(n.path for n in self.graph.nodes))]
        ordered: dict[str, Node] = {}
        for start in starts:
            todo = [(node_of(start), False)]
            while todo:
                path, ready = todo.pop()
                node = self.graph.by_path.get(path)
                if node is None or path in ordered:
                    continue
                if ready:
                    ordered[path] = node
                    continue
                todo.append((path, True))
                read = deepest_first(node.inputs) if node.op.commutes else node.inputs
                todo += [(node_of(value), False) for value in reversed(read)]
        return list(ordered.values())


def _common_types(graph: Graph) -> dict[str, Tensor]:
    """The type of every value, with symbols renamed so that they are equal in both graphs."""
    names = common_symbols(graph)
    renamed: dict[int, Tensor] = {}
    for type in graph.types.values():
        if id(type) not in renamed:
            renamed[id(type)] = type.at(names) if names else type
    return {value: renamed[id(type)] for value, type in graph.types.items()}
