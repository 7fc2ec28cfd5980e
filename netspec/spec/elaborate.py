"""From a Spec to a graph: blocks are opened, repeats copied, conditions decided, and every shape inferred."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netspec.collector import without_collector
from netspec.dims import Dim, Symbolic
from netspec.errors import Diagnostic, Findings, NetspecError, fail
from netspec.expression import Expression, Value, names_in, show
from netspec.graph.build import Builder, Region
from netspec.graph.model import Graph, Scope
from netspec.source import Span
from netspec.spec.body import Argument, BlockDefinition, Body, Step
from netspec.spec.elaborate_errors import DECIDE, ElaborationErrors, Failed, notes_of, way_to_int
from netspec.spec.evaluator import Evaluator, frozen
from netspec.spec.frame import NOWHERE, Frame, Use, origins_of
from netspec.spec.inputs import SIZE, is_size
from netspec.spec.nodes import NodeMaker
from netspec.spec.parameters import check_kind, resolve_params
from netspec.spec.read import Spec

MAX_NODES = 250_000
MAX_STEPS = 500_000
MAX_CHARACTERS = 32 * 1024 * 1024
"""How long the paths of all nodes and scopes may be together: names repeat in the paths of all that is below."""
MAX_REPEAT = 100_000
MAX_DEPTH = 64

Overrides = Mapping[str, Any]


@dataclass(slots=True)
class Result:
    """A graph with what is worth a warning, and the value every step of the network stands for."""

    graph: Graph
    warnings: list[Diagnostic]
    steps: dict[str, str]


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
        self.params = resolve_params(spec.name, spec.parameters, params)
        self.builder = Builder(spec.name, title=spec.title, source=spec.source_note, params=self.params)
        self.errors = ElaborationErrors(self.findings)
        self.evaluator = Evaluator(self.params, self.findings)
        self.maker = NodeMaker(self.builder, self.evaluator, self.errors)
        self.input_shapes = inputs
        self.steps: dict[str, str] = {}
        self.count = 0
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
            except Failed:
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
        return Result(graph, _unused(self.spec, graph), self.steps)

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
        value = self.evaluator.evaluate(dim, self.params, Argument("shape", span, span), ())
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
            except Failed:
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
        count = self.evaluator.value(step.repeat, frame)
        if type(count) is not int or count < 0:
            open_ = isinstance(count, Symbolic)
            what = f"{count}, which is open" if open_ else show(count)
            help = DECIDE if open_ else ""
            self.errors.fail(
                "NS215", f"`repeat` takes a number of copies, 0 or more, not {what}", step.repeat.span, frame, help=help
            )
        if count > MAX_REPEAT:
            self.errors.fail(
                "NS214", f"`repeat` makes at most {MAX_REPEAT:,} copies, not {count:,}", step.repeat.span, frame
            )
        if len(inputs) > 1:
            self.errors.fail("NS211", "a repeated step chains one value, and `from` names several", step.span, frame)
        entry = value = inputs[0]
        names = frame.names
        outer = names.get("index", ...)
        before = len(self.builder.nodes)
        self.maker.claim(path, step, frame)
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
        else:
            self.decide(step.repeat, frame)
        return value

    def once(
        self, step: Step, frame: Frame, path: str, parent: str, inputs: list[str | None], *, named: bool
    ) -> str | None:
        """One copy of a step, at its path."""
        self.tick(step)
        if step.when is not None:
            decided = self.evaluator.value(step.when, frame)
            if isinstance(decided, Symbolic) or not isinstance(decided, bool):
                self.errors.fail(
                    "NS215", f"`when` takes a condition, and this is {show(decided)}", step.when.span, frame
                )
            if not decided:
                self.decide(step.when, frame)
                return inputs[0]
        target = step.target
        if isinstance(target, BlockDefinition):
            return self.block(step, target, frame, path, parent, inputs)
        if step.branches is not None:
            return self.merge(step, frame, path, parent, inputs, named=named)
        return self.maker.add(step, target, frame, path, parent, inputs)

    def decide(self, argument: Argument, frame: Frame) -> None:
        """Note the spec's parameters by which a step was left out: the graph does not show them."""
        if argument.expression is not None:
            self.builder.decided |= origins_of(argument.expression, frame)

    def tick(self, step: Step) -> None:
        """Count what is done, so that a small spec can't ask for endless work."""
        self.count += 1
        nodes, characters = len(self.builder.nodes), self.builder.characters
        if nodes > MAX_NODES or self.count > MAX_STEPS or characters > MAX_CHARACTERS:
            what = f"{MAX_CHARACTERS:,} characters in its paths"
            if characters <= MAX_CHARACTERS:
                what = f"{MAX_NODES:,} nodes" if nodes > MAX_NODES else f"{MAX_STEPS:,} steps"
            help = "a `repeat`, or blocks inside blocks, multiply more than was meant"
            fail("NS214", f"the network has more than {what}", step.span, help=help)

    def block(
        self, step: Step, block: BlockDefinition, frame: Frame, path: str, parent: str, inputs: list[str | None]
    ) -> str | None:
        params: dict[str, Value] = {p.name: p.default for p in block.info.parameters}
        for name, argument in step.arguments.items():
            value = self.evaluator.value(argument, frame)
            if argument.expression is not None:
                try:
                    check_kind(block, name, argument, value, way_to_int(argument, value))
                except NetspecError as error:
                    self.errors.keep_all(error, frame)
                    raise Failed from None
            # A float parameter holds a float, also where the spec says `2`: layers are written with what it holds.
            params[name] = float(value) if block.kinds[name] == "float" and isinstance(value, int) else value
        if len(inputs) != 1:
            help = "join the values before it, as with `concat`"
            self.errors.fail(
                "NS302", f"block `{block.name}` takes one input, not {len(inputs)}", step.span, frame, help=help
            )
        entry = inputs[0]
        if entry is None:
            return None
        self.maker.claim(path, step, frame)
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
        key = (id(block), id(entering), *map(frozen, given), *map(type, given))
        origins = {name: origins_of(tree, frame) for name, tree in step.written.items()}
        origins["input"] = self.maker.origin(entry)
        key = (*key, frozenset[str]().union(*origins.values()))
        known = self.regions.get(key)
        if known is not None:
            value = self.builder.again(known, path, entry)
            self.maker.origins[value] = self.maker.origin(known.output)
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
            self.errors.fail("NS211", "branches begin at one value, and `from` names several", step.span, frame)
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
            self.maker.claim(branch_path, step, frame)
            inner = Frame(
                {**frame.names, "input": self.builder.types[entry]},
                ChainMap[str, str | None]({"input": entry}, frame.values),
                branch_path,
                {**frame.origins, "input": self.maker.origin(entry)},
                frame.uses,
                frame.depth + 1,
            )
            before = len(self.builder.nodes)
            end = self.body(branch, inner, entry)
            ends.append(end)
            if end is not None and len(self.builder.nodes) > before:
                self.builder.open(Scope(branch_path, "branch", around, end, inputs={"input": entry}, span=branch.span))
        value = self.maker.add(step, step.target, frame, path, around, ends, list(step.branches))
        if value is not None and named:
            self.builder.open(Scope(path, "merge", parent, value, inputs={"input": entry}, when=when, span=step.span))
        return value


def _unused(spec: Spec, graph: Graph) -> list[Diagnostic]:
    """Values that nothing uses, one warning a place, and no more than errors in one run."""
    wanted = {o.value for o in graph.outputs}
    found: dict[Span | None, Diagnostic] = {}
    for value, users in graph.users.items():
        if users or value in wanted or ":" in value:
            continue
        node = graph.by_path.get(value)
        span = node.span if node else spec.inputs[value].span
        message = f"nothing uses `{value}`"
        found.setdefault(span, Diagnostic("NS217", message, span, severity="warning"))
        if len(found) == Findings().limit:
            break
    return list(found.values())
