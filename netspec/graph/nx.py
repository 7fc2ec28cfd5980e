"""A graph for networkx, and two answers from it: the longest path, and the nodes where the graph can be split."""

from __future__ import annotations

from typing import Any, cast

import networkx as nx

from netspec.graph.dag import Dag, Mode
from netspec.graph.paths import node_of
from netspec.graph.walk import live_nodes, outputs_of

_ENTRY, _EXIT = object(), object()


def to_networkx(graph: Dag, mode: Mode = "train") -> nx.MultiDiGraph[Any]:
    """The graph in networkx: inputs and nodes by their paths, an edge for every value that a node reads.

    Nodes have `op` (None for an input), `type` and, but for inputs, `node`; edges have the `value` they carry and the
    `position` it is read at. With `mode="inference"`, what is built in training only is left out.
    """
    digraph: nx.MultiDiGraph[Any] = nx.MultiDiGraph(name=graph.name)
    for i in graph.inputs:
        digraph.add_node(i.name, op=None, type=i.type)
    for node in graph.nodes if mode == "train" else live_nodes(graph, mode):
        digraph.add_node(node.path, op=node.op, type=node.type, node=node)
        for position, value in enumerate(node.inputs):
            digraph.add_edge(node_of(value), node.path, value=value, position=position)
    return digraph


def longest_path(graph: Dag, mode: Mode = "inference") -> list[str]:
    """The longest way through the graph, from an input to a node: the steps that must follow one another."""
    return [str(name) for name in nx.dag_longest_path(to_networkx(graph, mode))]


def cut_vertices(graph: Dag, mode: Mode = "inference") -> list[str]:
    """The nodes that every way from an input to an output goes through, in order: the network can be split there.

    After each of them, its value alone carries what the rest needs, but for nodes with several outputs.
    """
    digraph = to_networkx(graph, mode)
    digraph.add_edges_from((_ENTRY, i.name) for i in graph.inputs)
    digraph.add_edges_from((node_of(value), _EXIT) for value in outputs_of(graph, mode))
    # networkx leaves the type of this one open.
    dominators = cast(dict[Any, Any], nx.immediate_dominators(digraph, _ENTRY))  # pyright: ignore[reportUnknownMemberType]
    paths: list[str] = []
    at = dominators.get(_EXIT)
    while at is not None and at is not _ENTRY:
        if at in graph.by_path:
            paths.append(at)
        at = dominators[at]
    return paths[::-1]
