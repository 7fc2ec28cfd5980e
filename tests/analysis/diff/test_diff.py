"""What differs between two networks: nothing where one is the other rewritten, and exactly what was changed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from time import process_time
from typing import Any

import pytest

import netspec
from netspec.analysis.diff import Diff
from netspec.analysis.diff.match import match_graphs
from netspec.analysis.diff.rows import layer_lines
from netspec.network import Network
from netspec.ops.own import find_op
from tests.support.rewriting import flat, flat_spec

Bundled = Callable[[str], Network]
SMALL = [name for name in netspec.names() if name not in ("resnet1202_cifar", "resnet152", "resnet110_cifar")]


def differing(found: Diff) -> list[dict[str, Any]]:
    """The nodes that differ themselves, or stand on one side only."""
    return [node for node in found["nodes"] if node["status"] not in ("same", "sizes")]


def loads(spec: dict[str, Any]) -> Network:
    return netspec.loads(json.dumps(spec))


# The same.


@pytest.mark.parametrize("name", netspec.names())
def test_a_rewritten_network_differs_in_nothing(name: str, bundled: Bundled) -> None:
    network = bundled(name)
    found = netspec.diff(network, flat(network.graph, random.Random(name)))
    assert found.same
    assert found["same"] is True
    assert found["counts"] == {"same": len(network.graph), "sizes": 0, "changed": 0, "only_a": 0, "only_b": 0}
    assert found["a"]["hash"] == found["b"]["hash"]
    assert found["difference"] == {"nodes": 0, "parameters": 0, "macs": 0}
    assert found["names_differ"] == len(network.graph)
    assert found["blocks_differ"] == bool(network.graph.scopes)
    lines = str(found).splitlines()
    assert lines[0] == f"the same network, {len(network.graph):,} nodes"
    assert lines[1].startswith("Names differ: ")


def test_a_network_and_itself(bundled: Bundled) -> None:
    found = netspec.diff(bundled("resnet18"), bundled("resnet18").graph)
    assert str(found) == "the same network, 69 nodes"
    assert (found["names_differ"], found["blocks_differ"], found["initializers_differ"]) == (0, False, 0)
    assert bundled("resnet18").diff(bundled("resnet18")) == found


def test_initialisers_are_no_difference_but_told() -> None:
    spec = {"netspec": 1, "name": "n", "inputs": {"x": ["N", 4]}, "network": [{"linear": 3, "init": {"bias": 1}}]}
    other = copy.deepcopy(spec)
    other["network"][0]["init"] = {"bias": 0}  # type: ignore[index]
    found = netspec.diff(loads(spec), loads(other))
    assert found.same
    assert found["initializers_differ"] == 1
    assert "Initialisers differ, of 1 nodes." in str(found)


def test_equal_hash_and_no_difference_are_one(bundled: Bundled) -> None:
    """Each network against itself, those next to it by name, which are of one family, and some others."""
    graphs = [bundled(name).graph for name in SMALL]
    for number, a in enumerate(graphs):
        for step in (0, 1, 2, 5, 14):
            b = graphs[(number + step) % len(graphs)]
            found = netspec.diff(a, b)
            assert found.same == (a is b) == (found["a"]["hash"] == found["b"]["hash"])
            changed = found["counts"]["changed"] + found["counts"]["only_a"] + found["counts"]["only_b"]
            assert (changed > 0) == (a is not b)


# One thing changed.


def changes(spec: dict[str, Any], chance: random.Random) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Specs with one thing changed, by what was changed, each with the step that was (as it is now)."""
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    def op(step: dict[str, Any]) -> str:
        return next(key for key in step if key not in ("name", "from"))

    def pick(kind: str, may: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
        new = copy.deepcopy(spec)
        steps = [step for step in new["network"] if may(step)]
        if not steps:
            return None
        found[kind] = new, chance.choice(steps)
        return found[kind][1]

    if step := pick("attribute", lambda s: op(s) == "conv2d"):
        step["conv2d"]["bias"] = not step["conv2d"]["bias"]
    if step := pick("removed", lambda s: op(s) in ("relu", "batch_norm", "dropout", "local_response_norm")):
        steps = found["removed"][0]["network"]
        steps.remove(step)
        for other in steps:
            other["from"] = [step["from"][0] if v == step["name"] else v for v in other["from"]]
    if step := pick("inserted", lambda s: op(s) in ("conv2d", "batch_norm", "max_pool2d")):
        steps = found["inserted"][0]["network"]
        for other in steps:
            other["from"] = ["inserted" if v == step["name"] else v for v in other["from"]]
        new = {"sigmoid": None, "name": "inserted", "from": [step["name"]]}
        steps.insert(steps.index(step) + 1, new)
        found["inserted"] = found["inserted"][0], new
    if step := pick("swapped", lambda s: op(s) == "concat"):
        i, j = chance.sample(range(len(step["from"])), 2)
        step["from"][i], step["from"][j] = step["from"][j], step["from"][i]
    if step := pick("replaced", lambda s: op(s) == "relu"):
        step["gelu"] = step.pop("relu")
    if step := pick("other input", lambda s: op(s) == "add"):
        step["from"][1] = step["from"][0]
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["alexnet", "vgg_b", "googlenet", "googlenet_bn", "resnet34", "resnet50"])
def test_one_change_is_told_and_nothing_else(name: str, seed: int, bundled: Bundled) -> None:
    chance = random.Random(f"{name}{seed}")
    spec = flat_spec(bundled(name).graph, chance)
    spec["outputs"] = {key: value for key, value in spec["outputs"].items() if value["mode"] == "inference"}
    before = loads(spec)
    for kind, (changed, step) in changes(spec, chance).items():
        if kind == "other input":
            continue
        # Written anew once more, so that no name helps.
        for named, after in ((True, loads(changed)), (False, flat(loads(changed).graph, chance))):
            for a, b, only in ((before, after, "only_b"), (after, before, "only_a")):
                found = netspec.diff(a, b)
                assert found["a"]["hash"] != found["b"]["hash"]
                (node,) = differing(found)
                side = node["a"] or node["b"]
                if kind == "inserted":
                    assert (node["status"], side["op"]) == (only, "sigmoid")
                elif kind == "removed":
                    assert node["status"] == ("only_a" if only == "only_b" else "only_b")
                    assert side["op"] in step
                else:
                    assert node["status"] == "changed"
                    assert node["inputs_differ"] == (kind == "swapped")
                    assert set(node["attributes"]) == ({"bias"} if kind == "attribute" else set())
                    assert {node["a"]["op"], node["b"]["op"]} == (
                        {"relu", "gelu"} if kind == "replaced" else {node["a"]["op"]}
                    )
                    if named and a is before:
                        assert node["b"]["name"] == step["name"]
                        assert kind != "swapped" or node["a"]["name"] == step["name"]


