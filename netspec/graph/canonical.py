"""A graph's canonical form: what it computes, without names, blocks, or the order in which it was written."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from netspec.graph.model import Graph, Node

OrderKeys = dict[str, tuple[str, str]]

FORM = "netspec-graph-1"
"""The version of the form, which every hash covers."""


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
    if len(set(digests.values())) == len(digests):
        return {value: (digest, "") for value, digest in digests.items()}
    sharing: dict[str, list[str]] = {}
    for node in graph.nodes:
        sharing.setdefault(node.weights_of, []).append(digests[node.path])
    uses: dict[str, list[list[Any]]] = {value: [] for value in digests}
    for number, o in enumerate(graph.outputs):
        uses[o.value].append(["output", number, o.mode])
    found = {i.name: (digests[i.name], "") for i in graph.inputs}
    for node in reversed(graph.nodes):
        used = [sorted(uses[value], key=_text) for value, _ in node.values()]
        context = sha256(_text([used, sorted(sharing[node.weights_of])]).encode()).hexdigest()
        for value, _ in node.values():
            found[value] = (digests[value], context)
        for number, value in enumerate(node.inputs):
            uses[value].append([digests[node.path], 0 if node.op.commutes else number, context])
    return found


def _inputs(node: Node, keys: OrderKeys) -> list[str]:
    return sorted(node.inputs, key=keys.__getitem__) if node.op.commutes else list(node.inputs)


def in_order(graph: Graph, keys: OrderKeys | None = None) -> list[Node]:
    """All nodes, each after those it reads: first what the outputs need, in their order, then the rest."""
    keys = keys or order_keys(graph)
    rest = sorted(graph.nodes, key=lambda node: keys[node.path], reverse=True)
    starts = [o.value for o in graph.outputs] + [node.path for node in rest]
    found: dict[str, Node] = {}
    for start in starts:
        todo = [(start.partition(":")[0], False)]
        while todo:
            path, ready = todo.pop()
            node = graph.by_path.get(path)
            if node is None or path in found:
                continue
            if ready:
                found[path] = node
                continue
            todo.append((path, True))
            todo += [(value.partition(":")[0], False) for value in reversed(_inputs(node, keys))]
    return list(found.values())
