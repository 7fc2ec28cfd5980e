"""Bodies of networks, blocks and branches: data read into steps, and what can be checked before shapes are known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn, cast

from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.expression import Attribute, Expression, ExpressionError, ListOf, Literal, Name, Value, leaves, parse, show
from netspec.graph.model import NOTHING, Block, Parameter
from netspec.naming import SIBLINGS, check_module_name
from netspec.ops import REGISTRY
from netspec.ops.base import Merge, Op, make_op, words_of
from netspec.source import Span
from netspec.spec.data import Data, Entry, Map, Scalar, Seq, plain
from netspec.spec.initializers import places_of, read_init
from netspec.types import Filling

_DOLLAR = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
LATER = {"share": "shared weights"}
"""Siblings that the language has and this version of netspec does not."""


@dataclass(slots=True)
class Argument:
    """One value of a step: a constant, or an expression to evaluate at every use."""

    name: str
    span: Span
    key_span: Span
    value: Value = None
    expression: Expression | None = None
    of_file: bool = False
    """Whether it stands in `defaults`, where the file's parameters alone are in reach."""


@dataclass(slots=True)
class Step:
    """One step of a body, its op or block found and its arguments parsed."""

    called: str
    named: bool
    span: Span
    target: type[Op] | BlockDefinition
    arguments: dict[str, Argument]
    branches: dict[str, Body] | None = None
    sources: list[tuple[str, Span]] | None = None
    repeat: Argument | None = None
    when: Argument | None = None
    init: Mapping[str, Filling] = NOTHING
    init_places: Mapping[str, Span] = NOTHING
    init_own: frozenset[str] = frozenset()
    expect: Map | None = None
    written: Mapping[str, Expression] = NOTHING
    ops: dict[tuple[Any, ...], Op] = field(default_factory=dict[tuple[Any, ...], Op])


@dataclass(slots=True)
class Body:
    """Steps one after another, of a network, a block or a branch."""

    steps: list[Step]
    span: Span


