"""Weights that a node borrows from another, the owner: whether they fit, and how the node is printed with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import accumulate

from netspec.errors import Diagnostic, NetspecError, choices, fail
from netspec.graph.model import Graph, Node, Scope
from netspec.graph.paths import is_below
from netspec.ops.base import Op
from netspec.shape_text import shape_text
from netspec.source import Span
from netspec.types import Code, Layer, Printed, Tensor, Weight


def check_borrowed(
    path: str, op: Op, types: Sequence[Tensor], owner: Node, owner_types: Sequence[Tensor], span: Span | None
) -> None:
    """Refuse a node that can't use the weights of an owner.

    `types` are the types of the node's inputs, `owner_types` those of the owner's. Raises NetspecError NS302 if the
    weights do not fit, NS401 if the op has no rule `borrowed` to be printed with them.
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
    """The expression that prints a node with borrowed weights; None if it calls a module, its own or the owner's."""
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
    """The error of an op without a rule to be printed with the weights of another kind of layer."""
    message = f"`{path}`: {op} has no rule to be written with the weights of `{owner.path}`, which is {owner.op}"
    return NetspecError(Diagnostic("NS401", message, span, help="make them equal, or give its class a rule `borrowed`"))


def is_same_module(a: Printed, b: Printed) -> bool:
    """Return whether two layers are the same module: one class with equal arguments, so that either can be called."""
    if not isinstance(a, Layer) or not isinstance(b, Layer):
        return False
    return (a.target, a.arguments, a.inside) == (b.target, b.arguments, b.inside)


def with_layer(code: Code, layer: str) -> Code:
    """An expression in which `layer`, the source of the owner's module, replaces `{layer}`."""
    head, tail, *items = [text.replace("{layer}", layer) for text in (code.head, code.tail, *code.items)]
    return Code(head, tuple(items), tail, code.helpers)


def shares_one_owner(graph: Graph, scope: Scope) -> bool:
    """Return whether a scope is a repeat whose copies all use the weights of one step, which is no repeat."""
    if not scope.weights_of or scope.kind != "repeat":
        return False
    owner = graph.scopes.get(scope.weights_of)
    return owner is None or owner.kind != "repeat"


class SecondCalls:
    """Tells which scopes that share weights compute the same as their owner, and can be printed as a second call."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @cached_property
    def _sizes(self) -> Counter[str]:
        """The number of nodes at or below each path."""
        sizes: Counter[str] = Counter()
        for node in self.graph.nodes:
            sizes.update(accumulate(node.path.split("."), lambda path, name: f"{path}.{name}"))
        return sizes

    def has(self, scope: Scope, nodes: Iterable[Node]) -> bool:
        """Return whether a scope with these nodes is a second call of its owner; of a repeat, each copy has to be.

        Each node needs an equal counterpart in the owner: the same op, printed alike, on corresponding values.
        """
        graph, owner = self.graph, scope.weights_of
        one_for_all = shares_one_owner(graph, scope)
        counts: Counter[str] = Counter()
        for node in nodes:
            call = scope.path
            if one_for_all:
                call += "." + node.path[len(call) + 1 :].partition(".")[0]
            counterpart = graph.by_path.get(owner + node.path[len(call) :])
            if counterpart is None or node.op != counterpart.op:
                return False
            if node.op.torch(*graph.input_types(node)) != counterpart.op.torch(*graph.input_types(counterpart)):
                return False
            if [_relative(v, call) for v in node.inputs] != [_relative(v, owner) for v in counterpart.inputs]:
                return False
            counts[call] += 1
        return all(count == self._sizes[owner] for count in counts.values())


def _relative(value: str, scope: str) -> str:
    """A value relative to a scope: `.conv` for `layer1.conv` in `layer1`; "" for a value from outside."""
    return value[len(scope) :] if is_below(value, scope) else ""


def _weight_shape(weight: Weight) -> str:
    return shape_text(weight.shape, scalar=f"one {weight.dtype}")
