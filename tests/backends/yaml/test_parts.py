"""The parts of a graph: steps, branches with their merge, copies, uses of blocks."""

from __future__ import annotations

import pytest

import netspec
from netspec import passes
from netspec.backends.yaml.parts import BlockUse, PartsReader
from netspec.graph import Graph

HEAD = "netspec: 1\nname: net\ninputs: {image: [N, 4, 8, 8]}\n"
CONV = "conv2d: {out_channels: 4, kernel_size: 3, padding: 1}"
RESIDUAL = f"{{add: {{branches: {{a: [{{{CONV}}}, relu], b: []}}}}}}"


def graph_of(steps: str, blocks: str = "") -> Graph:
    return netspec.loads(f"{HEAD}{blocks}network: {steps}\n").graph


def read(graph: Graph) -> BlockUse:
    return PartsReader(graph, set()).network()


def test_ops_are_steps_with_their_values() -> None:
    (conv, relu) = read(graph_of(f"[{{{CONV}, name: c}}, relu]")).parts
    assert (conv.name, conv.key, conv.inputs, conv.outputs) == ("c", "conv2d", ["image"], ["c"])
    assert (relu.inputs, relu.takes) == (["c"], 1)


def test_a_merge_has_its_branches() -> None:
    (merge,) = read(graph_of(f"[{RESIDUAL}]")).parts
    assert (merge.key, merge.inputs, merge.outputs) == ("add", ["image"], ["add"])
    assert [(b.name, [part.key for part in b.parts], b.output) for b in merge.branches] == [
        ("a", ["conv2d", "relu"], "a.relu"),
        # The graph keeps no name of a branch without steps.
        ("identity", [], "image"),
    ]


def test_a_merge_with_a_name_is_a_scope() -> None:
    (merge,) = read(graph_of(f"[{{{RESIDUAL[1:-1]}, name: m}}]")).parts
    assert merge.is_scope
    assert [branch.name for branch in merge.branches] == ["a", "identity"]


def test_a_branch_that_is_used_elsewhere_is_a_block() -> None:
    """A pass may take a value out of a branch; only blocks have outputs."""
    graph = passes.truncate(graph_of(f"[{RESIDUAL}, relu]"), ["a.conv2d", "relu"]).graph
    separate: set[tuple[str, str]] = set()
    PartsReader(graph, separate).network()
    assert separate == {("", "a")}
    branch, merge, relu = PartsReader(graph, separate).network().parts
    assert (branch.key, branch.outputs) == ("a", ["a.relu", "a.conv2d"])
    assert (merge.branches, merge.inputs, relu.key) == ([], ["a.relu", "image"], "relu")


def test_copies_are_one_step() -> None:
    (repeat,) = read(graph_of(f"[{{{CONV}, name: c, repeat: 3}}]")).parts
    assert repeat.is_repeat
    assert repeat.key == "conv2d"
    assert {number: copy.outputs for number, copy in repeat.copies.items()} == {0: ["c.0"], 1: ["c.1"], 2: ["c.2"]}
    assert repeat.outputs == ["c.2"]


def test_uses_come_after_those_in_them() -> None:
    reader = PartsReader(graph_of("[outer]", "blocks: {inner: {body: [relu]}, outer: {body: [inner, tanh]}}\n"), set())
    root = reader.network()
    assert [use.label for use in reader.uses] == ["inner", "outer", ""]
    assert reader.uses[-1] is root
    assert reader.uses[1].entries == {"input": "image"}


def test_second_calls_and_borrowed_weights() -> None:
    steps = f"[{{{CONV}, name: a}}, {{b: 1, name: p}}, {{b: 1, share: p}}, {{b: 2, share: p, name: q}}]"
    conv = "conv2d: {out_channels: 4, kernel_size: 3, padding: 2, dilation: d}"
    blocks = f"blocks: {{b: {{params: {{d: int}}, body: [{{{conv}}}]}}}}\n"
    _, p, second, q = read(graph_of(steps, blocks)).parts
    assert (p.shares, second.shares, q.shares) == ("", "p", "p")
    assert (p.is_second_call, second.is_second_call, q.is_second_call) == (False, True, False)


def test_how_many_steps_there_are() -> None:
    root = read(graph_of(f"[{RESIDUAL}, {{relu, repeat: 2}}]"))
    assert root.size() == 3 + 3


def test_a_value_of_a_copy_that_is_used_elsewhere() -> None:
    graph = passes.truncate(graph_of(f"[{{{CONV}, name: c, repeat: 2}}]"), ["c.0", "c.1"]).graph
    with pytest.raises(netspec.NetspecError, match=r"NS401: `c.0` is used outside the copies of `c`"):
        read(graph)
