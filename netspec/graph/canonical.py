"""A graph's canonical form: what it computes, without names, blocks, or the order in which it was written."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from netspec.graph.model import Graph, Node

OrderKeys = dict[str, tuple[str, str]]

FORM = "netspec-graph-1"
"""The version of the form, which every hash covers."""

MOST_STEPS_BACK = 200
"""How far twins are followed back for what tells them apart."""
MOST_TWINS = 100
"""Of how many that no output needs the next is looked for."""


def canonical(graph: Graph) -> list[Any]:
    """The graph as plain data: the form, inputs, nodes, outputs; values are numbers, inputs first.

    Nodes come in the order in which the outputs reach them, each with its op, all attributes, its inputs and whose
    weights it has. The inputs of a sum or a product have no order; those of other ops, of the graph, and its
    outputs do. What no output needs comes last. Left out are names, blocks, titles and initialisers; symbols are
    named after the order in which they appear.
    """
    keys = order_keys(graph)
    numbers = {i.name: number for number, i in enumerate(graph.inputs)}
    nodes: list[list[Any]] = []
    owners: dict[str, int] = {}
    for node in in_order(graph, keys):
        inputs = [numbers[value] for value in _inputs(node, keys)]
        owner = owners.setdefault(node.weights_of, len(nodes))
        nodes.append([*_op(node), sorted(inputs) if node.op.commutes else inputs, owner])
        for value, _ in node.values():
            numbers[value] = len(numbers)
    outputs = [[numbers[o.value], o.mode] for o in graph.outputs]
    return [FORM, _input_types(graph), nodes, outputs]


def graph_hash(graph: Graph) -> str:
    """The SHA-256 of the canonical form, in 64 hexadecimal digits: equal for graphs that compute the same alike."""
    return sha256(_text(canonical(graph)).encode()).hexdigest()


def _input_types(graph: Graph) -> list[Any]:
    symbols: dict[str, str] = {}
    found: list[Any] = []
    for i in graph.inputs:
        shape = [d if isinstance(d, int) else symbols.setdefault(str(d), f"S{len(symbols)}") for d in i.type.shape]
        found.append([shape, i.type.dtype])
    return found


def _op(node: Node) -> tuple[str, dict[str, Any]]:
    return node.op.opname, node.op.model_dump(mode="json")


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _digests(graph: Graph) -> dict[str, str]:
    """For every value, a digest of all that it is made of."""
    found = {i.name: f"input {number}" for number, i in enumerate(graph.inputs)}
    for node in graph.nodes:
        inputs = [found[value] for value in node.inputs]
        made = _text([*_op(node), sorted(inputs) if node.op.commutes else inputs])
        digest = sha256(made.encode()).hexdigest()
        for number, (value, _) in enumerate(node.values()):
            found[value] = f"{digest}:{number}"
    return found


def order_keys(graph: Graph) -> OrderKeys:
    """For every value, what settles the order of what has none: what it is made of, and between twins what it is for.

    Twins are made alike. Without the second, the order of a sum of two would be that in which it was written, and it
    shows where one of them is used once more.
    """
    digests = _digests(graph)
    keys, known = digests, 0
    # Each round tells twins apart by neighbours that the last one told apart.
    while known < len(set(keys.values())) < len(keys):
        known = len(set(keys.values()))
        keys = _refined(graph, keys)
    return {value: (digest, keys[value]) for value, digest in digests.items()}


def _refined(graph: Graph, keys: dict[str, str]) -> dict[str, str]:
    """Keys that tell apart what those given do, and what is used, or made, in places that they tell apart."""
    sharing: dict[str, list[str]] = {}
    for node in graph.nodes:
        sharing.setdefault(node.weights_of, []).append(keys[node.path])
    uses: dict[str, list[list[Any]]] = {value: [] for value in keys}
    for number, o in enumerate(graph.outputs):
        uses[o.value].append(["output", number, o.mode])
    contexts: dict[str, str] = {}
    for node in reversed(graph.nodes):
        used = [sorted(uses[value], key=_text) for value, _ in node.values()]
        made = _text([keys[node.path], used, sorted(sharing[node.weights_of])])
        context = contexts[node.path] = sha256(made.encode()).hexdigest()
        for number, value in enumerate(node.inputs):
            uses[value].append([0 if node.op.commutes else number, context])
    found = {i.name: keys[i.name] for i in graph.inputs}
    for node in graph.nodes:
        inputs = [found[value] for value in node.inputs]
        made = _text([contexts[node.path], sorted(inputs) if node.op.commutes else inputs])
        digest = sha256(made.encode()).hexdigest()
        for number, (value, _) in enumerate(node.values()):
            found[value] = f"{digest}:{number}"
    return found


def _inputs(node: Node, keys: OrderKeys) -> list[str]:
    return sorted(node.inputs, key=keys.__getitem__) if node.op.commutes else list(node.inputs)


def in_order(graph: Graph, keys: OrderKeys | None = None) -> list[Node]:
    """All nodes, each after those it reads: first what the outputs need, in their order, then the rest."""
    return list(_Order(graph, keys or order_keys(graph)).found)


class _Order:
    """The order of a graph's nodes. Twins come in that of what they are made of, or share, as far as it is there."""

    def __init__(self, graph: Graph, keys: OrderKeys) -> None:
        self.graph = graph
        self.keys = keys
        self.numbers: dict[str, int] = {}
        self.owners: dict[str, int] = {}
        self.found: list[Node] = []
        for output in graph.outputs:
            self.visit(output.value)
        # What no output needs begins at its ends, so that of twins each stands with what it was made of.
        ends = [node for node in graph.nodes if not any(graph.users[value] for value, _ in node.values())]
        alike: dict[tuple[str, str], list[str]] = {}
        for node in ends:
            alike.setdefault(keys[node.path], []).append(node.path)
        for key in sorted(alike):
            twins = alike[key]
            while twins:
                number = -1
                if 1 < len(twins) <= MOST_TWINS:
                    number = min(range(len(twins)), key=lambda n: self.met(twins[n]))
                self.visit(twins.pop(number))

    def visit(self, start: str) -> None:
        """Add what a value is made of."""
        todo = [(start.partition(":")[0], False)]
        while todo:
            path, ready = todo.pop()
            node = self.graph.by_path.get(path)
            if node is None or path in self.numbers:
                continue
            if ready:
                self.numbers[path] = len(self.found)
                self.owners.setdefault(node.weights_of, len(self.found))
                self.found.append(node)
                continue
            todo.append((path, True))
            inputs = _inputs(node, self.keys)
            if len({self.keys[value] for value in inputs}) < len(set(inputs)) and node.op.commutes:
                inputs.sort(key=lambda value: (self.keys[value], self.met(value)))
            todo += [(value.partition(":")[0], False) for value in reversed(inputs)]

    def met(self, value: str) -> list[int]:
        """The numbers that a value's way back comes to first, and those of the owners of weights on it."""
        numbers: list[int] = []
        seen: set[str] = set()
        todo = [value.partition(":")[0]]
        while todo and len(seen) < MOST_STEPS_BACK:
            path = todo.pop()
            node = self.graph.by_path.get(path)
            if node is None or path in seen:
                continue
            seen.add(path)
            if path in self.numbers:
                numbers.append(self.numbers[path])
                continue
            if node.weights_of in self.owners:
                numbers.append(self.owners[node.weights_of])
            todo += [each.partition(":")[0] for each in node.inputs]
        return sorted(numbers)
