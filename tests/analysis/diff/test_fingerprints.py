"""Fingerprints of nodes: what each covers, and what a change elsewhere leaves as it was."""

from __future__ import annotations

from netspec.analysis.diff.fingerprints import FingerprintedGraph, Numbering
from netspec.analysis.diff.interface import common_symbols, match_interface
from netspec.graph import Builder, Graph


def chain(kernel: int = 3, features: int = 10, batch: str = "N", stem: str = "conv") -> Graph:
    """The example of `fingerprints`: image -> conv -> relu -> flatten -> fc."""
    b = Builder("chain")
    image = b.input("image", [batch, 3, 8, 8])
    x = b.add("conv2d", image, name=stem, out_channels=4, kernel_size=kernel, padding=kernel // 2)
    x = b.add("relu", x, name="relu")
    x = b.add("flatten", x, name="flatten")
    b.output("logits", b.add("linear", x, name="fc", out_features=features))
    return b.build()


def both(a: Graph, b: Graph) -> tuple[FingerprintedGraph, FingerprintedGraph]:
    numbers, interface = Numbering(), match_interface(a, b)
    return (
        FingerprintedGraph(a, numbers, interface.inputs_a, interface.outputs_a),
        FingerprintedGraph(b, numbers, interface.inputs_b, interface.outputs_b),
    )


def equal(a: Graph, b: Graph, path: str = "relu") -> set[str]:
    """The fingerprints of a node that are equal in two graphs."""
    x, y = both(a, b)
    kinds = {"op": (x.op, y.op), "local": (x.local, y.local), "origin": (x.origin, y.origin)}
    kinds["purpose"] = (x.purpose, y.purpose)
    return {name for name, (mine, theirs) in kinds.items() if mine[path] == theirs[path]}


def test_equal_graphs_have_equal_fingerprints_whatever_their_names() -> None:
    assert equal(chain(), chain(stem="stem", batch="B")) == {"op", "local", "origin", "purpose"}


def test_a_change_before_a_node_leaves_its_purpose() -> None:
    assert equal(chain(), chain(kernel=5)) == {"op", "local", "purpose"}


def test_a_change_after_a_node_leaves_its_origin() -> None:
    assert equal(chain(), chain(features=12)) == {"op", "local", "origin"}


def test_other_sizes_leave_the_op_alone() -> None:
    def wide(channels: int) -> Graph:
        b = Builder("wide")
        x = b.add("relu", b.input("image", ["N", channels, 8, 8]), name="relu")
        b.output("y", x)
        return b.build()

    assert equal(wide(3), wide(4)) == {"op"}


def test_the_terms_of_a_sum_have_no_order_and_the_parts_of_a_concat_do() -> None:
    def merged(op: str, swap: bool) -> Graph:
        b = Builder("merged")
        image = b.input("image", ["N", 3, 8, 8])
        parts = [b.add("relu", image, name="p"), b.add("tanh", image, name="q")]
        b.output("y", b.add(op, *(parts[::-1] if swap else parts), name="m"))
        return b.build()

    assert "origin" in equal(merged("add", False), merged("add", True), "m")
    assert "origin" not in equal(merged("concat", False), merged("concat", True), "m")
    assert "purpose" in equal(merged("add", False), merged("add", True), "p")
    assert "purpose" not in equal(merged("concat", False), merged("concat", True), "p")


def test_nodes_come_in_an_order_that_no_writing_changes() -> None:
    def branches(first: str) -> Graph:
        b = Builder("branches")
        image = b.input("image", ["N", 3, 8, 8])

        def long() -> str:
            return b.add("tanh", b.add("relu", image, name="a"), name="b")

        def short() -> str:
            return b.add("sigmoid", image, name="c")

        parts = [long(), short()] if first == "long" else [short(), long()]
        b.output("y", b.add("add", *parts, name="sum"))
        return b.build()

    for first in ("long", "short"):
        graph = branches(first)
        ordered, _ = both(graph, graph)
        # The longer branch of a sum comes first.
        assert [node.path for node in ordered.nodes] == ["a", "b", "c", "sum"]


def test_sources_and_users() -> None:
    graph = chain()
    fingerprinted, _ = both(graph, graph)
    assert [node.path for node in fingerprinted.sources(graph["relu"])] == ["conv"]
    assert [node.path for node in fingerprinted.users(graph["relu"])] == ["flatten"]
    assert fingerprinted.sources(graph["conv"]) == []


def test_symbols_are_named_by_their_order() -> None:
    b = Builder("open")
    b.output("y", b.add("relu", b.input("image", ["B", 3, "H", "W"])))
    assert {name: str(dim) for name, dim in common_symbols(b.build()).items()} == {"B": "S0", "H": "S1", "W": "S2"}
