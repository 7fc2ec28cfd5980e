"""Ops of steps as nodes of the graph, each at its path."""

from __future__ import annotations

from typing import Any, cast

from netspec.errors import NetspecError, choices, closest
from netspec.graph.assemble import Assembler
from netspec.graph.memo import op_key
from netspec.graph.paths import node_of
from netspec.ops.attributes import make_op
from netspec.ops.base import Op, RuleError
from netspec.source import Span
from netspec.spec.elaborate.errors import ElaborationErrors, Failed, way_to_int
from netspec.spec.elaborate.evaluator import Evaluator, frozen
from netspec.spec.elaborate.frame import NO_ORIGIN, Frame, origins_of
from netspec.spec.read.body import Step
from netspec.spec.read.initializers import why_not

Values = tuple[str | None, ...]
"""What a step takes or gives; None for what can't be known, since something is wrong before it."""


def all_known(values: Values) -> tuple[str, ...]:
    """The values if all are known, else none."""
    return cast(tuple[str, ...], values) if None not in values else ()


class NodeMaker:
    """Hands ops to the builder. It knows where each path was taken, and what each value comes from."""

    def __init__(self, builder: Assembler, evaluator: Evaluator, errors: ElaborationErrors) -> None:
        self.builder = builder
        self.evaluator = evaluator
        self.errors = errors
        self.places: dict[str, Span] = {}
        self.origins: dict[str, frozenset[str]] = {}
        self.initialized: set[tuple[int, ...]] = set()

    def claim(self, path: str, step: Step, frame: Frame) -> None:
        """Take a path for a scope."""
        try:
            self.builder.claim_scope(path, step.span)
        except NetspecError as error:
            self.errors.clash(error, step, frame, self.places.get(path))
        self.places[path] = step.span

    def add(
        self,
        step: Step,
        cls: type[Op],
        frame: Frame,
        path: str,
        parent: str,
        inputs: Values,
        names: list[str] | None = None,
    ) -> Values:
        """Add a step's op on these values, and give its outputs; `names` are what errors call them."""
        op = self.made(step, cls, frame)
        given = all_known(inputs)
        if inputs and not given:
            return (None,) * len(cls.output_names)
        when = step.when.expression if step.when is not None else None
        init = step.init
        try:
            value = self.builder.node(
                path, op, given, scope=parent, span=step.span, written=step.written, when=when, init=init
            )
        except RuleError as error:
            types = [self.builder.types[value] for value in given]
            self.errors.refused(error, step, frame, path, types, names)
        except NetspecError as error:
            self.errors.clash(error, step, frame, self.places.get(path))
        self.places[path] = step.span
        origins = {self.origin(v) for v in given}
        origins.update([origins_of(tree, frame) for tree in step.written.values()])
        self.origins[value] = NO_ORIGIN.union(*origins) if len(origins) != 1 else origins.pop()
        if step.init:
            self.check_init(step, path, frame)
        return (value, *(f"{value}:{name}" for name in cls.output_names[1:]))

    def made(self, step: Step, cls: type[Op], frame: Frame) -> Op:
        """The op of a step: made once for each set of values its expressions take."""
        if not step.written:
            op = step.ops.get(())
            if op is None:
                raise Failed
            return op
        found = {name: self.evaluator.value(argument, frame) for name, argument in step.arguments.items()}
        key: tuple[Any, ...] = (*map(frozen, found.values()), *map(type, found.values()))
        op = step.ops.get(key)
        if op is None:
            op, problems = make_op(cls, found)
            for problem in problems:
                argument = step.arguments.get(problem.attribute)
                span = argument.span if argument else step.span
                help = way_to_int(argument, found.get(problem.attribute)) or problem.help
                self.errors.keep(problem.code, problem.message, span, frame, help=help)
            if op is None:
                raise Failed
            step.ops[key] = op
        return op

    def origin(self, value: str) -> frozenset[str]:
        """The spec's parameters that a value's shape may come from; an input's sizes are noted by themselves."""
        return self.origins.get(node_of(value), NO_ORIGIN)

    def check_init(self, step: Step, path: str, frame: Frame) -> None:
        """`init` on a step names weights the op has; `defaults` may name more."""
        node = self.builder.nodes[-1]
        types = [self.builder.types[value] for value in node.inputs]
        key = (id(step), *op_key(node.op, types))
        if key in self.initialized:
            return
        self.initialized.add(key)
        known = {w.called: w for w in node.op.weights(*types) if w.kind == "parameter"}
        for name, filling in step.init.items():
            if name in known:
                if misfit := why_not(filling, known[name]):
                    self.errors.keep("NS206", misfit, step.init_places[name], frame, path)
            elif name in step.init_own:
                help = closest(name, known) or (f"it has {choices(known)}" if known else "it has none")
                self.errors.keep(
                    "NS204",
                    f"`{node.op.opname}` has no weight `{name}` here",
                    step.init_places[name],
                    frame,
                    path,
                    help,
                )
