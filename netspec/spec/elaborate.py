"""From a Spec to a graph: blocks are opened, repeats copied, conditions decided, and every shape inferred."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from netspec.dims import Dim, Symbolic, symbol
from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.expression import Expression, ExpressionError, Value, evaluate, show
from netspec.graph.build import Builder
from netspec.graph.model import Graph, Scope
from netspec.ops.base import Merge, Op, RuleError, UnequalShapes, make_op
from netspec.source import Span
from netspec.spec.read import Spec
from netspec.spec.steps import Argument, BlockDefinition, Body, Step, check_kind, fits, words_for

MAX_NODES = 250_000
MAX_STEPS = 1_000_000
MAX_REPEAT = 100_000
MAX_DEPTH = 48

Overrides = Mapping[str, Any]


@dataclass(slots=True)
class Result:
    """A graph with what is worth a warning, and the value every step of the network stands for."""

    graph: Graph
    warnings: list[Diagnostic]
    steps: dict[str, str]


@dataclass(slots=True)
class Use:
    """A block being opened: for the note that says how an error's place was reached."""

    block: str
    span: Span
    params: Mapping[str, Value]


@dataclass(slots=True)
class Frame:
    """Where a body is elaborated: what expressions read, what `from` can name, the scope, the uses around it."""

    names: dict[str, Value]
    values: dict[str, str | None]
    scope: str
    uses: tuple[Use, ...] = ()


class _Failed(Exception):
    """A step that can't be elaborated; its diagnostic is kept already."""


