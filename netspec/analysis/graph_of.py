"""The argument of an analysis: a graph, or an object that has one."""

from __future__ import annotations

from typing import Protocol

from netspec.graph.model import Graph


class HasGraph(Protocol):
    """An object with a graph, such as a Network."""

    @property
    def graph(self) -> Graph: ...


def graph_of(network: Graph | HasGraph) -> Graph:
    """The graph of a network, or the graph itself."""
    return network if isinstance(network, Graph) else network.graph
