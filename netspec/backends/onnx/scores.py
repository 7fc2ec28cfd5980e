"""Converts scores of classes to probabilities, with or without a softmax at the end of the model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from netspec.backends.onnx.narrow import Array

_PROBABILITIES = ("Softmax", "Sigmoid")
_SAME_VALUES = ("Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")


def are_probabilities(model: onnx.ModelProto) -> dict[str, bool]:
    """For each output, by name, whether a softmax or a sigmoid computes it."""
    producers = {output: node for node in model.graph.node for output in node.output}
    return {value.name: _is_probability(value.name, producers) for value in model.graph.output}


def _is_probability(value: str, producers: Mapping[str, onnx.NodeProto]) -> bool:
    """Whether a softmax or a sigmoid computes a value, possibly followed by ops that keep its numbers."""
    # The number of steps is bounded, since a model of another program may have a cycle.
    for _ in range(len(producers)):
        node = producers.get(value)
        if node is None or node.op_type not in _SAME_VALUES or not node.input:
            return node is not None and node.op_type in _PROBABILITIES
        value = node.input[0]
    return False


def probabilities(scores: Array, is_probability: bool) -> Array:
    """Convert scores of samples x classes to probabilities in float64, unless they are probabilities already.

    The scores of a map are averaged over its positions first, as in dense evaluation (Simonyan & Zisserman 2014,
    arXiv:1409.1556, section 3.2). Scores of a log softmax need no case of their own: its softmax is the probabilities.
    """
    values = scores.astype("float64")
    if values.ndim > 2:
        values = values.mean(axis=tuple(range(2, values.ndim)))
    if is_probability:
        return values
    values = np.exp(values - values.max(axis=1, keepdims=True))
    return values / values.sum(axis=1, keepdims=True)
