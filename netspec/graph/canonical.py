"""The canonical form of a graph: its computation, independent of names, blocks, and the order in the spec."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from netspec.graph.dag import Dag, Node
from netspec.graph.paths import node_of

_OrderKeys = dict[str, tuple[str, str]]

_FORM = "netspec-graph-1"
"""The version of the form, which is part of every hash."""

_MAX_TRACED = 200
"""The largest number of ancestors of a value that are searched to break a tie."""
_MAX_TIES = 100
"""The largest number of sinks with equal keys for which ties are broken so."""


def canonical(graph: Dag) -> list[Any]:
    """The canonical form as plain data: the version, inputs, nodes and outputs; values are numbers, inputs first.

    Nodes are in the order of a depth-first search from the outputs. Each has its op, all attributes, its inputs, and
    the number of the first node with the same weights. The inputs of a sum or a product are sorted; those of other ops
    keep their order, as do the inputs and outputs of the graph. Nodes that no output needs come last. Names, blocks,
    titles and initialisers are left out; symbols are renamed in the order of their first use.

    For a linear layer and a relu on an input (N, 4):

        [
            "netspec-graph-1",
            [[["S0", 4], "float32"]],
            [["linear", {"out_features": 8, "bias": true}, [0], 0], ["relu", {}, [1], 1]],
            [[2, "inference"]],
        ]
    """
    keys = _order_keys(graph)
    ops = _ops(graph)
    numbers = {i.name: number for number, i in enumerate(graph.inputs)}
    nodes: list[list[Any]] = []
    owners: dict[str, int] = {}
    for node in in_order(graph, keys):
        inputs = [numbers[value] for value in _sorted_inputs(node, keys)]
        owner = owners.setdefault(node.weights_of, len(nodes))
        nodes.append([*ops[id(node.op)], _unordered(node, inputs), owner])
        for value, _ in node.values():
            numbers[value] = len(numbers)
    outputs = [[numbers[o.value], o.mode] for o in graph.outputs]
    return [_FORM, _input_types(graph), nodes, outputs]


def graph_hash(graph: Dag) -> str:
    """The SHA-256 of the canonical form, in 64 hexadecimal digits; graphs with equal computations have equal hashes."""
    return _digest(canonical(graph))


def in_order(graph: Dag, keys: _OrderKeys | None = None) -> list[Node]:
    """All nodes in canonical order, each after its inputs: first those that the outputs need, then the rest."""
    return _Order(graph, keys or _order_keys(graph)).nodes


def _input_types(graph: Dag) -> list[Any]:
    symbols: dict[str, str] = {}
    types: list[Any] = []
    for i in graph.inputs:
        shape = [d if isinstance(d, int) else symbols.setdefault(str(d), f"S{len(symbols)}") for d in i.type.shape]
        types.append([shape, i.type.dtype])
    return types


def _ops(graph: Dag) -> dict[int, tuple[str, dict[str, Any]]]:
    """The name and attributes of every op, by its identity: equal steps of a spec have one op."""
    ops = {id(node.op): node.op for node in graph.nodes}
    return {key: (op.opname, op.model_dump(mode="json")) for key, op in ops.items()}


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _digest(value: Any) -> str:
    return sha256(_text(value).encode()).hexdigest()


def _unordered(node: Node, inputs: list[Any]) -> list[Any]:
    """A list with an item for each input of a node, sorted if the op commutes."""
    return sorted(inputs) if node.op.commutes else inputs


def _digests(graph: Dag) -> dict[str, str]:
    """A digest of each value's computation, with all its ancestors."""
    ops = _ops(graph)
    digests = {i.name: f"input {number}" for number, i in enumerate(graph.inputs)}
    for node in graph.nodes:
        digest = _digest([*ops[id(node.op)], _unordered(node, [digests[value] for value in node.inputs])])
        for number, (value, _) in enumerate(node.values()):
            digests[value] = f"{digest}:{number}"
    return digests


def _order_keys(graph: Dag) -> _OrderKeys:
    """The key of each value by which the inputs of a commuting op are sorted: two digests.

    The first covers the value's computation. Two values may have the same, such as two branches of equal layers. The
    second also covers how values are used; it is refined until it separates no more values, as the Weisfeiler-Leman
    test refines colours. Without it, the order in the spec would decide between such branches, and show in the form
    if one of them has a further use.
    """
    digests = _digests(graph)
    keys, distinct = digests, 0
    # Each round separates values whose neighbours the last round separated.
    while distinct < len(set(keys.values())) < len(keys):
        distinct = len(set(keys.values()))
        keys = _refined(graph, keys)
    return {value: (digest, keys[value]) for value, digest in digests.items()}


