"""The steps of a body: data read into steps, and what can be checked before shapes are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.expression import show
from netspec.graph.model import NOTHING
from netspec.naming import SIBLINGS, check_module_name
from netspec.ops.attributes import make_op
from netspec.ops.base import Merge, Op
from netspec.ops.own import find_op, op_names
from netspec.source import Span
from netspec.spec.read.arguments import ArgumentReader
from netspec.spec.read.body import (
    Argument,
    BlockDefinition,
    Body,
    BodyParameter,
    FileContext,
    NamesInReach,
    Step,
    Target,
    ValueNames,
    called_values,
)
from netspec.spec.read.hints import way_to_op, way_to_sibling, way_to_step
from netspec.spec.read.initializers import places_of, read_init
from netspec.spec.text.data import Data, Entry, Map, Scalar, Seq, plain_data
from netspec.spec.text.messages import data_kind
from netspec.types import Filling


class BodyParser:
    """Reads the bodies of one file into steps."""

    def __init__(self, file: FileContext, blocks: Mapping[str, BlockDefinition], findings: Findings) -> None:
        self.file = file
        self.blocks = blocks
        self.findings = findings
        self.reader = ArgumentReader(file, blocks, self.body_argument)

    def body(self, data: Data, reach: NamesInReach, *, what: str, top: bool = False, several: str = "") -> Body:
        """A body: a list of steps. `top` is a network's own, where `expect` may stand; `several` has several inputs."""
        if not isinstance(data, Seq):
            help = way_to_step(data.span.text) if top or plain_data(data) is not None else "`[]` is the identity"
            if isinstance(data, Scalar) and isinstance(data.value, str) and self.is_known(data.value, reach):
                help = f"write `[{data.value}]`"
            fail("NS211", f"{what} is a list of steps, not {data_kind(data)}", data.span, help=help)
        reach.values.below.update(*map(_name_despite, data.items))
        counts: dict[str, int] = {}
        steps: list[Step] = []
        taken: dict[str, Span] = {}
        wrong: set[str] = set()
        for item in data.items:
            try:
                step = self.step(item, reach, counts, top)
                if several and item is data.items[0] and step.sources is None and step.takes:
                    help = f"such as `from: {next(iter(sorted(reach.inputs)))}`"
                    fail("NS209", f"{several} has several inputs: its first step needs `from`", step.span, help=help)
                if step.share and step.share not in wrong:
                    self.check_share(step, steps, data, reach)
            except NetspecError as error:
                self.findings.extend(error)
                if self.findings.full:
                    break
                # A step with a mistake still has its name, so that those who use it are not blamed.
                reach.values.add_broken(*_name_despite(item))
                wrong |= _name_despite(item)
                continue
            if step.called in taken:
                self.findings.add(_clash(step, taken[step.called]))
            taken.setdefault(step.called, step.span)
            steps.append(step)
            if step.named:
                reach.values.add(*called_values(step.called, step.outputs))
        return Body(steps, data.span)

    def body_argument(self, name: str, data: Data, reach: NamesInReach) -> Body:
        """The steps that a `body` parameter is given: they see the parameters here, and of values only `input`."""
        inner = replace(reach, inputs=frozenset(("input",)), values=ValueNames(("input",)))
        return self.body(data, inner, what=f"`{name}`")

    def step(self, item: Data, reach: NamesInReach, counts: dict[str, int], top: bool) -> Step:
        key, key_span, argument, siblings = _split(item, lambda name: self.is_known(name, reach))
        if key == "network":
            target, argument = self.file.embed(argument, key_span)
        else:
            target = self.target(key, key_span, reach)
        repeat = siblings.get("repeat")
        inner = replace(reach, index=reach.index or repeat is not None)
        named = "name" in siblings
        called = _called(key, siblings.get("name"), counts)
        arguments, parted = self.reader.arguments(target, key_span, argument, inner)
        branches = None if parted is None else self.branches(parted, inner)
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
            self.sibling(repeat, reach, "a number of copies, 0 or more") if repeat else None,
            self.sibling(siblings["when"], inner, "a condition") if "when" in siblings else None,
            share=_shared(siblings["share"], target) if "share" in siblings else "",
            share_span=siblings["share"].value.span if "share" in siblings else None,
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
        if isinstance(target, type):
            self.check_constants(step, target)
        return step

    def is_known(self, name: str, reach: NamesInReach) -> bool:
        """Whether a name is that of an op, a block, a network, or a parameter that holds steps."""
        return name in self.blocks or name in reach.bodies or name == "network" or find_op(name) is not None

    def known(self, reach: NamesInReach) -> Iterable[str]:
        return (*op_names(), *self.blocks, *reach.bodies, "network")

    def target(self, key: str, span: Span, reach: NamesInReach) -> Target:
        if key in reach.bodies:
            return BodyParameter(key)
        found = self.blocks.get(key) or find_op(key)
        if found is not None:
            return found
        if owners := self.file.unclear.get(key):
            both = " and ".join(f"`{name}`" for name in owners[:2])
            help = "write the block you mean into `blocks` of this file"
            raise NetspecError(Diagnostic("NS203", f"{both} both have a block `{key}`", span, help=help))
        if key in reach.parameters and key not in self.file.parameters:
            help = f"declare it so: `params: {{{key}: body}}`"
            fail("NS203", f"`{key}` is a parameter, and none that holds steps", span, help=help)
        help = way_to_op(key, self.known(reach)) or _OPS
        raise NetspecError(Diagnostic("NS203", f"there is no op or block `{key}`", span, help=help))

    def branches(self, data: Data, reach: NamesInReach) -> dict[str, Body]:
        if not isinstance(data, Map):
            help = "such as `branches: {residual: [...], shortcut: []}`"
            fail("NS211", f"`branches` maps names to lists of steps, and is {data_kind(data)}", data.span, help=help)
        if len(data.entries) < 2:
            fail("NS211", "a merge joins two branches or more", data.span)
        found: dict[str, Body] = {}
        for name, entry in data.entries.items():
            check_module_name(name, "a branch", entry.key_span)
            # A branch can name what the bodies around it can, and what is in it stays in it.
            inner = replace(reach, inputs=reach.inputs | {"input"}, values=ValueNames(("input",), reach.values))
            found[name] = self.body(entry.value, inner, what=f"branch `{name}`")
        return found

    def sources(self, entry: Entry | None, reach: NamesInReach) -> list[tuple[str, Span]] | None:
        if entry is None:
            return None
        items = entry.value.items if isinstance(entry.value, Seq) else [entry.value]
        if not items:
            fail("NS209", "`from` names no value", entry.value.span)
        found: list[tuple[str, Span]] = []
        wrong = Findings()
        for item in items:
            if not isinstance(item, Scalar) or not isinstance(item.value, str):
                message = f"`from` names values, and this is {data_kind(item)}"
                wrong.add(
                    Diagnostic("NS209", message, item.span, help="give the step a `name`, and say that name here")
                )
            elif item.value in reach.values:
                found.append((item.value, item.span))
            else:
                message = f"no value `{item.value}` is in reach here"
                wrong.add(Diagnostic("NS209", message, item.span, help=self.way_to_value(item.value, reach)))
        wrong.check()
        return found

    def check_share(self, step: Step, before: list[Step], body: Seq, reach: NamesInReach) -> None:
        """Refuse to share the weights of what is no earlier step of this body, or is another kind of step."""
        other = next((s for s in before if s.called == step.share and s.named), None)
        span = step.share_span or step.span
        if other is None:
            help = _way_to_share(step, before, body, reach)
            fail("NS209", f"no step `{step.share}` stands before this one in this body", span, help=help)
        if isinstance(other.target, type) != isinstance(step.target, type):
            message = f"`{step.share}` is another kind of step, and has no weights for this one"
            help = "an op shares the weights of an op; a block, network or body parameter those of such a step"
            fail("NS211", message, span, help=help)
        if other.repeat is not None and step.repeat is None:
            message = f"`{step.share}` has copies, each with weights of its own"
            fail("NS211", message, span, help="repeat this step as often, and each copy shares those of one")

    def way_to_value(self, name: str, reach: NamesInReach) -> str:
        """What to write instead of a value that is not in reach."""
        parts = [part.strip() for part in name.split(",")]
        if len(parts) > 1 and all(part in reach.values for part in parts):
            return f"several values are a list: `from: [{', '.join(parts)}]`"
        if hint := closest(name, reach.values):
            return hint
        if "." in name:
            step = name.partition(".")[0]
            given = [value for value in reach.values if value.startswith(f"{step}.")]
            if given:
                return f"`{step}` gives {choices(sorted(given))}"
            return "nothing reaches into a branch, a block or a copy: name the step around it"
        known = f"in reach are {choices(sorted(set(reach.values)))}" if any(reach.values) else "give the step a `name`"
        if reach.values.stands_below(name):
            return f"`{name}` stands below, and a step takes values of earlier ones; {known}"
        return known + ("; a step is named with `name: ...` beside its op" if self.is_known(name, reach) else "")

    def sibling(self, entry: Entry, reach: NamesInReach, what: str) -> Argument:
        argument = self.reader.argument(entry.key, entry.key_span, entry.value, reach)
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
            if not isinstance(step.target, type):
                fail("NS211", "`init` stands on ops; a block's steps have their own", entry.key_span)
            if step.share:
                help = f"put it beside `{step.share}`"
                fail("NS211", "weights that are shared are initialised where they are", entry.key_span, help=help)
            own = read_init(entry.value)
            found.update(own)
            places.update(places_of(entry))
            step.init_own = frozenset(own)
        step.init = found or NOTHING
        step.init_places = places or NOTHING

    def check_constants(self, step: Step, cls: type[Op]) -> None:
        """What is wrong with an op's constants is said even where no block use reaches it.

        An op without expressions is made here, once.
        """
        values = {a.name: a.value for a in step.arguments.values() if a.expression is None}
        op, problems = make_op(cls, values)
        if op is not None and not step.written:
            step.ops[()] = op
        for problem in problems:
            argument = step.arguments.get(problem.attribute)
            if step.written and (argument is None or argument.expression is not None):
                continue
            span = argument.span if argument else step.span
            help = problem.help
            if problem.code == "NS205" and values:
                given = "".join(f"{name}: {show(value)}, " for name, value in values.items())
                help = f"write `{cls.opname}: {{{given}{problem.attribute}: ...}}`"
            self.findings.add(Diagnostic(problem.code, problem.message, span, help=help))


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
        fail("NS211", f"a step is an op's name or a mapping, not {data_kind(item)}", item.span)
    if isinstance(item, Seq):
        fail("NS211", "a step is an op's name or a mapping, not a list", item.span, help="one dash begins one step")
    keys = [entry for entry in item.entries.values() if entry.key not in SIBLINGS]
    siblings = {name: entry for name, entry in item.entries.items() if name in SIBLINGS}
    if len(keys) == 1 and (known(keys[0].key) or keys[0].key not in ("type", "op", "layer")):
        return keys[0].key, keys[0].key_span, keys[0].value, siblings
    if not keys:
        help = f"it needs one key that names an op or a block, as `{{relu, {next(iter(siblings), 'name')}: ...}}`"
        fail("NS211", "the step has no op", item.span, help=help)
    typed = next((entry for entry in keys if entry.key in ("type", "op", "layer")), None)
    if typed is not None and isinstance(typed.value, Scalar) and known(str(typed.value.value)):
        rest = ", ".join(f"{entry.key}: ..." for entry in keys if entry is not typed)
        help = f"write `{typed.value.value}: {{{rest}}}`" if rest else f"write `- {typed.value.value}`"
        fail("NS211", f"the op of a step is its key, not its `{typed.key}`", typed.key_span, help=help)
    ops = [entry for entry in keys if known(entry.key)]
    strangers = [entry for entry in keys if not known(entry.key)]
    if len(ops) == 1 and strangers:
        hint = way_to_sibling(strangers[0].key)
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


