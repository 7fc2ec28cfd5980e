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

        This is so if every op is `per_sample`, the batch is the first axis of all values, and no other size depends on
        the batch or on the data. What depends on no input, such as a parameter or the embeddings of positions, needs no
        batch unless it is an output.
        """
        if self.graph is None:
            return False
        inputs, outputs = [i.type for i in self.graph.inputs], {o.value for o in self.graph.outputs}
        nodes: list[Node] = []
        constant: set[str] = set()
        for node in live_nodes(self.graph, "inference"):
            values = [value for value, _ in node.values()]
            if constant.issuperset(node.inputs[: node.op.reads]) and outputs.isdisjoint(values):
                constant.update(values)
            else:
                nodes.append(node)
        types = [*inputs, *[type for node in nodes for type in node.types]]
        batches = {type.shape[:1] for type in types}
        if len(batches) != 1 or () in batches:
            return False
        of_inputs = symbols([size for type in inputs for size in type.shape[1:]]) - symbols(*batches)
        of_values = symbols([size for type in types for size in type.shape[1:]])
        return of_values <= of_inputs and all(node.op.per_sample(*self.graph.input_types(node)) for node in nodes)

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


def _shapes(arrays: Mapping[str, Array]) -> tuple[tuple[int, ...], ...]:
    return tuple([array.shape[1:] for array in arrays.values()])