@dataclass
class BlockDefinition:
    """A block: its parameters, the file it stands in, and its body, which is parsed once all blocks are known."""

    name: str
    info: Block
    file: FileContext
    data: Data
    body: Body = field(default_factory=lambda: Body([], _NOWHERE))

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The type of each parameter."""
        return {p.name: p.kind for p in self.info.parameters}

    @property
    def principal(self) -> str | None:
        """The parameter a scalar argument stands for; None where several are required, or there is none."""
        required = [p.name for p in self.info.parameters if p.required]
        if len(required) == 1:
            return required[0]
        return self.info.parameters[0].name if not required and self.info.parameters else None


_NOWHERE: Any = None


@dataclass(slots=True)
class FileContext:
    """What the steps of one file have in common: its defaults by op."""

    defaults: dict[str, Defaults] = field(default_factory=lambda: dict[str, "Defaults"]())


@dataclass(slots=True)
class Defaults:
    """What `defaults` says for one op: attributes and initialisers."""

    arguments: dict[str, Argument]
    init: Mapping[str, Filling]
    init_places: Mapping[str, Span]


@dataclass(slots=True)
class Reach:
    """What a body can name: parameters, values of expressions, values of `from`, and whether `index` is there."""

    parameters: frozenset[str]
    inputs: frozenset[str]
    values: set[str]
    index: bool = False


class BodyParser:
    """Reads the bodies of one file into steps."""

    def __init__(self, file: FileContext, blocks: Mapping[str, BlockDefinition], findings: Findings) -> None:
        self.file = file
        self.blocks = blocks
        self.findings = findings

    def body(self, data: Data, reach: Reach, *, what: str, top: bool = False) -> Body:
        """A body: a list of steps. `top` is a network's own, where `expect` may stand."""
        if not isinstance(data, Seq):
            help = "a step is written `- op`"
            if isinstance(data, Scalar) and data.value is None and not top:
                help = "`[]` is the identity"
            fail("NS211", f"{what} is a list of steps, not {kind_of(data)}", data.span, help=help)
        counts: dict[str, int] = {}
        steps: list[Step] = []
        taken: dict[str, Span] = {}
        for item in data.items:
            try:
                step = self.step(item, reach, counts, top)
            except NetspecError as error:
                self.findings.extend(error)
                if self.findings.full:
                    break
                # A step with a mistake still has its name, so that those who use it are not blamed.
                reach.values.update(_name_despite(item))
                continue
            if step.called in taken:
                self.findings.add(_clash(step, taken[step.called]))
            taken.setdefault(step.called, step.span)
            steps.append(step)
            if step.named:
                reach.values.add(step.called)
        return Body(steps, data.span)

    def step(self, item: Data, reach: Reach, counts: dict[str, int], top: bool) -> Step:
        key, key_span, argument, siblings = _split(item, self.is_known)
        target = self.target(key, key_span)
        for sibling, what in LATER.items():
            if sibling in siblings:
                fail("NS211", f"{what} (`{sibling}`) are not in this version of netspec", siblings[sibling].key_span)
        repeat = siblings.get("repeat")
        inner = Reach(reach.parameters, reach.inputs, reach.values, reach.index or repeat is not None)
        named = "name" in siblings
        called = _called(key, siblings.get("name"), counts)
        arguments, branches = self.arguments(target, key_span, argument, inner)
        if "expect" in siblings and not top:
            fail(
                "NS211",
                "`expect` stands on steps of the network itself, not of blocks and branches",
                siblings["expect"].key_span,
            )
        step = Step(
            called,
            named,
            key_span,
            target,
            arguments,
            branches,
            self.sources(siblings.get("from"), reach),
            self.sibling(repeat, reach, "a number of copies") if repeat else None,
            self.sibling(siblings["when"], inner, "a condition") if "when" in siblings else None,
            expect=_expectations(siblings.get("expect")),
        )
        self.initialize(step, siblings.get("init"))
        step.written = {a.name: a.expression for a in arguments.values() if a.expression is not None} or NOTHING
        if branches is None and isinstance(target, type) and step.sources is None and issubclass(target, Merge):
            fail(
                "NS211",
                f"`{key}` joins values: it needs `branches` or `from`",
                key_span,
                help=f"write `{key}: {{branches: {{a: [...], b: [...]}}}}`, or put `from: [a, b]` beside it",
            )
        if isinstance(target, type) and not step.written:
            self.check_constant(step, target)
        return step

    def is_known(self, name: str) -> bool:
        """Whether a name is that of an op or block."""
        return name in REGISTRY or name in self.blocks

    def known(self) -> Iterable[str]:
        return (*REGISTRY, *self.blocks)

    def target(self, key: str, span: Span) -> type[Op] | BlockDefinition:
        found = self.blocks.get(key) or REGISTRY.get(key)
        if found is not None:
            return found
        hint = _FOREIGN.get(key.lower()) or closest(key, self.known()) or closest(_snake(key), self.known())
        help = hint or "`netspec show NAME` prints a bundled spec; docs/language.md lists the ops"
        raise NetspecError(Diagnostic("NS203", f"there is no op or block `{key}`", span, help=help))

    def arguments(
        self, target: type[Op] | BlockDefinition, span: Span, data: Data, reach: Reach
    ) -> tuple[dict[str, Argument], dict[str, Body] | None]:
        """A step's arguments with the file's defaults under them, and its branches."""
        entries, branches = self.entries(target, data)
        found: dict[str, Argument] = {}
        if isinstance(target, type) and target.opname in self.file.defaults:
            found.update(self.file.defaults[target.opname].arguments)
        wrong: list[Diagnostic] = []
        for name, entry in entries.items():
            try:
                self.check_argument_name(target, name, entry.key_span)
                text = isinstance(target, BlockDefinition) and target.kinds[name] == "str"
                words = words_of(target, name) if isinstance(target, type) else frozenset[str]()
                found[name] = self.argument(name, entry.key_span, entry.value, reach, words, text)
            except NetspecError as error:
                wrong += error.diagnostics
        if wrong:
            raise NetspecError(*wrong)
        if isinstance(target, BlockDefinition):
            missing = [p for p in target.info.parameters if p.required and p.name not in found]
            if missing:
                names = choices(p.name for p in missing)
                fail("NS205", f"block `{target.name}` needs {names}", span, help=signature(target))
            for name, argument in found.items():
                if argument.expression is None:
                    check_kind(target, name, argument)
        return found, None if branches is None else self.branches(branches, reach)

    def entries(self, target: type[Op] | BlockDefinition, data: Data) -> tuple[dict[str, Entry], Data | None]:
        """A step's argument as attributes by name, and `branches` apart."""
        name = target.opname if isinstance(target, type) else target.name
        if isinstance(data, Map):
            entries = dict(data.entries)
            merge = isinstance(target, type) and issubclass(target, Merge)
            branches = entries.pop("branches") if merge and "branches" in entries else None
            return entries, branches.value if branches else None
        if isinstance(data, Seq):
            fail(
                "NS211",
                f"a list is never an argument, and `{name}` has one",
                data.span,
                help=f"name what it is: `{name}: {{{_named(target, plain(data))}}}`",
            )
        if data.value is None and not data.quoted:
            return {}, None
        principal = target.principal
        if principal is None:
            _no_principal(target, name, data.span)
        return {principal: Entry(principal, data.span, data)}, None

    def check_argument_name(self, target: type[Op] | BlockDefinition, name: str, span: Span) -> None:
        if isinstance(target, type):
            known: list[str] = list(target.model_fields)
            what = f"`{target.opname}` has no attribute `{name}`"
        else:
            known = [p.name for p in target.info.parameters]
            what = f"block `{target.name}` has no parameter `{name}`"
        if name in known:
            return
        if name in SIBLINGS:
            help = f"`{name}` stands beside the step's op, not under it: dedent it"
        else:
            help = closest(name, known) or (f"it takes {choices(known)}" if known else "it takes no arguments")
        fail("NS204", what, span, help=help)

    def argument(
        self,
        name: str,
        key_span: Span,
        data: Data,
        reach: Reach,
        words: frozenset[str] = frozenset(),
        text: bool = False,
    ) -> Argument:
        """A value as the spec wrote it: a constant, or an expression whose names are all known."""
        if isinstance(data, Map):
            fail("NS206", f"`{name}` takes a value, not a mapping", data.span)
        if isinstance(data, Seq):
            parts = [self.argument(name, key_span, item, reach) for item in data.items]
            if any(part.expression is not None for part in parts):
                tree = ListOf(tuple(part.expression or Literal(part.value) for part in parts))
                return Argument(name, data.span, key_span, expression=tree)
            return Argument(name, data.span, key_span, [part.value for part in parts])
        value = data.value
        if not isinstance(value, str) or value in words:
            return Argument(name, data.span, key_span, value)
        named = _DOLLAR.fullmatch(value) is not None
        if text and not named:
            return Argument(name, data.span, key_span, value)
        tree = self.expression(value[1:] if named else value, data, reach, words)
        if isinstance(tree, Literal):
            if data.quoted and not isinstance(tree.value, str):
                fail(
                    "NS206", f"`{name}` is text here: {data.span.text}", data.span, help=f"write {value} without quotes"
                )
            return Argument(name, data.span, key_span, tree.value)
        return Argument(name, data.span, key_span, expression=tree)

    def expression(self, text: str, data: Scalar, reach: Reach, words: Iterable[str] = ()) -> Expression:
        """An expression of this body, its names checked."""
        try:
            tree = parse(text)
        except ExpressionError as error:
            help = error.help or _pair_help(text) or (f"or one of {choices(sorted(words))}" if words else "")
            fail(
                "NS207",
                f"in `{text}`: {error.message}" if len(text) < 100 else error.message,
                at(data, error),
                help=help,
            )
        for leaf in leaves(tree):
            self.check_name(leaf, data, reach, words)
        return tree

    def check_name(self, leaf: Name | Attribute, data: Scalar, reach: Reach, words: Iterable[str]) -> None:
        """Refuse a name that stands for nothing in this body."""
        base = leaf.name
        attribute = isinstance(leaf, Attribute)
        if attribute and base in reach.inputs:
            return
        if not attribute and (base in reach.parameters or (base == "index" and reach.index)):
            return
        place = at(data, ExpressionError("", leaf.at, len(base)))
        if base in reach.inputs:
            fail("NS208", f"`{base}` is a value; an expression takes its sizes", place, help=f"say `{base}.channels`")
        if base == "index":
            fail(
                "NS208",
                "`index` counts the copies of a `repeat`, and there is none here",
                place,
                help="pass it to the block as a parameter",
            )
        if base[:1].isupper():
            help = "an input's size is said with its name: `input.height`"
            fail("NS208", f"`{base}` is not a parameter: a symbolic size has no value here", place, help=help)
        fail("NS208", f"`{base}` is not defined here", place, help=self.name_help(base, reach, sorted(words)))

    def name_help(self, name: str, reach: Reach, words: list[str]) -> str:
        """What to write instead of a name that stands for nothing."""
        if name in _YAML_1_1 and not words:
            return f"write `{_YAML_1_1[name]}`"
        known = [*sorted(reach.parameters), *(f"{i}.channels" for i in sorted(reach.inputs))]
        if hint := closest(name, [*words, *known]):
            return hint
        if any(name in block.kinds for block in self.blocks.values()):
            return "a block sees its own parameters and the file's, not those of the place it is used in: pass it on"
        lead = f"words here are {choices(words)}; in expressions, " if words else ""
        return f"{lead}known are {choices(known)}" if known else "the spec has no parameters"

    def branches(self, data: Data, reach: Reach) -> dict[str, Body]:
        if not isinstance(data, Map):
            fail("NS211", f"`branches` maps names to lists of steps, and is {kind_of(data)}", data.span)
        if len(data.entries) < 2:
            fail("NS211", "a merge joins two branches or more", data.span)
        found: dict[str, Body] = {}
        for name, entry in data.entries.items():
            check_module_name(name, "a branch", entry.key_span)
            # A branch can name what the bodies around it can, and what is in it stays in it.
            inner = Reach(reach.parameters, reach.inputs | {"input"}, set(reach.values) | {"input"}, reach.index)
            found[name] = self.body(entry.value, inner, what=f"branch `{name}`")
        return found

    def sources(self, entry: Entry | None, reach: Reach) -> list[tuple[str, Span]] | None:
        if entry is None:
            return None
        items = entry.value.items if isinstance(entry.value, Seq) else [entry.value]
        found: list[tuple[str, Span]] = []
        for item in items:
            if not isinstance(item, Scalar) or not isinstance(item.value, str):
                fail("NS209", f"`from` names values, and this is {kind_of(item)}", item.span)
            if item.value not in reach.values:
                help = closest(item.value, reach.values)
                if not help:
                    help = f"in reach are {choices(sorted(reach.values))}" if reach.values else "give the step a `name`"
                fail("NS209", f"no value `{item.value}` is in reach here", item.span, help=help)
            found.append((item.value, item.span))
        if not found:
            fail("NS209", "`from` names no value", entry.value.span)
        return found

    def sibling(self, entry: Entry, reach: Reach, what: str) -> Argument:
        argument = self.argument(entry.key, entry.key_span, entry.value, reach)
        if argument.expression is None:
            wanted = bool if entry.key == "when" else int
            if type(argument.value) is not wanted:
                fail("NS215", f"`{entry.key}` takes {what}, not {show(argument.value)}", argument.span)
        return argument

    def initialize(self, step: Step, entry: Entry | None) -> None:
        """The step's initialisers over the file's defaults."""
        found: dict[str, Filling] = {}
        places: dict[str, Span] = {}
        if isinstance(step.target, type) and step.target.opname in self.file.defaults:
            found.update(self.file.defaults[step.target.opname].init)
            places.update(self.file.defaults[step.target.opname].init_places)
        if entry is not None:
            if isinstance(step.target, BlockDefinition):
                fail("NS211", "`init` stands on ops; a block's steps have their own", entry.key_span)
            own = read_init(entry.value)
            found.update(own)
            places.update(places_of(entry))
            step.init_own = frozenset(own)
        step.init = found or NOTHING
        step.init_places = places or NOTHING

    def check_values(self, cls: type[Op], arguments: Mapping[str, Argument]) -> None:
        """Say what is wrong with an op's constants, even if no step takes them."""
        constants = {a.name: a.value for a in arguments.values() if a.expression is None}
        for problem in make_op(cls, constants)[1]:
            if problem.attribute in constants:
                span = arguments[problem.attribute].span
                self.findings.add(Diagnostic(problem.code, problem.message, span, help=problem.help))

    def check_constant(self, step: Step, cls: type[Op]) -> None:
        """An op without expressions is made once; what is wrong with it is said even where no block use reaches it."""
        values = {a.name: a.value for a in step.arguments.values()}
        op, problems = make_op(cls, values)
        if op is not None:
            step.ops[()] = op
        for problem in problems:
            argument = step.arguments.get(problem.attribute)
            span = argument.span if argument else step.span
            help = problem.help
            if problem.code == "NS205" and values:
                given = "".join(f"{name}: {show(value)}, " for name, value in values.items())
                help = f"write `{cls.opname}: {{{given}{problem.attribute}: ...}}`"
            self.findings.add(Diagnostic(problem.code, problem.message, span, help=help))


