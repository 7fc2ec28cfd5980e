"""What a model says of itself in its metadata: its spec, how images become inputs, and what its classes are called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from netspec import __version__
from netspec.backends.onnx.read import refuse_model
from netspec.backends.onnx.signature import ModelValue
from netspec.dims import symbol
from netspec.errors import Findings, NetspecError, fail
from netspec.graph.model import Graph
from netspec.labels import names_of
from netspec.preprocess import Preprocess
from netspec.source import Source
from netspec.spec.elaborate.elaborate import elaborate
from netspec.spec.read.labels import check_labels, read_labels
from netspec.spec.read.preprocess import fitted, read_preprocess
from netspec.spec.read.read_spec import read_spec
from netspec.spec.sources.exported_model import SPEC_KEY
from netspec.spec.text.data import Entry, Map
from netspec.spec.text.parse import parse_text
from netspec.types import Tensor

PREPROCESS, LABELS = "netspec.preprocess", "netspec.labels"
SEED = "netspec.seed"
"""From what the weights were made, where they are random."""


def metadata_of(graph: Graph) -> dict[str, str]:
    """What a model of a graph says of itself: where it is from, and the spec from which it can be made again."""
    from netspec.backends.yaml import to_yaml

    found = {"netspec.version": __version__, "netspec.hash": graph.hash()}
    found.update({f"netspec.{k}": v for k, v in (("title", graph.title), ("source", graph.source)) if v})
    preprocess = {i.name: i.preprocess.to_dict() for i in graph.inputs if i.preprocess is not None}
    # Where torchvision is not installed, `imagenet` stays a word, which may be understood where the model runs.
    labels = {o.name: names_of(o.labels) or o.labels for o in graph.outputs if o.labels}
    found.update({key: json.dumps(said) for key, said in ((PREPROCESS, preprocess), (LABELS, labels)) if said})
    # What the language has no words for is an ONNX model all the same.
    with suppress(NetspecError):
        found[SPEC_KEY] = to_yaml(graph)
    return found


def graph_in(said: Mapping[str, str], model: str) -> Graph:
    """The graph that a model was exported from. Raises NetspecError where its spec is wrong, KeyError without one."""
    return elaborate(read_spec(Source(f"<{model}: {SPEC_KEY}>", said[SPEC_KEY]))).graph


def preprocess_in(said: Mapping[str, str], path: Path, inputs: Mapping[str, ModelValue]) -> dict[str, Preprocess]:
    """How images become inputs, by their names. Raises NetspecError NS502 for what can't be that."""
    findings = Findings()
    try:
        found = read_preprocess(_entries(said, PREPROCESS, path), inputs, False, findings)
        findings.check()
        for name, definition in found.items():
            fitted(name, _type(inputs[name]), None, definition)
    except NetspecError as error:
        refuse_model(path, f"its `{PREPROCESS}` is wrong", error.diagnostics[0].message)
    return {name: definition.value for name, definition in found.items()}


def labels_in(said: Mapping[str, str], path: Path, outputs: Mapping[str, ModelValue]) -> dict[str, tuple[str, ...]]:
    """The names of the classes, by outputs. Raises NetspecError NS502 for what can't be that."""
    findings = Findings()
    try:
        found = read_labels(_entries(said, LABELS, path), outputs, False, findings)
        findings.check()
        for name, definition in found.items():
            check_labels(name, _type(outputs[name]), definition)
    except NetspecError as error:
        refuse_model(path, f"its `{LABELS}` is wrong", error.diagnostics[0].message)
    names = {name: names_of(definition.value) for name, definition in found.items()}
    return {name: known for name, known in names.items() if known}


def _entries(said: Mapping[str, str], key: str, path: Path) -> Mapping[str, Entry]:
    if key not in said:
        return {}
    data = parse_text(Source(f"{path}: {key}", said[key]))
    if not isinstance(data, Map):
        fail("NS502", "it is no mapping", data.span)
    return data.entries


def _type(value: ModelValue) -> Tensor:
    """The type of a value, as far as it is fixed: all that is open is one symbol here."""
    return Tensor(tuple([size if isinstance(size, int) else symbol("N") for size in value.shape]), value.dtype)
