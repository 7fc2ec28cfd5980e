"""Answers about nodes are computed once for each op on inputs of each type."""

from __future__ import annotations

import netspec
from netspec.graph.memo import NodeMemo
from netspec.graph.model import Node
from netspec.types import Tensor

SPEC = """
netspec: 1
name: twice
inputs: {x: [N, 4, 8, 8]}
network:
  - {relu, repeat: 3, name: first}
  - {max_pool2d: 2, name: pool}
  - {relu, repeat: 2, name: second}
"""


def test_once_for_an_op_and_types() -> None:
    graph = netspec.loads(SPEC).graph
    computed: list[str] = []

    def shape(node: Node, types: tuple[Tensor, ...]) -> str:
        computed.append(node.path)
        return f"{node.op.opname} {types[0]}"

    memo = NodeMemo(graph, shape)
    answers = {node.path: memo(node) for node in graph}
    assert answers["first.2"] == "relu N x 4 x 8 x 8"
    assert answers["second.0"] == answers["second.1"] == "relu N x 4 x 4 x 4"
    assert computed == ["first.0", "pool", "second.0"]


def test_a_graph_says_its_name_and_size() -> None:
    assert repr(netspec.loads(SPEC).graph) == "Graph('twice', 6 nodes)"
