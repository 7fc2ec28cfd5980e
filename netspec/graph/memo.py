"""Memoises results that depend on an op and the types of its inputs: nodes that share both compute them once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from netspec.graph.dag import Dag, Node
from netspec.ops.base import Op
from netspec.types import Tensor

_T = TypeVar("_T")


def op_key(op: Op, types: Iterable[Tensor]) -> tuple[int, ...]:
    """The key of an op on inputs of these types: their ids.

    Equal steps of a spec share one op, and a Builder has one object for equal types, so there are few keys, and they
    compare quickly. The caller has to keep the op and the types alive while it uses the key, as a graph does.
    """
    return (id(op), *map(id, types))


class NodeMemo(Generic[_T]):
    """Memoises a function of a graph's nodes that depends on their ops and the types of their inputs alone.

    >>> import netspec
    >>> graph = netspec.load("alexnet").graph
    >>> kinds = NodeMemo(graph, lambda node, types: f"{node.op.opname} on {types[0]}")
    >>> kinds(graph["fc8"])
    'linear on N x 4096'
    """

    def __init__(self, graph: Dag, compute: Callable[[Node, tuple[Tensor, ...]], _T]) -> None:
        self.graph = graph
        self.compute = compute
        self._types = graph.types
        self._answers: dict[tuple[int, ...], _T] = {}

    def __call__(self, node: Node) -> _T:
        # Written out, not by `input_types` and `op_key`: it is asked about every node of a graph.
        types = self._types
        inputs = [types[value] for value in node.inputs]
        key = (id(node.op), *map(id, inputs))
        if key not in self._answers:
            self._answers[key] = self.compute(node, tuple(inputs))
        return self._answers[key]
