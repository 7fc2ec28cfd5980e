"""Elaborates a step with `repeat`: each copy takes the outputs of the one before it."""

from __future__ import annotations

from collections.abc import Callable

from netspec.dims import Symbolic
from netspec.expression import show
from netspec.graph.model import Scope
from netspec.spec.elaborate.elaboration import Elaboration
from netspec.spec.elaborate.errors import AS_MANY, DECIDE
from netspec.spec.elaborate.frame import Frame, Instance, Values, all_known, inputs_by_name
from netspec.spec.limits import MAX_REPEAT
from netspec.spec.read.body import Argument, BlockDefinition, Step


def elaborate_repeat(
    run: Elaboration, at: Instance, repeat: Argument, elaborate: Callable[[Elaboration, Instance], Values]
) -> Values:
    """Elaborate the copies of a step, each by `elaborate`, and return the values of the last."""
    step, frame, path = at.step, at.frame, at.path
    run.count(step)
    count = _number_of_copies(run, repeat, frame)
    if len(at.inputs) != len(step.outputs):
        message = "each copy of a repeated step takes what the one before gives"
        counts = f"this step takes {len(at.inputs)} and gives {len(step.outputs)}"
        help = AS_MANY if len(at.inputs) < len(step.outputs) else ""
        run.errors.fail("NS211", f"{message}, and {counts}", step.span, frame, help=help)
    values = at.inputs
    before = len(run.builder.nodes)
    run.claim_scope(path, step, frame)
    for index in range(count):
        copy = Instance(step, frame.in_copy(index), f"{path}.{index}", path, values, named=True)
        values = elaborate(run, copy)
        if None in values:
            break
    if len(run.builder.nodes) > before and (outputs := all_known(values)) and (inputs := all_known(at.inputs)):
        named = inputs_by_name(_input_names(step, len(inputs)), inputs)
        scope = Scope(path, "repeat", at.scope, outputs, inputs=named, count=repeat.expression, span=step.span)
        run.builder.add_scope(scope)
        run.decisions.keep(repeat)
    else:
        run.decisions.leave_out(repeat, frame)
    return values


def _number_of_copies(run: Elaboration, repeat: Argument, frame: Frame) -> int:
    count = run.evaluator.value(repeat, frame)
    if type(count) is not int or count < 0:
        is_open = isinstance(count, Symbolic)
        what = f"{count}, which is open" if is_open else show(count)
        message = f"`repeat` takes a number of copies, 0 or more, not {what}"
        run.errors.fail("NS215", message, repeat.span, frame, help=DECIDE if is_open else "")
    if count > MAX_REPEAT:
        message = f"`repeat` makes at most {MAX_REPEAT:,} copies, not {count:,}"
        run.errors.fail("NS214", message, repeat.span, frame)
    return count


def _input_names(step: Step, count: int) -> tuple[str, ...]:
    """The names of the values that enter the copies."""
    target = step.target
    if isinstance(target, BlockDefinition) and len(target.info.inputs) > 1:
        return target.info.inputs
    return ("input", *(f"input_{number}" for number in range(2, count + 1)))
