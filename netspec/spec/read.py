"""From text to a Spec: parameters, inputs, blocks, bodies and outputs of the files that a spec is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.expression import names_in, show
from netspec.graph.model import Parameter
from netspec.source import Source, printable
from netspec.spec.blocks import check_classes, check_recursion, parse_block
from netspec.spec.body import Argument, BlockDefinition, Body, Names, Reach
from netspec.spec.data import Entry, Map, Seq, plain
from netspec.spec.defaults import read_defaults
from netspec.spec.extends import File, chain
from netspec.spec.inputs import InputDefinition, read_inputs
from netspec.spec.outputs import OutputDefinition, read_outputs
from netspec.spec.parameters import fits, read_parameters, words_for
from netspec.spec.steps import BodyParser
from netspec.spec.use import Blocks


@dataclass(slots=True)
class Spec:
    """A spec, read and checked as far as it can be before shapes are known."""

    name: str
    title: str
    source_note: str
    source: Source
    parameters: dict[str, Parameter]
    inputs: dict[str, InputDefinition]
    body: Body
    outputs: list[OutputDefinition]
    expect: Map | None
    extends: str | None = None


def read_spec(source: Source) -> Spec:
    """The spec in a text; raises NetspecError with all that is found wrong in it."""
    files = chain(source)
    findings = Findings()
    outer, base = files[0], files[-1]
    parameters: dict[str, Parameter] = {}
    inputs: dict[str, InputDefinition] = {}
    for file in reversed(files):
        entries = file.section("params")
        for name, parameter in read_parameters(entries, findings).items():
            parameters[name] = _replaced(parameter, parameters.get(name), entries[name], findings)
    for file in reversed(files):
        inputs.update(read_inputs(file.section("inputs"), parameters, findings))
    names = frozenset(parameters)
    library = Blocks(files, findings)
    in_reach = library.of(files)
    findings.check()
    for file in files:
        file.context.parameters = names
        read_defaults(file.section("defaults"), file.context, findings)
    blocks = library.all.values()
    check_classes(blocks, str(plain(outer.data.entries["name"].value)), findings)
    for block in blocks:
        parse_block(block, findings)
        findings.check_full()
    if not inputs:
        fail("NS201", "a network needs `inputs`", base.data.span, help="such as `inputs: {image: [N, 3, 224, 224]}`")
    body = _network_body(base, in_reach, names, inputs, findings)
    findings.check()
    _check_added(files, body, blocks, inputs)
    check_recursion(blocks)
    outputs = read_outputs(base.section("outputs"), base.data.span, body, inputs, findings)
    findings.check()
    data = outer.data.entries
    return Spec(
        name=str(plain(data["name"].value)),
        title=_line(data.get("title")),
        source_note=_line(data.get("source")),
        source=source,
        parameters=parameters,
        inputs=inputs,
        body=body,
        outputs=outputs,
        expect=_expect(outer),
        extends=str(plain(data["extends"].value)) if "extends" in data else None,
    )


def _line(entry: Entry | None) -> str:
    """Text for reports on one line, without what a terminal would obey."""
    return " ".join(map(printable, str(plain(entry.value)).split())) if entry is not None else ""


def _replaced(new: Parameter, old: Parameter | None, entry: Entry, findings: Findings) -> Parameter:
    """A parameter in the place of an extended spec's, whose type a new default must have."""
    if old is None or new.required:
        return new
    if not fits(new.default, old.kind):
        message = f"`{new.name}` takes {words_for(old.kind)} in the spec that this one extends, not {show(new.default)}"
        findings.add(Diagnostic("NS206", message, entry.value.span))
    return Parameter(new.name, old.kind, new.default, new.span)


def _check_added(
    files: list[File], body: Body, blocks: Iterable[BlockDefinition], inputs: Mapping[str, InputDefinition]
) -> None:
    """Refuse a parameter that a file adds to those of the spec it extends and that nothing reads: it is misspelt."""
    known = set(files[-1].section("params"))
    added = [entry for file in files[:-1] for name, entry in file.section("params").items() if name not in known]
    if not added:
        return
    read = {name for part in (body, *(block.body for block in blocks)) for name in _names_read(part)}
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


def _names_of(arguments: Iterable[Argument]) -> Iterator[str]:
    for argument in arguments:
        if argument.expression is not None:
            yield from names_in(argument.expression)


def _network_body(
    base: File,
    blocks: Mapping[str, BlockDefinition],
    names: frozenset[str],
    inputs: Mapping[str, InputDefinition],
    findings: Findings,
) -> Body:
    known = {*inputs, "input"} if len(inputs) == 1 else {*inputs}
    reach = Reach(names, frozenset(known), Names(known))
    parser = BodyParser(base.context, blocks, findings)
    data = base.data.entries["network"].value
    try:
        body = parser.body(data, reach, what="`network`", top=True)
    except NetspecError as error:
        findings.extend(error)
        return Body([], data.span)
    for step in body.steps:
        if step.called in inputs:
            try:
                fail("NS210", f"`{step.called}` is an input and a step", step.span, help="give the step another `name`")
            except NetspecError as error:
                findings.extend(error)
    if isinstance(data, Seq) and not data.items:
        fail("NS211", "`network` has no steps", data.span, help="a step is written `- op`")
    return body


def _expect(file: File) -> Map | None:
    entry = file.data.entries.get("expect")
    return entry.value if entry is not None and isinstance(entry.value, Map) else None
