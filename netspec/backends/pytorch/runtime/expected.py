"""The value numbers that a graph should have, computed from its ops alone: generated source is not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from netspec.backends.pytorch.runtime.alone import call_alone, layer_alone, module_alone
from netspec.backends.pytorch.runtime.trace import Numbers, Trace, ValueNumber, mark, mark_weights
from netspec.graph.borrow import borrowed_form
from netspec.graph.memo import op_key
from netspec.graph.model import Graph, Node
from netspec.graph.walk import live_nodes


def expected_numbers(
    graph: Graph, numbers: Numbers, sizes: Mapping[str, int], inputs: Sequence[Tensor], state: Mapping[str, Tensor]
) -> dict[str, int]:
    """The value numbers of all values that the outputs depend on, by the values' names.

    If the inputs are on the meta device, equal ops on equal types are run once, and their numbers are replayed for
    each such node. Otherwise some sizes depend on the data, so the graph is run node by node with the weights in
    `state`.
    """
    of_values = {i.name: numbers("input", i.name) for i in graph.inputs}
    if all(tensor.is_meta for tensor in inputs):
        runs = _RunsOnce(graph, sizes)
        for node in live_nodes(graph, "train"):
            leaves: dict[ValueNumber, int] = {("input", k): of_values[value] for k, value in enumerate(node.inputs)}
            outputs = runs.replay(node, numbers, leaves)
            of_values.update({value: outputs[place] for place, (value, _) in enumerate(node.values())})
        return of_values
    return _by_running(graph, numbers, dict(zip(of_values, inputs, strict=True)), of_values, state)


class _RunsOnce:
    """Runs nodes one at a time on the meta device, and remembers the value numbers of each kind of node.

    Nodes are of one kind if their ops, the types of their inputs and their printed forms are equal.
    """

    def __init__(self, graph: Graph, sizes: Mapping[str, int]) -> None:
        self.graph = graph
        self.sizes = sizes
        self.runs: dict[tuple[Any, ...], tuple[Numbers, list[int], list[ValueNumber]]] = {}

    def replay(self, node: Node, numbers: Numbers, leaves: dict[ValueNumber, int]) -> list[int]:
        """The numbers of a node's outputs in `numbers`; `leaves` are those of its inputs, and its weights are added."""
        types = self.graph.input_types(node)
        borrowed = borrowed_form(self.graph, node) is not None
        key = (*op_key(node.op, types), borrowed, *map(node.inputs.index, node.inputs))
        if key not in self.runs:
            self.runs[key] = self.run(node, Numbers(numbers.shapes))
        run, outputs, weights = self.runs[key]
        for weight in weights:
            leaves[weight] = numbers("weight", f"{node.weights_of}.{weight[1]}" if weight[1] else node.weights_of)
        replayed = numbers.replay(run, leaves)
        return [replayed[number] for number in outputs]

    def run(self, node: Node, numbers: Numbers) -> tuple[Numbers, list[int], list[ValueNumber]]:
        """Run a node on the meta device; return its table of numbers, its outputs' numbers, and its weights' keys."""
        inputs: dict[str, Tensor] = {}
        for place, value in enumerate(node.inputs):
            type = self.graph.types[value].at(self.sizes)
            if value not in inputs:
                inputs[value] = _empty(type.shape, type.dtype)
                mark(inputs[value], numbers("input", place))
        with torch.device("meta"):
            layer = module_alone(self.graph, node)
        weights = _mark_layer(layer, numbers, "")
        results = _call(self.graph, node, layer, [inputs[value] for value in node.inputs], numbers)
        return numbers, [tensor_number for _, tensor_number in results], [("weight", name) for name in weights]


def _by_running(
    graph: Graph, numbers: Numbers, values: dict[str, Tensor], of_values: dict[str, int], state: Mapping[str, Tensor]
) -> dict[str, int]:
    """The value numbers of a graph that is run on real tensors, each of which is freed after its last use."""
    nodes = live_nodes(graph, "train")
    last = {value: node.path for node in nodes for value in node.inputs}
    for name, tensor in values.items():
        mark(tensor, of_values[name])
    for node in nodes:
        layer = layer_alone(graph, node, state)
        _mark_layer(layer, numbers, node.weights_of)
        results = _call(graph, node, layer, [values[value] for value in node.inputs], numbers)
        for (value, _), (tensor, number) in zip(node.values(), results, strict=True):
            values[value], of_values[value] = tensor, number
        for value in {*node.inputs}:
            if last[value] == node.path:
                del values[value]
    return of_values


def _call(graph: Graph, node: Node, layer: Any, inputs: list[Tensor], numbers: Numbers) -> list[tuple[Tensor, int]]:
    """The outputs of a node, each with its value number."""
    with torch.no_grad(), Trace(numbers) as trace:
        results = call_alone(graph, node, layer, inputs)
    return [(tensor, trace.number_of(tensor)) for tensor in results]


def _mark_layer(layer: Any, numbers: Numbers, path: str) -> list[str]:
    """Number the weights of a module or parameter by their keys below a path, and return their names in the module."""
    if layer is None:
        return []
    if isinstance(layer, nn.Parameter):
        mark(layer, numbers("weight", path))
        return [""]
    return mark_weights(layer, numbers, path)


def _empty(shape: Sequence[Any], dtype: str) -> Tensor:
    return torch.empty(tuple(shape), dtype=getattr(torch, dtype), device="meta")
