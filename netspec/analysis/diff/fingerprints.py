"""One of two graphs, as their alignment reads it: its ends, tokens, digests, and an order that no writing changes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from netspec.dims import Dim, Symbolic, symbol
from netspec.graph.model import Graph, Input, Node, Output
from netspec.types import Tensor

Ids = dict[Hashable, int]
"""A number for each thing that two graphs have in common."""


T = TypeVar("T", Input, Output)


def _id(ids: Ids, key: Hashable) -> int:
    return ids.setdefault(key, len(ids))


@dataclass(frozen=True)
class Ends:
    """Inputs and outputs of two graphs side by side; None where one graph has none to stand beside."""

    inputs: list[tuple[Input | None, Input | None]]
    outputs: list[tuple[Output | None, Output | None]]

    @cached_property
    def inputs_a(self) -> dict[str, int]:
        return {x.name: number for number, (x, _) in enumerate(self.inputs) if x}

    @cached_property
    def inputs_b(self) -> dict[str, int]:
        return {y.name: number for number, (_, y) in enumerate(self.inputs) if y}

    @cached_property
    def outputs_a(self) -> dict[str, int]:
        return {x.name: number for number, (x, _) in enumerate(self.outputs) if x}

    @cached_property
    def outputs_b(self) -> dict[str, int]:
        return {y.name: number for number, (_, y) in enumerate(self.outputs) if y}


def ends(a: Graph, b: Graph) -> Ends:
    """The inputs and outputs that stand for one another: by their places, or by names where one graph has more."""
    return Ends(_beside(a.inputs, b.inputs), _beside(a.outputs, b.outputs))


def _beside(xs: Sequence[T], ys: Sequence[T]) -> list[tuple[T | None, T | None]]:
    if len(xs) == len(ys):
        return list(zip(xs, ys, strict=True))
    names = {y.name: y for y in ys}
    by_name = {x.name: names[x.name] for x in xs if x.name in names}
    rest = [y for y in ys if y.name not in by_name]
    found: list[tuple[T | None, T | None]] = []
    for x in xs:
        y = by_name.get(x.name) or (rest.pop(0) if rest else None)
        found.append((x, y))
    return [*found, *((None, y) for y in rest)]


def common_symbols(graph: Graph) -> dict[str, Dim]:
    """The symbols of a graph's inputs by the order in which they appear, which is all that a hash knows of them."""
    found: dict[str, Dim] = {}
    for i in graph.inputs:
        for dim in i.type.shape:
            if isinstance(dim, Symbolic):
                found.setdefault(str(dim), symbol(f"S{len(found)}"))
    return found


class Side:
    """A graph with what tells its nodes apart; numbers are those of `ids`, which both graphs share.

    `kind` is an op with its attributes, `token` that and the types it reads and gives. `up` is all that a value is made
    of, `down` all that it is used for. `nodes` are in the order in which the outputs reach them, the longer branch
    of a sum first: what is written in another order, or changed elsewhere, moves nothing.
    """

    def __init__(self, graph: Graph, ids: Ids, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
        self.graph = graph
        self.types = _types(graph)
        self.kind = _kinds(graph, ids)
        types = {value: _id(ids, type) for value, type in self.types.items()}
        self.token = {
            node.path: _id(ids, (self.kind[node.path], *[types[v] for v in node.inputs], types[node.path]))
            for node in graph.nodes
        }
        self.up = self._up(ids, inputs)
        self.down = self._down(ids, outputs)
        self.nodes = self._in_order(ids)

    def above(self, node: Node) -> list[Node]:
        """The nodes that a node reads."""
        found = [self.graph.by_path.get(value.partition(":")[0]) for value in node.inputs]
        return [above for above in found if above is not None]

    def below(self, node: Node) -> list[Node]:
        """The nodes that read a node."""
        return [user for value, _ in node.values() for user in self.graph.users[value]]

    def _up(self, ids: Ids, inputs: Mapping[str, int]) -> dict[str, int]:
        found = {i.name: _id(ids, ("input", inputs[i.name], self.types[i.name])) for i in self.graph.inputs}
        for node in self.graph.nodes:
            read = [found[value] for value in node.inputs]
            made = _id(ids, ("up", self.kind[node.path], *(sorted(read) if node.op.commutes else read)))
            for number, (value, _) in enumerate(node.values()):
                found[value] = _id(ids, ("value", made, number)) if number else made
        return found

    def _down(self, ids: Ids, outputs: Mapping[str, int]) -> dict[str, int]:
        uses: dict[str, list[tuple[int, ...]]] = {value: [] for value in self.graph.types}
        for o in self.graph.outputs:
            uses[o.value].append((-1, outputs[o.name], o.mode == "train"))
        found: dict[str, int] = {}
        for node in reversed(self.graph.nodes):
            used = tuple(tuple(sorted(uses[value])) for value, _ in node.values())
            digest = found[node.path] = _id(ids, ("down", self.token[node.path], used))
            for number, value in enumerate(node.inputs):
                uses[value].append((digest, 0 if node.op.commutes else number))
        return found

    def _in_order(self, ids: Ids) -> list[Node]:
        depth = {i.name: 0 for i in self.graph.inputs}
        look = {i.name: 0 for i in self.graph.inputs}
        for node in self.graph.nodes:
            deep = 1 + max([depth[value] for value in node.inputs], default=0)
            for value, _ in node.values():
                depth[value] = deep
        # What a node looks like from nearby: a change far away does not change it.
        for _ in range(3):
            look = {
                **dict.fromkeys(look, 0),
                **{
                    value: _id(ids, ("look", node.op.opname, *sorted([look.get(v, 0) for v in node.inputs])))
                    for node in self.graph.nodes
                    for value, _ in node.values()
                },
            }

        def read(node: Node) -> list[str]:
            if not node.op.commutes:
                return list(node.inputs)
            return sorted(node.inputs, key=lambda value: (-depth[value], look[value]))

        # What no output needs comes last, from its ends upwards.
        rest = sorted(self.graph.nodes, key=lambda node: (-depth[node.path], look[node.path]))
        found: dict[str, Node] = {}
        for start in [*(o.value for o in self.graph.outputs), *(node.path for node in rest)]:
            todo = [(start.partition(":")[0], False)]
            while todo:
                path, ready = todo.pop()
                node = self.graph.by_path.get(path)
                if node is None or path in found:
                    continue
                if ready:
                    found[path] = node
                    continue
                todo.append((path, True))
                todo += [(value.partition(":")[0], False) for value in reversed(read(node))]
        return list(found.values())


def _types(graph: Graph) -> dict[str, Tensor]:
    """The type of every value, with symbols that two graphs have in common."""
    names = common_symbols(graph)
    known: dict[int, Tensor] = {}
    found: dict[str, Tensor] = {}
    for value, type in graph.types.items():
        renamed = known.get(id(type))
        if renamed is None:
            renamed = known[id(type)] = type.at(names) if names else type
        found[value] = renamed
    return found


def _kinds(graph: Graph, ids: Ids) -> dict[str, int]:
    known: dict[int, int] = {}
    found: dict[str, int] = {}
    for node in graph.nodes:
        kind = known.get(id(node.op))
        if kind is None:
            kind = known[id(node.op)] = _id(ids, (node.op.opname, node.op.model_dump_json()))
        found[node.path] = kind
    return found
