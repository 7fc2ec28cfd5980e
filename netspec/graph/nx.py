"""Converts a graph to networkx, and finds its longest path and the nodes where it can be split."""

from __future__ import annotations

from typing import Any, cast

import networkx as nx

from netspec.graph.dag import Dag, Mode
from netspec.graph.paths import node_of
from netspec.graph.walk import live_nodes, outputs_of

_ENTRY, _EXIT = object(), object()


def to_networkx(graph: Dag, mode: Mode = "train") -> nx.MultiDiGraph[Any]:
    """The graph as a networkx graph: inputs and nodes by their paths, and an edge for every value that a node reads.

    Nodes have the attributes `op` (None for an input), `type`, and `node` (missing for an input). Edges have `value`,
    and its `position` among the reader's inputs. With `mode="inference"`, nodes for training alone are left out.
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
    """The longest path through the graph, from an input to a node: the nodes that have to run one after another."""
    return [str(name) for name in nx.dag_longest_path(to_networkx(graph, mode))]


def cut_vertices(graph: Dag, mode: Mode = "inference") -> list[str]:
    """The nodes on every path from an input to an output, in order: the network can be split there.

    The nodes after one of them read its outputs alone, and no earlier value.
    """
    digraph = to_networkx(graph, mode)
    digraph.add_edges_from((_ENTRY, i.name) for i in graph.inputs)
    digraph.add_edges_from((node_of(value), _EXIT) for value in outputs_of(graph, mode))
    # networkx does not annotate the type of the result.
    dominators = cast(dict[Any, Any], nx.immediate_dominators(digraph, _ENTRY))  # pyright: ignore[reportUnknownMemberType]
    paths: list[str] = []
    at = dominators.get(_EXIT)
    while at is not None and at is not _ENTRY:
        if at in graph.by_path:
            paths.append(at)
        at = dominators[at]
    return paths[::-1]
