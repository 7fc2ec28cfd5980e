"""Questions about ways through a graph, against answers found another way."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import pytest

import netspec
from netspec.graph import Graph
from netspec.graph.model import Mode
from netspec.graph.walk import live_nodes, outputs_of

NAMES = ["alexnet", "vgg_a", "googlenet", "googlenet_bn", "resnet18", "resnet50", "resnet20_cifar"]


@pytest.mark.parametrize("name", NAMES)
def test_all_nodes_and_edges(name: str) -> None:
    graph = netspec.load(name).graph
    made = graph.to_networkx()
    assert nx.is_directed_acyclic_graph(made)
    assert list(made) == [*(i.name for i in graph.inputs), *(node.path for node in graph.nodes)]
    for node in graph.nodes:
        edges = sorted(made.in_edges(node.path, data=True), key=lambda edge: edge[2]["position"])
        assert [edge[2]["value"] for edge in edges] == list(node.inputs)
        assert made.nodes[node.path]["op"] is node.op
        assert made.nodes[node.path]["type"] == node.type
    assert set(graph.to_networkx("inference")) - {i.name for i in graph.inputs} == {
        node.path for node in live_nodes(graph, "inference")
    }


def reached(graph: Graph, without: str, mode: Mode) -> bool:
    """Whether a way leads from an input to an output of the mode that does not go through a node."""
    seen = {i.name for i in graph.inputs}
    for node in live_nodes(graph, mode):
        if node.path != without and not seen.isdisjoint(value.partition(":")[0] for value in node.inputs):
            seen.add(node.path)
    return any(value.partition(":")[0] in seen for value in outputs_of(graph, mode))


@pytest.mark.parametrize("mode", ["inference", "train"])
@pytest.mark.parametrize("name", NAMES)
def test_cut_vertices_are_those_without_which_no_output_is_reached(name: str, mode: Mode) -> None:
    graph = netspec.load(name).graph
    expected = [node.path for node in live_nodes(graph, mode) if not reached(graph, node.path, mode)]
    assert graph.cut_vertices(mode) == expected
    assert expected


@pytest.mark.parametrize("name", NAMES)
def test_longest_path(name: str) -> None:
    graph = netspec.load(name).graph
    depth = {i.name: 1 for i in graph.inputs}
    for node in live_nodes(graph, "inference"):
        depth[node.path] = 1 + max(depth[value] for value in node.inputs)
    way = graph.longest_path()
    assert len(way) == max(depth.values())
    assert way[0] in {i.name for i in graph.inputs}
    assert all(a in graph[b].inputs for a, b in pairwise(way))


def test_depth_in_the_literature() -> None:
    """A network is called after its weighted layers on the longest way: VGG-11, ResNet-50, GoogLeNet's 22."""
    for name, layers in (("vgg_a", 11), ("vgg_e", 19), ("resnet50", 50), ("googlenet", 22)):
        graph = netspec.load(name).graph
        way = graph.longest_path()[1:]
        assert sum(graph[path].op.opname in ("conv2d", "linear") for path in way) == layers


def test_several_inputs_and_a_value_read_twice() -> None:
    text = "netspec: 1\nname: two\ninputs: {a: [N, 4], b: [N, 4]}\n"
    body = "network: [{add, from: [a, a], name: twice}, {add, from: [twice, b], name: more}, relu]\n"
    graph = netspec.loads(text + body).graph
    assert graph.cut_vertices() == ["more", "relu"]
    assert graph.to_networkx().number_of_edges("a", "twice") == 2
