"""Reads the steps of a body, and checks all that can be checked before shapes are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NoReturn

from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.expression import show
from netspec.graph.model import NOTHING
from netspec.naming import check_module_name
from netspec.ops.attributes import make_op
from netspec.ops.base import Merge, Op
from netspec.ops.own import find_op, op_names
from netspec.source import Span
from netspec.spec.read.arguments import ArgumentReader
from netspec.spec.read.body import Argument, Body, BodyParameter, Step, Target
from netspec.spec.read.context import FileContext, NamesInReach, ValueNames
from netspec.spec.read.hints import op_hint, step_hint
from netspec.spec.read.initializers import places_of, read_init
from netspec.spec.read.share_reference import check_share, read_share
from netspec.spec.read.step_form import StepForm, name_despite_mistakes, step_form
from netspec.spec.text.data import Data, Entry, Map, Scalar, Seq, plain_data
from netspec.spec.text.messages import data_kind
from netspec.types import Filling


class BodyParser:
    """Reads the bodies of one file into steps."""

    def __init__(self, file: FileContext, findings: Findings) -> None:
        self.file = file
        self.blocks = file.declarations.blocks
        self.findings = findings
        self.reader = ArgumentReader(file.declarations, file.defaults, self.body_argument)

    def body(self, data: Data, reach: NamesInReach, *, what: str, top: bool = False, several: str = "") -> Body:
        """Read a body, a list of steps; `what` is its name in errors.

        `top` is True for the body of a network, whose steps may have `expect`. `several` is the name of the block or
        network if it has several inputs, so that its first step needs `from`; else "".
        """
        items = self.items(data, reach, what, top)
        reach.values.all_steps.update(*map(name_despite_mistakes, items.items))
        counts: dict[str, int] = {}
        steps: list[Step] = []
        taken: dict[str, Span] = {}
        wrong: set[str] = set()
        for item in items.items:
            try:
                step = self.step(item, reach, counts, top)
                if several and item is items.items[0] and step.sources is None and step.takes:
                    help = f"such as `from: {next(iter(sorted(reach.inputs)))}`"
                    fail("NS209", f"{several} has several inputs: its first step needs `from`", step.span, help=help)
                if step.share and step.share not in wrong:
                    check_share(step, steps, items, reach)
            except NetspecError as error:
                self.findings.extend(error)
                if self.findings.full:
                    break
                # The name of a step with an error stays usable, so that steps which use it are not reported, too.
                reach.values.add_broken(*name_despite_mistakes(item))
                wrong |= name_despite_mistakes(item)
                continue
            if step.name in taken:
                self.findings.add(_clash(step, taken[step.name]))
            taken.setdefault(step.name, step.span)
            steps.append(step)
            if step.named:
                reach.values.add(*step.values)
        self.note_sizes(steps, reach.values)
        return Body(steps, data.span)

    def note_sizes(self, steps: Iterable[Step], values: ValueNames) -> None:
        """Mark the steps whose sizes expressions read; refuse two steps of a name of which one could be meant."""
        for step in steps:
            step.sized = step.named and not values.sized.isdisjoint(step.values)
            if span := values.sized_around.get(step.name):
                message = f"`{step.name}` is a step of this branch and of the body around it"
                self.findings.add(Diagnostic("NS210", message, span, help="give one of them another `name`"))

    def items(self, data: Data, reach: NamesInReach, what: str, top: bool) -> Seq:
        """Check that the data of a body is a list."""
        if not isinstance(data, Seq):
            help = step_hint(data.span.text) if top or plain_data(data) is not None else "`[]` is the identity"
            if isinstance(data, Scalar) and isinstance(data.value, str) and self.is_known(data.value, reach):
                help = f"write `[{data.value}]`"
            fail("NS211", f"{what} is a list of steps, not {data_kind(data)}", data.span, help=help)
        return data

    def body_argument(self, name: str, data: Data, reach: NamesInReach) -> Body:
        """Read the argument of a body parameter: its steps read the parameters here, and no value but `input`."""
        inner = replace(reach, inputs=frozenset(("input",)), values=ValueNames(("input",)))
        return self.body(data, inner, what=f"`{name}`")

    def step(self, item: Data, reach: NamesInReach, counts: dict[str, int], top: bool) -> Step:
        """Read one step; `counts` has the number of unnamed steps so far by their ops, and is updated."""
        form = step_form(item, lambda name: self.is_known(name, reach))
        siblings = form.siblings
        target, argument = self.target(form, reach)
        inner = replace(reach, index=reach.index or "repeat" in siblings)
        name = _step_name(form.key, siblings.get("name"), counts)
        arguments, branches = self.reader.arguments(target, form.key_span, argument, inner)
        bodies = None if branches is None else self.branches(branches, inner)
        expect = _expectations(siblings.get("expect"), top)
        sources = self.sources(siblings.get("from"), reach)
        repeat = self.sibling(siblings.get("repeat"), reach, "a number of copies, 0 or more")
        when = self.sibling(siblings.get("when"), inner, "a condition")
        share = read_share(siblings["share"], target) if "share" in siblings else ""
        init, init_places, init_own = self.initializers(target, siblings.get("init"), share)
        step = Step(
            name,
            named="name" in siblings,
            span=form.key_span,
            target=target,
            arguments=arguments,
            branches=bodies,
            sources=sources,
            repeat=repeat,
            when=when,
            share=share,
            share_span=siblings["share"].value.span if share else None,
            init=init,
            init_places=init_places,
            init_own=init_own,
            expect=expect,
            written={a.name: a.expression for a in arguments.values() if a.expression is not None} or NOTHING,
        )
        if isinstance(target, type):
            self.check_op(step, target)
        return step

    def is_known(self, name: str, reach: NamesInReach) -> bool:
        """Return whether a step can use a name: that of an op, a block, a network or a body parameter."""
        return name in self.blocks or name in reach.bodies or name == "network" or find_op(name) is not None

    def usable_names(self, reach: NamesInReach) -> Iterable[str]:
        """The names of all ops, blocks, networks and body parameters that a step can use."""
        return (*op_names(), *self.blocks, *reach.bodies, "network")

    def target(self, form: StepForm, reach: NamesInReach) -> tuple[Target, Data]:
        """Look up the op, block, network or body parameter that a step uses; return it with the step's argument."""
        if form.key == "network":
            return self.file.embed(form.argument, form.key_span)
        if form.key in reach.bodies:
            return BodyParameter(form.key), form.argument
        target = self.blocks.get(form.key) or find_op(form.key)
        if target is None:
            self.refuse_name(form.key, form.key_span, reach)
        return target, form.argument

    def refuse_name(self, name: str, span: Span, reach: NamesInReach) -> NoReturn:
        """Raise the error of a step that uses an unknown or ambiguous name."""
        declarations = self.file.declarations
        if files := declarations.ambiguous.get(name):
            both = " and ".join(f"`{file}`" for file in files[:2])
            help = "write the block you mean into `blocks` of this file"
            fail("NS203", f"{both} both have a block `{name}`", span, help=help)
        if name in reach.parameters and name not in declarations.parameters:
            help = f"declare it so: `params: {{{name}: body}}`"
            fail("NS203", f"`{name}` is a parameter, and none that holds steps", span, help=help)
        help = op_hint(name, self.usable_names(reach)) or _OPS
        fail("NS203", f"there is no op or block `{name}`", span, help=help)

    def branches(self, data: Data, reach: NamesInReach) -> dict[str, Body]:
        """Read the branches of a merge."""
        if not isinstance(data, Map):
            help = "such as `branches: {residual: [...], shortcut: []}`"
            fail("NS211", f"`branches` maps names to lists of steps, and is {data_kind(data)}", data.span, help=help)
        if len(data.entries) < 2:
            fail("NS211", "a merge joins two branches or more", data.span)
        branches: dict[str, Body] = {}
        for name, entry in data.entries.items():
            check_module_name(name, "a branch", entry.key_span)
            # A branch can name the values of the bodies around it; its own values can't be named outside.
            values = ValueNames(("input",), reach.values)
            inner = replace(reach, inputs=reach.inputs | {"input"}, values=values)
            branches[name] = self.body(entry.value, inner, what=f"branch `{name}`")
            reach.values.in_branches |= values.all_steps | values.in_branches
        return branches

    def sources(self, entry: Entry | None, reach: NamesInReach) -> list[tuple[str, Span]] | None:
        """Read `from`: the names of values, each with its place; None without `from`."""
        if entry is None:
            return None
        items = entry.value.items if isinstance(entry.value, Seq) else [entry.value]
        if not items:
            fail("NS209", "`from` names no value", entry.value.span)
        sources: list[tuple[str, Span]] = []
        wrong = Findings()
        for item in items:
            if not isinstance(item, Scalar) or not isinstance(item.value, str):
                message = f"`from` names values, and this is {data_kind(item)}"
                help = "give the step a `name`, and say that name here"
                wrong.add(Diagnostic("NS209", message, item.span, help=help))
            elif item.value in reach.values:
                sources.append((item.value, item.span))
            else:
                message = f"no value `{item.value}` is in reach here"
                wrong.add(Diagnostic("NS209", message, item.span, help=self.value_hint(item.value, reach)))
        wrong.check()
        return sources

    def value_hint(self, name: str, reach: NamesInReach) -> str:
        """A hint for a `from` that names no value in reach: the value that was meant, or how to reach it."""
        parts = [part.strip() for part in name.split(",")]
        if len(parts) > 1 and all(part in reach.values for part in parts):
            return f"several values are a list: `from: [{', '.join(parts)}]`"
        if hint := closest(name, reach.values):
            return hint
        if "." in name:
            step = name.partition(".")[0]
            outputs = [value for value in reach.values if value.startswith(f"{step}.")]
            if outputs:
                return f"`{step}` gives {choices(sorted(outputs))}"
            return "nothing reaches into a branch, a block or a copy: name the step around it"
        help = f"in reach are {choices(sorted(set(reach.values)))}" if any(reach.values) else "give the step a `name`"
        if reach.values.is_later_step(name):
            return f"`{name}` stands below, and a step takes values of earlier ones; {help}"
        if reach.values.is_in_branch(name):
            return f"`{name}` is a step of a branch, which nothing outside can name; {help}"
        return help + ("; a step is named with `name: ...` beside its op" if self.is_known(name, reach) else "")

    def sibling(self, entry: Entry | None, reach: NamesInReach, what: str) -> Argument | None:
        """Read `when` or `repeat`; `what` says in errors which values it takes. None for a step without it."""
        if entry is None:
            return None
        argument = self.reader.argument(entry.key, entry.key_span, entry.value, reach)
        if argument.expression is None:
            kind = bool if entry.key == "when" else int
            if type(argument.value) is not kind:
                fail("NS215", f"`{entry.key}` takes {what}, not {show(argument.value)}", argument.span)
        return argument

    def initializers(
        self, target: Target, entry: Entry | None, share: str
    ) -> tuple[Mapping[str, Filling], Mapping[str, Span], frozenset[str]]:
        """Read `init` of a step, on top of the file's defaults.

        Returns the initialisers and their places by weight, and the names of the weights that the step itself sets.
        """
        init: dict[str, Filling] = {}
        places: dict[str, Span] = {}
        if isinstance(target, type) and target.opname in self.file.defaults:
            init.update(self.file.defaults[target.opname].init)
            places.update(self.file.defaults[target.opname].init_places)
        if entry is None:
            return init or NOTHING, places or NOTHING, frozenset()
        if not isinstance(target, type):
            fail("NS211", "`init` stands on ops; a block's steps have their own", entry.key_span)
        if share:
            help = f"put it beside `{share}`"
            fail("NS211", "weights that are shared are initialised where they are", entry.key_span, help=help)
        own = read_init(entry.value)
        return {**init, **own} or NOTHING, {**places, **places_of(entry)} or NOTHING, frozenset(own)

    def check_op(self, step: Step, cls: type[Op]) -> None:
        """Refuse a merge without values, and report errors in constants even if no use of the block reaches the step.

        The op of a step without expressions is created here, once.
        """
        if step.branches is None and step.sources is None and issubclass(cls, Merge):
            help = f"write `{cls.opname}: {{branches: {{a: [...], b: [...]}}}}`, or put `from: [a, b]` beside it"
            fail("NS211", f"`{cls.opname}` joins values: it needs `branches` or `from`", step.span, help=help)
        values = {a.name: a.value for a in step.arguments.values() if a.expression is None}
        op, problems = make_op(cls, values)
        if op is not None and not step.written:
            step.ops[()] = op
        if step.written and cls.names_for(step.attributes) is None:
            message = f"how many outputs `{cls.opname}` has is not known until expressions have values"
            help = "its outputs have names, so their number is written as it is"
            fail("NS206", message, step.span, help=help)
        for problem in problems:
            argument = step.arguments.get(problem.attribute)
            if step.written and (argument is None or argument.expression is not None):
                continue
            span = argument.span if argument else step.span
            help = problem.help
            if problem.code == "NS205" and values:
                written = "".join(f"{name}: {show(value)}, " for name, value in values.items())
                help = f"write `{cls.opname}: {{{written}{problem.attribute}: ...}}`"
            self.findings.add(Diagnostic(problem.code, problem.message, span, help=help))


