"""Scores as probabilities: what a model's last op leaves to be done."""

from __future__ import annotations

import numpy as np
import onnx

from netspec.backends.onnx.lower import Array

_ALREADY = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}
_SAME_VALUES = ("Cast", "Identity")


def scored_by(model: onnx.ModelProto) -> dict[str, str]:
    """By outputs, `softmax`, `log_softmax` or `sigmoid` where that makes them; "" for others."""
    made_by = {output: node for node in model.graph.node for output in node.output}
    found: dict[str, str] = {}
    for value in model.graph.output:
        node = made_by.get(value.name)
        while node is not None and node.op_type in _SAME_VALUES and node.input:
            # No node is passed twice: what made_by has of a cycle would be met again and again.
            node = made_by.pop(node.input[0], None)
        found[value.name] = _ALREADY.get(node.op_type, "") if node is not None else ""
    return found


def probabilities(scores: Array, by: str) -> Array:
    """Scores of samples x classes as probabilities, in float64; those of a map are averaged over its places first.

    The average is that of dense evaluation (Simonyan & Zisserman 2014, arXiv:1409.1556, section 3.2).
    """
    found = scores.astype("float64")
    if found.ndim > 2:
        found = found.mean(axis=tuple(range(2, found.ndim)))
    if by == "log_softmax":
        return np.exp(found)
    if by:
        return found
    found = np.exp(found - found.max(axis=1, keepdims=True))
    return found / found.sum(axis=1, keepdims=True)
