"""From a Spec to a graph: blocks are opened, repeats copied, conditions decided, and every shape inferred."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from netspec.collector import without_collector
from netspec.dims import Dim, Symbolic
from netspec.errors import Diagnostic, Findings, NetspecError, choices, closest, fail
from netspec.expression import Expression, ExpressionError, Value, evaluate, leaves, names_in, show, to_text
from netspec.graph.build import Builder, Region
from netspec.graph.model import Graph, Scope
from netspec.ops.base import LARGER, Op, RuleError, UnequalShapes, make_op
from netspec.source import Span
from netspec.spec.initializers import why_not
from netspec.spec.read import SIZE, Spec, is_size
from netspec.spec.steps import Argument, BlockDefinition, Body, Step, check_kind, fits, words_for

MAX_NODES = 250_000
MAX_STEPS = 500_000
MAX_REPEAT = 100_000
MAX_DEPTH = 64

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
    """Where a body is elaborated: what expressions read, what `from` can name, the scope, the uses around it.

    `origins` says for a name which of the spec's parameters its value comes from.
    """

    names: dict[str, Value]
    values: dict[str, str | None]
    scope: str
    origins: Mapping[str, frozenset[str]]
    uses: tuple[Use, ...] = ()
    depth: int = 0


NOWHERE = frozenset[str]()
"""The origin of what comes from no parameter."""


class _Failed(Exception):
    """A step that can't be elaborated; its diagnostic is kept already."""


