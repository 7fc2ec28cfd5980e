"""Finds the nodes and weights of a graph that some of its values depend on."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.graph.dag import Dag, Mode, Node
from netspec.graph.paths import node_of


def outputs_of(graph: Dag, mode: Mode) -> list[str]:
    """The values that are outputs in a mode: all in training; in inference, those that are not for training alone."""
    return [o.value for o in graph.outputs if mode == "train" or o.mode == "inference"]


def needed_for(graph: Dag, values: Iterable[str]) -> set[str]:
    """The paths of all nodes that these values depend on, including their own nodes."""
    sources = {node_of(value) for value in values}
    needed: set[str] = set()
    for node in reversed(graph.nodes):
        if node.path in sources:
            needed.add(node.path)
            sources.update([node_of(value) for value in node.inputs])
    return needed


def live_nodes(graph: Dag, mode: Mode) -> list[Node]:
    """The nodes that the outputs of a mode need, in order."""
    needed = needed_for(graph, outputs_of(graph, mode))
    return [node for node in graph.nodes if node.path in needed]


def differentiable_inputs(node: Node) -> tuple[str, ...]:
    """The inputs of a node that get a gradient where its output has one."""
    op = node.op
    return node.inputs[: op.reads if op.differentiable is None else op.differentiable]


COUNTER = "num_batches_tracked"
"""A buffer that old state dicts lack, and that only a batch norm without momentum reads."""


def needed_keys(graph: Dag) -> set[str]:
    """The keys of a state dict that inference needs: without weights for training outputs alone, and counters."""
    live = {node.weights_of for node in live_nodes(graph, "inference")}
    return {
        weight.key(node.weights_of)
        for node in graph.nodes
        if node.weights_of in live
        for weight in graph.weights(node)
        if weight.name.rpartition(".")[2] != COUNTER
    }
