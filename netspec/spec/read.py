"""From text to a Spec: parameters, inputs, blocks, bodies and outputs of the files that a spec is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netspec.errors import Findings, NetspecError, fail
from netspec.graph.model import Parameter
from netspec.source import Source
from netspec.spec.blocks import check_classes, check_recursion, parse_block, read_blocks
from netspec.spec.body import BlockDefinition, Body, Reach
from netspec.spec.data import Map, Seq, plain
from netspec.spec.defaults import read_defaults
from netspec.spec.extends import File, chain
from netspec.spec.inputs import InputDefinition, read_inputs
from netspec.spec.outputs import OutputDefinition, read_outputs
from netspec.spec.parameters import read_parameters
from netspec.spec.steps import BodyParser


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
    files: list[Source] = field(default_factory=list[Source])
    extends: str | None = None


def read_spec(source: Source) -> Spec:
    """The spec in a text; raises NetspecError with all that is found wrong in it."""
    files = chain(source)
    findings = Findings()
    outer, base = files[0], files[-1]
    parameters: dict[str, Parameter] = {}
    inputs: dict[str, InputDefinition] = {}
    blocks: dict[str, BlockDefinition] = {}
    for file in reversed(files):
        parameters.update(read_parameters(file.section("params"), findings))
    for file in reversed(files):
        inputs.update(read_inputs(file.section("inputs"), parameters, findings))
        blocks.update(read_blocks(file.section("blocks"), file.context, findings))
    findings.check()
    names = frozenset(parameters)
    for file in files:
        read_defaults(file.section("defaults"), file.context, names, blocks, findings)
    check_classes(blocks, str(plain(outer.data.entries["name"].value)), findings)
    for block in blocks.values():
        parse_block(block, blocks, names, findings)
    if not inputs:
        fail("NS201", "a network needs `inputs`", base.data.span, help="such as `inputs: {image: [N, 3, 224, 224]}`")
    body = _network_body(base, blocks, names, inputs, findings)
    findings.check()
    check_recursion(blocks)
    outputs = read_outputs(base.section("outputs"), base.data.span, body, inputs, findings)
    findings.check()
    data = outer.data.entries
    return Spec(
        name=str(plain(data["name"].value)),
        title=str(plain(data["title"].value)) if "title" in data else "",
        source_note=str(plain(data["source"].value)) if "source" in data else "",
        source=source,
        parameters=parameters,
        inputs=inputs,
        body=body,
        outputs=outputs,
        expect=_expect(outer),
        files=[file.source for file in files],
        extends=str(plain(data["extends"].value)) if "extends" in data else None,
    )


def _network_body(
    base: File,
    blocks: Mapping[str, BlockDefinition],
    names: frozenset[str],
    inputs: Mapping[str, InputDefinition],
    findings: Findings,
) -> Body:
    known = {*inputs, "input"} if len(inputs) == 1 else {*inputs}
    reach = Reach(names, frozenset(known), set(known))
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