def parameter(block: BlockDefinition, name: str) -> Parameter:
    """The parameter of a block by its name."""
    return next(p for p in block.info.parameters if p.name == name)


def signature(block: BlockDefinition) -> str:
    """A block's parameters in a line, for help."""
    shown = ", ".join(p.name if p.required else f"{p.name}={show(p.default)}" for p in block.info.parameters)
    return f"it is `{block.name}({shown})`"


_LIST = "a list of numbers, texts or lists"
_KINDS: dict[str, tuple[Callable[[Value], bool], str]] = {
    "int": (lambda v: type(v) is int, "an int"),
    "float": (lambda v: type(v) in (int, float), "a number"),
    "bool": (lambda v: type(v) is bool, "true or false"),
    "str": (lambda v: type(v) is str, "text"),
    "list": (lambda v: type(v) is list and all(map(kind_of_value, cast(list[Value], v))), _LIST),
}
KINDS = (*_KINDS, "body")
"""The types a parameter may have."""


def kind_of_value(value: Value) -> str:
    """The type a parameter has by its default."""
    return next((kind for kind, (holds, _) in _KINDS.items() if holds(value)), "")


def fits(value: Value, kind: str) -> bool:
    """Whether a value is of a parameter's type; an int is a float too, and a bool is no int."""
    return _KINDS[kind][0](value)


