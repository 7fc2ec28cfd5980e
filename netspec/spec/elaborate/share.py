"""Elaborates `share`: a step borrows the weights of an earlier step, its owner."""

from __future__ import annotations

from collections import Counter

from netspec.errors import NetspecError, choices
from netspec.graph.assemble import Assembler
from netspec.graph.model import Node
from netspec.graph.paths import is_below
from netspec.spec.elaborate.errors import ElaborationErrors
from netspec.spec.elaborate.frame import ElaboratedStep, Frame
from netspec.spec.read.body import Step


def share_weights(
    builder: Assembler, errors: ElaborationErrors, step: Step, frame: Frame, borrower: ElaboratedStep
) -> None:
    """Let the step that was elaborated last, `borrower`, use the weights of the step that its `share` names.

    Each node with weights uses those of its counterpart, the node at the same path within the owner. The two ops are
    equal, or their weights agree in name and shape and the op has a rule `borrowed`.
    """
    owner = frame.elaborated.get(step.share)
    if owner is None or (borrower.since == borrower.until and (step.when is not None or step.repeat is not None)):
        return  # The error of the owner has been reported, or the borrower is left out.
    owned = {_inside(node, owner): node for node in builder.nodes[owner.since[0] : owner.until[0]]}
    place = step.share_span or step.span
    if not owned and borrower.since != borrower.until:
        message = f"`{step.share}` is left out here, and has no weights for this step"
        errors.fail("NS302", message, place, frame, help="leave this one out as well, with the same `when`")
    one_for_all = step.repeat is not None and owner.step.repeat is None
    if step.repeat is not None and not one_for_all:
        counts = [_count_copies(builder, each.path) for each in (owner, borrower)]
        if counts[0] != counts[1]:
            message = f"`{step.share}` has {counts[0]} copies, and this step {counts[1]}: each shares those of one"
            errors.fail("NS302", message, step.span, frame)
    owners: dict[str, str] = {}
    matched: Counter[str] = Counter()
    for node in builder.nodes[borrower.since[0] : borrower.until[0]]:
        copy, inner = _parted(_inside(node, borrower)) if one_for_all else ("", _inside(node, borrower))
        counterpart = owned.get(inner)
        has_weights = builder.has_weights(node)
        matched[copy] += has_weights
        if counterpart is not None and (has_weights or (not inner and node.op != counterpart.op)):
            owners[node.path] = counterpart.path
        elif has_weights:
            message = f"`{node.path}` has no counterpart in `{step.share}`, whose weights this step shares"
            errors.fail("NS302", message, place, frame, str(node.op), "what shares weights has them in the same steps")
    with_weights = [inner[1:] for inner, node in owned.items() if inner and builder.has_weights(node)]
    if any(count != len(with_weights) for count in matched.values() or [0]) and "" not in owned:
        message = f"`{step.share}` has other steps in it than this one, and can't share its weights"
        help = f"its weights are those of {choices(with_weights)}"
        errors.fail("NS302", message, step.span, frame, help=help)
    shared_path = owned[""].weights_of if "" in owned else _shared_by(builder, owner.path) or owner.path
    owners.update(_owners_of_scopes(builder, owner, borrower, shared_path, one_for_all=one_for_all))
    try:
        builder.share_weights(borrower.since, owners)
    except NetspecError as error:
        # NS401 says that the op can't be printed with these weights. A spec does not ask for source: NS302 for both.
        (problem,) = error.diagnostics
        errors.fail("NS302", problem.message, place, frame, help=problem.help or "leave `share` out")


def _owners_of_scopes(
    builder: Assembler, owner: ElaboratedStep, borrower: ElaboratedStep, shared_path: str, *, one_for_all: bool
) -> dict[str, str]:
    """The paths whose weights the scopes of a step use, by the paths of the scopes: the step's own and its copies'.

    `shared_path` is the path of the owner, or of the step whose weights the owner shares in turn.
    """
    owners: dict[str, str] = {}
    for scope in builder.scopes_since(borrower.since):
        inner = scope.path[len(borrower.path) :]
        is_copy = borrower.step.repeat is not None and inner.count(".") == 1
        if not inner or (one_for_all and is_copy):
            owners[scope.path] = shared_path
        elif is_copy and (shared := _shared_by(builder, owner.path + inner)):
            owners[scope.path] = shared
    return owners


def _shared_by(builder: Assembler, path: str) -> str:
    """The path whose weights the scope at a path shares; "" where it has its own."""
    return builder.scopes[path].weights_of if path in builder.scopes else ""


def _inside(node: Node, step: ElaboratedStep) -> str:
    """The path of a node relative to a step: `.conv`, or "" for the step itself."""
    return node.path[len(step.path) :]


def _parted(inner: str) -> tuple[str, str]:
    """Split the path of a node relative to a repeat into the number of the copy and the path relative to the copy.

    >>> _parted(".2.conv")
    ('2', '.conv')
    """
    number, dot, rest = inner[1:].partition(".")
    return number, dot + rest


def _count_copies(builder: Assembler, path: str) -> int:
    """The number of copies of the repeat at a path."""
    return len({_parted(node.path[len(path) :])[0] for node in builder.nodes if is_below(node.path, path)})
