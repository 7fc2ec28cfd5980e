"""`networks`, each of them a step of the others, and other specs that a step embeds with `network`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.graph.model import Block, SpecParameter
from netspec.naming import SIBLINGS, check_class_name, check_module_name
from netspec.ops import REGISTRY
from netspec.ops.own import announced
from netspec.source import Source, Span
from netspec.spec.limits import MAX_EMBEDDED_SPECS
from netspec.spec.read.blocks import check_no_input
from netspec.spec.read.body import ONE_OUTPUT, BlockDefinition, FileContext, NamesInReach, ValueNames, names_of_inputs
from netspec.spec.read.inputs import read_inputs
from netspec.spec.read.keys import EmbedOutline, NetworkOutline, checked_model
from netspec.spec.read.labels import LabelsDefinition, read_labels
from netspec.spec.read.outputs import OutputDefinition, read_outputs
from netspec.spec.read.preprocess import PreprocessDefinition, read_preprocess
from netspec.spec.read.steps import BodyParser
from netspec.spec.read.weights import WeightSource, read_sources
from netspec.spec.sources.find import find_beside, named_network
from netspec.spec.text.data import Data, Entry, Map, Scalar, Seq, plain_data
from netspec.spec.text.messages import data_kind

if TYPE_CHECKING:
    from netspec.spec.read.read_spec import Spec


@dataclass
class NetworkDefinition(BlockDefinition):
    """A network of a file that has several: what stands alone, and a step of the others."""

    title: str = ""
    expect: Map | None = None
    outputs: list[OutputDefinition] = field(default_factory=list[OutputDefinition])
    weights: list[WeightSource] = field(default_factory=list[WeightSource])
    preprocess: dict[str, PreprocessDefinition] = field(default_factory=dict[str, PreprocessDefinition])
    labels: dict[str, LabelsDefinition] = field(default_factory=dict[str, LabelsDefinition])


def read_networks(
    entries: Mapping[str, Entry],
    file: FileContext,
    parameters: Mapping[str, SpecParameter],
    findings: Findings,
) -> dict[str, NetworkDefinition]:
    """The networks that a file declares, their bodies not parsed yet."""
    found: dict[str, NetworkDefinition] = {}
    for name, entry in entries.items():
        try:
            found[name] = _network(name, entry, file, parameters, findings)
        except NetspecError as error:
            findings.extend(error)
            findings.check_full()
    return found


def _network(
    name: str, entry: Entry, file: FileContext, parameters: Mapping[str, SpecParameter], findings: Findings
) -> NetworkDefinition:
    check_module_name(name, "a network", entry.key_span)
    check_class_name(name, "a network", entry.key_span)
    if name in file.blocks:
        fail("NS210", f"there is a block `{name}`", entry.key_span, help="give the network another name")
    if (name in REGISTRY and name not in announced()) or name in (*SIBLINGS, "network"):
        fail("NS210", f"`{name}` has another meaning in a step", entry.key_span, help="give the network another name")
    data = entry.value
    if not isinstance(data, Map):
        fail("NS201", f"network `{name}` is a mapping with `inputs` and `body`", data.span)
    outline = checked_model(NetworkOutline, data, f"network `{name}`")
    inputs = read_inputs(data.section("inputs"), parameters, findings)
    if not inputs:
        help = "such as `inputs: {image: [N, 3, 224, 224]}`"
        fail("NS201", f"network `{name}` needs `inputs`", entry.key_span, help=help)
    given = tuple(key for key, output in data.section("outputs").items() if not _in_training(output.value))
    info = Block(name, (), entry.key_span, tuple(inputs), given or ONE_OUTPUT)
    claims = data.entries.get("expect")
    expect = claims.value if claims is not None and isinstance(claims.value, Map) else None
    weights = read_sources(data.section("weights"), parameters, findings)
    title = " ".join(outline.title.split())
    return NetworkDefinition(name, info, file, data, declared=inputs, title=title, expect=expect, weights=weights)


def parse_network(network: NetworkDefinition, findings: Findings) -> None:
    """Read a network's body and outputs, once all blocks and networks are known."""
    file, inputs, data = network.file, network.declared or {}, network.data
    assert isinstance(data, Map)
    known = names_of_inputs(inputs)
    reach = NamesInReach(file.parameters, known, ValueNames(known), constants=file.constants)
    several = f"network `{network.name}`" if len(inputs) > 1 else ""
    what = f"the body of network `{network.name}`"
    try:
        parser = BodyParser(file, file.blocks, findings)
        before = len(findings.diagnostics)
        network.body = parser.body(data.entries["body"].value, reach, what=what, top=True, several=several)
        check_no_input(network.body.steps, inputs, findings)
        if len(findings.diagnostics) > before:
            return  # Outputs may name the steps that are wrong.
        network.outputs = read_outputs(data.section("outputs"), data.span, network.body, inputs, findings)
        network.preprocess = read_preprocess(data.section("preprocess"), inputs, False, findings)
        names = [o.name for o in network.outputs]
        network.labels = read_labels(data.section("labels"), names, False, findings)
        if network.info.outputs != ONE_OUTPUT:
            network.results = {o.name: o.value for o in network.outputs if o.mode == "inference"}
    except NetspecError as error:
        findings.extend(error)


