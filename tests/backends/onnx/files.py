"""Exported models for the tests: trained-like weights, and what torch and ONNX Runtime make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from netspec.graph import Graph
from netspec.network import Network

Array = np.ndarray[Any, Any]


def trained(network: Network) -> dict[str, torch.Tensor]:
    """Weights as training may leave them: He's variance, no bias 0, and no statistic of a batch norm 0 or 1."""
    generator = torch.Generator().manual_seed(0)
    found: dict[str, torch.Tensor] = {}
    for key, weight in network.graph.state().items():
        tensor = torch.zeros(weight.shape, dtype=getattr(torch, weight.dtype))
        if key.endswith("running_var"):
            tensor.uniform_(0.5, 2, generator=generator)
        elif key.endswith("weight") and tensor.dim() == 1:
            tensor.uniform_(0.5, 1, generator=generator)
        elif tensor.dim() > 1:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
        elif tensor.is_floating_point():
            tensor.uniform_(-0.1, 0.1, generator=generator)
        found[key] = tensor
    return found


def session(path: Path) -> Any:
    """A session on the CPU."""
    options: Any = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def inputs_for(graph: Graph, batch: int = 1, **sizes: int) -> dict[str, torch.Tensor]:
    """Random inputs at nominal sizes."""
    at = {**graph.nominal, "N": batch, **sizes}
    generator = torch.Generator().manual_seed(1)
    return {i.name: _input(i.type.at(at), generator) for i in graph.inputs}


def _input(type: Any, generator: torch.Generator) -> torch.Tensor:
    if type.dtype == "int64":  # numbers of words, and lengths
        return torch.randint(1, 9, type.shape, generator=generator)
    return torch.randn(type.shape, generator=generator)


def worst(found: list[Array], expected: Any) -> float:
    """How far outputs are apart, of the largest value."""
    listed = [expected] if isinstance(expected, torch.Tensor) else list(expected)
    assert len(found) == len(listed)
    apart = 0.0
    for a, b in zip(found, listed, strict=True):
        assert a.shape == tuple(b.shape)
        apart = max(apart, float(np.abs(a - b.numpy()).max() / np.abs(b.numpy()).max()))
    return apart
