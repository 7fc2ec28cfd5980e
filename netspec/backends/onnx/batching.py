"""Cuts batches into chunks: decides if samples are independent, and how many fit into memory at a time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from netspec.analysis.memory_model import simulate_pass
from netspec.backends.onnx.metadata import graph_in
from netspec.backends.onnx.narrow import Array
from netspec.dims import symbols
from netspec.errors import NetspecError
from netspec.graph.model import Graph, Node
from netspec.graph.walk import live_nodes
from netspec.ops.base import Rearranging


class Batching:
    """Decides how batches of a model are cut, by the spec in its metadata; without a spec they are not cut."""

    def __init__(self, metadata: Mapping[str, str], budget: int) -> None:
        """`budget` is the number of bytes that the values between layers may take."""
        self._metadata = metadata
        self._budget = budget
        self._chunk_sizes: dict[tuple[tuple[int, ...], ...], int] = {}
        """The sizes of chunks, by the shapes of the inputs without the batch."""

    @cached_property
    def graph(self) -> Graph | None:
        """The graph that the model was exported from; None if its metadata has no valid spec."""
        try:
            return graph_in(self._metadata, "the model")
        except (NetspecError, KeyError):
            return None

    @cached_property
    def samples_are_independent(self) -> bool:
        """Whether the outputs of a sample depend on its own inputs only, so that a batch may be run in chunks.

        This is so if no op mixes samples, the batch is the first axis of the inputs and outputs, and no other size
        depends on the batch or on the data. Between them it may be another axis, as in the states of an LSTM, as long
        as ops only move it. What depends on no input, such as a parameter or the embeddings of positions, needs no
        batch unless it is an output.
        """
        if self.graph is None:
            return False
        inputs, outputs = [i.type for i in self.graph.inputs], {o.value for o in self.graph.outputs}
        batches = {type.shape[:1] for type in inputs}
        if len(batches) != 1 or () in batches:
            return False
        ((batch,),) = batches
        axes = dict.fromkeys([i.name for i in self.graph.inputs], 0)
        others = [size for type in inputs for size in type.shape[1:]]
        known = symbols(others) - symbols([batch])
        constant: set[str] = set()
        for node in live_nodes(self.graph, "inference"):
            values = [value for value, _ in node.values()]
            if constant.issuperset(node.inputs[: node.op.reads]) and outputs.isdisjoint(values):
                constant.update(values)
                continue
            of_outputs = _batch_axes(node, axes, self.graph)
            if of_outputs is None:
                return False
            for (value, type), axis in zip(node.values(), of_outputs, strict=True):
                if type.shape[axis : axis + 1] != (batch,):
                    return False
                axes[value] = axis
                others += [*type.shape[:axis], *type.shape[axis + 1 :]]
        return symbols(others) <= known and not any(axes.get(value) for value in outputs)

    def chunk_size(self, arrays: Mapping[str, Array]) -> int:
        """The number of samples like those in `arrays` that fit into the budget; at least 1."""
        shapes = _shapes(arrays)
        if shapes not in self._chunk_sizes:
            self._chunk_sizes[shapes] = max(1, self._budget // max(self._bytes(arrays), 1))
        return self._chunk_sizes[shapes]

    def limit(self, arrays: Mapping[str, Array], number: int) -> None:
        """Set the number of samples like those in `arrays` that are tried next, since more did not fit."""
        self._chunk_sizes[_shapes(arrays)] = number

    def _bytes(self, arrays: Mapping[str, Array]) -> int:
        """The bytes of the values between layers for one sample; 0 if they are unknown."""
        if self.graph is None:
            return 0
        sizes = {
            str(dim): size
            for i in self.graph.inputs
            for dim, size in zip(i.type.shape[1:], arrays[i.name].shape[1:], strict=True)
            if not isinstance(dim, int)
        }
        try:
            usage = simulate_pass(self.graph, at=sizes)
        except NetspecError:
            return 0
        return usage.peak - usage.parameters - usage.buffers


def _batch_axes(node: Node, axes: Mapping[str, int], graph: Graph) -> tuple[int, ...] | None:
    """The axis of each output of a node that has the samples, from those of values before; None if samples may mix."""
    types = graph.input_types(node)
    taken = [axes.get(value, 0) for value in node.inputs]
    if not any(taken):
        return node.op.batch_axes(*types)
    if not isinstance(node.op, Rearranging) or len(taken) > 1 or len(node.types) > 1:
        return None
    moved = node.op.axes(*types)
    return (moved.index(taken[0]),) if moved.count(taken[0]) == 1 else None


def _shapes(arrays: Mapping[str, Array]) -> tuple[tuple[int, ...], ...]:
    return tuple([array.shape[1:] for array in arrays.values()])
