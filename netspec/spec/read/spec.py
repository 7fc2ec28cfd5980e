"""Spec: a spec that was read, and checked as far as it can be before shapes are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netspec.graph.model import SpecParameter
from netspec.source import Source
from netspec.spec.read.body import BlockDefinition, Body
from netspec.spec.read.inputs import InputDefinition
from netspec.spec.read.labels import LabelsDefinition
from netspec.spec.read.outputs import OutputDefinition
from netspec.spec.read.preprocess import PreprocessDefinition
from netspec.spec.read.weights import WeightSource
from netspec.spec.text.data import Map


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec of one network: of a file that has several, the one that was asked for."""

    name: str
    title: str
    source: Source
    source_note: str
    """Where the network is from, as the spec says under `source`."""
    extends: str | None
    parameters: Mapping[str, SpecParameter]
    inputs: Mapping[str, InputDefinition]
    body: Body
    outputs: tuple[OutputDefinition, ...]
    expect: Map | None
    weights: tuple[WeightSource, ...]
    preprocess: Mapping[str, PreprocessDefinition]
    labels: Mapping[str, LabelsDefinition]
    definitions: tuple[BlockDefinition, ...]
    """The blocks and networks of all its files, those of `extends` and `use` included; not of specs it embeds."""
