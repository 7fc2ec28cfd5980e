"""From text to a Spec: outline, parameters, inputs, blocks and bodies, with `extends` resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeGuard

from netspec.errors import Findings, NetspecError, choices, closest, fail
from netspec.expression import Expression, ExpressionError, Literal, Value, names_in, parse, show
from netspec.graph.model import Block, Mode, Parameter
from netspec.naming import (
    SIBLINGS,
    check_class_name,
    check_module_name,
    check_name,
    check_output_name,
    check_parameter_name,
    class_name,
    is_symbol,
)
from netspec.ops import REGISTRY
from netspec.ops.fields import LARGEST
from netspec.source import Source, Span
from netspec.spec.data import Data, Entry, Map, Scalar, Seq, plain
from netspec.spec.initializers import places_of, read_init
from netspec.spec.library import find_beside
from netspec.spec.model import BlockOutline, InputOutline, OutputOutline, check, outline, place
from netspec.spec.steps import (
    KINDS,
    BlockDefinition,
    Body,
    BodyParser,
    Defaults,
    FileContext,
    Reach,
    at,
    kind_of,
    kind_of_value,
)
from netspec.spec.yaml import read

MAX_EXTENDS = 8


@dataclass(slots=True)
class InputDefinition:
    """An input as a spec declares it: dims that are ints, symbols by name, or expressions over parameters."""

    name: str
    span: Span
    dims: list[tuple[int | str | Expression, Span]]
    dtype: str
    nominal: dict[str, int]


@dataclass(slots=True)
class OutputDefinition:
    """An output as a spec declares it."""

    name: str
    value: str
    mode: Mode
    span: Span


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


@dataclass(slots=True)
class _File:
    """One file of a chain of `extends`: what it says, and the context its steps share."""

    data: Map
    source: Source
    context: FileContext


def read_spec(source: Source) -> Spec:
    """The spec in a text; raises NetspecError with all that is found wrong in it."""
    files = _chain(source)
    findings = Findings()
    outer, base = files[0], files[-1]
    parameters: dict[str, Parameter] = {}
    inputs: dict[str, InputDefinition] = {}
    blocks: dict[str, BlockDefinition] = {}
    for file in reversed(files):
        parameters.update(_parameters(_section(file, "params"), findings))
    for file in reversed(files):
        inputs.update(_inputs(_section(file, "inputs"), parameters, findings))
        blocks.update(_blocks(_section(file, "blocks"), file, findings))
    findings.check()
    names = frozenset(parameters)
    for file in files:
        _defaults(file, names, blocks, findings)
    _check_namespace(blocks, str(plain(outer.data.entries["name"].value)), findings)
    for block in blocks.values():
        _parse_block(block, blocks, names, findings)
    if not inputs:
        fail("NS201", "a network needs `inputs`", base.data.span, help="such as `inputs: {image: [N, 3, 224, 224]}`")
    body = _network_body(base, blocks, names, inputs, findings)
    findings.check()
    _check_recursion(blocks)
    outputs = _outputs(base, body, inputs, findings)
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


_ONLY_WHERE_THE_BODY_IS = ("network", "outputs")


def _chain(source: Source) -> list[_File]:
    """The file and those it extends, the one with the body last."""
    files: list[_File] = []
    seen: list[tuple[str, str]] = []
    while True:
        data = read(source)
        found = outline(data)
        assert isinstance(data, Map)
        check_name(found.name, "a network", data.entries["name"].value.span)
        check_class_name(found.name, "a network", data.entries["name"].value.span)
        files.append(_File(data, source, FileContext()))
        seen.append((source.name, source.text))
        if found.extends is None:
            if "network" not in data.entries:
                fail(
                    "NS201",
                    "a spec needs `network`, a list of steps",
                    data.span,
                    help="or `extends`, another spec's name",
                )
            return files
        entry = data.entries["extends"]
        for key in _ONLY_WHERE_THE_BODY_IS:
            if key in data.entries:
                where = data.entries[key].key_span
                fail("NS201", f"`{key}` can't stand beside `extends`: the extended spec has it", where)
        source = find_beside(found.extends, source, entry.value.span)
        if (source.name, source.text) in seen or len(files) >= MAX_EXTENDS:
            what = "extends itself" if (source.name, source.text) in seen else f"extends more than {MAX_EXTENDS} deep"
            way = " -> ".join(name for name, _ in [*seen, (source.name, "")])
            fail("NS212", f"`{files[0].source.name}` {what}", entry.value.span, notes=[way])


def _section(file: _File, key: str) -> dict[str, Entry]:
    entry = file.data.entries.get(key)
    return entry.value.entries if entry is not None and isinstance(entry.value, Map) else {}


def _expect(file: _File) -> Map | None:
    entry = file.data.entries.get("expect")
    return entry.value if entry is not None and isinstance(entry.value, Map) else None


def _parameters(entries: Mapping[str, Entry], findings: Findings) -> dict[str, Parameter]:
    """`{width: int, stride: 1}`: a type, or a default whose type it is."""
    found: dict[str, Parameter] = {}
    for name, entry in entries.items():
        try:
            check_parameter_name(name, entry.key_span)
            found[name] = _parameter(name, entry.value)
        except NetspecError as error:
            findings.extend(error)
    return found


def _parameter(name: str, data: Data) -> Parameter:
    value = plain(data)
    if isinstance(data, Scalar) and value in KINDS:
        if value == "body":
            fail("NS201", "`body` parameters are not in this version of netspec", data.span)
        return Parameter(name, str(value))
    kind = kind_of_value(value)
    if not kind and isinstance(data, Seq):
        fail("NS206", f"the list `{name}` holds numbers, texts and lists, and nothing else", data.span)
    if not kind:
        types = ", ".join(kind for kind in KINDS if kind != "body")
        fail("NS206", f"`{name}` is a type ({types}) or a default, not {kind_of(data)}", data.span)
    if kind == "float" and not isfinite(value):
        fail("NS206", f"`{name}` is a number that is finite, not {show(value)}", data.span)
    return Parameter(name, kind, value)


def _inputs(
    entries: Mapping[str, Entry], parameters: Mapping[str, Parameter], findings: Findings
) -> dict[str, InputDefinition]:
    found: dict[str, InputDefinition] = {}
    for name, entry in entries.items():
        try:
            check_module_name(name, "an input", entry.key_span)
            if name in parameters or name == "index":
                fail("NS210", f"`{name}` is an input and a parameter", entry.key_span)
            found[name] = _input(name, entry, parameters)
        except NetspecError as error:
            findings.extend(error)
    return found


def _input(name: str, entry: Entry, parameters: Mapping[str, Parameter]) -> InputDefinition:
    shape, dtype, nominal = entry.value, "float32", dict[str, int]()
    if isinstance(shape, Map):
        found = check(InputOutline, shape, f"input `{name}`")
        shape, dtype, nominal = shape.entries["shape"].value, found.dtype, found.nominal
    if not isinstance(shape, Seq) or not shape.items:
        fail("NS201", f"the shape of `{name}` is a list of sizes", shape.span, help="such as `[N, 3, 224, 224]`")
    dims = [(_dim(name, item, parameters), item.span) for item in shape.items]
    symbols = {dim for dim, _ in dims if isinstance(dim, str)}
    for symbol, size in nominal.items():
        where = place(entry.value, ("nominal", symbol))
        if symbol not in symbols:
            help = closest(symbol, symbols) or (f"it has {choices(sorted(symbols))}" if symbols else "it has none")
            fail("NS204", f"`{symbol}` is no symbol of `{name}`", where, help=help)
        if not is_size(size):
            fail("NS206", f"the nominal size of `{symbol}` is {SIZE}, not {size}", where)
    return InputDefinition(name, entry.key_span, dims, dtype, nominal)


def _dim(name: str, data: Data, parameters: Mapping[str, Parameter]) -> int | str | Expression:
    if not isinstance(data, Scalar):
        fail("NS206", f"a size of `{name}` is an int, a symbol or an expression, not {kind_of(data)}", data.span)
    if isinstance(data.value, str):
        try:
            tree = parse(data.value)
        except ExpressionError as error:
            fail("NS207", f"in `{data.value}`: {error.message}", at(data, error))
        if not names_in(tree) and isinstance(tree, Literal):
            fail("NS206", f"a size of `{name}` is a number, not text", data.span, help=f"write {show(tree.value)}")
        if is_symbol(data.value):
            return data.value
        if data.value in ("None", "True", "False"):
            fail(
                "NS206",
                f"`{data.value}` can't be a size",
                data.span,
                help="a size that is open is a symbol, such as `N`",
            )
        for missing in names_in(tree) - set(parameters):
            help = closest(missing, parameters) or "a symbolic size begins with a capital, as `N`, `H`, `W`"
            fail("NS208", f"`{missing}` is not a parameter of this spec", data.span, help=help)
        return tree
    if not is_size(data.value):
        help = "a size that is open is a symbol: a capital, such as `N`" if data.value in (None, -1, 0) else ""
        fail("NS206", f"a size of `{name}` is {SIZE}, not {kind_of(data)}", data.span, help=help)
    return data.value


SIZE = "an int from 1 to 2**31 - 1"


def is_size(value: Value) -> TypeGuard[int]:
    """Whether a value can be the size of an axis."""
    return type(value) is int and 1 <= value <= LARGEST


def _blocks(entries: Mapping[str, Entry], file: _File, findings: Findings) -> dict[str, BlockDefinition]:
    found: dict[str, BlockDefinition] = {}
    for name, entry in entries.items():
        try:
            check_module_name(name, "a block", entry.key_span)
            check_class_name(name, "a block", entry.key_span)
            if name in REGISTRY:
                fail("NS210", f"there is an op `{name}`", entry.key_span, help="give the block another name")
            if name in SIBLINGS:
                fail("NS210", f"`{name}` stands beside a step's op and can't be a block", entry.key_span)
            data = entry.value
            if not isinstance(data, Map):
                fail("NS201", f"block `{name}` is a mapping with `body`", data.span, help="and `params`, if it has any")
            for key in ("inputs", "outputs"):
                if key in data.entries:
                    span = data.entries[key].key_span
                    fail("NS201", f"blocks with `{key}` of their own are not in this version of netspec", span)
            check(BlockOutline, data, f"block `{name}`")
            declared = data.entries.get("params")
            params = _parameters(
                declared.value.entries if declared and isinstance(declared.value, Map) else {}, findings
            )
            info = Block(name, tuple(params.values()), entry.key_span)
            found[name] = BlockDefinition(name, info, file.context, data.entries["body"].value)
        except NetspecError as error:
            findings.extend(error)
    return found


def _check_namespace(blocks: Mapping[str, BlockDefinition], network: str, findings: Findings) -> None:
    """Classes are made from these names: two that differ in a `_` or a capital only would be one class."""
    classes = {class_name(network): f"the network `{network}`"}
    for block in blocks.values():
        other = classes.setdefault(class_name(block.name), f"block `{block.name}`")
        if other != f"block `{block.name}`":
            try:
                fail(
                    "NS210",
                    f"block `{block.name}` and {other} would be one class, `{class_name(block.name)}`",
                    block.info.span,
                )
            except NetspecError as error:
                findings.extend(error)


def _parse_block(
    block: BlockDefinition, blocks: Mapping[str, BlockDefinition], names: frozenset[str], findings: Findings
) -> None:
    own = frozenset(p.name for p in block.info.parameters)
    reach = Reach(names | own, frozenset(("input",)), {"input"})
    try:
        parser = BodyParser(block.file, blocks, findings)
        block.body = parser.body(block.data, reach, what=f"the body of block `{block.name}`")
    except NetspecError as error:
        findings.extend(error)


def _network_body(
    base: _File,
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


def _defaults(file: _File, names: frozenset[str], blocks: Mapping[str, BlockDefinition], findings: Findings) -> None:
    """`defaults: {conv2d: {bias: false, init: {...}}}`: what the steps of this file say of an op unless told else."""
    parser = BodyParser(FileContext(), blocks, findings)
    reach = Reach(names, frozenset(), set())
    for op, entry in _section(file, "defaults").items():
        try:
            if op not in REGISTRY:
                help = closest(op, REGISTRY) or (
                    "blocks have defaults of their own, in `params`" if op in blocks else ""
                )
                fail("NS203", f"there is no op `{op}`", entry.key_span, help=help)
            data = entry.value
            assert isinstance(data, Map)
            init = data.entries.get("init")
            if "branches" in data.entries:
                fail("NS204", "`branches` stand on steps, and have no defaults", data.entries["branches"].key_span)
            rest = Map({k: v for k, v in data.entries.items() if k != "init"}, data.span)
            arguments, _ = parser.arguments(REGISTRY[op], entry.key_span, rest, reach)
            for argument in arguments.values():
                argument.of_file = True
            parser.check_values(REGISTRY[op], arguments)
            file.context.defaults[op] = Defaults(arguments, read_init(init.value) if init else {}, places_of(init))
        except NetspecError as error:
            findings.extend(error)


def _check_recursion(blocks: Mapping[str, BlockDefinition]) -> None:
    """Blocks nest, never recurse: name the way round where they do."""
    done: set[str] = set()
    for start in blocks:
        way: list[str] = []
        todo: list[tuple[str, bool]] = [(start, True)]
        while todo:
            name, entering = todo.pop()
            if not entering:
                way.pop()
                done.add(name)
                continue
            if name in way:
                round_ = " -> ".join(f"`{n}`" for n in [*way[way.index(name) :], name])
                fail("NS212", f"block `{name}` contains itself", blocks[name].info.span, notes=[round_])
            if name in done:
                continue
            way.append(name)
            todo.append((name, False))
            todo += [(used, True) for used in dict.fromkeys(_used(blocks[name].body))]


def _used(body: Body) -> Iterable[str]:
    for step in body.steps:
        if isinstance(step.target, BlockDefinition):
            yield step.target.name
        for branch in (step.branches or {}).values():
            yield from _used(branch)


def _outputs(
    base: _File, body: Body, inputs: Mapping[str, InputDefinition], findings: Findings
) -> list[OutputDefinition]:
    entries = _section(base, "outputs")
    if not entries:
        if not body.steps:
            fail("NS201", "a network without steps needs `outputs`", base.data.span)
        last = body.steps[-1]
        return [OutputDefinition("output", last.called, "inference", last.span)]
    named = {step.called for step in body.steps if step.named} | set(inputs)
    found: list[OutputDefinition] = []
    for name, entry in entries.items():
        try:
            found.append(_output(name, entry, named))
        except NetspecError as error:
            findings.extend(error)
    return found


def _output(name: str, entry: Entry, named: set[str]) -> OutputDefinition:
    check_output_name(name, entry.key_span)
    value, mode = entry.value, "inference"
    if isinstance(value, Map):
        if "from" not in value.entries:
            fail("NS201", f"output `{name}` needs `from`", value.span)
        rest = Map({k: v for k, v in value.entries.items() if k != "from"}, value.span)
        mode = check(OutputOutline, rest, f"output `{name}`").mode
        if mode == "train":
            fail("NS201", "outputs of training only are not in this version of netspec", rest.entries["mode"].key_span)
        value = value.entries["from"].value
    text: Value = plain(value)
    if not isinstance(text, str) or text not in named:
        help = closest(str(text), named) or f"an output is a step with a `name`: {choices(sorted(named))}"
        fail(
            "NS209",
            f"there is no step `{show(text) if not isinstance(text, str) else text}` for output `{name}`",
            value.span,
            help=help,
        )
    return OutputDefinition(name, text, mode, value.span)


def spec_parameters(spec: Spec) -> dict[str, Any]:
    """A spec's parameters with their defaults; `...` where one must be given."""
    return {p.name: p.default for p in spec.parameters.values()}