def words_for(kind: str) -> str:
    """A parameter's type in words."""
    return _KINDS[kind][1]


def check_kind(block: BlockDefinition, name: str, argument: Argument, value: Value = ..., help: str = "") -> None:
    """Refuse a block's argument of the wrong type."""
    given = argument.value if value is ... else value
    kind = block.kinds[name]
    if not fits(given, kind):
        fail(
            "NS206",
            f"`{name}` of block `{block.name}` takes {words_for(kind)}, not {show(given)}",
            argument.span,
            help=help,
        )


def at(data: Scalar, error: ExpressionError) -> Span:
    """The place of an expression's mistake: the characters themselves where the text stands as it is written."""
    span = data.span
    value = str(data.value)
    offset = 1 if data.quoted else 0
    if error.at is None or span.source.text[span.start + offset : span.start + offset + len(value)] != value:
        return span
    start = span.start + offset + error.at + (1 if _DOLLAR.fullmatch(value) else 0)
    return Span(span.source, start, max(start + error.length, start + 1))


def kind_of(data: Data) -> str:
    """What a piece of data is, in words."""
    if isinstance(data, Map):
        return "a mapping"
    if isinstance(data, Seq):
        return "a list"
    return show(data.value)


def _split(item: Data, known: Callable[[str], bool]) -> tuple[str, Span, Data, dict[str, Entry]]:
    """A step's op, its place, its argument, and its siblings."""
    if isinstance(item, Scalar):
        if isinstance(item.value, str):
            if ":" in item.value:
                word = item.value.split(":")[0]
                fail(
                    "NS211",
                    f"`{item.value}` is not a step",
                    item.span,
                    help=f"put a space after the colon: `{word}: ...`",
                )
            return item.value, item.span, Scalar(None, item.span, False), {}
        fail("NS211", f"a step is an op's name or a mapping, not {kind_of(item)}", item.span)
    if isinstance(item, Seq):
        fail("NS211", "a step is an op's name or a mapping, not a list", item.span, help="one dash begins one step")
    keys = [entry for entry in item.entries.values() if entry.key not in SIBLINGS]
    siblings = {name: entry for name, entry in item.entries.items() if name in SIBLINGS}
    if len(keys) == 1:
        return keys[0].key, keys[0].key_span, keys[0].value, siblings
    if not keys:
        fail("NS211", "the step has no op", item.span, help="it needs one key that names an op or a block")
    ops = [entry for entry in keys if known(entry.key)]
    strangers = [entry for entry in keys if not known(entry.key)]
    if len(ops) == 1 and strangers:
        hint = closest(strangers[0].key, SIBLINGS)
        fail(
            "NS211",
            f"`{strangers[0].key}` can't stand beside `{ops[0].key}`",
            strangers[0].key_span,
            help=hint
            or f"attributes go under the op: `{ops[0].key}: {{{_shown_under(ops[0])}{strangers[0].key}: ...}}`",
        )
    names = " and ".join(f"`{entry.key}`" for entry in keys[:3])
    raise NetspecError(
        Diagnostic(
            "NS211",
            f"a step has one op, and this one has {names}",
            keys[1].key_span,
            help="begin each step with a dash",
        )
    )


