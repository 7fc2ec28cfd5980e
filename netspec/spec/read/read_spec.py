"""`read_spec` reads a spec from its text, and from all files that it extends, uses and embeds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.expression import names_in
from netspec.graph.model import SpecParameter
from netspec.printable import printable
from netspec.source import Source
from netspec.spec.read.block_library import BlockLibrary, parameters_of
from netspec.spec.read.blocks import check_no_input, check_recursion, name_classes, read_block_body
from netspec.spec.read.body import Argument, BlockDefinition, Body
from netspec.spec.read.context import Declarations, FileContext
from netspec.spec.read.embed import EmbeddedSpecs
from netspec.spec.read.extends import File, chain
from netspec.spec.read.inputs import InputDefinition, read_inputs
from netspec.spec.read.keys import OF_ONE_NETWORK
from netspec.spec.read.labels import LabelsDefinition, read_labels
from netspec.spec.read.networks import (
    NetworkDefinition,
    NetworkSections,
    claims_of,
    names_in_network,
    read_network,
    read_networks,
)
from netspec.spec.read.networks_of_chain import networks_of_chain
from netspec.spec.read.outputs import read_outputs
from netspec.spec.read.preprocess import PreprocessDefinition, read_preprocess
from netspec.spec.read.spec import Spec
from netspec.spec.read.steps import BodyParser
from netspec.spec.read.weights import WeightSource, read_sources
from netspec.spec.sources.bundled import bundled_folder
from netspec.spec.text.data import Entry, Seq, plain_data


def read_spec(source: Source, network: str = "") -> Spec:
    """Read the spec of a text; `network` chooses one by name where the text has several.

    Raises NetspecError with all errors in the text and in the files that it names.
    """
    embedded = EmbeddedSpecs(source, network, _read_embedded)
    spec = _read(source, network, embedded)
    findings = Findings()
    name_classes(_all_definitions(spec, embedded), spec.name, findings)
    findings.check()
    return spec


def networks_of(source: Source) -> list[str]:
    """The names of a spec's networks for `read_spec`; "" is the one under `network`."""
    files = chain(source)
    main = [""] if "network" in files[-1].data.entries else []
    return [*main, *networks_of_chain(files, Findings())]


@dataclass(frozen=True, slots=True)
class _Draft:
    """The files of a spec and their declarations, before any body is read."""

    files: list[File]
    contexts: list[FileContext]
    parameters: Mapping[str, SpecParameter]
    inputs: Mapping[str, InputDefinition]
    blocks: Mapping[BlockDefinition, FileContext]
    networks: Mapping[str, NetworkDefinition]

    @property
    def base(self) -> File:
        """The file with the body, the last of the chain."""
        return self.files[-1]

    @property
    def has_network(self) -> bool:
        """True for a spec with `network`, False for one with `networks` alone."""
        return "network" in self.base.data.entries


def _read_embedded(source: Source, network: str, embedded: EmbeddedSpecs) -> Spec:
    """Read a spec that another one embeds."""
    return _read(source, network, embedded, is_embedded=True)


def _read(source: Source, network: str, embedded: EmbeddedSpecs, *, is_embedded: bool = False) -> Spec:
    """Read a spec; the classes of its blocks are named afterwards, once all embedded specs are known."""
    findings = Findings()
    draft = _declare(chain(source), network, embedded, is_embedded, findings)
    networks = _read_bodies(draft, findings)
    weights = _sources(draft, findings)
    only = _read_only_network(draft, weights, findings) if draft.has_network else None
    findings.check()
    if draft.networks and only is None:
        _refuse_sections(draft.files)
    definitions = (*draft.blocks, *draft.networks.values())
    check_recursion(definitions)
    outer = draft.files[0]
    if network or only is None:
        name = _choose(draft, network)
        chosen = networks[name]
        title = chosen.title or (f"{_line(outer, 'title')}: {name}" if _line(outer, "title") else "")
        chosen = replace(chosen, title=title)
        file = draft.networks[name].file
    else:
        name, chosen, file = outer.name, only, len(draft.files) - 1
    spec = Spec(
        name=name,
        title=chosen.title,
        source=source,
        source_note=_line(outer, "source"),
        extends=outer.extends,
        parameters=draft.parameters,
        inputs=chosen.inputs,
        body=chosen.body,
        outputs=chosen.outputs,
        expect=chosen.expect,
        weights=chosen.weights,
        preprocess=chosen.preprocess,
        labels=chosen.labels,
        claims_on_steps=file == 0,
        definitions=definitions,
    )
    _check_added(draft, spec)
    return spec


