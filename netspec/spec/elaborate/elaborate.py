"""From a Spec to a graph: blocks are opened, repeats copied, conditions decided, and every shape inferred."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netspec.dims import Dim, symbol
from netspec.errors import Diagnostic, Findings, NetspecError, fail
from netspec.expression import Expression, ExpressionError, Value, bool_hint, evaluate, show
from netspec.gc_pause import gc_paused
from netspec.graph.build import Builder
from netspec.graph.lexicon import Environment
from netspec.graph.model import NOTHING, Graph
from netspec.labels import Labels
from netspec.preprocess import Preprocess
from netspec.source import Span
from netspec.spec.elaborate.body import elaborate_body, elaborate_steps, values_by_name
from netspec.spec.elaborate.elaboration import Elaboration
from netspec.spec.elaborate.errors import Failed
from netspec.spec.elaborate.frame import NO_ORIGIN, Frame, Origins, inputs_by_name
from netspec.spec.read.body import Argument
from netspec.spec.read.inputs import SIZE, is_size
from netspec.spec.read.labels import check_labels
from netspec.spec.read.parameters import resolve_params
from netspec.spec.read.preprocess import fit_preprocess
from netspec.spec.read.spec import Spec
from netspec.types import Tensor

Shapes = Mapping[str, list[Dim | str]]


@dataclass(frozen=True, slots=True)
class Result:
    """A graph, warnings, and the value of every step of the network by the step's name."""

    graph: Graph
    warnings: list[Diagnostic]
    steps: dict[str, str]


def elaborate(spec: Spec, params: Mapping[str, Any] | None = None, inputs: Shapes | None = None) -> Result:
    """Elaborate a spec, with some parameters or input shapes replaced.

    Raises NetspecError with all errors; one that only follows from another is not reported.
    """
    with gc_paused():
        return _Network(spec, params or {}, inputs or {}).elaborate()


