"""Weights that a node borrows from another: which fit, and how the node is written with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import accumulate

from netspec.errors import Diagnostic, NetspecError, choices, fail
from netspec.graph.model import Graph, Node, Scope
from netspec.ops.base import Op
from netspec.shape_text import shape_text
from netspec.source import Span
from netspec.types import Code, Layer, Printed, Tensor, Weight


def check_borrowed(
    path: str, op: Op, types: Sequence[Tensor], owner: Node, owner_types: Sequence[Tensor], span: Span | None
) -> None:
    """Refuse a node that would use weights of an owner which it can't use; NS302 if they do not fit, else NS401.

    `types` are the types of the node's inputs, `owner_types` those of the owner's.
    """
    needed = op.weights(*types)
    owned = {weight.name: weight for weight in owner.op.weights(*owner_types)}
    if not needed:
        fail("NS302", f"`{path}` would use the weights of `{owner.path}`, and `{op.opname}` has none", span)
    for weight in needed:
        match = owned.get(weight.name)
        if match is None:
            message = f"`{owner.path}` has no weight `{weight.called}` for `{path}`"
            has = f"it has {choices(w.called for w in owned.values())}" if owned else "it has none"
            if isinstance(getattr(op, weight.name, None), bool):
                has += f"; `{weight.name}: false` does without"
            fail("NS302", message, span, help=has)
        if match != weight:
            message = f"the weights of `{owner.path}` do not fit `{path}`: `{weight.called}` is {_weight_shape(match)}"
            help = "weights are shared as they are: names and shapes have to be equal"
            fail("NS302", f"{message}, and has to be {_weight_shape(weight)}", span, help=help)
    if not is_same_module(op.torch(*types), owner.op.torch(*owner_types)) and op.borrowed(*types) is None:
        raise _no_rule(path, op, owner, span)


def borrowed_form(graph: Graph, node: Node) -> Code | None:
    """How a node is written with the weights of another whose module it can't call; None where it can."""
    if node.weights_of == node.path:
        return None
    owner, types = graph[node.weights_of], graph.input_types(node)
    if is_same_module(node.op.torch(*types), owner.op.torch(*graph.input_types(owner))):
        return None
    code = node.op.borrowed(*types)
    if code is None:
        raise _no_rule(node.path, node.op, owner, node.span)
    return code


def _no_rule(path: str, op: Op, owner: Node, span: Span | None) -> NetspecError:
    """The error of an op that has no way to be written with the weights of one of another kind."""
    message = f"`{path}`: {op} has no rule to be written with the weights of `{owner.path}`, which is {owner.op}"
    return NetspecError(Diagnostic("NS401", message, span, help="make them equal, or give its class a rule `borrowed`"))


def is_same_module(a: Printed, b: Printed) -> bool:
    """Whether a call of one module is as well a call of the other: they are made with equal arguments."""
    if not isinstance(a, Layer) or not isinstance(b, Layer):
        return False
    return (a.target, a.arguments, a.inside) == (b.target, b.arguments, b.inside)


def with_layer(code: Code, layer: str) -> Code:
    """An expression with the source of the layer whose weights it uses in place of `{layer}`."""
    head, tail, *items = [text.replace("{layer}", layer) for text in (code.head, code.tail, *code.items)]
    return Code(head, tuple(items), tail, code.helper)


def shares_one_owner(graph: Graph, scope: Scope) -> bool:
    """Whether a scope is a repeat whose copies all use the weights of one step, and no repeat's."""
    if not scope.weights_of or scope.kind != "repeat":
        return False
    owner = graph.scopes.get(scope.weights_of)
    return owner is None or owner.kind != "repeat"


class SecondCalls:
    """Tells of the scopes that use the weights of another whether they do what that does: as calls of one module."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @cached_property
    def _sizes(self) -> Counter[str]:
        """How many nodes there are at or below each path."""
        sizes: Counter[str] = Counter()
        for node in self.graph.nodes:
            sizes.update(accumulate(node.path.split("."), lambda path, name: f"{path}.{name}"))
        return sizes

    def has(self, scope: Scope, nodes: Iterable[Node]) -> bool:
        """Whether a scope, which these nodes stand in, or each of its copies is a second call.

        Each node has to be as its counterpart: the same op, written alike, on the same values.
        """
        graph, owner = self.graph, scope.weights_of
        one_for_all = shares_one_owner(graph, scope)
        counts: Counter[str] = Counter()
        for node in nodes:
            own = scope.path
            if one_for_all:
                own += "." + node.path[len(own) + 1 :].partition(".")[0]
            other = graph.by_path.get(owner + node.path[len(own) :])
            if other is None or node.op != other.op:
                return False
            if node.op.torch(*graph.input_types(node)) != other.op.torch(*graph.input_types(other)):
                return False
            if [_relative(v, own) for v in node.inputs] != [_relative(v, owner) for v in other.inputs]:
                return False
            counts[own] += 1
        return all(count == self._sizes[owner] for count in counts.values())


def _relative(value: str, scope: str) -> str:
    """A value as it is called in a scope; "" for what enters it."""
    return value[len(scope) :] if value.startswith(f"{scope}.") else ""


def _weight_shape(weight: Weight) -> str:
    return shape_text(weight.shape, scalar=f"one {weight.dtype}")
