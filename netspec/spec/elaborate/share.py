"""`share`: a step that uses the weights of an earlier one."""

from __future__ import annotations

from typing import NoReturn

from netspec.graph.build import Builder
from netspec.graph.model import Node
from netspec.shape_text import shape_text
from netspec.spec.elaborate.errors import ElaborationErrors
from netspec.spec.elaborate.frame import Frame, Made
from netspec.spec.read.body import Step
from netspec.types import Printed, Weight


def share_weights(builder: Builder, errors: ElaborationErrors, step: Step, frame: Frame, made: Made) -> None:
    """Let a step that was just made use the weights of the earlier step it names, which has to be alike."""
    other = frame.made.get(step.share)
    if made.since == made.until and (step.when is not None or step.repeat is not None):
        return  # It is left out.
    if other is None:
        return  # What is wrong with that step is said already.
    twins = {node.path[len(other.path) :]: node for node in builder.nodes[other.since[0] : other.until[0]]}
    if not twins and made.since != made.until:
        message = f"`{step.share}` is left out here, and has no weights for this step"
        help = "leave this one out as well, with the same `when`"
        errors.fail("NS302", message, step.share_span or step.span, frame, help=help)
    one_for_all = step.repeat is not None and other.step.repeat is None
    owners: dict[str, str] = {}
    seen: dict[str, int] = {}
    for node in builder.nodes[made.since[0] : made.until[0]]:
        inner = node.path[len(made.path) :]
        copy = ""
        if one_for_all:
            _, copy, rest = (*inner.split(".", 2), "")[:3]
            inner = f".{rest}" if rest else ""
        twin = twins.get(inner)
        seen[copy] = seen.get(copy, 0) + 1
        if twin is None or twin.op != node.op:
            _refuse(errors, step, frame, node, twin)
        mine, others = (_weights(builder, n) for n in (node, twin))
        if mine != others:
            a, b = next(pair for pair in zip(mine, others, strict=True) if pair[0] != pair[1])
            sizes = ", not ".join(shape_text(weight.shape) for weight in (a, b))
            message = f"the weights of `{other.path}` do not fit here: they would be {sizes}"
            errors.fail("NS302", message, step.span, frame, node.path, "what enters both has to have as many channels")
        if _printed(builder, node) != _printed(builder, twin):
            what = f"`{node.op.opname}` is another module of PyTorch there"
            message = f"this can't share the weights of `{other.path}`: {what}, on {_entering(builder, twin)}"
            label = f"{node.path}: input is {_entering(builder, node)}"
            help = "what enters both has to have as many axes, of the same widths"
            errors.fail("NS302", message, step.share_span or step.span, frame, label, help)
        if mine:
            owners[node.path] = twin.weights_of
    if any(count != len(twins) for count in seen.values()) or (not seen and twins):
        message = f"`{step.share}` has other steps in it than this one, and can't share its weights"
        counts = [_copies(builder, each.path) for each in (other, made)]
        if step.repeat is not None and other.step.repeat is not None and counts[0] != counts[1]:
            message = f"`{step.share}` has {counts[0]} copies, and this step {counts[1]}: each shares those of one"
        errors.fail("NS302", message, step.span, frame)
    whole = twins[""].weights_of if "" in twins else _owner(builder, other.path) or other.path
    for scope in builder.scopes_since(made.since):
        inner = scope.path[len(made.path) :]
        is_copy = step.repeat is not None and inner.count(".") == 1
        if not inner or (one_for_all and is_copy):
            owners[scope.path] = whole
        elif is_copy and (shared := _owner(builder, other.path + inner)):
            owners[scope.path] = shared
    builder.share(made.since, owners)


def _owner(builder: Builder, path: str) -> str:
    """Whose weights a scope uses, where they are not its own."""
    return builder.scopes[path].weights_of if path in builder.scopes else ""


def _copies(builder: Builder, path: str) -> int:
    """How many copies a repeat has."""
    paths = [node.path for node in builder.nodes if node.path.startswith(f"{path}.")]
    return len({inner[len(path) + 1 :].partition(".")[0] for inner in paths})


def _weights(builder: Builder, node: Node) -> tuple[Weight, ...]:
    return node.op.weights(*[builder.types[value] for value in node.inputs])


def _printed(builder: Builder, node: Node) -> Printed:
    """How PyTorch writes a node: one module, called twice, is one class with one set of arguments."""
    return node.op.torch(*[builder.types[value] for value in node.inputs])


def _entering(builder: Builder, node: Node) -> str:
    return " and ".join(str(builder.types[value]) for value in node.inputs)


def _refuse(errors: ElaborationErrors, step: Step, frame: Frame, node: Node, twin: Node | None) -> NoReturn:
    there = f"is {twin.op} there" if twin is not None else "has no counterpart there"
    message = f"this differs from `{step.share}`, whose weights it shares: {node.op} {there}"
    errors.fail("NS302", message, step.span, frame, node.path, "steps that share weights have equal arguments")
