"""`to_onnx` writes any graph as an ONNX file, with weights from a module, a mapping, a file or a seed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

from netspec.analysis.graph_of import HasGraph, graph_of
from netspec.backends.marks import written_for
from netspec.backends.onnx.export import Exported, export
from netspec.backends.onnx.seeded import seeded_weights
from netspec.backends.onnx.weights import WeightsLike, arrays_of, fitting
from netspec.graph.model import Graph
from netspec.weights import best_fit, refuse_weights


def to_onnx(
    network: Graph | HasGraph,
    path: str | os.PathLike[str],
    weights: WeightsLike = None,
    *,
    key: str = "",
    seed: int = 0,
    fold: bool = True,
    fp16: bool = False,
    opset: int = 21,
) -> Exported:
    """Write a graph as an ONNX model for inference, with batch norms folded unless `fold` is false.

    `weights` is a module, a state dict, or a file with the graph's own keys, and `key` its place in a checkpoint.
    Without it, weights are drawn from `seed` as the graph's initialisers say. `Network.to_onnx` also accepts the keys
    of other origins. Raises NetspecError NS501 for weights that do not fit, and NS401 for an op without ONNX form.
    """
    graph = graph_of(network)
    if weights is None:
        return export(graph, seeded_weights(graph, seed), Path(path), fold=fold, half=fp16, opset=opset, seed=seed)
    file = os.fspath(cast("str | os.PathLike[str]", weights)) if isinstance(weights, str | os.PathLike) else ""
    arrays = arrays_of(weights, key)
    fit = best_fit(graph, arrays.shapes, (), graph.params, written_for(file) if file else None)
    if not fit.fits:
        refuse_weights(fit, file)
    return export(graph, fitting(arrays, fit), Path(path), fold=fold, half=fp16, opset=opset)
