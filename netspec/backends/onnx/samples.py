"""Samples of a batch: whether they may be run apart, and how many fit into memory at a time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from netspec.analysis.memory import memory
from netspec.backends.onnx.lower import Array
from netspec.backends.onnx.metadata import graph_in
from netspec.errors import NetspecError
from netspec.graph.model import Graph, Node


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

        So it is where the batch is the first axis of all values, and no op works along that axis.
        """
        graph = self.graph
        if graph is None:
            return False
        batches = {str(type.shape[0]) if type.rank else "" for type in graph.types.values()}
        return len(batches) == 1 and not any(map(_mixes_samples, graph.nodes))

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


def _mixes_samples(node: Node) -> bool:
    """Whether an op works along the first axis, and leaves it there, as a softmax over it does."""
    return getattr(node.op, "dim", None) in (0, -node.type.rank)