def test_a_sum_of_one_value_twice(bundled: Bundled) -> None:
    spec = flat_spec(bundled("resnet18").graph, random.Random(1))
    changed, step = changes(spec, random.Random(2))["other input"]
    found = netspec.diff(loads(spec), loads(changed))
    assert step["name"] in {node["b"]["name"] for node in differing(found) if node["b"] and node["inputs_differ"]}


@pytest.mark.parametrize(("stage", "more"), [(0, 1), (1, 3), (2, 8), (3, 2)])
def test_further_copies(stage: int, more: int, bundled: Bundled) -> None:
    stages = [3, 4, 6, 3]
    stages[stage] += more
    other = netspec.load("resnet50", params={"stages": stages})
    for a, b, status, sign in (
        (bundled("resnet50"), other, "only_b", "+"),
        (other, bundled("resnet50"), "only_a", "-"),
    ):
        found = netspec.diff(a, b)
        names = {str((node["a"] or node["b"])["name"]) for node in differing(found)}
        first = stages[stage] - more
        assert {node["status"] for node in differing(found)} == {status}
        assert {name.rsplit(".")[1] for name in names} == {str(n) for n in range(first, first + more)}
        assert {name.partition(".")[0] for name in names} == {f"layer{stage + 1}"}
        text = str(found)
        copies = str(first) if more == 1 else f"{first}-{first + more - 1}"
        times = f" (x {more})" if more > 1 else ""
        line = next(line for line in text.splitlines() if line.startswith(f"  {copies} "))
        assert f"{sign} bottleneck {64 * 2**stage}{times} " in line
        assert len(text.splitlines()) < 20