class _Network:
    """Elaborates the network of a spec: its inputs, steps and outputs, with `preprocess` and `labels`."""

    def __init__(self, spec: Spec, params: Mapping[str, Any], shapes: Shapes) -> None:
        self.spec = spec
        self.params = resolve_params(spec.name, spec.parameters, params)
        self.shapes = shapes
        self.overridden = bool(params or shapes)
        self.builder = Builder(spec.name, title=spec.title, source=spec.source_note, params=self.params)
        self.run = Elaboration(self.builder, elaborate_body)
        self.findings = self.run.findings
        for parameter in (*spec.parameters.values(), *(p for d in spec.definitions for p in d.info.parameters)):
            if parameter.span is not None and bool_hint(parameter.default):
                self.run.evaluator.declared.setdefault(parameter.name, parameter.span)

    def elaborate(self) -> Result:
        """Build the graph, with warnings and the values of the steps."""
        inputs = self.inputs()
        frame = self.frame(inputs)
        steps: dict[str, str] = {}
        for step, values in elaborate_steps(self.run, self.spec.body, frame, inputs if len(inputs) == 1 else ()):
            steps.update({name: value for name, value in values_by_name(step, values).items() if value is not None})
        self.findings.check()
        for o in self.spec.outputs:
            value = steps.get(o.value) or o.value
            self.builder.output(o.name, value, o.mode, o.span, self.labels(o.name, value))
        self.findings.check()
        self.builder.vanished |= self.run.decisions.vanished
        graph = self.builder.build()
        return Result(graph, _unused(self.spec, graph), steps)

    def frame(self, inputs: tuple[str, ...]) -> Frame:
        """The frame of the network's body."""
        values = inputs_by_name(inputs, inputs)
        types = {name: self.builder.types[value] for name, value in values.items()}
        origins = {name: frozenset((name,)) for name in self.params}
        return Frame(
            "",
            Environment[Value].of_file(self.params, types),
            Environment[Origins].of_file(origins, dict.fromkeys(values, NO_ORIGIN)),
            dict(values),
        )

    def inputs(self) -> tuple[str, ...]:
        """Add the inputs, and return their values."""
        values: list[str] = []
        for name in self.spec.inputs:
            try:
                values.append(self.input(name))
            except NetspecError as error:
                self.findings.extend(error)
            except Failed:
                continue
        self.findings.check()
        return tuple(values)

    def input(self, name: str) -> str:
        """Add an input in the shape that the caller passed for it, else in the shape that the spec declares."""
        definition = self.spec.inputs[name]
        shape = self.shapes.get(name)
        written: dict[int, Expression] = {}
        if shape is None:
            shape = [self.size(name, dim, span) for dim, span in definition.dims]
            written = {axis: dim for axis, (dim, _) in enumerate(definition.dims) if not isinstance(dim, int | str)}
        type = Tensor(tuple([symbol(d) if isinstance(d, str) else d for d in shape]), definition.dtype)
        preprocess = self.preprocess(name, type)
        return self.builder.input(
            name, shape, definition.dtype, definition.nominal, definition.span, written or NOTHING, preprocess
        )

    def preprocess(self, name: str, type: Tensor) -> Preprocess | None:
        """The preprocessing of an input, None without one.

        It is dropped where parameters, `--input` or an extending spec changed the input so that it no longer fits.
        """
        definition = self.spec.preprocess.get(name)
        if definition is None:
            return None
        try:
            return fit_preprocess(name, type, self.declared_size(name), definition)
        except NetspecError:
            if definition.inherited or self.overridden:
                return None
            raise

    def declared_size(self, name: str) -> tuple[int, int] | None:
        """The height and width of an input at the default parameters; None where they are symbolic."""
        defaults = {p.name: p.default for p in self.spec.parameters.values() if not p.required}
        try:
            sizes = [
                d if isinstance(d, int | str) else evaluate(d, defaults) for d, _ in self.spec.inputs[name].dims[2:]
            ]
        except ExpressionError:
            return None
        return (sizes[0], sizes[1]) if len(sizes) == 2 and is_size(sizes[0]) and is_size(sizes[1]) else None

    def labels(self, name: str, value: str) -> Labels:
        """The names of an output's classes, () without any.

        They are dropped where parameters or an extending spec changed the number of classes.
        """
        definition = self.spec.labels.get(name)
        if definition is None:
            return ()
        try:
            check_labels(name, self.builder.types[value], definition, self.detected_classes(value))
        except NetspecError as error:
            if not (definition.inherited or self.overridden):
                self.findings.extend(error)
            return ()
        return definition.value

    def detected_classes(self, value: str) -> Dim | None:
        """The number of classes of the op that detects objects and has this value; None for any other op."""
        path = value.partition(":")[0]
        node = next((node for node in self.builder.nodes if node.path == path), None)
        return node.op.detects(*[self.builder.types[each] for each in node.inputs]) if node is not None else None

    def size(self, name: str, dim: int | str | Expression, span: Span) -> int | str:
        """A size of an input: a number, a symbol's name, or the value of an expression over parameters."""
        if isinstance(dim, int | str):
            return dim
        self.run.decisions.note_size(dim)
        value = self.run.evaluator.evaluate(dim, self.params, Argument("shape", span, span), ())
        if not is_size(value):
            fail("NS206", f"a size of `{name}` is {SIZE}, not {show(value)}", span)
        return value


def _unused(spec: Spec, graph: Graph) -> list[Diagnostic]:
    """Warnings about values that nothing uses: one for each place, at most as many as errors in one run."""
    outputs = {o.value for o in graph.outputs}
    warnings: dict[Span | None, Diagnostic] = {}
    for value, users in graph.users.items():
        if users or value in outputs or ":" in value:
            continue
        node = graph.by_path.get(value)
        if node is not None and any(graph.users[each] or each in outputs for each, _ in node.values()):
            continue
        span = node.span if node else spec.inputs[value].span
        message = f"nothing uses `{value}`"
        warnings.setdefault(span, Diagnostic("NS217", message, span, severity="warning"))
        if len(warnings) == Findings().limit:
            break
    return list(warnings.values())