def _shown_under(op: Entry) -> str:
    """The scalar argument of an op by its attribute's name, for a help line that adds another."""
    principal = REGISTRY[op.key].principal if op.key in REGISTRY else None
    scalar = isinstance(op.value, Scalar) and op.value.value is not None
    return f"{principal}: {plain(op.value)}, " if principal and scalar else ""


def _called(key: str, name: Entry | None, counts: dict[str, int]) -> str:
    if name is not None:
        if not isinstance(name.value, Scalar) or not isinstance(name.value.value, str):
            help = "names are letters, digits and `_`, and do not begin with a digit"
            fail("NS202", f"a name is text, not {kind_of(name.value)}", name.value.span, help=help)
        if name.value.value == "input":
            fail(
                "NS202",
                "`input` can't be the name of a step: it is the value that enters the body",
                name.value.span,
                help="give it another name",
            )
        return check_module_name(name.value.value, "a step", name.value.span)
    counts[key] = counts.get(key, 0) + 1
    return key if counts[key] == 1 else f"{key}_{counts[key]}"


def _name_despite(item: Data) -> set[str]:
    if isinstance(item, Map) and "name" in item.entries:
        value = item.entries["name"].value
        if isinstance(value, Scalar) and isinstance(value.value, str):
            return {value.value}
    return set()