def _declare(files: list[File], network: str, embedded: EmbeddedSpecs, is_embedded: bool, findings: Findings) -> _Draft:
    """Read the declarations of a spec: parameters, inputs, defaults, and the heads of blocks and networks."""
    parameters = parameters_of(files, findings)
    inputs: dict[str, InputDefinition] = {}
    for file in reversed(files):
        inputs.update(read_inputs(file.section("inputs"), parameters, findings))
    # The name of an embedded spec is put before its blocks' class names where they clash.
    qualifier = _name_of(files, network) if is_embedded else ""
    library = BlockLibrary(files, embedded, findings)
    declared = library.declare(files, qualifier)
    entries = networks_of_chain(files, findings)
    networks = read_networks(entries, declared.blocks, parameters, qualifier, findings)
    findings.check()
    names = Declarations({**declared.blocks, **networks}, declared.ambiguous, frozenset(parameters))
    contexts = library.contexts(files, declared, names)
    return _Draft(files, contexts, parameters, inputs, library.unread, networks)


def _name_of(files: list[File], network: str) -> str:
    """The name of a spec before it is read: that of the chosen network, where it has several."""
    networks = list(networks_of_chain(files, Findings()))
    if network or "network" in files[-1].data.entries:
        return network or files[0].name
    return networks[0] if len(networks) == 1 else files[0].name


def _read_bodies(draft: _Draft, findings: Findings) -> dict[str, NetworkSections]:
    """Read the bodies of all blocks, then the sections of each of the `networks`, which are returned by name."""
    for block, context in draft.blocks.items():
        read_block_body(block, context, findings)
        findings.check_full()
    networks: dict[str, NetworkSections] = {}
    for name, definition in draft.networks.items():
        sections = read_network(definition, draft.contexts[definition.file], findings)
        findings.check_full()
        if sections is not None:
            networks[name] = sections
    return networks


def _read_only_network(draft: _Draft, weights: tuple[WeightSource, ...], findings: Findings) -> NetworkSections:
    """Read `network`, and the sections of the files that belong to it."""
    base, inputs = draft.base, draft.inputs
    if not inputs:
        fail("NS201", "a network needs `inputs`", base.data.span, help="such as `inputs: {image: [N, 3, 224, 224]}`")
    context = draft.contexts[-1]
    data = base.data.entries["network"].value
    several = "the network" if len(inputs) > 1 else ""
    body = Body([], data.span)
    try:
        reach = names_in_network(context, inputs)
        body = BodyParser(context, findings).body(data, reach, what="`network`", top=True, several=several)
    except NetspecError as error:
        findings.extend(error)
    check_no_input(body.steps, inputs, findings)
    if isinstance(data, Seq) and not data.items:
        fail("NS211", "`network` has no steps", data.span, help="a step is written `- op`")
    findings.check()
    outputs = read_outputs(base.section("outputs"), base.data.span, body, inputs, findings)
    preprocess, labels = _images(draft.files, inputs, [o.name for o in outputs], findings)
    outer = draft.files[0]
    return NetworkSections(
        _line(outer, "title"), inputs, body, outputs, claims_of(outer.data), weights, preprocess, labels
    )


def _images(
    files: list[File], inputs: Collection[str], outputs: Collection[str], findings: Findings
) -> tuple[Mapping[str, PreprocessDefinition], Mapping[str, LabelsDefinition]]:
    """Read `preprocess` and `labels`; entries of a file replace those of the file it extends, key by key."""
    preprocess: dict[str, PreprocessDefinition] = {}
    labels: dict[str, LabelsDefinition] = {}
    for file in reversed(files):
        inherited = file is not files[0]
        preprocess.update(read_preprocess(file.section("preprocess"), inputs, inherited, findings))
        labels.update(read_labels(file.section("labels"), outputs, inherited, findings))
    return preprocess, labels


