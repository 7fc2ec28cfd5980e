"""Reads the blocks of a spec: their heads, then their bodies; and refuses a block that contains itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.graph.model import Block, SpecParameter
from netspec.naming import SIBLINGS, check_class_name, check_module_name, check_output_name, class_name
from netspec.ops import REGISTRY
from netspec.ops.own import announced
from netspec.source import Span
from netspec.spec.read.body import ONE_OUTPUT, BlockDefinition, Body, Step, names_of_inputs, value_names
from netspec.spec.read.context import FileContext, NamesInReach, ValueNames
from netspec.spec.read.keys import BlockOutline, checked_model
from netspec.spec.read.parameters import read_parameters
from netspec.spec.read.steps import BodyParser
from netspec.spec.text.data import Entry, Map, Seq


def read_blocks(entries: Mapping[str, Entry], qualifier: str, findings: Findings) -> dict[str, BlockDefinition]:
    """Read the heads of the blocks that a file declares: names, parameters, inputs and outputs."""
    blocks: dict[str, BlockDefinition] = {}
    for name, entry in entries.items():
        try:
            blocks[name] = _declare(name, entry, qualifier, findings)
        except NetspecError as error:
            findings.extend(error)
    return blocks


def _declare(name: str, entry: Entry, qualifier: str, findings: Findings) -> BlockDefinition:
    _check_name(name, entry.key_span)
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
    unread = Body([], data.entries["body"].value.span)
    return BlockDefinition(name, info, data, unread, qualifier, dict(outline.outputs))


def _check_name(name: str, span: Span) -> None:
    """Refuse a block's name that is malformed, or has another meaning in a step."""
    check_module_name(name, "a block", span)
    check_class_name(name, "a block", span)
    # Whether a spec is valid does not depend on the packages that are installed.
    if name in REGISTRY and name not in announced():
        fail("NS210", f"there is an op `{name}`", span, help="give the block another name")
    if name in SIBLINGS:
        fail("NS210", f"`{name}` stands beside a step's op and can't be a block", span)


def _inputs(data: Map, outline: BlockOutline, params: Mapping[str, SpecParameter]) -> tuple[str, ...]:
    """The names of the values that enter a block; a single one without a name is `input`."""
    if "inputs" not in data.entries:
        return ("input",)
    names = data.entries["inputs"].value
    assert isinstance(names, Seq)
    if not names.items:
        fail("NS201", "a block has an input", names.span, help="`inputs` names several: `inputs: [a, b]`")
    for name, item in zip(outline.inputs, names.items, strict=True):
        if name != "input" or len(names.items) > 1:
            check_module_name(name, "an input", item.span)
        if name in params or name == "index" or outline.inputs.count(name) > 1:
            fail("NS210", f"`{name}` has another meaning in this block", item.span, help="give the input another name")
        if name == "input" and len(names.items) > 1:
            fail("NS202", "of several inputs none can be called `input`", item.span, help="give it another name")
    return tuple(outline.inputs)


def name_classes(definitions: Iterable[BlockDefinition], network: str, findings: Findings) -> None:
    """Name the class of each block, and refuse two with one class name, such as `conv_bn` and `ConvBn`.

    Where a block of another file clashes, the name of its file is put before its own.
    """
    classes = {class_name(network): f"the network `{network}`"}
    for block in sorted(definitions, key=lambda block: bool(block.qualifier)):
        if block.qualifier and class_name(block.name) in classes:
            block.info = replace(block.info, name=f"{block.qualifier}_{block.name}")
        name = block.info.name
        this = f"{'block' if block.declared is None else 'network'} `{name}`"
        if first := classes.get(class_name(name)):
            message = f"{this} and {first} would be one class, `{class_name(name)}`"
            findings.add(Diagnostic("NS210", message, block.info.span, help="give one of them another name"))
        else:
            classes[class_name(name)] = this


