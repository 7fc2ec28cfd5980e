"""From text to a Spec: parameters, inputs, blocks, bodies and outputs of the files that a spec is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.expression import names_in
from netspec.graph.model import SpecParameter
from netspec.printable import printable
from netspec.source import Source
from netspec.spec.read.blocks import check_classes, check_no_input, check_recursion, parse_block
from netspec.spec.read.body import Argument, BlockDefinition, Body, NamesInReach, ValueNames, names_of_inputs
from netspec.spec.read.defaults import read_defaults
from netspec.spec.read.extends import File, chain
from netspec.spec.read.inputs import InputDefinition, read_inputs
from netspec.spec.read.keys import OF_ONE_NETWORK
from netspec.spec.read.labels import LabelsDefinition, read_labels
from netspec.spec.read.networks import Embedded, NetworkDefinition, parse_network, read_networks
from netspec.spec.read.outputs import OutputDefinition, read_outputs
from netspec.spec.read.preprocess import PreprocessDefinition, read_preprocess
from netspec.spec.read.steps import BodyParser
from netspec.spec.read.use import Blocks, parameters_of
from netspec.spec.read.weights import WeightSource, read_sources
from netspec.spec.sources.bundled import bundled_folder
from netspec.spec.text.data import Entry, Map, Seq, plain_data


@dataclass(slots=True)
class Spec:
    """A spec, read and checked as far as it can be before shapes are known; of one with several networks, one."""

    name: str
    title: str
    source_note: str
    source: Source
    parameters: dict[str, SpecParameter]
    inputs: dict[str, InputDefinition]
    body: Body
    outputs: list[OutputDefinition]
    expect: Map | None
    definitions: list[BlockDefinition]
    """The blocks and networks of all files that it is made of, but for those of specs it embeds."""
    weights: list[WeightSource]
    extends: str | None = None
    preprocess: dict[str, PreprocessDefinition] = field(default_factory=dict[str, PreprocessDefinition])
    labels: dict[str, LabelsDefinition] = field(default_factory=dict[str, LabelsDefinition])


def read_spec(source: Source, network: str = "", embedded: Embedded | None = None) -> Spec:
    """The spec in a text; raises NetspecError with all that is found wrong in it.

    `network` is the name of one of several; `embedded` holds the specs that are read for steps that embed them.
    """
    inner = embedded is not None
    embedded = embedded or Embedded(source, network)
    files = chain(source)
    findings = Findings()
    outer, base = files[0], files[-1]
    parameters = parameters_of(files, findings)
    inputs: dict[str, InputDefinition] = {}
    for file in reversed(files):
        inputs.update(read_inputs(file.section("inputs"), parameters, findings))
        file.context.embed = partial(embedded.embed, asker=file.source)
    library = Blocks(files, findings, embedded)
    in_reach = library.of(files)
    for file in files:
        file.context.parameters = frozenset(parameters)
    networks = read_networks(base.section("networks"), base.context, parameters, findings)
    in_reach.update(networks)
    findings.check()
    for file in files:
        read_defaults(file.section("defaults"), file.context, findings)
    blocks = list(library.all.values())
    for block in blocks:
        parse_block(block, findings)
        findings.check_full()
    for definition in networks.values():
        parse_network(definition, findings)
        findings.check_full()
    data = outer.data.entries
    name = str(plain_data(data["name"].value))
    spec = Spec(
        name, _line(data.get("title")), _line(data.get("source")), source, parameters, inputs,
        Body([], base.data.span), [], _expect(outer), [*blocks, *networks.values()],
        _sources(files, parameters, findings),
        extends=str(plain_data(data["extends"].value)) if "extends" in data else None,
    )  # fmt: skip
    if "network" in base.data.entries:
        _one_network(spec, base, in_reach, findings)
        _images(spec, files, findings)
    findings.check()
    if networks:
        _refuse_sections(files, "network" in base.data.entries)
    check_recursion(spec.definitions)
    if network or "network" not in base.data.entries:
        _choose(spec, networks, network, base.data.entries.get("networks"))
        if spec.extends is not None:
            spec.expect = None  # What is claimed of a network is claimed of the file it stands in.
    if not inner:
        check_classes(_all_definitions(spec, embedded), spec.name, findings)
        findings.check()
    bodies = [spec.body, *(definition.body for definition in spec.definitions)]
    _check_added(files, bodies, inputs)
    return spec


def _line(entry: Entry | None) -> str:
    """Text for reports on one line, without what a terminal would obey."""
    return " ".join(map(printable, str(plain_data(entry.value)).split())) if entry is not None else ""


def _check_added(files: list[File], bodies: Iterable[Body], inputs: Mapping[str, InputDefinition]) -> None:
    """Refuse a parameter that a file adds to those of the spec it extends and that nothing reads: it is misspelt."""
    known = set(files[-1].section("params"))
    added = [entry for file in files[:-1] for name, entry in file.section("params").items() if name not in known]
    if not added:
        return
    read = {name for body in bodies for name in _names_read(body)}
    sizes = [size for given in inputs.values() for size, _ in given.dims if not isinstance(size, int | str)]
    read = read.union(*map(names_in, sizes))
    for file in files:
        for default in file.context.defaults.values():
            read.update(_names_of(default.arguments.values()))
    findings = Findings()
    for entry in added:
        if entry.key not in read:
            message = f"the spec that this one extends has no parameter `{entry.key}`, and nothing here reads it"
            help = closest(entry.key, known) or (f"it has {choices(known)}" if known else "it has none")
            findings.add(Diagnostic("NS204", message, entry.key_span, help=help))
    findings.check()


def _names_read(body: Body) -> Iterator[str]:
    for step in body.steps:
        yield from _names_of([*step.arguments.values(), *(a for a in (step.repeat, step.when) if a is not None)])
        for branch in (step.branches or {}).values():
            yield from _names_read(branch)
        for argument in step.arguments.values():
            if argument.body is not None:
                yield from _names_read(argument.body)


def _names_of(arguments: Iterable[Argument]) -> Iterator[str]:
    for argument in arguments:
        if argument.expression is not None:
            yield from names_in(argument.expression)


def networks_of(source: Source) -> list[str]:
    """The names of a spec's networks, as `read_spec` takes them: "" is what `network` holds."""
    base = chain(source)[-1]
    return [*([""] if "network" in base.data.entries else []), *base.section("networks")]


