"""Elaborates a step that is a body parameter: adds the nodes of the steps that a use of the block passed for it."""

from __future__ import annotations

from netspec.graph.model import Scope
from netspec.spec.elaborate.elaboration import Elaboration
from netspec.spec.elaborate.frame import Frame, Instance, Values, all_known
from netspec.spec.read.body import BodyParameter


def elaborate_body_argument(run: Elaboration, at: Instance, parameter: BodyParameter) -> Values:
    """Elaborate the argument of a body parameter; its steps read names in the environment where they are written."""
    frame = at.frame
    closure = frame.bodies[parameter.name]
    if len(at.inputs) != 1:
        message = f"`{parameter.name}` holds steps that begin at one value, not {len(at.inputs)}"
        run.errors.fail("NS302", message, at.step.span, frame, help="join the values before it, as with `concat`")
    entry = at.inputs[0]
    if entry is None:
        return at.unknown
    run.claim_scope(at.path, at.step, frame)
    before = len(run.builder.nodes)
    inner = Frame(
        at.path,
        closure.environment.in_body_argument({"input": run.builder.types[entry]}),
        closure.origins.in_body_argument({"input": run.origins(entry)}),
        {"input": entry},
        closure.bodies,
        frame.uses,
        frame.depth + 1,
    )
    values = run.body(closure.body, inner, (entry,))[:1]
    if len(run.builder.nodes) > before and (outputs := all_known(values)):
        inputs = {"input": entry}
        scope = Scope(at.path, "body", at.scope, outputs, inputs=inputs, when=at.when, span=closure.body.span)
        run.builder.add_scope(scope)
    return values