def _expectations(entry: Entry | None) -> Map | None:
    if entry is None:
        return None
    if not isinstance(entry.value, Map):
        fail("NS216", f"`expect` maps claims to values, and is {kind_of(entry.value)}", entry.value.span)
    return entry.value


def _clash(step: Step, first: Span) -> Diagnostic:
    return Diagnostic(
        "NS210",
        f"two steps are called `{step.called}` in this body",
        step.span,
        notes=(f"the first is at {first.place}",),
        help="give one of them another `name`",
    )


def _named(target: type[Op] | BlockDefinition, values: list[Value]) -> str:
    """What a list was meant to say, with names: the principal attribute if it takes a list, else one by one."""
    names = list(target.model_fields) if isinstance(target, type) else [p.name for p in target.info.parameters]
    principal = target.principal
    if isinstance(target, type) and principal:
        wrong = [problem.attribute for problem in make_op(target, {principal: values})[1]]
        if principal not in wrong:
            return f"{principal}: {show(values)}"
    return ", ".join(f"{name}: {show(value)}" for name, value in zip(names or ["..."], values, strict=False))


def _no_principal(target: type[Op] | BlockDefinition, name: str, span: Span) -> NoReturn:
    if isinstance(target, BlockDefinition):
        if target.info.parameters:
            fail("NS211", f"block `{name}` has several required parameters: name them", span, help=signature(target))
        fail("NS211", f"block `{name}` takes no arguments", span)
    known = list(target.model_fields)
    help = f"write `- {name}`" + (f", or name the attribute: `{name}: {{{known[0]}: ...}}`" if known else "")
    fail("NS211", f"`{name}` takes no bare value", span, help=help)


_YAML_1_1 = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def _pair_help(text: str) -> str:
    """A way out for those who write `3x5`."""
    sizes = text.split("x")
    return f"a pair is written [{', '.join(sizes)}]" if len(sizes) == 2 and all(s.isdigit() for s in sizes) else ""


_GLOBAL_POOL = "a global pool is `adaptive_avg_pool2d: 1`"
_FOREIGN = {
    "bn": "did you mean `batch_norm`?",
    "dense": "did you mean `linear`?",
    "fc": "did you mean `linear`?",
    "fully_connected": "did you mean `linear`?",
    "global_average_pooling": _GLOBAL_POOL,
    "global_avg_pool": _GLOBAL_POOL,
    "global_avg_pool2d": _GLOBAL_POOL,
    "lrn": "did you mean `local_response_norm`?",
    "sum": "did you mean `add`?",
}
"""What other tools call the ops."""


def _snake(name: str) -> str:
    """`MaxPool2d` as `max_pool2d`, for those who write classes."""
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
