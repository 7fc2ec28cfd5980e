"""Samples of a batch: whether they may be run apart, and how many fit into memory at a time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from netspec.analysis.memory import memory
from netspec.backends.onnx.lower import Array
from netspec.backends.onnx.metadata import graph_in
from netspec.dims import symbols
from netspec.errors import NetspecError
from netspec.graph.model import Graph
from netspec.graph.walk import live_nodes


class Samples:
    """What the spec in a model's metadata tells of its samples; of a model without one nothing is known."""

    def __init__(self, metadata: Mapping[str, str], budget: int) -> None:
        self._metadata = metadata
        self._budget = budget
        self._known: dict[tuple[tuple[int, ...], ...], int] = {}

    @cached_property
    def graph(self) -> Graph | None:
        """The graph that the model was exported from."""
        try:
            return graph_in(self._metadata, "the model")
        except (NetspecError, KeyError):
            return None

    @cached_property
    def are_apart(self) -> bool:
        """Whether each sample's outputs follow from its own inputs, so that a batch may be run in chunks.

        So it is where every op says that it keeps samples apart, and the batch is the first axis of all values. Other
        sizes then depend on neither the batch nor the data.
        """
        if self.graph is None:
            return False
        inputs, nodes = [i.type for i in self.graph.inputs], live_nodes(self.graph, "inference")
        types = [*inputs, *[type for node in nodes for type in node.types]]
        batches = {type.shape[:1] for type in types}
        if len(batches) != 1 or () in batches:
            return False
        known = symbols([size for type in inputs for size in type.shape[1:]]) - symbols(*batches)
        others = symbols([size for type in types for size in type.shape[1:]])
        return others <= known and all(node.op.per_sample(*self.graph.input_types(node)) for node in nodes)

    def at_a_time(self, arrays: Mapping[str, Array]) -> int:
        """As many samples as the values between layers may take memory for."""
        shapes = _shapes(arrays)
        if shapes not in self._known:
            self._known[shapes] = max(1, self._budget // max(self._bytes(arrays), 1))
        return self._known[shapes]

    def fewer(self, arrays: Mapping[str, Array], number: int) -> None:
        """Note that no more than this number of samples of this size fit, now that others did not."""
        self._known[_shapes(arrays)] = number

    def _bytes(self, arrays: Mapping[str, Array]) -> int:
        """What the values between layers take for one sample."""
        if self.graph is None:
            return 0
        sizes = {
            str(dim): size
            for i in self.graph.inputs
            for dim, size in zip(i.type.shape[1:], arrays[i.name].shape[1:], strict=True)
            if not isinstance(dim, int)
        }
        try:
            found = memory(self.graph, at=sizes)
        except NetspecError:
            return 0
        return found.peak - found.parameters - found.buffers


def _shapes(arrays: Mapping[str, Array]) -> tuple[tuple[int, ...], ...]:
    return tuple([array.shape[1:] for array in arrays.values()])