@contextmanager
def without_collector() -> Iterator[None]:
    """A large spec makes many objects and no cycles: with the collector on, time per node nearly doubles."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def elaborate(spec: Spec, params: Overrides | None = None, inputs: Mapping[str, list[Dim | str]] | None = None) -> Result:
    """The graph of a spec, with some parameters or input shapes replaced.

    Raises NetspecError with all that is found wrong; what follows from an error is not reported again.
    """
    with without_collector():
        return _Elaborator(spec, params or {}, inputs or {}).run()


class _Elaborator:
    def __init__(self, spec: Spec, params: Overrides, inputs: Mapping[str, list[Dim | str]]) -> None:
        self.spec = spec
        self.findings = Findings()
        self.params = resolve_params(spec, params)
        self.builder = Builder(spec.name, title=spec.title, source=spec.source_note, params=self.params)
        self.input_shapes = inputs
        self.places: dict[str, Span] = {}
        self.steps: dict[str, str] = {}
        self.count = 0

    def run(self) -> Result:
        names: dict[str, Value] = dict(self.params)
        values: dict[str, str | None] = {}
        for name in self.spec.inputs:
            values[name] = self.input(name)
            names[name] = self.builder.types[name]
        only = next(iter(values)) if len(values) == 1 else None
        if only is not None:
            values["input"], names["input"] = only, names[only]
        frame = Frame(names, values, "")
        self.body(self.spec.body, frame, only, top=True)
        self.findings.check()
        for o in self.spec.outputs:
            self.builder.output(o.name, self.steps.get(o.value) or o.value, o.mode, o.span)
        graph = self.builder.build()
        return Result(graph, self.unused(graph), self.steps)

    def input(self, name: str) -> str:
        definition = self.spec.inputs[name]
        dims: list[Dim | str] = []
        for dim, span in definition.dims:
            if isinstance(dim, int | str):
                dims.append(dim)
                continue
            value = self.evaluate(dim, self.params, Argument("shape", span, span), ())
            if type(value) is not int or value < 1:
                fail("NS206", f"a size of `{name}` is an int of 1 or more, not {show(value)}", span)
            dims.append(value)
        shape = self.input_shapes.get(name, dims)
        return self.builder.input(name, shape, definition.dtype, definition.nominal, definition.span)

    def body(self, body: Body, frame: Frame, current: str | None, *, top: bool = False) -> str | None:
        """Elaborate steps one after another; the value of the last, or None where it can't be known."""
        if top and current is None and len(self.spec.inputs) > 1 and body.steps and body.steps[0].sources is None:
            fail("NS209", "the network has several inputs: its first step needs `from`", body.steps[0].span)
        value = current
        for step in body.steps:
            if self.findings.full:
                break
            try:
                value = self.step(step, frame, value)
            except _Failed:
                value = None
            if step.named:
                frame.values[step.called] = value
            if top and value is not None:
                self.steps[step.called] = value
        return value

    def step(self, step: Step, frame: Frame, previous: str | None) -> str | None:
        if step.sources is None:
            inputs = [previous]
        else:
            inputs = [frame.values.get(name) for name, _ in step.sources]
        path = f"{frame.scope}.{step.called}" if frame.scope else step.called
        if step.repeat is not None:
            return self.repeated(step, frame, path, inputs)
        return self.once(step, frame, path, frame.scope, inputs, named=step.named)

    def repeated(self, step: Step, frame: Frame, path: str, inputs: list[str | None]) -> str | None:
        assert step.repeat is not None
        count = self.value(step.repeat, frame)
        if type(count) is not int or count < 0:
            self.failed("NS215", f"`repeat` takes a number of copies, 0 or more, not {show(count)}", step.repeat.span, frame)
        if count > MAX_REPEAT:
            self.failed("NS214", f"`repeat` makes at most {MAX_REPEAT:,} copies, not {count:,}", step.repeat.span, frame)
        if len(inputs) > 1:
            self.failed("NS211", "a repeated step chains one value, and `from` names several", step.span, frame)
        entry = value = inputs[0]
        names = frame.names
        outer = names.get("index", ...)
        before = len(self.builder.nodes)
        self.claim(path, step, frame)
        try:
            for index in range(count):
                names["index"] = index
                value = self.once(step, frame, f"{path}.{index}", path, [value], named=True)
                if value is None:
                    break
        finally:
            if outer is ...:
                names.pop("index", None)
            else:
                names["index"] = outer
        if len(self.builder.nodes) > before and value is not None and entry is not None:
            self.builder.open(
                Scope(
                    path,
                    "repeat",
                    frame.scope,
                    value,
                    inputs={"input": entry},
                    count=step.repeat.expression,
                    span=step.span,
                )
            )
        return value

    def once(
        self, step: Step, frame: Frame, path: str, parent: str, inputs: list[str | None], *, named: bool
    ) -> str | None:
        """One copy of a step, at its path."""
        self.count += 1
        if self.count > MAX_STEPS or len(self.builder.nodes) >= MAX_NODES:
            fail(
                "NS214",
                f"the network has more than {MAX_NODES:,} nodes",
                step.span,
                help="a `repeat`, or blocks inside blocks, multiply more than was meant",
            )
        if step.when is not None:
            decided = self.value(step.when, frame)
            if isinstance(decided, Symbolic) or not isinstance(decided, bool):
                self.failed("NS215", f"`when` takes a condition, and this is {show(decided)}", step.when.span, frame)
            if not decided:
                return inputs[0]
        target = step.target
        if isinstance(target, BlockDefinition):
            return self.block(step, target, frame, path, parent, inputs)
        if step.branches is not None:
            return self.merge(step, frame, path, parent, inputs, named=named)
        return self.op(step, target, frame, path, parent, inputs)

    def op(
        self,
        step: Step,
        cls: type[Op],
        frame: Frame,
        path: str,
        parent: str,
        inputs: list[str | None],
        names: list[str] | None = None,
    ) -> str | None:
        op = self.made(step, cls, frame)
        if None in inputs:
            return None
        given = tuple([value for value in inputs if value is not None])
        when = step.when.expression if step.when is not None else None
        init = step.init
        try:
            value = self.builder.node(
                path, op, given, scope=parent, span=step.span, written=step.written, when=when, init=init
            )
        except RuleError as error:
            self.refused(error, step, frame, path, given, names)
        except NetspecError as error:
            self.clash(error, step, frame)
        self.places[path] = step.span
        if init:
            self.check_init(step, path, frame)
        return value

    def made(self, step: Step, cls: type[Op], frame: Frame) -> Op:
        """The op of a step: made once for each set of values its expressions take."""
        if not step.written:
            op = step.ops.get(())
            if op is None:
                raise _Failed
            return op
        found = {name: self.value(argument, frame) for name, argument in step.arguments.items()}
        key = tuple([tuple(v) if isinstance(v, list) else v for v in found.values()])
        # 1 and True are one key, and not one value.
        key += tuple([type(v) for v in found.values()])
        op = step.ops.get(key)
        if op is None:
            op, problems = make_op(cls, found)
            for problem in problems:
                argument = step.arguments.get(problem.attribute)
                self.keep(problem.code, problem.message, argument.span if argument else step.span, frame, help=problem.help)
            if op is None:
                raise _Failed
            step.ops[key] = op
        return op

    def block(
        self, step: Step, block: BlockDefinition, frame: Frame, path: str, parent: str, inputs: list[str | None]
    ) -> str | None:
        params: dict[str, Value] = {p.name: p.default for p in block.info.parameters}
        for name, argument in step.arguments.items():
            value = self.value(argument, frame)
            if argument.expression is not None:
                try:
                    check_kind(block, name, argument, value)
                except NetspecError as error:
                    self.keep_all(error, frame)
                    raise _Failed from None
            params[name] = value
        if len(inputs) != 1:
            self.failed("NS302", f"block `{block.name}` takes one input, not {len(inputs)}", step.span, frame)
        entry = inputs[0]
        if entry is None:
            return None
        if len(frame.uses) >= MAX_DEPTH:
            fail("NS214", f"blocks nest at most {MAX_DEPTH} deep", step.span)
        self.claim(path, step, frame)
        # A block sees its own parameters and the file's, nothing of the place it is used in.
        names = {**self.params, **params, "input": self.builder.types[entry]}
        uses = (*frame.uses, Use(block.name, step.span, params))
        before = len(self.builder.nodes)
        value = self.body(block.body, Frame(names, {"input": entry}, path, uses), entry)
        if value is not None and len(self.builder.nodes) > before:
            self.builder.open(
                Scope(
                    path,
                    "block",
                    parent,
                    value,
                    block.info,
                    params,
                    step.written,
                    {"input": entry},
                    step.when.expression if step.when is not None else None,
                    None,
                    step.span,
                )
            )
        return value

    def merge(
        self, step: Step, frame: Frame, path: str, parent: str, inputs: list[str | None], *, named: bool
    ) -> str | None:
        """A merge with branches: each from the step's input; a named one is a scope of its own."""
        assert step.branches is not None
        assert isinstance(step.target, type)
        if len(inputs) != 1:
            self.failed("NS211", "branches begin at one value, and `from` names several", step.span, frame)
        entry = inputs[0]
        if entry is None:
            return None
        around = path if named else frame.scope
        if named:
            self.builder.claim_scope(path)
        when = step.when.expression if step.when is not None else None
        ends: list[str | None] = []
        for name, branch in step.branches.items():
            branch_path = f"{around}.{name}" if around else name
            self.claim(branch_path, step, frame, "a merge's branches: give the merge a `name`")
            inner = Frame(
                {**frame.names, "input": self.builder.types[entry]},
                {**frame.values, "input": entry},
                branch_path,
                frame.uses,
            )
            before = len(self.builder.nodes)
            end = self.body(branch, inner, entry)
            ends.append(end)
            if end is not None and len(self.builder.nodes) > before:
                self.builder.open(
                    Scope(branch_path, "branch", around, end, inputs={"input": entry}, span=branch.span)
                )
        value = self.op(step, step.target, frame, path, around, ends, list(step.branches))
        if value is not None and named:
            self.builder.open(
                Scope(path, "merge", parent, value, inputs={"input": entry}, when=when, span=step.span)
            )
        return value

    def evaluate(
        self, tree: Expression, names: Mapping[str, Value], argument: Argument, uses: tuple[Use, ...]
    ) -> Value:
        try:
            return evaluate(tree, names)
        except ExpressionError as error:
            code = "NS215" if argument.name in ("when", "repeat") else "NS208"
            diagnostic = Diagnostic(
                code,
                f"`{argument.name}` can't be worked out: {error.message}",
                argument.span,
                notes=notes_of(uses),
                help=error.help or _way_to_decide(error.message),
            )
            self.findings.add(diagnostic)
            raise _Failed from None

    def value(self, argument: Argument, frame: Frame) -> Value:
        if argument.expression is None:
            return argument.value
        return self.evaluate(argument.expression, frame.names, argument, frame.uses)

    def claim(self, path: str, step: Step, frame: Frame, help: str = "") -> None:
        try:
            self.builder.claim_scope(path, step.span)
        except NetspecError as error:
            self.clash(error, step, frame, help)

    def clash(self, error: NetspecError, step: Step, frame: Frame, help: str = "") -> None:
        diagnostic = error.diagnostics[0]
        help = help or ("name the merge" if isinstance(step.target, type) and issubclass(step.target, Merge) else "")
        self.failed(diagnostic.code, diagnostic.message, step.span, frame, help=help or diagnostic.help)

    def refused(
        self,
        error: RuleError,
        step: Step,
        frame: Frame,
        path: str,
        given: tuple[str, ...],
        names: list[str] | None,
    ) -> None:
        """An op's rule said no: say it at the attribute to blame, else at the op, with the values."""
        types = [self.builder.types[value] for value in given]
        argument = step.arguments.get(error.at)
        called = names or [name for name, _ in step.sources or []] or ["input"]
        if isinstance(error, UnequalShapes):
            picked = [(called[i], types[i]) for i in (error.first, error.other)]
        else:
            picked = list(zip(called, types, strict=False))
        values = ", ".join(f"{name} is {type}" for name, type in picked)
        self.failed(error.code, error.message, argument.span if argument else step.span, frame, f"{path}: {values}", error.help)

    def check_init(self, step: Step, path: str, frame: Frame) -> None:
        """`init` on a step names weights the op has; `defaults` may name more."""
        node = self.builder.nodes[-1]
        types = [self.builder.types[value] for value in node.inputs]
        known = [w.name for w in node.op.weights(*types) if w.kind == "parameter"]
        for weight in step.init_own:
            if weight not in known:
                help = closest(weight, known) or (f"it has {choices(known)}" if known else "it has none")
                self.failed("NS204", f"`{node.op.opname}` has no weight `{weight}` here", step.span, frame, path, help)

    def keep(self, code: str, message: str, span: Span, frame: Frame, label: str = "", help: str = "") -> None:
        self.findings.add(Diagnostic(code, message, span, label, notes_of(frame.uses), help))

    def keep_all(self, error: NetspecError, frame: Frame) -> None:
        for d in error.diagnostics:
            self.findings.add(Diagnostic(d.code, d.message, d.span, d.label, (*d.notes, *notes_of(frame.uses)), d.help))

    def failed(self, code: str, message: str, span: Span, frame: Frame, label: str = "", help: str = "") -> Any:
        self.keep(code, message, span, frame, label, help)
        raise _Failed

    def unused(self, graph: Graph) -> list[Diagnostic]:
        """Values that nothing uses, one warning a place."""
        wanted = {o.value for o in graph.outputs}
        found: dict[Span | None, Diagnostic] = {}
        for value, users in graph.users.items():
            if users or value in wanted or ":" in value:
                continue
            node = graph.by_path.get(value)
            span = node.span if node else self.spec.inputs[value].span
            message = f"nothing uses `{value}`"
            found.setdefault(span, Diagnostic("NS217", message, span, severity="warning"))
        return list(found.values())


