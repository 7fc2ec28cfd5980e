"""`share`: a step that uses the weights of an earlier one."""

from __future__ import annotations

from collections import Counter

from netspec.errors import NetspecError, choices
from netspec.graph.assemble import Assembler
from netspec.graph.model import Node
from netspec.spec.elaborate.errors import ElaborationErrors
from netspec.spec.elaborate.frame import Frame, Made
from netspec.spec.read.body import Step


def share_weights(builder: Assembler, errors: ElaborationErrors, step: Step, frame: Frame, made: Made) -> None:
    """Let a step that was just made use the weights of the earlier step that it names.

    Each node with weights uses those of the node at the same path in that step; an op those of the op. They are equal,
    or the weights agree by name and shape and the op says how it is written with them.
    """
    owner = frame.made.get(step.share)
    if owner is None or (made.since == made.until and (step.when is not None or step.repeat is not None)):
        return  # What is wrong with that step is said already, or this one is left out.
    there = {_inside(node, owner): node for node in builder.nodes[owner.since[0] : owner.until[0]]}
    place = step.share_span or step.span
    if not there and made.since != made.until:
        message = f"`{step.share}` is left out here, and has no weights for this step"
        errors.fail("NS302", message, place, frame, help="leave this one out as well, with the same `when`")
    one_for_all = step.repeat is not None and owner.step.repeat is None
    if step.repeat is not None and not one_for_all:
        counts = [_count_copies(builder, each.path) for each in (owner, made)]
        if counts[0] != counts[1]:
            message = f"`{step.share}` has {counts[0]} copies, and this step {counts[1]}: each shares those of one"
            errors.fail("NS302", message, step.span, frame)
    owners: dict[str, str] = {}
    matched: Counter[str] = Counter()
    for node in builder.nodes[made.since[0] : made.until[0]]:
        copy, inner = _parted(_inside(node, made)) if one_for_all else ("", _inside(node, made))
        counterpart = there.get(inner)
        has_weights = _has_weights(builder, node)
        matched[copy] += has_weights
        if counterpart is not None and (has_weights or (not inner and node.op != counterpart.op)):
            owners[node.path] = counterpart.path
        elif has_weights:
            message = f"`{node.path}` has no counterpart in `{step.share}`, whose weights this step shares"
            errors.fail("NS302", message, place, frame, str(node.op), "what shares weights has them in the same steps")
    with_weights = [inner[1:] for inner, node in there.items() if inner and _has_weights(builder, node)]
    if any(count != len(with_weights) for count in matched.values() or [0]) and "" not in there:
        message = f"`{step.share}` has other steps in it than this one, and can't share its weights"
        help = f"its weights are those of {choices(with_weights)}"
        errors.fail("NS302", message, step.span, frame, help=help)
    whole = there[""].weights_of if "" in there else _shared_by(builder, owner.path) or owner.path
    owners.update(_owners_of_scopes(builder, owner, made, whole, one_for_all=one_for_all))
    try:
        builder.share_weights(made.since, owners)
    except NetspecError as error:
        # Whether source can say it is nothing that a spec can ask for: here the weights do not fit.
        (problem,) = error.diagnostics
        errors.fail("NS302", problem.message, place, frame, help=problem.help or "leave `share` out")


def _owners_of_scopes(builder: Assembler, owner: Made, made: Made, whole: str, *, one_for_all: bool) -> dict[str, str]:
    """By the paths of scopes that a step made, its own and those of its copies, the paths whose weights they use.

    `whole` is the path whose weights the step uses: that of the owner, or of what the owner shares itself.
    """
    owners: dict[str, str] = {}
    for scope in builder.scopes_since(made.since):
        inner = scope.path[len(made.path) :]
        is_copy = made.step.repeat is not None and inner.count(".") == 1
        if not inner or (one_for_all and is_copy):
            owners[scope.path] = whole
        elif is_copy and (shared := _shared_by(builder, owner.path + inner)):
            owners[scope.path] = shared
    return owners


def _shared_by(builder: Assembler, path: str) -> str:
    """The path whose weights a scope uses, where they are not its own."""
    return builder.scopes[path].weights_of if path in builder.scopes else ""


def _inside(node: Node, made: Made) -> str:
    """The path of a node from a step on: `.conv`, or "" for the step itself."""
    return node.path[len(made.path) :]


def _parted(inner: str) -> tuple[str, str]:
    """The number of a copy, and the path of a node from it on.

    >>> _parted(".2.conv")
    ('2', '.conv')
    """
    number, dot, rest = inner[1:].partition(".")
    return number, dot + rest


def _count_copies(builder: Assembler, path: str) -> int:
    """How many copies a repeat has."""
    return len({_parted(node.path[len(path) :])[0] for node in builder.nodes if node.path.startswith(f"{path}.")})


def _has_weights(builder: Assembler, node: Node) -> bool:
    return bool(node.op.weights(*[builder.types[value] for value in node.inputs]))