TWO = {
    "netspec": 1,
    "name": "two",
    "inputs": {"a": ["N", 4, 8, 8], "b": ["N", 4, 8, 8]},
    "network": [
        {"conv2d": {"out_channels": 4, "kernel_size": 1}, "from": "a", "name": "p"},
        {"conv2d": {"out_channels": 4, "kernel_size": 3, "padding": 1}, "from": "b", "name": "q"},
        {"concat": None, "from": ["p", "q"], "name": "r"},
    ],
    "outputs": {"y": "r", "z": {"from": "p", "mode": "train"}},
}


def test_a_merge_with_one_more_branch() -> None:
    def merged(branches: int) -> netspec.Graph:
        b = netspec.Builder("merged")
        x = b.input("x", ["N", 4, 8, 8])
        parts = [b.add(op, x, name=op) for op in ("relu", "tanh", "sigmoid")[:branches]]
        b.output("y", b.add("concat", *parts, name="y"))
        return b.build()

    for a, b, only in ((2, 3, "only_b"), (3, 2, "only_a")):
        found = netspec.diff(merged(a), merged(b))
        assert [node["status"] for node in found["nodes"]] == ["same", "same", *sorted([only, "sizes"])]
        assert f"{'+' if only == 'only_b' else '-'} sigmoid" in str(found)


def test_a_shared_input() -> None:
    other = copy.deepcopy(TWO)
    other["network"][1]["from"] = "a"  # type: ignore[index]
    (node,) = differing(netspec.diff(loads(TWO), loads(other)))
    assert node["b"]["name"] == "q"
    assert node["inputs_differ"]
    assert "conv2d: reads b -> a" in str(netspec.diff(loads(TWO), loads(other)))


def test_a_branch_that_moved_and_changed_is_still_that_branch() -> None:
    other = copy.deepcopy(TWO)
    other["network"][0]["conv2d"]["bias"] = False  # type: ignore[index]
    other["network"][2]["from"] = ["q", "p"]  # type: ignore[index]
    nodes = differing(netspec.diff(loads(TWO), loads(other)))
    assert [(node["a"]["name"], node["b"]["name"], node["status"]) for node in nodes] == [
        ("p", "p", "changed"),
        ("r", "r", "changed"),
    ]


@pytest.mark.parametrize("seed", ["s1", "s23", "s25"])
def test_twins_do_not_change_places(seed: str, bundled: Bundled) -> None:
    # Of some inceptions the 1x1 branch and the 1x1 convolution before a 3x3 read the same, and are alike: these seeds
    # move such a branch.
    chance = random.Random(seed)
    spec = flat_spec(bundled("googlenet_bn").graph, chance)
    changed, step = changes(spec, chance)["swapped"]
    assert "concat" in step
    (node,) = differing(netspec.diff(loads(spec), flat(loads(changed).graph, chance)))
    assert (node["a"]["op"], node["inputs_differ"]) == ("concat", True)