def elaborate(
    spec: Spec, params: Overrides | None = None, inputs: Mapping[str, list[Dim | str]] | None = None
) -> Result:
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
        self.initialized: set[tuple[int, ...]] = set()
        self.value_origins: dict[str, frozenset[str]] = {}
        self.origins = {name: frozenset((name,)) for name in self.params}
        self.regions: dict[tuple[Any, ...], Region] = {}

    def run(self) -> Result:
        names: dict[str, Value] = dict(self.params)
        values: dict[str, str | None] = {}
        for name in self.spec.inputs:
            try:
                values[name] = self.input(name)
                names[name] = self.builder.types[name]
            except NetspecError as error:
                self.findings.extend(error)
            except _Failed:
                continue
        self.findings.check()
        only = next(iter(values)) if len(values) == 1 else None
        if only is not None:
            values["input"], names["input"] = only, names[only]
        frame = Frame(names, values, "", self.origins)
        self.body(self.spec.body, frame, only, top=True)
        self.findings.check()
        for o in self.spec.outputs:
            self.builder.output(o.name, self.steps.get(o.value) or o.value, o.mode, o.span)
        graph = self.builder.build()
        return Result(graph, self.unused(graph), self.steps)

    def input(self, name: str) -> str:
        definition = self.spec.inputs[name]
        shape = self.input_shapes.get(name)
        if shape is None:
            shape = [self.size(name, dim, span) for dim, span in definition.dims]
        return self.builder.input(name, shape, definition.dtype, definition.nominal, definition.span)

    def size(self, name: str, dim: int | str | Expression, span: Span) -> int | str:
        """A size of an input: a number, a symbol's name, or what an expression over parameters gives."""
        if isinstance(dim, int | str):
            return dim
        self.builder.decided |= names_in(dim)
        value = self.evaluate(dim, self.params, Argument("shape", span, span), ())
        if not is_size(value):
            fail("NS206", f"a size of `{name}` is {SIZE}, not {show(value)}", span)
        return value

    def body(self, body: Body, frame: Frame, current: str | None, *, top: bool = False) -> str | None:
        """Elaborate steps one after another; the value of the last, or None where it can't be known."""
        if top and current is None and len(self.spec.inputs) > 1 and body.steps and body.steps[0].sources is None:
            help = f"such as `from: {next(iter(self.spec.inputs))}`"
            fail("NS209", "the network has several inputs: its first step needs `from`", body.steps[0].span, help=help)
        if frame.depth > MAX_DEPTH:
            fail("NS214", f"blocks and branches nest at most {MAX_DEPTH} deep", body.span, notes=notes_of(frame.uses))
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
        self.tick(step)
        count = self.value(step.repeat, frame)
        if type(count) is not int or count < 0:
            open_ = isinstance(count, Symbolic)
            what = f"{count}, which is open" if open_ else show(count)
            help = _DECIDE if open_ else ""
            self.failed(
                "NS215", f"`repeat` takes a number of copies, 0 or more, not {what}", step.repeat.span, frame, help=help
            )
        if count > MAX_REPEAT:
            self.failed(
                "NS214", f"`repeat` makes at most {MAX_REPEAT:,} copies, not {count:,}", step.repeat.span, frame
            )
        if len(inputs) > 1:
            self.failed("NS211", "a repeated step chains one value, and `from` names several", step.span, frame)
        if count == 0:
            self.decide(step.repeat, frame)
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
            inner, count_as = {"input": entry}, step.repeat.expression
            scope = Scope(path, "repeat", frame.scope, value, inputs=inner, count=count_as, span=step.span)
            self.builder.open(scope)
        return value

    def once(
        self, step: Step, frame: Frame, path: str, parent: str, inputs: list[str | None], *, named: bool
    ) -> str | None:
        """One copy of a step, at its path."""
        self.tick(step)
        if step.when is not None:
            decided = self.value(step.when, frame)
            if isinstance(decided, Symbolic) or not isinstance(decided, bool):
                self.failed("NS215", f"`when` takes a condition, and this is {show(decided)}", step.when.span, frame)
            if not decided:
                self.decide(step.when, frame)
                return inputs[0]
        target = step.target
        if isinstance(target, BlockDefinition):
            return self.block(step, target, frame, path, parent, inputs)
        if step.branches is not None:
            return self.merge(step, frame, path, parent, inputs, named=named)
        return self.op(step, target, frame, path, parent, inputs)

    def origin(self, value: str) -> frozenset[str]:
        """The spec's parameters that a value's shape may come from; an input's sizes are noted by themselves."""
        return self.value_origins.get(value.partition(":")[0], NOWHERE)

    def decide(self, argument: Argument, frame: Frame) -> None:
        """Note the spec's parameters by which a step was left out: the graph does not show them."""
        if argument.expression is not None:
            self.builder.decided |= origins_of(argument.expression, frame)

    def tick(self, step: Step) -> None:
        """Count what is done, so that a small spec can't ask for endless work."""
        self.count += 1
        for count, most, what in ((len(self.builder.nodes), MAX_NODES, "nodes"), (self.count, MAX_STEPS, "steps")):
            if count > most:
                help = "a `repeat`, or blocks inside blocks, multiply more than was meant"
                fail("NS214", f"the network has more than {most:,} {what}", step.span, help=help)

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
            self.clash(error, step, frame, path)
        self.places[path] = step.span
        origins = [found for v in given if (found := self.origin(v))]
        origins += [origins_of(tree, frame) for tree in step.written.values()]
        self.value_origins[value] = NOWHERE.union(*origins) if origins else NOWHERE
        if step.init:
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
        key: tuple[Any, ...] = (*map(_frozen, found.values()), *map(type, found.values()))
        op = step.ops.get(key)
        if op is None:
            op, problems = make_op(cls, found)
            for problem in problems:
                argument = step.arguments.get(problem.attribute)
                span = argument.span if argument else step.span
                help = problem.help or _way_to_int(argument, found.get(problem.attribute))
                self.keep(problem.code, problem.message, span, frame, help=help)
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
                    check_kind(block, name, argument, value, _way_to_int(argument, value))
                except NetspecError as error:
                    self.keep_all(error, frame)
                    raise _Failed from None
            params[name] = value
        if len(inputs) != 1:
            help = "join the values before it, as with `concat`"
            self.failed(
                "NS302", f"block `{block.name}` takes one input, not {len(inputs)}", step.span, frame, help=help
            )
        entry = inputs[0]
        if entry is None:
            return None
        self.claim(path, step, frame)
        before = len(self.builder.nodes)
        value = self.inside(step, block, frame, path, entry, params)
        if value is not None and len(self.builder.nodes) > before:
            when = step.when.expression if step.when is not None else None
            inner = {"input": entry}
            self.builder.open(
                Scope(path, "block", parent, value, block.info, params, step.written, inner, when, None, step.span)
            )
        return value

    def inside(
        self, step: Step, block: BlockDefinition, frame: Frame, path: str, entry: str, params: dict[str, Value]
    ) -> str | None:
        """The body of a block's use.

        A block sees its own parameters and the file's, nothing of the place it is used in: with equal arguments,
        on a value of the same type, it is the same nodes once more.
        """
        entering = self.builder.types[entry]
        given = params.values()
        key = (id(block), id(entering), *map(_frozen, given), *map(type, given))
        origins = {name: origins_of(tree, frame) for name, tree in step.written.items()}
        origins["input"] = self.origin(entry)
        key = (*key, frozenset[str]().union(*origins.values()))
        known = self.regions.get(key)
        if known is not None:
            value = self.builder.again(known, path, entry)
            self.value_origins[value] = self.origin(known.output)
            return value
        mark = self.builder.mark
        names = {**self.params, **params, "input": entering}
        uses = (*frame.uses, Use(block.name, step.span, params))
        hidden = dict.fromkeys(params, NOWHERE)
        inner = {**self.origins, **hidden, **origins}
        value = self.body(block.body, Frame(names, {"input": entry}, path, inner, uses, frame.depth + 1), entry)
        if value is not None and not self.findings.diagnostics:
            self.regions[key] = self.builder.region(path, entry, value, mark)
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
            self.tick(step)
            branch_path = f"{around}.{name}" if around else name
            self.claim(branch_path, step, frame)
            inner = Frame(
                {**frame.names, "input": self.builder.types[entry]},
                {**frame.values, "input": entry},
                branch_path,
                {**frame.origins, "input": self.origin(entry)},
                frame.uses,
                frame.depth + 1,
            )
            before = len(self.builder.nodes)
            end = self.body(branch, inner, entry)
            ends.append(end)
            if end is not None and len(self.builder.nodes) > before:
                self.builder.open(Scope(branch_path, "branch", around, end, inputs={"input": entry}, span=branch.span))
        value = self.op(step, step.target, frame, path, around, ends, list(step.branches))
        if value is not None and named:
            self.builder.open(Scope(path, "merge", parent, value, inputs={"input": entry}, when=when, span=step.span))
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
        names = self.params if argument.of_file else frame.names
        return self.evaluate(argument.expression, names, argument, frame.uses)

    def claim(self, path: str, step: Step, frame: Frame) -> None:
        """Take a path for a scope."""
        try:
            self.builder.claim_scope(path, step.span)
        except NetspecError as error:
            self.clash(error, step, frame, path)
        self.places[path] = step.span

    def clash(self, error: NetspecError, step: Step, frame: Frame, path: str) -> NoReturn:
        """Two equal paths: an unnamed merge gives its branches' names to the body it stands in."""
        diagnostic = error.diagnostics[0]
        first = self.places.get(path)
        notes = (f"the first is at {first.place}",) if first else ()
        help = (
            "name the merge: the paths of its branches then begin with its name"
            if step.branches is not None and not step.named
            else diagnostic.help
        )
        self.findings.add(
            Diagnostic(diagnostic.code, diagnostic.message, step.span, notes=(*notes, *notes_of(frame.uses)), help=help)
        )
        raise _Failed

    def refused(
        self,
        error: RuleError,
        step: Step,
        frame: Frame,
        path: str,
        given: tuple[str, ...],
        names: list[str] | None,
    ) -> NoReturn:
        """An op's rule said no: say it at the attribute to blame, else at the op, with the values."""
        types = [self.builder.types[value] for value in given]
        argument = step.arguments.get(error.at)
        called = names or [name for name, _ in step.sources or []] or ["input"]
        if isinstance(error, UnequalShapes):
            picked = [(called[i], types[i]) for i in (error.first, error.other)]
        else:
            picked = list(zip(called, types, strict=False))
        values = ", ".join(f"{name} is {type}" for name, type in picked)
        help = error.help
        if LARGER in help:
            larger = max(picked, key=lambda named: [d for d in named[1].spatial if isinstance(d, int)])
            help = help.replace(LARGER, f"`{larger[0]}`")
        span = argument.span if argument else step.span
        self.failed(error.code, error.message, span, frame, f"{path}: {values}", help)

    def check_init(self, step: Step, path: str, frame: Frame) -> None:
        """`init` on a step names weights the op has; `defaults` may name more."""
        node = self.builder.nodes[-1]
        types = [self.builder.types[value] for value in node.inputs]
        key = (id(step), id(node.op), *map(id, types))
        if key in self.initialized:
            return
        self.initialized.add(key)
        known = {w.name: w for w in node.op.weights(*types) if w.kind == "parameter"}
        for name, filling in step.init.items():
            if name in known:
                if misfit := why_not(filling, known[name]):
                    self.keep("NS206", misfit, step.init_places[name], frame, path)
            elif name in step.init_own:
                help = closest(name, known) or (f"it has {choices(known)}" if known else "it has none")
                self.keep(
                    "NS204",
                    f"`{node.op.opname}` has no weight `{name}` here",
                    step.init_places[name],
                    frame,
                    path,
                    help,
                )

    def keep(self, code: str, message: str, span: Span, frame: Frame, label: str = "", help: str = "") -> None:
        self.findings.add(Diagnostic(code, message, span, label, notes_of(frame.uses), help))

    def keep_all(self, error: NetspecError, frame: Frame) -> None:
        for d in error.diagnostics:
            self.findings.add(Diagnostic(d.code, d.message, d.span, d.label, (*d.notes, *notes_of(frame.uses)), d.help))

    def failed(self, code: str, message: str, span: Span, frame: Frame, label: str = "", help: str = "") -> NoReturn:
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


