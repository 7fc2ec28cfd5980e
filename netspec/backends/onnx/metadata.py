"""Writes and reads the metadata of a model: its spec, the preprocessing of images, labels, and which outputs detect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from netspec.backends.onnx.detections import ROLES, detection_outputs
from netspec.backends.onnx.read import refuse_model
from netspec.backends.onnx.signature import ModelValue
from netspec.dims import symbol
from netspec.errors import Findings, NetspecError, choices, fail
from netspec.graph.model import Graph
from netspec.labels import names_of
from netspec.preprocess import Preprocess
from netspec.source import Source
from netspec.spec.elaborate.elaborate import elaborate
from netspec.spec.read.labels import check_labels, read_labels
from netspec.spec.read.preprocess import fit_preprocess, read_preprocess
from netspec.spec.read.read_spec import read_spec
from netspec.spec.sources.exported_model import SPEC_KEY
from netspec.spec.text.data import Entry, Map, plain_data
from netspec.spec.text.parse import parse_text
from netspec.types import Tensor
from netspec.version import VERSION

_PREPROCESS, _LABELS, _DETECTIONS = "netspec.preprocess", "netspec.labels", "netspec.detections"
SEED = "netspec.seed"
"""The key of the seed, for weights that were drawn from one."""


def metadata_of(graph: Graph) -> dict[str, str]:
    """The metadata for the model of a graph: version, hash, title, source, what its values are, and spec."""
    from netspec.backends.yaml import to_yaml

    metadata = {"netspec.version": VERSION, "netspec.hash": graph.hash()}
    metadata.update({f"netspec.{k}": v for k, v in (("title", graph.title), ("source", graph.source)) if v})
    preprocess = {i.name: i.preprocess.to_dict() for i in graph.inputs if i.preprocess is not None}
    # Without torchvision, `imagenet` is kept as a name: the machine that runs the model may have torchvision.
    labels = {o.name: names_of(o.labels) or o.labels for o in graph.outputs if o.labels}
    values = {_PREPROCESS: preprocess, _LABELS: labels, _DETECTIONS: detection_outputs(graph)}
    metadata.update({key: json.dumps(data) for key, data in values.items() if data})
    # A graph that no spec can describe is exported without one.
    with suppress(NetspecError):
        metadata[SPEC_KEY] = to_yaml(graph)
    return metadata


def graph_in(metadata: Mapping[str, str], model: str) -> Graph:
    """The graph that a model was exported from. Raises NetspecError for a wrong spec, and KeyError if it has none."""
    return elaborate(read_spec(Source(f"<{model}: {SPEC_KEY}>", metadata[SPEC_KEY]))).graph


def preprocess_in(metadata: Mapping[str, str], path: Path, inputs: Mapping[str, ModelValue]) -> dict[str, Preprocess]:
    """The preprocessing of images, by the names of inputs. Raises NetspecError NS502 for wrong metadata."""
    findings = Findings()
    try:
        definitions = read_preprocess(_entries(metadata, _PREPROCESS, path), inputs, False, findings)
        findings.check()
        for name, definition in definitions.items():
            fit_preprocess(name, _type(inputs[name]), None, definition)
    except NetspecError as error:
        refuse_model(path, f"its `{_PREPROCESS}` is wrong", error.diagnostics[0].message)
    return {name: definition.value for name, definition in definitions.items()}


def labels_in(metadata: Mapping[str, str], path: Path, outputs: Mapping[str, ModelValue]) -> dict[str, tuple[str, ...]]:
    """The labels of classes, by the names of outputs. Raises NetspecError NS502 for wrong metadata."""
    findings = Findings()
    try:
        definitions = read_labels(_entries(metadata, _LABELS, path), outputs, False, findings)
        findings.check()
        for name, definition in definitions.items():
            check_labels(name, _type(outputs[name]), definition)
    except NetspecError as error:
        refuse_model(path, f"its `{_LABELS}` is wrong", error.diagnostics[0].message)
    labels = {name: names_of(definition.value) for name, definition in definitions.items()}
    return {name: names for name, names in labels.items() if names}


def detections_in(metadata: Mapping[str, str], path: Path, outputs: Mapping[str, ModelValue]) -> dict[str, str]:
    """The outputs that are detections, by their roles; empty without any. Raises NS502 for wrong metadata."""
    try:
        entries = _entries(metadata, _DETECTIONS, path)
    except NetspecError as error:
        refuse_model(path, f"its `{_DETECTIONS}` is wrong", error.diagnostics[0].message)
    names = {role: str(plain_data(entry.value)) for role, entry in entries.items()}
    if names and (names.keys() != {*ROLES} or not outputs.keys() >= {*names.values()}):
        refuse_model(path, f"its `{_DETECTIONS}` is wrong", f"it names outputs for {choices(ROLES)}")
    return names


def _entries(metadata: Mapping[str, str], key: str, path: Path) -> Mapping[str, Entry]:
    """The mapping that a key of the metadata holds as JSON; empty if the key is missing."""
    if key not in metadata:
        return {}
    data = parse_text(Source(f"{path}: {key}", metadata[key]))
    if not isinstance(data, Map):
        fail("NS502", "it is no mapping", data.span)
    return data.entries


def _type(value: ModelValue) -> Tensor:
    """The type of a value, with the symbol N for all open sizes."""
    return Tensor(tuple([size if isinstance(size, int) else symbol("N") for size in value.shape]), value.dtype)