def _in_training(data: Data) -> bool:
    return isinstance(data, Map) and "mode" in data.entries and plain_data(data.entries["mode"].value) == "train"


class Embedded:
    """The specs that a spec embeds, each read once."""

    def __init__(self, source: Source, network: str) -> None:
        self.open = {_key(source, network): source.name}
        self.specs: dict[tuple[str, str, str], Spec] = {}
        self.definitions: dict[tuple[int, tuple[str, ...]], BlockDefinition] = {}

    def embed(self, data: Data, span: Span, asker: Source) -> tuple[BlockDefinition, Data]:
        """What `network: s` or `network: {spec: s, params: ..., outputs: [...]}` stands for, and its arguments."""
        wanted: list[tuple[str, Span]] | None = None
        arguments: Data = Scalar(None, data.span, False)
        if isinstance(data, Map):
            outline = checked_model(EmbedOutline, data, "`network`")
            name, where = outline.spec, data.entries["spec"].value.span
            if "params" in data.entries:
                arguments = data.entries["params"].value
            if "outputs" in data.entries:
                items = data.entries["outputs"].value
                wanted = [(str(plain_data(item)), item.span) for item in items.items] if isinstance(items, Seq) else []
                if not wanted:
                    fail("NS201", "`outputs` names no step of that network", items.span)
        elif isinstance(data, Scalar) and isinstance(data.value, str):
            name, where = data.value, data.span
        else:
            help = "such as `network: resnet50`, or `network: {spec: resnet50, params: {classes: 10}}`"
            fail("NS211", f"`network` names a spec to embed, and this is {data_kind(data)}", data.span, help=help)
        spec = self.spec(name, where, asker)
        key = (id(spec), tuple(name for name, _ in wanted or ()))
        if key not in self.definitions:
            self.definitions[key] = _definition(spec, wanted)
        return self.definitions[key], arguments

    def spec(self, name: str, span: Span, asker: Source) -> Spec:
        """The spec of a name, read."""
        from netspec.spec.read.read_spec import read_spec

        file, network = named_network(name)
        source = find_beside(file, asker, span)
        key = _key(source, network)
        if key in self.open:
            way = [*self.open.values(), source.name]
            notes = [" -> ".join(way[way.index(self.open[key]) :])]
            fail("NS212", f"`{source.name}` embeds itself", span, notes=notes)
        if key in self.specs:
            return self.specs[key]
        if len(self.specs) + len(self.open) >= MAX_EMBEDDED_SPECS:
            fail("NS214", f"a spec embeds at most {MAX_EMBEDDED_SPECS} others", span)
        self.open[key] = source.name
        try:
            spec = read_spec(source, network, self)
        except NetspecError as error:
            note = (f"embedded at {span.place}",)
            raise NetspecError(*(_embedded(d, span, note) for d in error.diagnostics)) from None
        finally:
            del self.open[key]
        self.specs[key] = spec
        for definition in spec.definitions:
            # Where its blocks have names that others have too, its own name goes before them.
            definition.file.name = definition.file.name or spec.name
        return spec


def _embedded(found: Diagnostic, span: Span, note: tuple[str, ...]) -> Diagnostic:
    """What is wrong with a spec, as those are told who embed it."""
    if found.code == "NS212":
        return found
    if found.code == "NS213" and (found.span is None or found.span.text == "networks"):
        # Which network is meant is said where it is embedded.
        return replace(found, span=span)
    return replace(found, notes=(*found.notes, *note))


def _key(source: Source, network: str) -> tuple[str, str, str]:
    return os.path.realpath(source.name), source.text, network


def _definition(spec: Spec, wanted: list[tuple[str, Span]] | None) -> BlockDefinition:
    """A spec as what a step uses: its parameters are arguments, and it gives its outputs, or the steps wanted."""
    if wanted is None:
        results = {o.name: o.value for o in spec.outputs if o.mode == "inference"}
    else:
        named = [step.called for step in spec.body.steps if step.named]
        for name, span in wanted:
            if name not in named:
                help = closest(name, named) or f"it has {choices(named)}"
                fail("NS209", f"`{spec.name}` has no step `{name}` with a name", span, help=help)
        results = {name: name for name, _ in wanted}
    names = tuple(results)
    if wanted is None and list(results.values()) == [step.called for step in spec.body.steps[-1:] if not step.named]:
        results = {}  # It gives what its last step does, which has no name.
    info = Block(spec.name, tuple(spec.parameters.values()), spec.body.span, tuple(spec.inputs), names)
    data = Scalar(None, spec.body.span, False)
    return BlockDefinition(
        spec.name, info, FileContext(spec.name), data, spec.body, results, declared=spec.inputs, own=True
    )
