"""`netspec import`: the spec and the weights of a model that netspec exported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import onnx
from onnx import numpy_helper

from netspec.backends.onnx.lower import Array, lower
from netspec.backends.onnx.metadata import graph_in
from netspec.backends.onnx.read import ModelInitializers, metadata_in, read_model
from netspec.backends.onnx.write import PRODUCER
from netspec.errors import NetspecError, fail
from netspec.graph.model import Graph
from netspec.spec.sources.exported_model import SPEC_KEY


@dataclass(frozen=True, slots=True)
class Imported:
    """What a model stands for: the text of its spec, the graph, and its weights by the graph's keys."""

    text: str
    graph: Graph
    weights: dict[str, Array]


def import_model(path: Path) -> Imported:
    """The spec in an ONNX file that netspec wrote, held against the file's nodes, and its weights.

    Raises NetspecError NS502 for a file of another origin, or one that was changed since.
    """
    model = read_model(path)
    said = metadata_in(model, path)
    if SPEC_KEY not in said:
        by = model.producer_name or "another program"
        what = f"{path} was written by {by}" if by != PRODUCER else f"{path} is of a graph that no spec can say"
        fail("NS502", f"{what}, and holds no spec", help="a model that `netspec export` wrote can be imported")
    try:
        graph = graph_in(said, str(path))
        versions = [entry.version for entry in model.opset_import if not entry.domain]
        lowered = lower(graph, versions[0] if versions else 0, half=said.get("netspec.half") == "true")
    except NetspecError as error:
        fail("NS502", f"{path} holds a spec that can't be read", notes=[error.diagnostics[0].message])
    if changed := _first_change(list(model.graph.node), lowered.nodes):
        _refuse(path, changed)
    arrays = ModelInitializers(model, path)
    for constant in lowered.constants:
        wanted = numpy_helper.to_array(constant)
        if constant.name not in arrays or not np.array_equal(arrays[constant.name], wanted):
            _refuse(path, f"the constant `{constant.name}` is another, or missing")
    weights: dict[str, Array] = {}
    for key, weight in lowered.weights.items():
        array = arrays.get(key)
        if array is None or array.shape != weight.shape:
            shape = "missing" if array is None else f"{list(array.shape)}, and {list(weight.shape)} in its spec"
            _refuse(path, f"`{key}` is {shape}")
        weights[key] = array
    return Imported(said[SPEC_KEY], graph, weights)


def _refuse(path: Path, change: str) -> NoReturn:
    help = "export the spec again, or ask who changed the model"
    fail("NS502", f"{path} is not what its spec says: {change}", help=help)


def _first_change(found: list[onnx.NodeProto], wanted: list[onnx.NodeProto]) -> str:
    """The first node that is not as the spec has it, in words; "" where all are."""
    for ours, theirs in zip(wanted, found, strict=False):
        if _plain(ours) != _plain(theirs):
            return f"where `{ours.name}` was stands another node, {theirs.op_type} {theirs.name}"
    return "" if len(found) == len(wanted) else f"it has {len(found):,} nodes, and its spec {len(wanted):,}"


def _plain(node: onnx.NodeProto) -> bytes:
    """What a node computes, without what is only said of it."""
    made = onnx.NodeProto()
    made.CopyFrom(node)
    made.ClearField("metadata_props")
    made.ClearField("doc_string")
    attributes = sorted(made.attribute, key=lambda attribute: attribute.name)
    made.ClearField("attribute")
    made.attribute.extend(attributes)
    return made.SerializeToString(deterministic=True)