def read_block_body(block: BlockDefinition, file: FileContext, findings: Findings) -> None:
    """Read a block's body into steps; all blocks have to be declared."""
    bodies = frozenset(p.name for p in block.info.parameters if p.kind == "body")
    several = f"block `{block.name}`" if len(block.info.inputs) > 1 else ""
    try:
        for parameter in block.info.parameters:
            if parameter.name in bodies and parameter.name in file.declarations.blocks:
                message = f"there is a block `{parameter.name}`, and this parameter is steps"
                fail("NS210", message, parameter.span, help="give the parameter another name")
        parser = BodyParser(file, findings)
        before = len(findings.diagnostics)
        reach = _names_in_reach(block, bodies, file)
        data = block.data.entries["body"].value
        block.body = parser.body(data, reach, what=f"the body of block `{block.name}`", several=several)
        if len(findings.diagnostics) == before:
            _check_results(block, findings)
    except NetspecError as error:
        findings.extend(error)


def _names_in_reach(block: BlockDefinition, bodies: frozenset[str], file: FileContext) -> NamesInReach:
    """The names that a block's steps can use: the block's parameters and inputs, and the parameters of its file."""
    own = frozenset(p.name for p in block.info.parameters)
    plain = (file.declarations.parameters | own) - bodies
    constants = {name: value for name, value in file.declarations.constants.items() if name not in own}
    inputs = names_of_inputs(block.info.inputs)
    return NamesInReach(plain, inputs, ValueNames(inputs), constants=constants, bodies=bodies)


def _check_results(block: BlockDefinition, findings: Findings) -> None:
    """Refuse outputs that name no value of the block's body, and steps with the name of an input."""
    steps = [step for step in block.body.steps if step.named]
    values = {value for step in steps for value in value_names(step.name, step.outputs)}
    values |= names_of_inputs(block.info.inputs)
    check_no_input(block.body.steps, block.info.inputs, findings)
    for output, value in block.results.items():
        if value not in values:
            message = f"there is no step `{value}` for output `{output}` of block `{block.name}`"
            help = closest(value, values) or f"an output is a step with a `name`: {choices(sorted(values))}"
            span = block.data.section("outputs")[output].value.span
            findings.add(Diagnostic("NS209", message, span, help=help))


def check_no_input(steps: Iterable[Step], inputs: Collection[str], findings: Findings) -> None:
    """Refuse steps with the name of an input of their body."""
    for step in steps:
        if step.name in inputs:
            message = f"`{step.name}` is an input and a step"
            findings.add(Diagnostic("NS210", message, step.span, help="give the step another `name`"))


def check_recursion(definitions: Iterable[BlockDefinition]) -> None:
    """Refuse blocks that contain themselves, directly or through others; the error names the cycle."""
    done: set[BlockDefinition] = set()
    for start in definitions:
        way: dict[BlockDefinition, None] = {}
        todo: list[tuple[BlockDefinition, bool]] = [(start, True)]
        while todo:
            block, entering = todo.pop()
            if not entering:
                way.popitem()
                done.add(block)
                continue
            if block in way:
                names = [b.info.name for b in way]
                round_ = " -> ".join(f"`{n}`" for n in [*names[names.index(block.info.name) :], block.info.name])
                fail("NS212", f"{block.what} contains itself", block.info.span, notes=[round_])
            if block in done:
                continue
            way[block] = None
            todo.append((block, False))
            todo += [(used, True) for used in dict.fromkeys(_used_by(block.body))]


def _used_by(body: Body) -> Iterable[BlockDefinition]:
    """The blocks that the steps of a body use, including those in branches and body arguments."""
    for step in body.steps:
        if isinstance(step.target, BlockDefinition):
            yield step.target
        for branch in (step.branches or {}).values():
            yield from _used_by(branch)
        for argument in step.arguments.values():
            if argument.body is not None:
                yield from _used_by(argument.body)
