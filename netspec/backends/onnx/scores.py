"""Scores of classes as probabilities, whatever a model's last op is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from netspec.backends.onnx.narrow import Array

_PROBABILITIES = ("Softmax", "Sigmoid")
_SAME_VALUES = ("Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")


def are_probabilities(model: onnx.ModelProto) -> dict[str, bool]:
    """For each output by its name, whether a softmax or a sigmoid computes it."""
    producers = {output: node for node in model.graph.node for output in node.output}
    return {value.name: _is_probability(value.name, producers) for value in model.graph.output}


def _is_probability(value: str, producers: Mapping[str, onnx.NodeProto]) -> bool:
    """Whether a softmax or a sigmoid computes a value, perhaps before ops that keep its numbers."""
    # At most as many steps as nodes: a model of another program may hold a cycle.
    for _ in range(len(producers)):
        node = producers.get(value)
        if node is None or node.op_type not in _SAME_VALUES or not node.input:
            return node is not None and node.op_type in _PROBABILITIES
        value = node.input[0]
    return False


def probabilities(scores: Array, already: bool) -> Array:
    """Scores of samples x classes as probabilities, in float64; `already`: the scores are probabilities.

    The scores of a map are averaged over its positions first, as in dense evaluation (Simonyan & Zisserman 2014,
    arXiv:1409.1556, section 3.2). Softmax of a log softmax gives its probabilities.
    """
    values = scores.astype("float64")
    if values.ndim > 2:
        values = values.mean(axis=tuple(range(2, values.ndim)))
    if already:
        return values
    values = np.exp(values - values.max(axis=1, keepdims=True))
    return values / values.sum(axis=1, keepdims=True)
