"""Recognises residual blocks."""

from __future__ import annotations

from netspec.graph.model import Graph, Scope
from netspec.graph.paths import is_below
from netspec.ops.merge import Add


def is_residual(graph: Graph, scope: Scope) -> bool:
    """Whether a block computes `f(x) + x`, possibly with an activation after it, for its only input x.

    There must be a path of sums only from the output back to x.
    """
    inputs = set(scope.inputs.values())
    if len(inputs) != 1 or len(scope.outputs) != 1:
        return False
    (entry,) = inputs
    value = scope.output
    while (node := graph.by_path.get(value)) is not None and node.op.family == "activation" and len(node.inputs) == 1:
        value = node.inputs[0]
    todo, seen, summed = [value], set[str](), False
    while todo:
        value = todo.pop()
        if value in seen:
            continue
        seen.add(value)
        if value == entry:
            return summed
        node = graph.by_path.get(value)
        inside = node is not None and (node.path == scope.path or is_below(node.path, scope.path))
        if node is not None and inside and isinstance(node.op, Add):
            summed = True
            todo += [term for term in node.inputs if graph.types[term] == node.type]
    return False