def origins_of(tree: Expression, frame: Frame) -> frozenset[str]:
    """The spec's parameters that an expression's value comes from, through the arguments of blocks."""
    found = [frame.origins.get(leaf.name, NOWHERE) for leaf in leaves(tree)]
    return NOWHERE.union(*found)


def notes_of(uses: tuple[Use, ...]) -> tuple[str, ...]:
    """The block uses around a place, innermost first."""
    notes: list[str] = []
    for use in reversed(uses):
        params = ", ".join(f"{name}={show(value)}" for name, value in use.params.items())
        notes.append(f"block `{use.block}` used at {use.span.place}" + (f" with {params}" if params else ""))
    if len(notes) > 6:
        notes[5:] = [f"and {len(notes) - 5} more blocks around it"]
    return tuple(notes)


def _way_to_int(argument: Argument | None, value: Value) -> str:
    tree = argument.expression if argument is not None else None
    divided = tree is not None and type(value) is float and "/" in to_text(tree)
    return "`/` gives a float; `//` gives an int" if divided else ""


_DECIDE = "fix the size with `--input`, or decide it by a parameter"


def _frozen(value: Value) -> Any:
    """A list as a key: a tuple, of types too, since 1 and True are one key and not one value."""
    if not isinstance(value, list):
        return value
    items = cast(list[Value], value)
    return (*map(type, items), *map(_frozen, items))


def _as_list(value: Value) -> Value:
    """A tuple, which callers in Python may give, as the list that it stands for."""
    return list(cast(tuple[Value, ...], value)) if isinstance(value, tuple) else value


def _way_to_decide(message: str) -> str:
    return _DECIDE if "depends on a symbol" in message else ""


def resolve_params(spec: Spec, given: Overrides) -> dict[str, Any]:
    """A spec's parameters with values: those given, else the defaults."""
    findings = Findings()
    values: dict[str, Any] = {}
    given = {name: _as_list(value) for name, value in given.items()}
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
        values[parameter.name] = value
    return values