def _one_network(spec: Spec, base: File, blocks: Mapping[str, BlockDefinition], findings: Findings) -> None:
    """Read `network` and `outputs` of a spec."""
    inputs = spec.inputs
    if not inputs:
        fail("NS201", "a network needs `inputs`", base.data.span, help="such as `inputs: {image: [N, 3, 224, 224]}`")
    known = names_of_inputs(inputs)
    reach = NamesInReach(base.context.parameters, known, ValueNames(known))
    parser = BodyParser(base.context, blocks, findings)
    data = base.data.entries["network"].value
    several = "the network" if len(inputs) > 1 else ""
    try:
        spec.body = parser.body(data, reach, what="`network`", top=True, several=several)
    except NetspecError as error:
        findings.extend(error)
    check_no_input(spec.body.steps, inputs, findings)
    if isinstance(data, Seq) and not data.items:
        fail("NS211", "`network` has no steps", data.span, help="a step is written `- op`")
    findings.check()
    spec.outputs = read_outputs(base.section("outputs"), base.data.span, spec.body, inputs, findings)


def _images(spec: Spec, files: list[File], findings: Findings) -> None:
    """Read `preprocess` and `labels`: of a chain of `extends`, those of the outer file replace others by their keys."""
    outputs = [o.name for o in spec.outputs]
    for file in reversed(files):
        inherited = file is not files[0]
        spec.preprocess.update(read_preprocess(file.section("preprocess"), spec.inputs, inherited, findings))
        spec.labels.update(read_labels(file.section("labels"), outputs, inherited, findings))


def _refuse_sections(files: list[File], one: bool) -> None:
    """Beside `networks` alone, what belongs to a network stands in each of them."""
    for file in files if not one else ():
        for key in OF_ONE_NETWORK:
            if key in file.data.entries:
                span = file.data.entries[key].key_span
                fail("NS201", f"`{key}` stands in each of the `networks`", span, help="indent it under the network")


def _choose(spec: Spec, networks: Mapping[str, NetworkDefinition], name: str, section: Entry | None) -> None:
    """Make a spec that of one of its networks."""
    span = section.key_span if section is not None else None
    if section is not None and not networks:
        help = "such as `networks: {generator: {inputs: {noise: [N, 100]}, body: [linear: 784]}}`"
        fail("NS201", "`networks` has none", span, help=help)
    shown = spec.name if Path(spec.source.name).parent == bundled_folder() else spec.source.name
    shown = "-" if shown == "<stdin>" else shown
    if not name and len(networks) == 1:
        name = next(iter(networks))
    if not name:
        ways = choices(f"{shown}:{other}" for other in networks)
        fail("NS213", f"`{shown}` has several networks", span, help=f"say which: {ways}")
    if name not in networks:
        help = closest(name, networks) or (f"it has {choices(networks)}" if networks else "it is one network")
        fail("NS213", f"`{shown}` has no network `{name}`", span, help=help)
    chosen = networks[name]
    spec.title = chosen.title or (f"{spec.title}: {name}" if spec.title else "")
    spec.name, spec.body, spec.outputs, spec.expect = name, chosen.body, chosen.outputs, chosen.expect
    spec.inputs, spec.weights = dict(chosen.declared or {}), chosen.weights
    spec.preprocess, spec.labels = chosen.preprocess, chosen.labels


def _all_definitions(spec: Spec, embedded: Embedded) -> list[BlockDefinition]:
    """What becomes a class: all that the files of a spec and those it embeds define, but for its own network."""
    inner = [definition for other in embedded.specs.values() for definition in other.definitions]
    found = [*spec.definitions, *embedded.definitions.values(), *inner]
    return list({id(d.body): d for d in found if d.body is not spec.body}.values())


def _sources(files: list[File], parameters: Mapping[str, SpecParameter], findings: Findings) -> list[WeightSource]:
    """Whose weights fit: of a chain of `extends`, the first file that says it says it."""
    file = next((file for file in files if "weights" in file.data.entries), files[-1])
    return read_sources(file.section("weights"), parameters, findings)


def _expect(file: File) -> Map | None:
    entry = file.data.entries.get("expect")
    return entry.value if entry is not None and isinstance(entry.value, Map) else None
