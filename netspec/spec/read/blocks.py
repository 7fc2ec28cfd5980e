"""Blocks of a spec: their names and parameters, their bodies, and that none contains itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.graph.model import Block, SpecParameter
from netspec.naming import SIBLINGS, check_class_name, check_module_name, check_output_name, class_name
from netspec.ops import REGISTRY
from netspec.ops.own import announced
from netspec.spec.read.body import (
    ONE_OUTPUT,
    BlockDefinition,
    Body,
    FileContext,
    NamesInReach,
    Step,
    ValueNames,
    called_values,
    names_of_inputs,
)
from netspec.spec.read.keys import BlockOutline, checked_model
from netspec.spec.read.parameters import read_parameters
from netspec.spec.read.steps import BodyParser
from netspec.spec.text.data import Entry, Map, Seq


def read_blocks(entries: Mapping[str, Entry], file: FileContext, findings: Findings) -> dict[str, BlockDefinition]:
    """The blocks that a file declares, their bodies not parsed yet."""
    found: dict[str, BlockDefinition] = {}
    for name, entry in entries.items():
        try:
            check_module_name(name, "a block", entry.key_span)
            check_class_name(name, "a block", entry.key_span)
            # What is installed beside netspec does not decide which specs are right.
            if name in REGISTRY and name not in announced():
                fail("NS210", f"there is an op `{name}`", entry.key_span, help="give the block another name")
            if name in SIBLINGS:
                fail("NS210", f"`{name}` stands beside a step's op and can't be a block", entry.key_span)
            data = entry.value
            if name in ("params", "body"):
                help = f"indent `{name}` under the name of its block; a block can't be called so"
                fail("NS201", f"`{name}` is a key of a block, and stands among the blocks", entry.key_span, help=help)
            if not isinstance(data, Map):
                fail("NS201", f"block `{name}` is a mapping with `body`", data.span, help="and `params`, if it has any")
            if name == "network":
                message = "`network` embeds another spec in a step, and can't be a block"
                fail("NS210", message, entry.key_span, help="give the block another name")
            outline = checked_model(BlockOutline, data, f"block `{name}`")
            params = read_parameters(data.section("params"), findings, of_block=True)
            inputs = _inputs(data, outline, params)
            for output, where in data.section("outputs").items():
                check_output_name(output, where.key_span)
            outputs = tuple(outline.outputs) or ONE_OUTPUT
            info = Block(name, tuple(params.values()), entry.key_span, inputs, outputs)
            body = data.entries["body"].value
            found[name] = BlockDefinition(name, info, file, body, results=dict(outline.outputs))
            found[name].places = {key: e.value.span for key, e in data.section("outputs").items()}
        except NetspecError as error:
            findings.extend(error)
    return found


def _inputs(data: Map, outline: BlockOutline, params: Mapping[str, SpecParameter]) -> tuple[str, ...]:
    """The names of what enters a block; one value that has no name is `input`."""
    if "inputs" not in data.entries:
        return ("input",)
    given = data.entries["inputs"].value
    assert isinstance(given, Seq)
    if not given.items:
        fail("NS201", "a block has an input", given.span, help="`inputs` names several: `inputs: [a, b]`")
    for name, item in zip(outline.inputs, given.items, strict=True):
        if name != "input" or len(given.items) > 1:
            check_module_name(name, "an input", item.span)
        if name in params or name == "index" or outline.inputs.count(name) > 1:
            fail("NS210", f"`{name}` has another meaning in this block", item.span, help="give the input another name")
        if name == "input" and len(given.items) > 1:
            fail("NS202", "of several inputs none can be called `input`", item.span, help="give it another name")
    return tuple(outline.inputs)


def check_classes(blocks: Iterable[BlockDefinition], network: str, findings: Findings) -> None:
    """Classes are made from these names: two that differ in a `_` or a capital only would be one class.

    A block of a file that is used gives way, and has the name of its file before its own.
    """
    classes = {class_name(network): f"the network `{network}`"}
    for block in sorted(blocks, key=lambda block: bool(block.file.name)):
        if block.file.name and class_name(block.name) in classes:
            block.info = replace(block.info, name=f"{block.file.name}_{block.name}")
        name = block.info.name
        this = f"{'block' if block.declared is None else 'network'} `{name}`"
        if other := classes.get(class_name(name)):
            try:
                message = f"{this} and {other} would be one class, `{class_name(name)}`"
                fail("NS210", message, block.info.span, help="give one of them another name")
            except NetspecError as error:
                findings.extend(error)
        else:
            classes[class_name(name)] = this


def parse_block(block: BlockDefinition, findings: Findings) -> None:
    """Read a block's body into steps, once all blocks are known."""
    file = block.file
    own = frozenset(p.name for p in block.info.parameters)
    constants = {name: value for name, value in file.constants.items() if name not in own}
    bodies = frozenset(p.name for p in block.info.parameters if p.kind == "body")
    inputs = block.info.inputs
    plain = (file.parameters | own) - bodies
    known = names_of_inputs(inputs)
    reach = NamesInReach(plain, known, ValueNames(known), constants=constants, bodies=bodies)
    several = f"block `{block.name}`" if len(inputs) > 1 else ""
    try:
        for parameter in block.info.parameters:
            if parameter.kind == "body" and parameter.name in file.blocks:
                message = f"there is a block `{parameter.name}`, and this parameter is steps"
                fail("NS210", message, parameter.span, help="give the parameter another name")
        parser = BodyParser(file, file.blocks, findings)
        before = len(findings.diagnostics)
        block.body = parser.body(block.data, reach, what=f"the body of block `{block.name}`", several=several)
        if len(findings.diagnostics) == before:
            _check_results(block, findings)
    except NetspecError as error:
        findings.extend(error)