def _sources(draft: _Draft, findings: Findings) -> tuple[WeightSource, ...]:
    """Read `weights` of the outermost file that has the section: it replaces that of the files it extends."""
    file = next((file for file in draft.files if "weights" in file.data.entries), draft.base)
    return read_sources(file.section("weights"), draft.parameters, findings)


def _line(file: File, key: str) -> str:
    """The text under a key, on one line and without control characters, for reports; "" without the key."""
    entry = file.data.entries.get(key)
    return " ".join(map(printable, str(plain_data(entry.value)).split())) if entry is not None else ""


def _refuse_sections(files: list[File]) -> None:
    """Refuse sections that belong inside each of the `networks`, in a spec without `network`."""
    for file in files:
        for key in OF_ONE_NETWORK:
            if key in file.data.entries:
                span = file.data.entries[key].key_span
                fail("NS201", f"`{key}` stands in each of the `networks`", span, help="indent it under the network")


def _choose(draft: _Draft, name: str) -> str:
    """The name of the network to read; `name` "" means the only one.

    Raises NetspecError NS213 for a name that the spec lacks, and for "" where it has several networks.
    """
    networks, section = draft.networks, draft.base.data.entries.get("networks")
    span = section.key_span if section is not None else None
    if section is not None and not networks:
        help = "such as `networks: {generator: {inputs: {noise: [N, 100]}, body: [linear: 784]}}`"
        fail("NS201", "`networks` has none", span, help=help)
    source = draft.files[0].source
    shown = draft.files[0].name if Path(source.name).parent == bundled_folder() else source.name
    shown = "-" if shown == "<stdin>" else shown
    if not name and len(networks) == 1:
        return next(iter(networks))
    if not name:
        ways = choices(f"{shown}:{network}" for network in networks)
        fail("NS213", f"`{shown}` has several networks", span, help=f"say which: {ways}")
    if name not in networks:
        help = closest(name, networks) or (f"it has {choices(networks)}" if networks else "it is one network")
        fail("NS213", f"`{shown}` has no network `{name}`", span, help=help)
    return name


def _all_definitions(spec: Spec, embedded: EmbeddedSpecs) -> Iterable[BlockDefinition]:
    """The blocks and networks that get classes of their own: those of a spec and of all specs that it embeds.

    The network of the spec itself is not among them.
    """
    inner = [definition for other in embedded.specs.values() for definition in other.definitions]
    definitions = [*spec.definitions, *embedded.definitions.values(), *inner]
    return {d.body: d for d in definitions if d.body is not spec.body}.values()


def _check_added(draft: _Draft, spec: Spec) -> None:
    """Refuse a parameter that the extended spec lacks and that nothing reads: it is probably misspelt."""
    known = set(draft.base.section("params"))
    added: list[Entry] = [
        entry for file in draft.files[:-1] for name, entry in file.section("params").items() if name not in known
    ]
    if not added:
        return
    read = _names_read(draft, spec)
    findings = Findings()
    for entry in added:
        if entry.key not in read:
            message = f"the spec that this one extends has no parameter `{entry.key}`, and nothing here reads it"
            help = closest(entry.key, known) or (f"it has {choices(known)}" if known else "it has none")
            findings.add(Diagnostic("NS204", message, entry.key_span, help=help))
    findings.check()


def _names_read(draft: _Draft, spec: Spec) -> set[str]:
    """The names that the expressions of a spec read: in bodies, defaults and the sizes of inputs."""
    arguments: list[Argument] = []
    for body in (spec.body, *(definition.body for definition in spec.definitions)):
        arguments += _arguments_in(body)
    for context in draft.contexts:
        for default in context.defaults.values():
            arguments += default.arguments.values()
    trees = [argument.expression for argument in arguments if argument.expression is not None]
    sizes = [size for declared in draft.inputs.values() for size, _ in declared.dims]
    trees += [size for size in sizes if not isinstance(size, int | str)]
    return {name for tree in trees for name in names_in(tree)}


def _arguments_in(body: Body) -> Iterator[Argument]:
    """The arguments of a body's steps, with their `repeat` and `when`, and those of the bodies in it."""
    for step in body.steps:
        yield from step.arguments.values()
        yield from (argument for argument in (step.repeat, step.when) if argument is not None)
        for branch in (step.branches or {}).values():
            yield from _arguments_in(branch)
        for argument in step.arguments.values():
            if argument.body is not None:
                yield from _arguments_in(argument.body)
