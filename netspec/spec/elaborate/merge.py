"""Elaborates a merge with branches: each branch begins at the step's input, and the op joins their values."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping

from netspec.graph.model import Scope
from netspec.ops.base import Op
from netspec.spec.elaborate.elaboration import Elaboration
from netspec.spec.elaborate.frame import Frame, Instance, Values, all_known
from netspec.spec.elaborate.op import elaborate_op
from netspec.spec.read.body import Body


def elaborate_merge(run: Elaboration, at: Instance, op: type[Op], branches: Mapping[str, Body]) -> Values:
    """Elaborate the branches of a merge, then its op; a named merge is a scope around them."""
    step, frame, path = at.step, at.frame, at.path
    if len(at.inputs) != 1:
        run.errors.fail("NS211", "branches begin at one value, and `from` names several", step.span, frame)
    entry = at.inputs[0]
    if entry is None:
        return at.unknown
    around = path if at.named else frame.scope
    if at.named:
        run.builder.claim_scope(path)
    ends: list[str | None] = []
    for name, branch in branches.items():
        run.count(step)
        branch_path = f"{around}.{name}" if around else name
        run.claim_scope(branch_path, step, frame)
        before = len(run.builder.nodes)
        end = run.body(branch, _frame(run, frame, branch_path, entry), (entry,))[0]
        ends.append(end)
        if end is not None and len(run.builder.nodes) > before:
            inputs = {"input": entry}
            run.builder.add_scope(Scope(branch_path, "branch", around, (end,), inputs=inputs, span=branch.span))
    joined = Instance(step, frame, path, around, tuple(ends), at.named)
    values = elaborate_op(run, joined, op, list(branches))
    if at.named and (outputs := all_known(values)):
        scope = Scope(path, "merge", at.scope, outputs, inputs={"input": entry}, when=at.when, span=step.span)
        run.builder.add_scope(scope)
    return values


def _frame(run: Elaboration, frame: Frame, path: str, entry: str) -> Frame:
    """The frame of a branch, which reads the names and values of the body around it."""
    return Frame(
        path,
        frame.environment.in_branch({"input": run.builder.types[entry]}),
        frame.origins.in_branch({"input": run.origins(entry)}),
        ChainMap[str, str | None]({"input": entry}, frame.values),
        frame.bodies,
        frame.uses,
        frame.depth + 1,
    )