def _check_results(block: BlockDefinition, findings: Findings) -> None:
    """Refuse outputs that are no value of the block's body."""
    steps = [step for step in block.body.steps if step.named]
    values = {value for step in steps for value in called_values(step.called, step.outputs)}
    values |= names_of_inputs(block.info.inputs)
    check_no_input(block.body.steps, block.info.inputs, findings)
    for output, value in block.results.items():
        if value not in values:
            message = f"there is no step `{value}` for output `{output}` of block `{block.name}`"
            help = closest(value, values) or f"an output is a step with a `name`: {choices(sorted(values))}"
            findings.add(Diagnostic("NS209", message, block.places[output], help=help))


def check_no_input(steps: Iterable[Step], inputs: Collection[str], findings: Findings) -> None:
    """Refuse steps that are called as an input of their body."""
    for step in steps:
        if step.called in inputs:
            message = f"`{step.called}` is an input and a step"
            findings.add(Diagnostic("NS210", message, step.span, help="give the step another `name`"))


def check_recursion(blocks: Iterable[BlockDefinition]) -> None:
    """Blocks nest, never recurse: name the way round where they do."""
    done: set[int] = set()
    for start in blocks:
        way: dict[int, BlockDefinition] = {}
        todo: list[tuple[BlockDefinition, bool]] = [(start, True)]
        while todo:
            block, entering = todo.pop()
            if not entering:
                way.popitem()
                done.add(id(block))
                continue
            if id(block) in way:
                names = [b.info.name for b in way.values()]
                round_ = " -> ".join(f"`{n}`" for n in [*names[names.index(block.info.name) :], block.info.name])
                fail("NS212", f"{block.what} contains itself", block.info.span, notes=[round_])
            if id(block) in done:
                continue
            way[id(block)] = block
            todo.append((block, False))
            todo += [(used, True) for used in {id(used): used for used in _used(block.body)}.values()]


def _used(body: Body) -> Iterable[BlockDefinition]:
    for step in body.steps:
        if isinstance(step.target, BlockDefinition):
            yield step.target
        for branch in (step.branches or {}).values():
            yield from _used(branch)
        for argument in step.arguments.values():
            if argument.body is not None:
                yield from _used(argument.body)
