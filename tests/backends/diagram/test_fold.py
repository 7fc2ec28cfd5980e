"""What diagrams show: each op in one box, repeats once, ways round open blocks, names and figures."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from typing import Any

import networkx as nx
import pytest

import netspec
from netspec.backends.diagram.fold import fold
from netspec.backends.diagram.fused import fuse
from netspec.backends.diagram.picture import Picture
from netspec.backends.diagram.view import DEEPEST
from netspec.graph.walk import live_nodes

VIEWS: list[tuple[int | None, tuple[str, ...]]] = [
    (None, ()),
    (0, ()),
    (1, ()),
    (2, ()),
    (DEEPEST, ()),
    (DEEPEST, ("all",)),
    (0, ("all",)),
]


def check(picture: Picture, graph: netspec.Graph) -> None:
    """What holds for every picture of every graph."""
    into: defaultdict[str, list[str]] = defaultdict(list)
    out: defaultdict[str, list[str]] = defaultdict(list)
    for edge in picture.edges:
        assert {edge.tail, edge.head} <= picture.boxes.keys()
        into[edge.head].append(edge.tail)
        out[edge.tail].append(edge.head)
    assert len(picture.edges) == len({(edge.tail, edge.head) for edge in picture.edges})
    assert nx.is_directed_acyclic_graph(nx.DiGraph([(edge.tail, edge.head) for edge in picture.edges]))
    for key, box in picture.boxes.items():
        # A learned tensor and positions take nothing: of some values only a size counts.
        learned = box.label.startswith(("parameter", "positions"))
        assert into[key] if box.kind != "input" and not learned else not into[key]
        last = box.kind in ("input", "output") or box.subtitle.endswith("for its size")
        assert out[key] if not last else box.kind == "input" or not out[key]
        assert not box.cluster or box.cluster in picture.clusters
        assert box.label
    for cluster in picture.clusters.values():
        assert not cluster.parent or cluster.parent in picture.clusters
        assert cluster.title
        assert cluster.count >= 1
    shown = [path for box in picture.boxes.values() for path in box.paths]
    assert len(shown) == len(set(shown))
    for path in shown:
        assert path in graph.by_path or path in graph.scopes


@pytest.mark.parametrize("name", netspec.names())
@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_bundled_networks(name: str, view: Any) -> None:
    graph = netspec.load(name).graph
    picture = fold(graph, *view)
    check(picture, graph)
    # Every op stands below or at just one of the paths that boxes stand for.
    of_op = {fused.leader.path for fused in fuse(graph, live_nodes(graph, "inference"))}
    shown = [path for box in picture.boxes.values() for path in box.paths]
    for path in of_op:
        assert sum(path == one or path.startswith(f"{one}.") for one in shown) == 1


def test_random_specs() -> None:
    from tests.support.random_maps import random_map
    from tests.support.random_specs import random_spec

    drawn = 0
    for seed in range(120):
        make = random_map if seed % 2 else random_spec
        try:
            graph = netspec.loads(json.dumps(make(random.Random(seed).choice))).graph
        except netspec.NetspecError:
            continue
        for view in VIEWS:
            check(fold(graph, *view), graph)
            drawn += 1
    assert drawn > 300


def test_parts_of_every_kind() -> None:
    from tests.support.specs_of_parts import PARTS

    for text in PARTS.values():
        graph = netspec.loads(text).graph
        for view in VIEWS:
            check(fold(graph, *view), graph)


def test_values_by_their_places_and_shared_weights() -> None:
    from tests.support.specs_of_parts import PARTS

    picture = fold(netspec.loads(PARTS["two values through a repeat"]).graph)
    edges = {(edge.tail, edge.head) for edge in picture.edges}
    assert {("from image", "s.*.residual"), ("a", "s.*.transient")} <= edges
    assert ("from image", "s.*.transient") not in edges
    picture = fold(netspec.loads(PARTS["shared on two inputs"]).graph)
    assert "weights of tower.conv2d" in picture.boxes["other.conv2d"].subtitle
    closed = fold(netspec.loads(PARTS["networks of one file"]).graph, 0)
    assert [(b.label, b.subtitle) for b in closed.boxes.values() if b.kind == "block"] == [
        ("generator", "fake"),
        ("discriminator", "d"),
        ("discriminator", "real · weights of d"),
    ]


def labels(picture: Picture) -> list[str]:
    return [box.label for box in picture.boxes.values()]


def test_resnet34_folded() -> None:
    """The stages of Table 1, each block drawn once."""
    picture = fold(netspec.load("resnet34").graph)
    clusters = {cluster.key: (cluster.title, cluster.count, cluster.figures) for cluster in picture.clusters.values()}
    assert clusters == {
        "layer1": ("layer1: basic 64", 3, "64 × 56 × 56\n222 K params, 694 M MACs"),
        "layer2": ("layer2: basic 128", 4, "128 × 28 × 28\n1.12 M params, 873 M MACs"),
        "layer3": ("layer3: basic 256", 6, "256 × 14 × 14\n6.82 M params, 1.34 G MACs"),
        "layer4": ("layer4: basic 512", 3, "512 × 7 × 7\n13.1 M params, 642 M MACs"),
    }
    inside = [(b.label, b.subtitle, b.only) for b in picture.boxes.values() if b.cluster == "layer2"]
    assert inside == [
        ("3x3 conv, 128, first /2", "bn, relu", ""),
        ("3x3 conv, 128", "bn", ""),
        ("1x1 conv, 128, /2", "bn", "first only"),
        ("add", "relu", ""),
    ]
    # The projection of the first copy, and in its place the identity of the others.
    edges = {(e.tail, e.head): e.partial for e in picture.edges}
    assert edges["layer1.*.add", "layer2.*.add"] is True
    assert edges["pool", "layer1.*.add"] is False
    assert edges["layer1.*.add", "layer2.*.shortcut.conv_bn.conv2d"] is True
    assert edges["from image", "stem.conv2d"] is False
    assert picture.totals == "21,797,672 parameters · 3.66 G MACs"


@pytest.mark.parametrize("name", [name for name in netspec.names() if name.startswith("resnet")])
def test_ways_round_blocks_are_there_where_these_are_open(name: str) -> None:
    graph = netspec.load(name).graph
    stages = Counter(node.path.partition(".")[0] for node in graph if node.op.opname == "add")
    closed = fold(graph, 0)
    assert [b.count for b in closed.boxes.values() if "residual" in b.subtitle] == list(stages.values())
    for view in VIEWS[2:5]:
        picture = fold(graph, *view)
        into = Counter(edge.head for edge in picture.edges)
        sums = [box for box in picture.boxes.values() if box.label == "add"]
        assert bool(sums) == bool(stages)
        assert all(into[box.key] >= 2 for box in sums)
    if len(graph) < 2500:  # as many boxes as are drawn
        everything = fold(graph, DEEPEST, ("all",))
        assert sum(box.label == "add" for box in everything.boxes.values()) == stages.total()


def test_vgg_and_alexnet() -> None:
    picture = fold(netspec.load("vgg_e").graph)
    convs = [(b.label, b.count, b.subtitle) for b in picture.boxes.values() if b.family == "convolution"]
    assert convs == [
        ("3x3 conv, 64", 2, "conv1 · relu"),
        ("3x3 conv, 128", 2, "conv2 · relu"),
        ("3x3 conv, 256", 4, "conv3 · relu"),
        ("3x3 conv, 512", 4, "conv4 · relu"),
        ("3x3 conv, 512", 4, "conv5 · relu"),
    ]
    expanded = fold(netspec.load("vgg_e").graph, None, ("conv3",))
    names = [b.subtitle for b in expanded.boxes.values() if b.label == "3x3 conv, 256"]
    assert names == [f"conv3.{n} · relu" for n in range(4)]
    # Configuration C: two convolutions of 3x3 and one of 1x1.
    mixed = [b.label for b in fold(netspec.load("vgg_c").graph).boxes.values() if b.subtitle.startswith("conv5")]
    assert mixed == ["3x3 conv, 512", "3x3 conv, 512", "1x1 conv, 512"]
    assert [b.subtitle for b in fold(netspec.load("vgg_a_lrn").graph).boxes.values()][1] == "conv1 · relu, LRN"
    alexnet = fold(netspec.load("alexnet").graph)
    assert "11x11 conv, 96, /4" in labels(alexnet)
    assert [b.subtitle for b in alexnet.boxes.values() if b.label.startswith("11x11")] == ["conv1 · relu, LRN"]


def test_depth_and_expand() -> None:
    graph = netspec.load("resnet50").graph
    assert [b.label for b in fold(graph, 0).boxes.values() if b.kind == "block"] == [
        "bottleneck 64",
        "bottleneck 128",
        "bottleneck 256",
        "bottleneck 512",
    ]
    opened = fold(graph, 0, ("layer2",))
    assert [f.title for f in opened.clusters.values()] == [
        f"layer2.{n}: bottleneck 128{', stride 2' if n == 0 else ''}" for n in range(4)
    ]
    assert fold(graph, 5).boxes.keys() == fold(graph, 1).boxes.keys()
    assert fold(graph).boxes.keys() == fold(graph, 1).boxes.keys()


INCEPTION = """
netspec: 1
name: module
inputs: {image: [N, 192, 28, 28]}
blocks:
  conv:
    params: {width: int, kernel: 1}
    body: [{conv2d: {out_channels: width, kernel_size: kernel, padding: kernel // 2}}, relu]
  inception:
    params: {a: int, b: int, c: int}
    body:
      - concat:
          branches:
            b1x1: [conv: a]
            b3x3: [conv: b, conv: {width: c, kernel: 3}]
            pool: [{max_pool2d: {kernel_size: 3, stride: 1, padding: 1}}, conv: b]
network:
  - {inception: {a: 64, b: 96, c: 128}, name: inception3a}
  - {inception: {a: 32, b: 16, c: 8}, name: inception3b}
"""


def test_a_part_alone() -> None:
    """Figure 2(b) of Szegedy et al. 2014: every branch from the input to the concatenation."""
    graph = netspec.loads(INCEPTION).graph
    picture = fold(graph, None, (), "inception3a")
    check(picture, graph)
    assert labels(picture) == [
        "input",
        "1x1 conv, 64",
        "1x1 conv, 96",
        "3x3 conv, 128",
        "3x3 max pool",
        "1x1 conv, 96",
        "concat",
        "output",
    ]
    names = {key: box.label for key, box in picture.boxes.items()}
    edges = [(names[e.tail], names[e.head]) for e in picture.edges]
    assert edges.count(("input", "1x1 conv, 64")) == 1
    assert sum(head == "concat" for _, head in edges) == 3
    assert [box.subtitle for box in picture.boxes.values() if box.kind == "output"] == ["288 × 28 × 28"]


def test_copies_that_differ() -> None:
    graph = netspec.loads(
        "netspec: 1\nname: x\ninputs: {x: [N, 4, 32, 32]}\nblocks:\n  b:\n    params: {w: int, d: int}\n    body:\n"
        "      - {conv2d: {out_channels: w, kernel_size: 3, padding: d, dilation: d}}\n"
        "      - {conv2d: {out_channels: w, kernel_size: 1}, when: d == 2}\n"
        "network:\n  - {b: {w: 8, d: 1 + index}, repeat: 4, name: stage}\n"
    ).graph
    picture = fold(graph, 1)
    assert [(b.label, b.only) for b in picture.boxes.values() if b.cluster] == [
        ("3x3 conv, 8, varies", ""),
        ("1x1 conv, 8", "in 1 of 4"),
    ]


def test_names_that_there_are_not() -> None:
    graph = netspec.load("resnet50").graph
    with pytest.raises(netspec.NetspecError, match=r"NS209: `resnet50` has no block, branch or repeat `layer9`"):
        fold(graph, None, ("layer9",))
    with pytest.raises(netspec.NetspecError, match=r"NS209: .* `layer2\.9`"):
        fold(graph, None, (), "layer2.9")
    with pytest.raises(netspec.NetspecError, match=r"NS209: .* has no part `fcc` to highlight\n.*did you mean `fc`"):
        netspec.diagram(graph, highlight=("fcc",))


def test_too_many_boxes() -> None:
    text = "netspec: 1\nname: x\ninputs: {x: [N, 4, 32, 32]}\nnetwork:\n  - {max_pool2d: 1, repeat: 4000, name: c}\n"
    graph = netspec.loads(text).graph
    assert len(fold(graph).boxes) == 3
    with pytest.raises(netspec.NetspecError, match="NS401: the diagram of `x` would have 4,002 boxes"):
        fold(graph, None, ("all",))


GROWING = """
netspec: 1
name: growing
inputs: {image: [N, 3, 16, 16]}
network:
  - {conv2d: {out_channels: 8 * (index + 1), kernel_size: 3, padding: 1}, repeat: 12, name: grow}
  - {max_pool2d: {kernel_size: 3, stride: 2, padding: 1}, repeat: 2, name: pools}
"""


def test_copies_are_told_by_where_they_begin_and_end() -> None:
    """The shape is that of the last copy, and what varies is told from the first to the last."""
    boxes = [box for box in fold(netspec.loads(GROWING).graph).boxes.values() if box.kind == "op"]
    assert [(box.label, box.count) for box in boxes] == [("3x3 conv, 8 … 96", 12), ("3x3 max pool, /2", 2)]
    assert [box.figures.partition("\n")[0] for box in boxes] == ["96 × 16 × 16", "96 × 4 × 4"]


def test_a_box_stands_behind_what_it_takes_even_if_the_first_copy_lacks_that() -> None:
    graph = netspec.loads(
        "netspec: 1\nname: x\ninputs: {x: [N, 3, 8, 8]}\nblocks:\n  res:\n    params: {on: true}\n    body:\n"
        "      - add:\n          branches:\n            f: [{conv2d: {out_channels: 3, kernel_size: 1}, when: on}]\n"
        "            s: []\nnetwork:\n  - {res: {on: index > 0}, repeat: 3, name: q}\n"
    ).graph
    picture = fold(graph)
    check(picture, graph)
    order = list(picture.boxes)
    assert all(order.index(edge.tail) < order.index(edge.head) for edge in picture.edges)


def test_a_named_merge_says_which() -> None:
    text = "netspec: 1\nname: x\ninputs: {x: [N, 3, 8, 8]}\nnetwork:\n" + "".join(
        f"  - {{{op}: {{branches: {{a: [relu], b: [sigmoid]}}}}, name: {op}_{n}, repeat: {n}}}\n"
        for op, n in (("concat", 1), ("add", 3))
    )
    graph = netspec.loads(text).graph
    assert [(f.title, f.count) for f in fold(graph).clusters.values()] == [("concat_1: concat", 1), ("add_3: add", 3)]
    closed = [(b.label, b.count) for b in fold(graph, 0).boxes.values() if b.kind == "block"]
    assert closed == [("concat", 1), ("add", 3)]
    # The cluster has the name already.
    assert [box.subtitle for box in fold(graph).boxes.values() if box.kind == "merge"] == ["", ""]


def test_macs_of_open_sizes() -> None:
    graph = netspec.load("resnet18", inputs={"image": ["N", 3, "H", "W"]}).graph
    picture = fold(graph)
    assert picture.totals == "11,689,512 parameters · MACs depend on the input"
    assert not any("open" in text for text in [box.figures for box in picture.boxes.values()])
    assert all(cluster.figures.endswith(" params") for cluster in picture.clusters.values())
    nominal = "{shape: [N, 4, H, W], nominal: {H: 8, W: 16}}"
    text = f"netspec: 1\nname: x\ninputs: {{x: {nominal}}}\nnetwork: [conv2d: {{out_channels: 2, kernel_size: 1}}]\n"
    assert fold(netspec.loads(text).graph).totals == "10 parameters · 1.02 K MACs at H = 8, W = 16"


def test_what_is_built_in_training_only() -> None:
    """GoogLeNet's auxiliary classifiers: drawn on request, and alone as any other part."""
    net = netspec.load("googlenet")
    without, with_ = net.diagram(depth=0).picture, net.diagram(depth=0, mode="train").picture
    assert set(with_.boxes) - set(without.boxes) == {"aux1", "aux2", "to aux1", "to aux2"}
    assert without.totals.startswith("6,998,552 parameters")
    assert with_.totals.startswith("13,378,280 parameters")
    assert net.diagram(part="aux1").picture.totals == net.diagram(part="aux1", mode="train").picture.totals


@pytest.mark.parametrize("name", ["googlenet", "googlenet_bn", "resnet18", "resnet50", "resnet20_cifar"])
def test_every_part_can_be_drawn(name: str) -> None:
    net = netspec.load(name)
    for path in net.graph.scopes:
        assert net.diagram(part=path).picture.boxes
