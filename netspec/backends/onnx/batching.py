"""Batches in chunks: whether samples are independent, and how many fit into memory at a time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from netspec.analysis.memory_model import simulate_pass
from netspec.backends.onnx.metadata import graph_in
from netspec.backends.onnx.narrow import Array
from netspec.dims import symbols
from netspec.errors import NetspecError
from netspec.graph.model import Graph
from netspec.graph.walk import live_nodes


class Batching:
    """How batches of a model may be cut, by the spec in its metadata; without one they are not."""

    def __init__(self, metadata: Mapping[str, str], budget: int) -> None:
        """`budget` is how many bytes the values between layers may take."""
        self._metadata = metadata
        self._budget = budget
        self._chunk_sizes: dict[tuple[tuple[int, ...], ...], int] = {}
        """By the shapes of the inputs without the batch."""

    @cached_property
    def graph(self) -> Graph | None:
        """The graph that the model was exported from; None where no spec of it can be read."""
        try:
            return graph_in(self._metadata, "the model")
        except (NetspecError, KeyError):
            return None

    @cached_property
    def samples_are_independent(self) -> bool:
        """Whether each sample's outputs follow from its own inputs, so that a batch may be run in chunks.

        They do if every op says `per_sample`, the batch is the first axis of all values, and no other size depends on
        the batch or on the data.
        """
        if self.graph is None:
            return False
        inputs, nodes = [i.type for i in self.graph.inputs], live_nodes(self.graph, "inference")
        types = [*inputs, *[type for node in nodes for type in node.types]]
        batches = {type.shape[:1] for type in types}
        if len(batches) != 1 or () in batches:
            return False
        of_inputs = symbols([size for type in inputs for size in type.shape[1:]]) - symbols(*batches)
        of_values = symbols([size for type in types for size in type.shape[1:]])
        return of_values <= of_inputs and all(node.op.per_sample(*self.graph.input_types(node)) for node in nodes)

    def chunk_size(self, arrays: Mapping[str, Array]) -> int:
        """How many samples of the size of these inputs fit into the budget; at least 1."""
        shapes = _shapes(arrays)
        if shapes not in self._chunk_sizes:
            self._chunk_sizes[shapes] = max(1, self._budget // max(self._bytes(arrays), 1))
        return self._chunk_sizes[shapes]

    def limit(self, arrays: Mapping[str, Array], number: int) -> None:
        """Note how many samples of the size of these inputs are tried next, since more did not fit."""
        self._chunk_sizes[_shapes(arrays)] = number

    def _bytes(self, arrays: Mapping[str, Array]) -> int:
        """The bytes of the values between layers for one sample; 0 where they are unknown."""
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


def _shapes(arrays: Mapping[str, Array]) -> tuple[tuple[int, ...], ...]:
    return tuple([array.shape[1:] for array in arrays.values()])