def _step_name(key: str, name: Entry | None, counts: dict[str, int]) -> str:
    """The name of a step: its `name`, else the op's, with a number from the second such step on: `conv2d_2`."""
    if name is None:
        counts[key] = counts.get(key, 0) + 1
        return key if counts[key] == 1 else f"{key}_{counts[key]}"
    if not isinstance(name.value, Scalar) or not isinstance(name.value.value, str):
        help = "names are letters, digits and `_`, and do not begin with a digit"
        fail("NS202", f"a name is text, not {data_kind(name.value)}", name.value.span, help=help)
    if name.value.value == "input":
        message = "`input` can't be the name of a step: it is the value that enters the body"
        fail("NS202", message, name.value.span, help="give it another name")
    return check_module_name(name.value.value, "a step", name.value.span)


_OPS = "`netspec ops` lists the ops; those of your own come with `--ops FILE`"


def _expectations(entry: Entry | None, top: bool) -> Map | None:
    """The claims under `expect` of a step; refused where `top` is False: only steps of a network's body have claims."""
    if entry is None:
        return None
    if not top:
        message = "`expect` stands on steps of the network itself, not of blocks and branches"
        fail("NS211", message, entry.key_span)
    if not isinstance(entry.value, Map):
        fail("NS216", f"`expect` maps claims to values, and is {data_kind(entry.value)}", entry.value.span)
    return entry.value


def _clash(step: Step, first: Span) -> Diagnostic:
    message, notes = f"two steps are called `{step.name}` in this body", (f"the first is at {first.place}",)
    return Diagnostic("NS210", message, step.span, notes=notes, help="give one of them another `name`")
