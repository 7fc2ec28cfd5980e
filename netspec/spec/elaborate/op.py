"""Elaborates a step that is an op: adds its node."""

from __future__ import annotations

from typing import Any

from netspec.errors import NetspecError, choices, closest
from netspec.ops.attributes import make_op
from netspec.ops.base import Op, RuleError
from netspec.spec.elaborate.elaboration import Elaboration
from netspec.spec.elaborate.errors import Failed, int_hint
from netspec.spec.elaborate.evaluator import hashable
from netspec.spec.elaborate.frame import NO_ORIGIN, Frame, Instance, Values, all_known, origins_of
from netspec.spec.read.body import Step
from netspec.spec.read.initializers import why_not


def elaborate_op(run: Elaboration, at: Instance, cls: type[Op], names: list[str] | None = None) -> Values:
    """Add the node of a step, and return its outputs; `names` are the inputs' names for errors."""
    step, frame, path = at.step, at.frame, at.path
    op = _op_of(run, step, cls, frame)
    inputs = all_known(at.inputs)
    if at.inputs and not inputs:
        return at.unknown
    builder = run.builder
    try:
        value = builder.node(
            path, op, inputs, scope=at.scope, span=step.span, written=step.written, when=at.when, init=step.init
        )
    except RuleError as error:
        run.errors.refused(error, step, frame, path, [builder.types[value] for value in inputs], names)
    except NetspecError as error:
        run.refuse_path(error, path, step, frame)
    origins = {run.origins(value) for value in inputs}
    origins.update([origins_of(tree, frame) for tree in step.written.values()])
    run.note_node(path, step, NO_ORIGIN.union(*origins) if len(origins) != 1 else origins.pop())
    if step.init:
        _check_init(run, step, path, frame)
    return (value, *(f"{value}:{name}" for name in step.outputs[1:]))


def _op_of(run: Elaboration, step: Step, cls: type[Op], frame: Frame) -> Op:
    """The op of a step, created once for each set of values of its expressions."""
    if not step.written:
        op = step.ops.get(())
        if op is None:
            raise Failed
        return op
    values = {name: run.evaluator.value(argument, frame) for name, argument in step.arguments.items()}
    key: tuple[Any, ...] = (*map(hashable, values.values()), *map(type, values.values()))
    op = step.ops.get(key)
    if op is None:
        op, problems = make_op(cls, values)
        for problem in problems:
            argument = step.arguments.get(problem.attribute)
            span = argument.span if argument else step.span
            help = int_hint(argument, values.get(problem.attribute)) or problem.help
            run.errors.keep(problem.code, problem.message, span, frame, help=help)
        if op is None:
            raise Failed
        step.ops[key] = op
    return op


def _check_init(run: Elaboration, step: Step, path: str, frame: Frame) -> None:
    """Report initialisers that do not fit the weights, and those beside the step for weights that the op lacks.

    The file's `defaults` may name weights that some steps of an op lack, such as the bias.
    """
    node = run.builder.nodes[-1]
    types = [run.builder.types[value] for value in node.inputs]
    key = (id(step), id(node.op), *map(id, types))
    if key in run.initialized:
        return
    run.initialized.add(key)
    weights = {w.called: w for w in node.op.weights(*types) if w.kind == "parameter"}
    for name, filling in step.init.items():
        if name in weights:
            if misfit := why_not(filling, weights[name]):
                run.errors.keep("NS206", misfit, step.init_places[name], frame, path)
        elif name in step.init_own:
            help = closest(name, weights) or (f"it has {choices(weights)}" if weights else "it has none")
            message = f"`{node.op.opname}` has no weight `{name}` here"
            run.errors.keep("NS204", message, step.init_places[name], frame, path, help)
