"""Reads the networks of a file: inputs, body, outputs, and the sections about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netspec.errors import Findings, NetspecError, fail
from netspec.graph.model import Block, SpecParameter
from netspec.naming import SIBLINGS, check_class_name, check_module_name
from netspec.ops import REGISTRY
from netspec.ops.own import announced
from netspec.source import Span
from netspec.spec.read.blocks import check_no_input
from netspec.spec.read.body import ONE_OUTPUT, BlockDefinition, Body, names_of_inputs
from netspec.spec.read.context import FileContext, NamesInReach, ValueNames
from netspec.spec.read.inputs import InputDefinition, read_inputs
from netspec.spec.read.keys import NetworkOutline, checked_model
from netspec.spec.read.labels import LabelsDefinition, read_labels
from netspec.spec.read.networks_of_chain import NetworkEntry
from netspec.spec.read.outputs import OutputDefinition, read_outputs
from netspec.spec.read.preprocess import PreprocessDefinition, read_preprocess
from netspec.spec.read.steps import BodyParser
from netspec.spec.read.weights import WeightSource, read_sources
from netspec.spec.text.data import Data, Entry, Map, plain_data


@dataclass(frozen=True, slots=True)
class NetworkSections:
    """The sections that belong to one network, after reading."""

    title: str
    inputs: Mapping[str, InputDefinition]
    body: Body
    outputs: tuple[OutputDefinition, ...]
    expect: Map | None
    weights: tuple[WeightSource, ...]
    preprocess: Mapping[str, PreprocessDefinition]
    labels: Mapping[str, LabelsDefinition]


@dataclass(eq=False)
class NetworkDefinition(BlockDefinition):
    """One of several networks of a file: it can be opened by itself, and used as a step of the others."""

    title: str = ""
    weights: tuple[WeightSource, ...] = ()
    file: int = 0
    """The number of the file in the chain of `extends` that has its body."""
    inherited: frozenset[str] = frozenset()
    """The sections that come from a file that is extended."""


def read_networks(
    entries: Mapping[str, NetworkEntry],
    blocks: Mapping[str, BlockDefinition],
    parameters: Mapping[str, SpecParameter],
    qualifier: str,
    findings: Findings,
) -> dict[str, NetworkDefinition]:
    """Read the heads of the networks that a file declares; `blocks` are the blocks that it can use."""
    networks: dict[str, NetworkDefinition] = {}
    for name, written in entries.items():
        try:
            _check_name(name, blocks, written.entry.key_span)
            network = networks[name] = _declare(name, written.entry, parameters, qualifier, findings)
            network.file, network.inherited = written.file, written.inherited
        except NetspecError as error:
            findings.extend(error)
            findings.check_full()
    return networks


def _check_name(name: str, blocks: Mapping[str, BlockDefinition], span: Span) -> None:
    """Refuse a network's name that is malformed, or has another meaning in a step."""
    check_module_name(name, "a network", span)
    check_class_name(name, "a network", span)
    if name in blocks:
        fail("NS210", f"there is a block `{name}`", span, help="give the network another name")
    if (name in REGISTRY and name not in announced()) or name in (*SIBLINGS, "network"):
        fail("NS210", f"`{name}` has another meaning in a step", span, help="give the network another name")


def _declare(
    name: str, entry: Entry, parameters: Mapping[str, SpecParameter], qualifier: str, findings: Findings
) -> NetworkDefinition:
    data = entry.value
    if not isinstance(data, Map):
        fail("NS201", f"network `{name}` is a mapping with `inputs` and `body`", data.span)
    outline = checked_model(NetworkOutline, data, f"network `{name}`")
    inputs = read_inputs(data.section("inputs"), parameters, findings)
    if not inputs and not data.section("inputs"):
        help = "such as `inputs: {image: [N, 3, 224, 224]}`"
        fail("NS201", f"network `{name}` needs `inputs`", entry.key_span, help=help)
    outputs = tuple(key for key, output in data.section("outputs").items() if not _in_training(output.value))
    info = Block(name, (), entry.key_span, tuple(inputs), outputs or ONE_OUTPUT)
    weights = read_sources(data.section("weights"), parameters, findings)
    title = " ".join(outline.title.split())
    unread = Body([], data.entries["body"].value.span)
    return NetworkDefinition(name, info, data, unread, qualifier, declared=inputs, title=title, weights=weights)


def read_network(network: NetworkDefinition, file: FileContext, findings: Findings) -> NetworkSections | None:
    """Read a network's body and its other sections; all blocks and networks have to be declared.

    Returns None after an error, which is among the findings.
    """
    inputs, data = network.declared or {}, network.data
    several = f"network `{network.name}`" if len(inputs) > 1 else ""
    before = len(findings.diagnostics)
    try:
        body = network.body = BodyParser(file, findings).body(
            data.entries["body"].value,
            names_in_network(file, inputs),
            what=f"the body of network `{network.name}`",
            top=True,
            several=several,
        )
        check_no_input(body.steps, inputs, findings)
        if len(findings.diagnostics) > before:
            return None  # Outputs may name a step with an error.
        outputs = read_outputs(data.section("outputs"), data.span, body, inputs, findings)
        preprocess = read_preprocess(data.section("preprocess"), inputs, "preprocess" in network.inherited, findings)
        names = [o.name for o in outputs]
        labels = read_labels(data.section("labels"), names, "labels" in network.inherited, findings)
    except NetspecError as error:
        findings.extend(error)
        return None
    if network.info.outputs != ONE_OUTPUT:
        network.results = {o.name: o.value for o in outputs if o.mode == "inference"}
    return NetworkSections(network.title, inputs, body, outputs, claims_of(data), network.weights, preprocess, labels)


def names_in_network(file: FileContext, inputs: Mapping[str, InputDefinition]) -> NamesInReach:
    """The names that the steps of a network's body can use."""
    names = names_of_inputs(inputs)
    return NamesInReach(file.declarations.parameters, names, ValueNames(names), constants=file.declarations.constants)


def claims_of(data: Map) -> Map | None:
    """The claims under `expect` of a file or a network; None without `expect`."""
    entry = data.entries.get("expect")
    return entry.value if entry is not None and isinstance(entry.value, Map) else None


def _in_training(data: Data) -> bool:
    return isinstance(data, Map) and "mode" in data.entries and plain_data(data.entries["mode"].value) == "train"
