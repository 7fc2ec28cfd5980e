"""Imports a model that netspec exported: its spec, its graph and its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import onnx
from onnx import numpy_helper

from netspec.backends.onnx.lower import Array, lower
from netspec.backends.onnx.metadata import graph_in
from netspec.backends.onnx.read import initializers_of, metadata_in, read_model
from netspec.backends.onnx.stacked import unstack
from netspec.errors import NetspecError, fail
from netspec.graph.model import Graph
from netspec.spec.sources.exported_model import SPEC_KEY
from netspec.version import PRODUCER


@dataclass(frozen=True, slots=True)
class Imported:
    """The content of a model: the text of its spec, the spec's graph, and the weights by the graph's keys."""

    text: str
    graph: Graph
    weights: dict[str, Array]


def import_model(path: Path) -> Imported:
    """Read the spec and weights of an ONNX file that netspec wrote, and check that its nodes are those of the spec.

    Raises NetspecError NS502 for a file that another program wrote, or that was changed since.
    """
    model = read_model(path)
    metadata = metadata_in(model, path)
    if SPEC_KEY not in metadata:
        by = model.producer_name or "another program"
        what = f"{path} was written by {by}" if by != PRODUCER else f"{path} is of a graph that no spec can say"
        fail("NS502", f"{what}, and holds no spec", help="a model that `netspec export` wrote can be imported")
    try:
        graph = graph_in(metadata, str(path))
        versions = [entry.version for entry in model.opset_import if not entry.domain]
        lowered = lower(graph, versions[0] if versions else 0, half=metadata.get("netspec.half") == "true")
    except NetspecError as error:
        fail("NS502", f"{path} holds a spec that can't be read", notes=[error.diagnostics[0].message])
    if changed := _first_change(list(model.graph.node), lowered.nodes):
        _refuse(path, changed)
    initializers = initializers_of(model, path)
    for constant in lowered.constants:
        expected = numpy_helper.to_array(constant)
        if constant.name not in initializers or not np.array_equal(initializers[constant.name], expected):
            _refuse(path, f"the constant `{constant.name}` is another, or missing")
    weights: dict[str, Array] = {}
    shapes = {key: weight.shape for key, weight in graph.state().items()}
    for key, weight in lowered.weights.items():
        array = initializers.get(key)
        if array is None or array.shape != weight.shape:
            shape = "missing" if array is None else f"{list(array.shape)}, and {list(weight.shape)} in its spec"
            _refuse(path, f"`{key}` is {shape}")
        if key in lowered.stacked:
            weights |= unstack(array, lowered.stacked[key], shapes)
        else:
            weights[key] = array
    return Imported(metadata[SPEC_KEY], graph, weights)


def _refuse(path: Path, change: str) -> NoReturn:
    help = "export the spec again, or ask who changed the model"
    fail("NS502", f"{path} is not what its spec says: {change}", help=help)


def _first_change(nodes: list[onnx.NodeProto], lowered: list[onnx.NodeProto]) -> str:
    """A clause about the first node that differs from the nodes lowered from the spec; "" if all are equal."""
    for node, expected in zip(nodes, lowered, strict=False):
        if _computation(node) != _computation(expected):
            return f"where `{expected.name}` was stands another node, {node.op_type} {node.name}"
    return "" if len(nodes) == len(lowered) else f"it has {len(nodes):,} nodes, and its spec {len(lowered):,}"


def _computation(node: onnx.NodeProto) -> bytes:
    """The serialised computation of a node: without metadata and documentation, and with sorted attributes."""
    plain = onnx.NodeProto()
    plain.CopyFrom(node)
    plain.ClearField("metadata_props")
    plain.ClearField("doc_string")
    attributes = sorted(plain.attribute, key=lambda attribute: attribute.name)
    plain.ClearField("attribute")
    plain.attribute.extend(attributes)
    return plain.SerializeToString(deterministic=True)
