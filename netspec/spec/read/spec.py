"""Spec: the model of a spec that was read, with all checks done that need no shapes."""

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
    """The spec of one network; a file with several `networks` has a Spec for each."""

    name: str
    title: str
    source: Source
    source_note: str
    """The text under `source`: the paper or repository that the network is from."""
    extends: str | None
    parameters: Mapping[str, SpecParameter]
    inputs: Mapping[str, InputDefinition]
    body: Body
    outputs: tuple[OutputDefinition, ...]
    expect: Map | None
    weights: tuple[WeightSource, ...]
    preprocess: Mapping[str, PreprocessDefinition]
    labels: Mapping[str, LabelsDefinition]
    claims_on_steps: bool
    """Whether claims beside steps hold: not for a file that extends the one with the steps."""
    definitions: tuple[BlockDefinition, ...]
    """The blocks and networks of its files, including those of `extends` and `use`, without embedded specs."""
