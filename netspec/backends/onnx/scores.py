"""Scores as probabilities: what a model's last op leaves to be done."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from netspec.backends.onnx.lower import Array

_PROBABILITIES = ("Softmax", "Sigmoid")
_SAME_VALUES = ("Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")


def are_probabilities(model: onnx.ModelProto) -> dict[str, bool]:
    """By outputs, whether a softmax or a sigmoid makes them."""
    made_by = {output: node for node in model.graph.node for output in node.output}
    return {value.name: _is_probability(value.name, made_by) for value in model.graph.output}


def _is_probability(value: str, made_by: Mapping[str, onnx.NodeProto]) -> bool:
    # As many steps as there are nodes: what another program wrote may go round in a circle.
    for _ in range(len(made_by)):
        node = made_by.get(value)
        if node is None or node.op_type not in _SAME_VALUES or not node.input:
            return node is not None and node.op_type in _PROBABILITIES
        value = node.input[0]
    return False


def probabilities(scores: Array, already: bool) -> Array:
    """Scores of samples x classes as probabilities, in float64; those of a map are averaged over its places first.

    The average is that of dense evaluation (Simonyan & Zisserman 2014, arXiv:1409.1556, section 3.2). What a log
    softmax made is none yet, and becomes what it was by another softmax.
    """
    found = scores.astype("float64")
    if found.ndim > 2:
        found = found.mean(axis=tuple(range(2, found.ndim)))
    if already:
        return found
    found = np.exp(found - found.max(axis=1, keepdims=True))
    return found / found.sum(axis=1, keepdims=True)
