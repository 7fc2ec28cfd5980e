"""Whether a block is residual: what enters is added to what it makes of it."""

from __future__ import annotations

from netspec.graph.model import Graph, Scope
from netspec.graph.paths import is_below
from netspec.ops.merge import Add


def is_residual(graph: Graph, scope: Scope) -> bool:
    """Whether a block gives `f(x) + x`, if need be with an activation behind, for the one value x that enters it.

    Between x and the output stand sums only.
    """
    entering = set(scope.inputs.values())
    if len(entering) != 1 or len(scope.outputs) != 1:
        return False
    (entry,) = entering
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
        if (
            node is not None
            and isinstance(node.op, Add)
            and (node.path == scope.path or is_below(node.path, scope.path))
        ):
            summed = True
            todo += [one for one in node.inputs if graph.types[one] == node.type]
    return False
