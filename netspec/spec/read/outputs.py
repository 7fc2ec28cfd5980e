"""Reads the outputs of a network; one without `outputs` has the value of its last step."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.expression import Value, show
from netspec.graph.model import Mode
from netspec.naming import check_output_name
from netspec.source import Span
from netspec.spec.read.body import ONE_OUTPUT, Body, names_of_inputs, value_names
from netspec.spec.read.keys import OutputOutline, checked_model
from netspec.spec.text.data import Entry, Map, plain_data


@dataclass(frozen=True, slots=True)
class OutputDefinition:
    """An output as a spec declares it."""

    name: str
    value: str
    mode: Mode
    span: Span


def read_outputs(
    entries: Mapping[str, Entry], spec: Span, body: Body, inputs: Collection[str], findings: Findings
) -> tuple[OutputDefinition, ...]:
    """Read `{logits: fc8}`: each output names an input, or a step of the network's body.

    `spec` is the place of the whole file or network, for the error of a network without steps.
    """
    if not entries:
        if not body.steps:
            fail("NS201", "a network without steps needs `outputs`", spec)
        last = body.steps[-1]
        if last.outputs != ONE_OUTPUT:
            return tuple([OutputDefinition(n, f"{last.name}.{n}", "inference", last.span) for n in last.outputs])
        return (OutputDefinition("output", last.name, "inference", last.span),)
    named = {value for step in body.steps if step.named for value in value_names(step.name, step.outputs)}
    named |= names_of_inputs(inputs)
    unnamed = {step.name for step in body.steps} - named
    outputs: list[OutputDefinition] = []
    for name, entry in entries.items():
        try:
            output = _output(name, entry, named, unnamed)
            outputs.append(output if output.value != "input" else replace(output, value=next(iter(inputs))))
        except NetspecError as error:
            findings.extend(error)
            if findings.full:
                break
    if outputs and all(o.mode == "train" for o in outputs):
        help = "one stands without `mode: train`"
        findings.add(Diagnostic("NS201", "all outputs are of training only", outputs[0].span, help=help))
    return tuple(outputs)


def _output(name: str, entry: Entry, named: set[str], unnamed: set[str]) -> OutputDefinition:
    check_output_name(name, entry.key_span)
    value, mode = entry.value, "inference"
    if isinstance(value, Map):
        if "from" not in value.entries:
            fail("NS201", f"output `{name}` needs `from`", value.span)
        rest = Map({k: v for k, v in value.entries.items() if k != "from"}, value.span)
        mode = checked_model(OutputOutline, rest, f"output `{name}`").mode
        value = value.entries["from"].value
    text: Value = plain_data(value)
    if isinstance(text, str) and text in unnamed:
        help = f"put a `name` beside its op, and say that name here: `{name}: ...`"
        fail("NS209", f"the step `{text}` has no name, so output `{name}` can't take it", value.span, help=help)
    if not isinstance(text, str) or text not in named:
        help = closest(str(text), named) or f"an output is an input, or a step with a `name`: {choices(sorted(named))}"
        fail(
            "NS209",
            f"there is no step `{show(text) if not isinstance(text, str) else text}` for output `{name}`",
            value.span,
            help=help,
        )
    return OutputDefinition(name, text, mode, value.span)
