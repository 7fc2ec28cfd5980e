"""From a Spec to a graph: blocks are opened, repeats copied, conditions decided, and every shape inferred."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from netspec.dims import Dim, Symbolic, symbol
from netspec.errors import Diagnostic, Findings, NetspecError, fail
from netspec.expression import (
    Attribute,
    Expression,
    ExpressionError,
    Value,
    evaluate,
    leaves,
    names_in,
    show,
    way_to_bool,
)
from netspec.gc_pause import gc_paused
from netspec.graph.assemble import Assembler
from netspec.graph.model import NOTHING, Graph, Scope
from netspec.labels import Labels
from netspec.preprocess import Preprocess
from netspec.source import Span
from netspec.spec.elaborate.errors import DECIDE, Failed, notes_of
from netspec.spec.elaborate.frame import NO_ORIGIN, Frame, Made, SpecScope, origins_of
from netspec.spec.elaborate.nodes import Values, all_known
from netspec.spec.elaborate.opening import Opener
from netspec.spec.elaborate.share import share_weights
from netspec.spec.limits import MAX_BODY_DEPTH, MAX_REPEAT
from netspec.spec.read.body import Argument, BlockDefinition, Body, BodyParameter, Step, called_values
from netspec.spec.read.inputs import SIZE, is_size
from netspec.spec.read.labels import check_labels
from netspec.spec.read.parameters import resolve_params
from netspec.spec.read.preprocess import fitted
from netspec.spec.read.spec import Spec
from netspec.types import Tensor

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
    with gc_paused():
        return _Elaborator(spec, params or {}, inputs or {}).run()


class _Elaborator(Opener):
    def __init__(self, spec: Spec, params: Overrides, inputs: Mapping[str, list[Dim | str]]) -> None:
        self.spec = spec
        given = resolve_params(spec.name, spec.parameters, params)
        self.home = SpecScope(given, {name: frozenset((name,)) for name in given})
        super().__init__(Assembler(spec.name, title=spec.title, source=spec.source_note, params=given))
        self.input_shapes = inputs
        self.overridden = bool(params or inputs)
        for parameter in (*spec.parameters.values(), *(p for d in spec.definitions for p in d.info.parameters)):
            if parameter.span is not None and way_to_bool(parameter.default):
                self.evaluator.declared.setdefault(parameter.name, parameter.span)
        self.steps: dict[str, str] = {}
        self.sizes: list[Expression] = []
        """The expressions that sizes of inputs come from."""
        self.left_out: dict[int, frozenset[str]] = {}
        """By the identity of a condition or a count by which a step was left out, the spec's parameters behind it."""
        self.stands: set[int] = set()
        """The identities of those by which one was not, in another use or copy."""

    def run(self) -> Result:
        names: dict[str, Value] = dict(self.home.params)
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
        entering: Values = ()
        if len(values) == 1:
            only = next(iter(values))
            entering = (only,)
            values["input"], names["input"] = only, names[only]
        frame = Frame(names, values, "", self.home.origins, self.home)
        self.body(self.spec.body, frame, entering, top=True)
        self.findings.check()
        for o in self.spec.outputs:
            value = self.steps.get(o.value) or o.value
            self.builder.output(o.name, value, o.mode, o.span, self.labels(o.name, value))
        self.findings.check()
        gone = [names for argument, names in self.left_out.items() if argument not in self.stands]
        self.builder.vanished.update(*gone)
        graph = self.builder.build()
        return Result(graph, _unused(self.spec, graph), self.steps)

    def input(self, name: str) -> str:
        definition = self.spec.inputs[name]
        shape = self.input_shapes.get(name)
        written: dict[int, Expression] = {}
        if shape is None:
            shape = [self.size(name, dim, span) for dim, span in definition.dims]
            written = {axis: dim for axis, (dim, _) in enumerate(definition.dims) if not isinstance(dim, int | str)}
        type = Tensor(tuple([symbol(d) if isinstance(d, str) else d for d in shape]), definition.dtype)
        return self.builder.input(
            name,
            shape,
            definition.dtype,
            definition.nominal,
            definition.span,
            written or NOTHING,
            self.preprocess(name, type),
        )

    def preprocess(self, name: str, type: Tensor) -> Preprocess | None:
        """How an image becomes an input; it lapses where the input has become another, which it does not fit."""
        definition = self.spec.preprocess.get(name)
        if definition is None:
            return None
        try:
            return fitted(name, type, self.declared_size(name), definition)
        except NetspecError:
            if definition.inherited or self.overridden:
                return None
            raise

    def declared_size(self, name: str) -> tuple[int, int] | None:
        """The height and width that an input has by the file's own parameters; None where they are open."""
        defaults = {p.name: p.default for p in self.spec.parameters.values() if not p.required}
        try:
            sizes = [
                d if isinstance(d, int | str) else evaluate(d, defaults) for d, _ in self.spec.inputs[name].dims[2:]
            ]
        except ExpressionError:
            return None
        return (sizes[0], sizes[1]) if len(sizes) == 2 and is_size(sizes[0]) and is_size(sizes[1]) else None

    def labels(self, name: str, value: str) -> Labels:
        """The names of an output's classes; they lapse where parameters gave it others."""
        definition = self.spec.labels.get(name)
        if definition is None:
            return ()
        try:
            check_labels(name, self.builder.types[value], definition)
        except NetspecError as error:
            if not (definition.inherited or self.overridden):
                self.findings.extend(error)
            return ()
        return definition.value

    def size(self, name: str, dim: int | str | Expression, span: Span) -> int | str:
        """A size of an input: a number, a symbol's name, or what an expression over parameters gives."""
        if isinstance(dim, int | str):
            return dim
        self.builder.decided |= names_in(dim)
        self.sizes.append(dim)
        value = self.evaluator.evaluate(dim, self.home.params, Argument("shape", span, span), ())
        if not is_size(value):
            fail("NS206", f"a size of `{name}` is {SIZE}, not {show(value)}", span)
        return value

    def body(
        self, body: Body, frame: Frame, entering: Values, *, top: bool = False, only: Collection[int] | None = None
    ) -> Values:
        if frame.depth > MAX_BODY_DEPTH:
            fail(
                "NS214",
                f"blocks and branches nest at most {MAX_BODY_DEPTH} deep",
                body.span,
                notes=notes_of(frame.uses),
            )
        values = entering
        for number, step in enumerate(body.steps):
            if self.findings.full:
                break
            if only is not None and number not in only:
                continue
            try:
                values = self.step(step, frame, values)
            except Failed:
                values = (None,) * len(step.outputs)
            if not step.named and not top:
                continue
            called = called_values(step.called, step.outputs)
            known = dict(zip(called, (values[0], *values), strict=len(called) > 1))
            if step.named:
                frame.values.update(known)
            if top:
                self.steps.update({name: value for name, value in known.items() if value is not None})
        return values

    def step(self, step: Step, frame: Frame, previous: Values) -> Values:
        inputs = self.inputs_of(step, frame, previous)
        path = f"{frame.scope}.{step.called}" if frame.scope else step.called
        since = self.builder.checkpoint
        if step.repeat is not None:
            values = self.repeated(step, frame, path, inputs)
        else:
            values = self.once(step, frame, path, frame.scope, inputs, named=step.named)
        if step.named or step.share:
            made = Made(step, path, since, self.builder.checkpoint)
            if step.share and None not in values:
                share_weights(self.builder, self.errors, step, frame, made)
            if step.named:
                frame.made[step.called] = made
        return values

    def inputs_of(self, step: Step, frame: Frame, previous: Values) -> Values:
        """What a step takes: the values it names, else the first ones of the step before."""
        if step.sources is not None:
            return tuple([frame.values.get(name) for name, _ in step.sources])
        takes = step.takes
        if len(previous) < takes:
            count = f"gives {len(previous)}" if len(previous) != 1 else "gives one"
            message = f"`{step.called}` takes {takes} values, and what comes before it {count}"
            self.errors.fail("NS302", message, step.span, frame, help="name them: `from: [a, b]`")
        return previous[:takes]

    def repeated(self, step: Step, frame: Frame, path: str, inputs: Values) -> Values:
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
        if len(inputs) != len(step.outputs):
            message = "each copy of a repeated step takes what the one before gives"
            counts = f"this step takes {len(inputs)} and gives {len(step.outputs)}"
            self.errors.fail("NS211", f"{message}, and {counts}", step.span, frame)
        values = inputs
        names = frame.names
        outer = names.get("index", ...)
        before = len(self.builder.nodes)
        self.maker.claim(path, step, frame)
        try:
            for index in range(count):
                names["index"] = index
                values = self.once(step, frame, f"{path}.{index}", path, values, named=True)
                if None in values:
                    break
        finally:
            if outer is ...:
                names.pop("index", None)
            else:
                names["index"] = outer
        if len(self.builder.nodes) > before and (given := all_known(values)) and (entries := all_known(inputs)):
            inner, count_as = dict(zip(entry_names(step), entries, strict=True)), step.repeat.expression
            scope = Scope(path, "repeat", frame.scope, given, inputs=inner, count=count_as, span=step.span)
            self.builder.add_scope(scope)
            self.stands.add(id(step.repeat))
        else:
            self.decide(step.repeat, frame)
        return values

    def once(self, step: Step, frame: Frame, path: str, parent: str, inputs: Values, *, named: bool) -> Values:
        """One copy of a step, at its path."""
        self.tick(step)
        if step.when is not None:
            decided = self.evaluator.value(step.when, frame)
            if isinstance(decided, Symbolic) or not isinstance(decided, bool):
                message = f"`when` takes a condition, and this is {show(decided)}"
                help = self.evaluator.way_to_flag(step.when.expression, frame.names) or way_to_bool(decided)
                self.errors.fail("NS215", message, step.when.span, frame, help=help)
            if not decided:
                if len(step.outputs) > len(inputs):
                    message = f"a step that gives {len(step.outputs)} values and takes {len(inputs)} can't be left out"
                    self.errors.fail("NS215", message, step.when.span, frame)
                self.decide(step.when, frame)
                return inputs[: len(step.outputs)]
            self.stands.add(id(step.when))
        target = step.target
        if isinstance(target, BlockDefinition):
            return self.block(step, target, frame, path, parent, inputs)
        if isinstance(target, BodyParameter):
            return self.closure(step, target, frame, path, parent, inputs)
        if step.branches is not None:
            return self.merge(step, frame, path, parent, inputs, named=named)
        return self.maker.add(step, target, frame, path, parent, inputs)

    def decide(self, argument: Argument, frame: Frame) -> None:
        """Note the spec's parameters by which a step was left out: the graph does not show them."""
        if argument.expression is not None:
            origins = origins_of(argument.expression, frame)
            self.builder.decided |= origins
            if any(isinstance(leaf, Attribute) for leaf in leaves(argument.expression)):
                origins = origins.union(*(names_in(dim) for dim in self.sizes))
            self.left_out[id(argument)] = origins | self.left_out.get(id(argument), NO_ORIGIN)


def entry_names(step: Step) -> tuple[str, ...]:
    """What the values that enter the copies of a repeat are called."""
    target = step.target
    return target.info.inputs if isinstance(target, BlockDefinition) and len(target.info.inputs) > 1 else ("input",)


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