def _refined(graph: Dag, keys: dict[str, str]) -> dict[str, str]:
    """One round of refinement: keys that separate all values that `keys` do, and those with different neighbours."""
    sharing: dict[str, list[str]] = {}
    for node in graph.nodes:
        sharing.setdefault(node.weights_of, []).append(keys[node.path])
    uses: dict[str, list[list[Any]]] = {value: [] for value in keys}
    for number, o in enumerate(graph.outputs):
        uses[o.value].append(["output", number, o.mode])
    contexts: dict[str, str] = {}
    for node in reversed(graph.nodes):
        used = [sorted(uses[value], key=_text) for value, _ in node.values()]
        context = contexts[node.path] = _digest([keys[node.path], used, sorted(sharing[node.weights_of])])
        for number, value in enumerate(node.inputs):
            uses[value].append([0 if node.op.commutes else number, context])
    refined = {i.name: keys[i.name] for i in graph.inputs}
    for node in graph.nodes:
        digest = _digest([contexts[node.path], _unordered(node, [refined[value] for value in node.inputs])])
        for number, (value, _) in enumerate(node.values()):
            refined[value] = f"{digest}:{number}"
    return refined


def _sorted_inputs(node: Node, keys: _OrderKeys) -> list[str]:
    return sorted(node.inputs, key=keys.__getitem__) if node.op.commutes else list(node.inputs)


class _Order:
    """Computes the canonical order of a graph's nodes.

    Values with equal keys are ordered by the numbers of their nearest ancestors, and of the owners of weights on the
    way to them, as far as those are numbered.
    """

    def __init__(self, graph: Dag, keys: _OrderKeys) -> None:
        self.graph = graph
        self.keys = keys
        self.nodes: list[Node] = []
        self._numbers: dict[str, int] = {}
        self._owners: dict[str, int] = {}
        for output in graph.outputs:
            self._visit(output.value)
        self._visit_sinks()

    def _visit_sinks(self) -> None:
        """Add the nodes that no output needs, from their sinks; a tie goes to the sink with the lowest sources."""
        sinks = [node for node in self.graph.nodes if not any(self.graph.users[value] for value, _ in node.values())]
        ties: dict[tuple[str, str], list[str]] = {}
        for node in sinks:
            ties.setdefault(self.keys[node.path], []).append(node.path)
        for key in sorted(ties):
            paths = ties[key]
            while paths:
                index = -1
                if 1 < len(paths) <= _MAX_TIES:
                    index = min(range(len(paths)), key=lambda n: self._sources(paths[n]))
                self._visit(paths.pop(index))

    def _visit(self, start: str) -> None:
        """Add the node of a value and its ancestors, depth first."""
        todo = [(node_of(start), False)]
        while todo:
            path, ready = todo.pop()
            node = self.graph.by_path.get(path)
            if node is None or path in self._numbers:
                continue
            if ready:
                self._numbers[path] = len(self.nodes)
                self._owners.setdefault(node.weights_of, len(self.nodes))
                self.nodes.append(node)
                continue
            todo.append((path, True))
            inputs = _sorted_inputs(node, self.keys)
            if len({self.keys[value] for value in inputs}) < len(set(inputs)) and node.op.commutes:
                inputs.sort(key=lambda value: (self.keys[value], self._sources(value)))
            todo += [(node_of(value), False) for value in reversed(inputs)]

    def _sources(self, value: str) -> list[int]:
        """The numbers of a value's nearest numbered ancestors, and of the owners of weights on the way to them."""
        numbers: list[int] = []
        seen: set[str] = set()
        todo = [node_of(value)]
        while todo and len(seen) < _MAX_TRACED:
            path = todo.pop()
            node = self.graph.by_path.get(path)
            if node is None or path in seen:
                continue
            seen.add(path)
            if path in self._numbers:
                numbers.append(self._numbers[path])
                continue
            if node.weights_of in self._owners:
                numbers.append(self._owners[node.weights_of])
            todo += [node_of(each) for each in node.inputs]
        return sorted(numbers)
