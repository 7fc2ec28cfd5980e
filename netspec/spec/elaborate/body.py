"""Elaborates the steps of a body in order, each by the function for its kind."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from netspec.dims import Symbolic
from netspec.errors import fail
from netspec.expression import bool_hint, show
from netspec.spec.elaborate.block import elaborate_block
from netspec.spec.elaborate.body_argument import elaborate_body_argument
from netspec.spec.elaborate.elaboration import Elaboration
from netspec.spec.elaborate.errors import AS_MANY, Failed, notes_of
from netspec.spec.elaborate.frame import ElaboratedStep, Frame, Instance, Values
from netspec.spec.elaborate.merge import elaborate_merge
from netspec.spec.elaborate.op import elaborate_op
from netspec.spec.elaborate.repeat import elaborate_repeat
from netspec.spec.elaborate.share import share_weights
from netspec.spec.limits import MAX_BODY_DEPTH
from netspec.spec.read.body import Argument, BlockDefinition, Body, BodyParameter, Step


def elaborate_body(
    run: Elaboration, body: Body, frame: Frame, inputs: Values, only: Collection[int] | None = None
) -> Values:
    """Elaborate the steps of a body in a frame, and return the values of the last, None for one that failed.

    `only` has the numbers of the steps to elaborate, where an embedded network needs some of its steps; None means all.
    """
    done = elaborate_steps(run, body, frame, inputs, only)
    return done[-1][1] if done else inputs


def elaborate_steps(
    run: Elaboration, body: Body, frame: Frame, inputs: Values, only: Collection[int] | None = None
) -> list[tuple[Step, Values]]:
    """Elaborate the steps of a body in order, and return each with its values."""
    if frame.depth > MAX_BODY_DEPTH:
        message = f"blocks and branches nest at most {MAX_BODY_DEPTH} deep"
        fail("NS214", message, body.span, notes=notes_of(frame.uses))
    done: list[tuple[Step, Values]] = []
    values = inputs
    for number, step in enumerate(body.steps):
        if run.findings.full:
            break
        if only is not None and number not in only:
            continue
        values = _elaborate_step(run, step, frame, values)
        done.append((step, values))
        if step.named:
            named = values_by_name(step, values)
            frame.values.update(named)
            if step.sized:
                _bind_sizes(run, frame, named)
    return done


def _bind_sizes(run: Elaboration, frame: Frame, named: Mapping[str, str | None]) -> None:
    """Let the expressions of later steps read the sizes of these values."""
    known = {name: value for name, value in named.items() if value is not None}
    frame.environment = frame.environment.after_steps({name: run.builder.types[v] for name, v in known.items()})
    frame.origins = frame.origins.after_steps({name: run.origins(value) for name, value in known.items()})


def values_by_name(step: Step, values: Values) -> dict[str, str | None]:
    """The values of a step by the names that `from` has for them, such as `lstm` and `lstm.output`."""
    return dict(zip(step.values, (values[0], *values), strict=len(step.values) > 1))


def _elaborate_step(run: Elaboration, step: Step, frame: Frame, previous: Values) -> Values:
    """Elaborate a step with all its copies, and return the values of the last copy.

    `previous` are the values of the step before it.
    """
    since = run.builder.checkpoint
    path = f"{frame.scope}.{step.name}" if frame.scope else step.name
    try:
        instance = Instance(step, frame, path, frame.scope, _inputs(run, step, frame, previous), step.named)
        if step.repeat is not None:
            values = elaborate_repeat(run, instance, step.repeat, _elaborate_copy)
        else:
            values = _elaborate_copy(run, instance)
        if step.named or step.share:
            elaborated = ElaboratedStep(step, path, since, run.builder.checkpoint)
            if step.share and None not in values:
                share_weights(run.builder, run.errors, step, frame, elaborated)
            if step.named:
                frame.elaborated[step.name] = elaborated
    except Failed:
        return (None,) * len(step.outputs)
    return values


def _inputs(run: Elaboration, step: Step, frame: Frame, previous: Values) -> Values:
    """The values that a step takes: those that it names, else the first ones of the step before."""
    if step.sources is not None:
        return tuple([frame.values.get(name) for name, _ in step.sources])
    takes = step.takes
    if len(previous) < takes:
        count = f"gives {len(previous)}" if len(previous) != 1 else "gives one"
        message = f"`{step.name}` takes {takes} values, and what comes before it {count}"
        run.errors.fail("NS302", message, step.span, frame, help="name them: `from: [a, b]`")
    return previous[:takes]


def _elaborate_copy(run: Elaboration, at: Instance) -> Values:
    """Elaborate a step at a path; one that its `when` leaves out passes its inputs on."""
    run.count(at.step)
    when, target = at.step.when, at.step.target
    if when is not None and not _is_included(run, at, when):
        return at.inputs[: len(at.step.outputs)]
    if isinstance(target, BlockDefinition):
        return elaborate_block(run, at, target)
    if isinstance(target, BodyParameter):
        return elaborate_body_argument(run, at, target)
    if at.step.branches is not None:
        return elaborate_merge(run, at, target, at.step.branches)
    return elaborate_op(run, at, target)


def _is_included(run: Elaboration, at: Instance, when: Argument) -> bool:
    """Return whether the condition of a step holds, and note the decision."""
    frame, outputs = at.frame, len(at.step.outputs)
    holds = run.evaluator.value(when, frame)
    if isinstance(holds, Symbolic) or not isinstance(holds, bool):
        message = f"`when` takes a condition, and this is {show(holds)}"
        help = run.evaluator.flag_hint(when.expression, frame.environment.names) or bool_hint(holds)
        run.errors.fail("NS215", message, when.span, frame, help=help)
    if holds:
        run.decisions.keep(when)
        return True
    if outputs > len(at.inputs):
        message = f"a step that gives {outputs} values and takes {len(at.inputs)} can't be left out"
        run.errors.fail("NS215", message, when.span, frame, help=AS_MANY)
    run.decisions.leave_out(when, frame)
    return False
