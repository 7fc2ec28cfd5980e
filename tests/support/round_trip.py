"""Writes graphs as specs, reads them back, and compares their public attributes."""

from __future__ import annotations

import netspec
from netspec.graph import Graph


def assert_same(a: Graph, b: Graph) -> None:
    """Assert that two graphs are equal: in computations, paths, names of weights, and initialisers."""
    assert b.hash() == a.hash()
    assert [node.path for node in b] == [node.path for node in a]
    for path, node in a.by_path.items():
        other = b[path]
        assert (other.op, other.inputs, other.types, other.weights_of) == (
            *(node.op, node.inputs, node.types),
            node.weights_of,
        )
        if node.weights_of == path:
            own = {w.called for w in a.weights(node)}
            assert {k: v for k, v in other.init.items() if k in own} == {k: v for k, v in node.init.items() if k in own}
    assert b.state() == a.state()
    assert [(i.name, i.type, dict(i.nominal)) for i in b.inputs] == [
        (i.name, i.type, dict(i.nominal)) for i in a.inputs
    ]
    assert [(o.name, o.value, o.mode) for o in b.outputs] == [(o.name, o.value, o.mode) for o in a.outputs]
    assert (b.name, b.title, b.source) == (a.name, a.title, a.source)


def round_trip(graph: Graph) -> Graph:
    """The graph that is read back from a graph's spec, after asserting that its own spec is the same text."""
    text = netspec.to_yaml(graph)
    read = netspec.loads(text).graph
    assert_same(graph, read)
    assert netspec.to_yaml(read) == text
    return read