def notes_of(uses: tuple[Use, ...]) -> tuple[str, ...]:
    """The block uses around a place, innermost first."""
    notes: list[str] = []
    for use in reversed(uses):
        params = ", ".join(f"{name}={show(value)}" for name, value in use.params.items())
        notes.append(f"block `{use.block}` used at {use.span.place}" + (f" with {params}" if params else ""))
    if len(notes) > 6:
        notes[5:] = [f"and {len(notes) - 5} more blocks around it"]
    return tuple(notes)


def _way_to_decide(message: str) -> str:
    return "fix the size with `--input`, or decide it by a parameter" if "depends on a symbol" in message else ""


def resolve_params(spec: Spec, given: Overrides) -> dict[str, Any]:
    """A spec's parameters with values: those given, else the defaults."""
    findings = Findings()
    values: dict[str, Any] = {}
    for name, value in given.items():
        parameter = spec.parameters.get(name)
        if parameter is None:
            known = spec.parameters
            help = closest(name, known) or (f"it has {choices(known)}" if known else "it has none")
            findings.add(Diagnostic("NS204", f"`{spec.name}` has no parameter `{name}`", help=help))
        elif not fits(value, parameter.kind):
            message = f"parameter `{name}` of `{spec.name}` takes {words_for(parameter.kind)}, not {show(value)}"
            findings.add(Diagnostic("NS206", message))
    findings.check()
    for parameter in spec.parameters.values():
        value = given.get(parameter.name, parameter.default)
        if value is ...:
            fail(
                "NS205",
                f"`{spec.name}` needs its parameter `{parameter.name}`, {words_for(parameter.kind)}",
                help=f"give it with `--set {parameter.name}=...`",
            )
        values[parameter.name] = list(value) if isinstance(value, tuple) else value
    return values