def _way_to_share(step: Step, before: list[Step], body: Seq, reach: NamesInReach) -> str:
    """What to write instead of the name of what is no step before this one in its body."""
    name, named = step.share, [s.called for s in before if s.named]
    if any(s.called == name for s in before):
        return f"the step before it has no name: put `name: {name}` beside its op"
    if any(name in _name_despite(item) for item in body.items):
        return "the first of those that share has the weights: `share` stands beside the later ones"
    if name.partition(".")[0] in named:
        return f"a step shares all of its weights: `share: {name.partition('.')[0]}`"
    if name in reach.values and name not in reach.inputs:
        return "steps share weights within one body, and that one stands in the body around"
    return closest(name, named) or (f"before it are {choices(named)}" if named else _NOTHING_TO_SHARE)


_NOTHING_TO_SHARE = "it names a step of this body that stands before it, by its `name`"


def _shown_under(op: Entry) -> str:
    """The scalar argument of an op by its attribute's name, for a help line that adds another."""
    cls = find_op(op.key)
    principal = cls.principal if cls else "spec" if op.key == "network" else None
    scalar = isinstance(op.value, Scalar) and op.value.value is not None
    return f"{principal}: {plain_data(op.value)}, " if principal and scalar else ""


def _called(key: str, name: Entry | None, counts: dict[str, int]) -> str:
    if name is not None:
        if not isinstance(name.value, Scalar) or not isinstance(name.value.value, str):
            help = "names are letters, digits and `_`, and do not begin with a digit"
            fail("NS202", f"a name is text, not {data_kind(name.value)}", name.value.span, help=help)
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


_OPS = "`netspec ops` lists the ops; those of your own come with `--ops FILE`"


def _name_despite(item: Data) -> set[str]:
    if isinstance(item, Map) and "name" in item.entries:
        value = item.entries["name"].value
        if isinstance(value, Scalar) and isinstance(value.value, str):
            return {value.value}
    return set()


def _shared(entry: Entry, target: Target) -> str:
    name = plain_data(entry.value)
    if not isinstance(name, str):
        fail("NS209", f"`share` names an earlier step, and this is {data_kind(entry.value)}", entry.value.span)
    if isinstance(target, type) and issubclass(target, Merge):
        fail("NS211", f"`{target.opname}` has no weights to share", entry.key_span)
    return name


def _expectations(entry: Entry | None) -> Map | None:
    if entry is None:
        return None
    if not isinstance(entry.value, Map):
        fail("NS216", f"`expect` maps claims to values, and is {data_kind(entry.value)}", entry.value.span)
    return entry.value


def _clash(step: Step, first: Span) -> Diagnostic:
    return Diagnostic(
        "NS210",
        f"two steps are called `{step.called}` in this body",
        step.span,
        notes=(f"the first is at {first.place}",),
        help="give one of them another `name`",
    )
