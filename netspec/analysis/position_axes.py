"""Tells which axes of an input are positions: those behind the channels, or the one before the features."""

from __future__ import annotations

from netspec.graph.model import Graph, Node
from netspec.types import Reach


def position_axes(graph: Graph, value: str) -> tuple[int, ...]:
    """The axes of positions of a value: `(2, 3)` in (N, C, H, W), and `(1,)` in (N, T, F) if layers read features.

    Both (N, C, L) and (N, T, F) have three axes. The second is an input whose first layers have weights for each entry
    of the last axis, such as those of a linear layer, a layer norm or an LSTM.
    """
    rank = graph.types[value].rank
    return (1,) if rank == 3 and _features_are_read(graph, value) else tuple(range(2, rank))


def _features_are_read(graph: Graph, value: str) -> bool:
    """Whether the first ops that are not elementwise all read the last axis of a value as features."""
    readers: list[bool] = []
    waiting = [value]
    while waiting:
        for node in graph.users[waiting.pop()]:
            if node.op.window(*graph.input_types(node)) is Reach.POINT and not node.op.mixed(*graph.input_types(node)):
                waiting.append(node.path)
            else:
                readers.append(_reads_features(graph, node, value))
    return bool(readers) and all(readers)


def _reads_features(graph: Graph, node: Node, value: str) -> bool:
    features = graph.types[value].shape[2]
    is_mixed = 2 in node.op.mixed(*graph.input_types(node))
    return is_mixed and any(weight.shape[-1:] == (features,) for weight in graph.weights(node))
