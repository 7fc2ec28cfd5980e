"""Weights that a node has of another: which fit, and how a node of another kind is written with them."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.errors import NetspecError, choices, fail
from netspec.graph.model import Graph, Node
from netspec.ops.base import Op
from netspec.shape_text import shape_text
from netspec.source import Span
from netspec.types import Code, Layer, Printed, Tensor, Weight


def check_borrowed(
    path: str, op: Op, types: Sequence[Tensor], owner: Node, of: Sequence[Tensor], span: Span | None
) -> None:
    """Refuse a node that would use weights of an owner which it can't use; NS302 if they do not fit, else NS401.

    `types` are the types of the node's inputs, and `of` those of the owner's.
    """
    needed, there = op.weights(*types), {weight.name: weight for weight in owner.op.weights(*of)}
    if not needed:
        fail("NS302", f"`{path}` would use the weights of `{owner.path}`, and `{op.opname}` has none", span)
    for weight in needed:
        other = there.get(weight.name)
        if other is None:
            has = f"it has {choices(w.called for w in there.values())}" if there else "it has none"
            fail("NS302", f"`{owner.path}` has no weight `{weight.called}` for `{path}`", span, help=has)
        if other != weight:
            message = f"the weights of `{owner.path}` do not fit `{path}`: `{weight.called}` is {_said(other)}"
            fail("NS302", f"{message}, and has to be {_said(weight)}", span)
    if not is_same_module(op.torch(*types), owner.op.torch(*of)) and op.borrowed(*types) is None:
        raise cant_borrow(path, op, owner, span)


def borrowed_form(graph: Graph, node: Node) -> Code | None:
    """How a node is written with the weights of another whose module it can't call; None where it can."""
    if node.weights_of == node.path:
        return None
    owner, types = graph[node.weights_of], graph.input_types(node)
    if is_same_module(node.op.torch(*types), owner.op.torch(*graph.input_types(owner))):
        return None
    code = node.op.borrowed(*types)
    if code is None:
        raise cant_borrow(node.path, node.op, owner, node.span)
    return code


def cant_borrow(path: str, op: Op, owner: Node, span: Span | None = None) -> NetspecError:
    """What is wrong with an op that has no way to be written with the weights of one of another kind."""
    with_others = f"has no rule to be written with the weights of `{owner.path}`, which is {owner.op}"
    try:
        fail(
            "NS401", f"`{path}`: {op} {with_others}", span, help="make them equal, or give its class a rule `borrowed`"
        )
    except NetspecError as error:
        return error


def is_same_module(a: Printed, b: Printed) -> bool:
    """Whether a call of one module is as well a call of the other: they are made with equal arguments."""
    if not isinstance(a, Layer) or not isinstance(b, Layer):
        return False
    return (a.target, a.arguments, a.inside) == (b.target, b.arguments, b.inside)


def with_layer(code: Code, layer: str) -> Code:
    """An expression with the layer in it whose weights it uses."""

    def named(text: str) -> str:
        return text.replace("{layer}", layer)

    return Code(named(code.head), tuple([named(item) for item in code.items]), named(code.tail), code.helper)


def _said(weight: Weight) -> str:
    return shape_text(weight.shape, scalar=f"one {weight.dtype}")