@pytest.mark.parametrize(
    ("change", "kind", "status"),
    [
        ({"outputs": {"y": "r", "z": "p"}}, "output", "changed"),
        ({"outputs": {"y": "r"}}, "output", "only_a"),
        ({"outputs": {"y": "r", "z": {"from": "p", "mode": "train"}, "w": "q"}}, "output", "only_b"),
        ({"outputs": {"y": "r", "z": {"from": "q", "mode": "train"}}}, "output", "changed"),
        ({"inputs": {"a": ["N", 4, 8, 8], "b": {"shape": ["N", 4, 8, 8], "dtype": "float64"}}}, None, ""),
        ({"inputs": {"a": [2, 4, 8, 8], "b": [2, 4, 8, 8]}}, "input", "sizes"),
        ({"inputs": {"a": ["N", 4, 8, 8], "b": ["N", 4, 8, 8], "c": ["N", 1]}}, "input", "only_b"),
        ({"inputs": {"a": ["B", 4, 8, 8], "b": ["B", 4, 8, 8]}}, "", ""),
    ],
)
def test_inputs_outputs_and_modes(change: dict[str, Any], kind: str | None, status: str) -> None:
    if kind is None:
        with pytest.raises(netspec.NetspecError):
            loads({**TWO, **change})
        return
    found = netspec.diff(loads(TWO), loads({**TWO, **change}))
    ends = {(end["kind"], end["status"]) for end in found["ends"] if end["status"] != "same"}
    assert (kind, status) in ends if kind else not ends
    assert found.same == (not kind) == (found["a"]["hash"] == found["b"]["hash"])
    assert kind in str(found)
    if kind == "output":
        assert not differing(found)


def test_sharing_weights() -> None:
    def graph(share: bool) -> netspec.Graph:
        b = netspec.Builder("n")
        x = b.input("x", ["N", 4])
        op = find_op("linear")
        assert op is not None
        first = b.node("p", op(out_features=4), (x,))
        b.output("y", b.node("q", op(out_features=4), (first,), weights_of="p" if share else ""))
        return b.build()

    found = netspec.diff(graph(False), graph(True))
    assert not found.same
    assert [node["weights_differ"] for node in found["nodes"]] == [True, True]


# What a reader gets.


def lines_of(a: Network, b: Network) -> dict[str, str]:
    """The rows of the table, by the first word of each."""
    return {str(row[0]).strip(): str(row[1]) for row in a.diff(b).table().rows}


def test_vgg_d_and_e(bundled: Bundled) -> None:
    found = bundled("vgg_d").diff(bundled("vgg_e"))
    assert [node["b"]["name"] for node in differing(found) if node["b"]["op"] == "conv2d"] == [
        f"conv{n}.3.conv2d" for n in (3, 4, 5)
    ]
    assert found["difference"]["parameters"] == 143_667_240 - 138_357_544
    assert lines_of(bundled("vgg_d"), bundled("vgg_e"))["conv3"] == "conv 256 (x 3->4)"


def test_resnet_34_and_50_stage_by_stage(bundled: Bundled) -> None:
    found = bundled("resnet34").diff(bundled("resnet50"))
    for node in found["nodes"]:
        if node["a"] and node["b"]:
            assert node["a"]["name"].split(".")[:2] == node["b"]["name"].split(".")[:2]
    lines = lines_of(bundled("resnet34"), bundled("resnet50"))
    for n, copies in enumerate((3, 4, 6, 3), 1):
        width = 32 * 2**n
        assert lines[f"layer{n}"] == f"basic {width} -> bottleneck {width} (x {copies})"
    assert lines["0-3.residual.conv_bn.conv2d"] == "kernel_size 3 -> 1, padding 1 -> 0"


def test_googlenet_with_batch_norm_is_told_once(bundled: Bundled) -> None:
    lines = lines_of(bundled("googlenet"), bundled("googlenet_bn"))
    assert lines["b1x1.conv.conv2d and 3 more"] == "bias true -> false"
    assert lines["b5x5.conv_2.conv2d"] == "kernel_size 5 -> 3, padding 2 -> 1, bias true -> false"
    assert sum(line.endswith(": as inception3a") for line in lines.values()) == 8
    assert lines["avg_pool2d"] == "5x5 average pool, /3 -> adaptive average pool, 4"
    assert "Outputs of training are counted" in str(bundled("googlenet").diff(bundled("googlenet_bn")))


@pytest.mark.parametrize(
    "pair",
    [
        ("resnet34", "resnet50"),
        ("resnet18", "resnet101"),
        ("alexnet", "alexnet_owt"),
        ("googlenet", "googlenet_bn"),
        ("vgg_d", "resnet50"),
        ("googlenet", "resnet34"),
        ("resnet34", "resnet34_plain"),
        ("zfnet", "alexnet"),
        ("resnet110_cifar", "resnet20_cifar"),
    ],
)
def test_rows_add_up_and_are_few(pair: tuple[str, str], bundled: Bundled) -> None:
    a, b = (bundled(name).graph for name in pair)
    for x, y in ((a, b), (b, a), (flat(a, random.Random(1)).graph, b), (a, flat(b, random.Random(1)).graph)):
        difference = match_graphs(x, y)
        lines = layer_lines(difference)
        told = [id(pair) for line in lines for pair in line.pairs]
        assert sorted(told) == sorted(id(pair) for pair in difference.pairs)
        report = netspec.diff(x, y)
        assert sum(line.parameters for line in lines) == report["difference"]["parameters"]
        assert sum(line.macs or 0 for line in lines) == report["difference"]["macs"]
        if x.scopes and y.scopes:
            assert len(report.table().rows) <= 45


@pytest.mark.parametrize("pair", [("resnet34", "resnet50"), ("vgg_d", "vgg_e"), ("googlenet", "googlenet_bn")])
def test_blocks_make_no_difference_to_what_is_told(pair: tuple[str, str], bundled: Bundled) -> None:
    a, b = (bundled(name).graph for name in pair)
    counts = netspec.diff(a, b)["counts"]
    found = netspec.diff(flat(a, random.Random(1)), flat(b, random.Random(2)))["counts"]
    assert found == counts


def test_every_node_is_in_the_alignment_once(bundled: Bundled) -> None:
    for x, y in (("resnet18", "resnet50"), ("googlenet", "alexnet"), ("vgg_a", "vgg_e")):
        a, b = bundled(x).graph, bundled(y).graph
        nodes = netspec.diff(a, b)["nodes"]
        assert [node["a"]["name"] for node in nodes if node["a"]] == [node.path for node in a.nodes]
        assert sorted(node["b"]["name"] for node in nodes if node["b"]) == sorted(node.path for node in b.nodes)


def test_open_sizes(bundled: Bundled) -> None:
    wide = netspec.load("resnet18", inputs={"image": ["N", 3, "H", "W"]})
    other = netspec.load("resnet34", inputs={"image": ["B", 3, "X", "Y"]})
    found = netspec.diff(wide, other)
    assert found["difference"]["macs"] is None
    assert {node["status"] for node in found["nodes"]} == {"same", "only_b"}
    assert netspec.diff(wide, netspec.load("resnet18", inputs={"image": ["B", 3, "X", "Y"]})).same
    assert not netspec.diff(wide, bundled("resnet18")).same
    json.loads(found.to_json())
    assert "?" in str(found)


def test_time_grows_with_the_nodes_and_not_their_square(bundled: Bundled) -> None:
    # No stopwatch: four times the nodes may take no more than ten times as long.
    def seconds(n: int, m: int) -> float:
        a, b = (netspec.load("resnet20_cifar", params={"n": k}) for k in (n, m))
        best = 1e9
        for _ in range(3):
            before = process_time()
            netspec.diff(a, b)
            best = min(best, process_time() - before)
        return best

    assert seconds(80, 200) < 10 * seconds(20, 50) + 0.05


def test_a_gate_may_stand_before_or_behind_what_it_scales() -> None:
    steps = "[{adaptive_avg_pool2d: 1, from: x, name: gate}, {multiply, from: [%s], name: scaled}]"
    texts = [
        f"netspec: 1\nname: n\ninputs: {{x: [N, 3, 8, 8]}}\nnetwork: {steps % order}\n"
        for order in ("gate, x", "x, gate")
    ]
    assert netspec.diff(*map(netspec.loads, texts)).same
