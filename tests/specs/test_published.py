"""The bundled specs against what is published: figures of the papers, and torchvision's definitions of the networks.

Figures stand here as printed, with their source; none is read from the specs' own `expect`.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from math import prod
from typing import Any

import networkx as nx
import pytest

import netspec
from netspec.graph.model import Graph
from netspec.network import Network, names
from netspec.spec.sources.bundled import bundled_folder
from netspec.spec.sources.find import find
from netspec.spec.text.data import plain_data
from netspec.spec.text.parse import parse_text
from netspec.types import Init
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    import torchvision
    from torch.utils.flop_counter import FlopCounterMode

# Parameters: BVLC's bvlc_alexnet and bvlc_reference_caffenet, Zeiler & Fergus' Figure 3, torchvision. MACs of the
# ResNets: with the stride in the first 1x1 of a bottleneck, as the paper has it.
TOTALS = {
    "alexnet": (60_965_224, 724_406_816),
    "caffenet": (60_965_224, 724_406_816),
    "zfnet": (62_357_608, 1_168_032_896),
    "vgg_a": (132_863_336, 7_609_090_048),
    "vgg_a_lrn": (132_863_336, 7_609_090_048),
    "vgg_b": (133_047_848, 11_308_466_176),
    "vgg_c": (133_638_952, 11_770_888_192),
    "vgg_d": (138_357_544, 15_470_264_320),
    "vgg_e": (143_667_240, 19_632_062_464),
    "resnet18": (11_689_512, 1_814_073_344),
    "resnet34": (21_797_672, 3_663_761_408),
    "resnet50": (25_557_032, 3_857_973_248),
    "resnet101": (44_549_160, 7_570_194_432),
    "resnet152": (60_192_808, 11_282_415_616),
    # Layers of Figure 3's plain network, counted by hand: ResNet-34 without its three projections and their norms.
    "resnet34_plain": (21_797_672 - 2 * (64 + 128 + 256 + 512) - 64 * 128 - 128 * 256 - 256 * 512 + 128, 3_644_493_824),
    "alexnet_owt": (61_100_840, 714_188_480),
    "googlenet": (6_998_552, 1_582_671_872),
    "googlenet_bn": (6_624_904, 1_498_376_192),
    "inception_v3": (23_834_568, 5_713_216_096),
}

# With the auxiliary classifiers: BVLC's bvlc_googlenet, and torchvision.
TRAINING = {"googlenet": 13_378_280, "googlenet_bn": 13_004_888, "inception_v3": 27_161_264}

# Layers with weights from input to output, as the networks' names count them. Of Inception-v3 the paper says 42 without
# what it counts; others count 48 (MathWorks' `inceptionv3`).
DEPTHS = {
    "alexnet": 8,
    "caffenet": 8,
    "zfnet": 8,
    "vgg_a": 11,
    "vgg_a_lrn": 11,
    "vgg_b": 13,
    "vgg_c": 16,
    "vgg_d": 16,
    "vgg_e": 19,
    "resnet18": 18,
    "resnet34": 34,
    "resnet50": 50,
    "resnet101": 101,
    "resnet152": 152,
    "resnet34_plain": 34,
    "alexnet_owt": 8,
    "googlenet": 22,
    "googlenet_bn": 22,
    "inception_v3": 48,
}

TORCHVISION = {
    "vgg_a": "vgg11",
    "vgg_b": "vgg13",
    "vgg_d": "vgg16",
    "vgg_e": "vgg19",
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "resnet101": "resnet101",
    "resnet152": "resnet152",
    "alexnet_owt": "alexnet",
    "googlenet_bn": "googlenet",
}

BOTTLENECKS = ("resnet50", "resnet101", "resnet152")


@cache
def bundled(name: str) -> Network:
    return netspec.load(name)


@cache
def as_torchvision(name: str) -> Network:
    """The network with the strides where torchvision has them."""
    return netspec.load(name, params={"stride_in_3x3": True} if name in BOTTLENECKS else None)


@cache
def summary(name: str) -> Any:
    return bundled(name).summary()


def layer(name: str, path: str) -> Any:
    return next(entry for entry in summary(name)["layers"] if entry["name"] == path)


def weighted(network: Network) -> list[Any]:
    """The summary's rows of convolutions and linear layers."""
    return [entry for entry in network.summary()["layers"] if entry["op"] in ("conv2d", "linear")]


@cache
def theirs(name: str) -> torch.nn.Module:
    """torchvision's module, without memory for its weights."""
    with torch.device("meta"):
        how = {"init_weights": False, "transform_input": False} if name == "googlenet_bn" else {}
        return getattr(torchvision.models, TORCHVISION[name])(**how).eval()


# What every bundled spec is.


@pytest.mark.parametrize("name", names())
def test_loads_without_warnings(name: str) -> None:
    network = bundled(name)
    assert network.name == name
    assert network.title
    assert network.spec.source_note
    assert network.warnings == []


@pytest.mark.parametrize("name", names())
def test_claims_hold(name: str) -> None:
    count, broken = bundled(name).check_expectations()
    assert broken == []
    expect = bundled(name).spec.expect
    assert expect is not None
    assert {"parameters", "macs"} <= set(expect.entries)
    assert count >= 2


@pytest.mark.parametrize("name", names())
def test_steps_with_weights_are_named(name: str) -> None:
    network = bundled(name)
    named = {step.name for step in network.spec.body.steps if step.named}
    assert {key.split(".")[0] for key in network.graph.state()} <= named


@pytest.mark.parametrize("name", TOTALS)
def test_classes_are_a_parameter(name: str) -> None:
    assert summary(name)["outputs"] == {"logits": ["N", 1000]}
    ten = netspec.load(name, params={"classes": 10}).summary()
    assert ten["outputs"] == {"logits": ["N", 10]}
    head = weighted(bundled(name))[-1]
    assert summary(name)["totals"]["parameters"] - ten["totals"]["parameters"] == head["parameters"] // 1000 * 990


def children() -> list[str]:
    # By their text: a spec that does not load is for the tests to tell, not for their collection.
    return [name for name in names() if "\nextends:" in find(name).text]


@pytest.mark.parametrize("name", children())
def test_children_are_short(name: str) -> None:
    text = find(name).text
    said, _, claimed = text.partition("\nexpect:")
    assert claimed, "`expect` comes last"
    # Without the blocks that it replaces, their defaults, and claims on networks beside the main one.
    said = re.sub(r"^(blocks|defaults|networks):.*?(?=^\w|\Z)", "", said, flags=re.M | re.S)
    assert len([line for line in said.splitlines() if line and not line.startswith("#")]) <= 8


def without_spans(graph: Graph) -> Graph:
    def bare(block: Any) -> Any:
        return block and replace(block, span=None)

    return replace(
        graph,
        inputs=tuple(replace(i, span=None) for i in graph.inputs),
        outputs=tuple(replace(o, span=None) for o in graph.outputs),
        nodes=tuple(replace(node, span=None) for node in graph.nodes),
        scopes={path: replace(s, span=None, block=bare(s.block)) for path, s in graph.scopes.items()},
    )


@pytest.mark.parametrize("name", [name for name in names() if name not in children()])
def test_json_means_the_same(name: str) -> None:
    data = plain_data(parse_text(find(name)))
    twin = netspec.loads(json.dumps(data), name=f"{name}.json")
    assert twin.check_expectations() == bundled(name).check_expectations()
    assert without_spans(twin.graph) == without_spans(bundled(name).graph)


def test_all_published_are_bundled() -> None:
    assert set(TOTALS) == set(DEPTHS) <= {path.stem for path in bundled_folder().iterdir()}


# Figures in print.


@pytest.mark.parametrize(("name", "parameters", "macs"), [(name, *totals) for name, totals in TOTALS.items()])
def test_totals(name: str, parameters: int, macs: int) -> None:
    totals = summary(name)["totals"]
    assert (totals["parameters"], totals["macs"]) == (parameters, macs)
    assert totals["parameters_training"] == TRAINING.get(name, parameters)
    assert summary(name)["complete"]


@pytest.mark.parametrize(
    ("name", "millions"),
    # Simonyan & Zisserman 2014, Table 2
    [("vgg_a", 133), ("vgg_a_lrn", 133), ("vgg_b", 133), ("vgg_c", 134), ("vgg_d", 138), ("vgg_e", 144)],
)
def test_vgg_table_2(name: str, millions: int) -> None:
    assert round(summary(name)["totals"]["parameters"] / 1e6) == millions


@pytest.mark.parametrize(
    ("name", "billions"),
    # He et al. 2015, Table 1, "FLOPs"; 34 and 50 are cut, not rounded
    [("resnet18", 1.8), ("resnet34", 3.6), ("resnet50", 3.8), ("resnet101", 7.6), ("resnet152", 11.3)],
)
def test_resnet_table_1_flops(name: str, billions: float) -> None:
    macs = summary(name)["totals"]["macs"]
    assert billions in (macs // 10**8 / 10, round(macs / 1e9, 1))


@pytest.mark.parametrize(
    ("name", "billions"),
    # torchvision's `_ops`, to two digits; its bottlenecks have the stride in the 3x3
    [
        ("vgg_a", 7.61),
        ("vgg_b", 11.31),
        ("vgg_d", 15.47),
        ("vgg_e", 19.63),
        ("resnet18", 1.81),
        ("resnet34", 3.66),
        ("resnet50", 4.09),
        ("resnet101", 7.80),
        ("resnet152", 11.51),
    ],
)
def test_torchvision_macs(name: str, billions: float) -> None:
    assert round(as_torchvision(name).summary()["totals"]["macs"] / 1e9, 2) == billions


@pytest.mark.parametrize(("name", "depth"), DEPTHS.items())
def test_depth(name: str, depth: int) -> None:
    graph = bundled(name).graph
    steps = {node.path: node.op.opname in ("conv2d", "linear") for node in graph}
    ways = nx.DiGraph([(value, node.path) for node in graph for value in node.inputs])
    longest = {"image": 0}
    for path in nx.topological_sort(ways):
        longest[path] = max((longest[before] for before in ways.predecessors(path)), default=0) + steps.get(path, 0)
    assert longest[graph.outputs[0].value] == depth


@pytest.mark.parametrize(
    ("name", "path", "size", "stride", "start"),
    [
        # Araujo, Norris & Sim, Distill 2019 (AlexNet's 195 is also R-CNN's, section 3.1). Its padding 239, 511, 751
        # of the ResNets is the unpadded max pool's.
        ("alexnet", "pool5", 195, 32, -64),
        ("caffenet", "pool5", 195, 32, -64),
        ("vgg_a", "pool5", 150, 32, -59),
        ("vgg_d", "pool5", 212, 32, -90),
        ("resnet50", "layer4.2.relu", 483, 32, -241),
        ("resnet101", "layer4.2.relu", 1027, 32, -513),
        ("resnet152", "layer4.2.relu", 1507, 32, -753),
    ],
)
def test_receptive_fields(name: str, path: str, size: int, stride: int, start: int) -> None:
    field = layer(name, path)["receptive_field"]
    assert field == {"size": [size] * 2, "stride": [stride] * 2, "start": [start] * 2}


@pytest.mark.parametrize(("name", "path", "sees"), [("zfnet", "relu_5", 171), ("vgg_d", "conv5.2.relu", 228)])
def test_what_an_rpn_sees(name: str, path: str, sees: int) -> None:
    """Faster R-CNN, section 3.1: one 3x3 more on conv5 sees 171 pixels in ZF, 228 in VGG-16."""
    field = layer(name, path)["receptive_field"]
    assert field["size"][0] + 2 * field["stride"][0] == sees


@pytest.mark.parametrize(
    ("name", "stage", "convolutions", "sees"),
    # Simonyan & Zisserman 2014, section 2.3: two 3x3 see 5x5, three see 7x7; a 1x1 adds nothing
    [
        *[("vgg_b", stage, 2, 5) for stage in (2, 3, 4, 5)],
        ("vgg_d", 2, 2, 5),
        *[("vgg_d", stage, 3, 7) for stage in (3, 4, 5)],
        *[("vgg_c", stage, 3, 5) for stage in (3, 4, 5)],
    ],
)
def test_stacks_of_3x3(name: str, stage: int, convolutions: int, sees: int) -> None:
    before = layer(name, f"pool{stage - 1}")["receptive_field"]
    after = layer(name, f"conv{stage}.{convolutions - 1}.relu")["receptive_field"]
    assert (after["size"][0] - before["size"][0]) // before["stride"][0] + 1 == sees


@pytest.mark.parametrize(
    ("name", "maps"),
    [
        # Krizhevsky et al. 2012, Figure 2
        ("alexnet", {"conv1": 55, "pool1": 27, "conv2": 27, "pool2": 13, "conv3": 13, "conv4": 13, "conv5": 13}),
        ("alexnet", {"pool5": 6}),
        # Zeiler & Fergus 2013, Figure 3
        ("zfnet", {"conv1": 110, "pool1": 55, "conv2": 26, "pool2": 13, "conv3": 13, "conv4": 13, "conv5": 13}),
        ("zfnet", {"pool5": 6}),
        *[
            (name, {"pool1": 112, "pool2": 56, "pool3": 28, "pool4": 14, "pool5": 7})
            for name in TOTALS
            if name.startswith("vgg")
        ],
        # He et al. 2015, Table 1
        ("resnet18", {"stem.conv2d": 112, "layer1.1.relu": 56, "layer2.1.relu": 28}),
        ("resnet18", {"layer3.1.relu": 14, "layer4.1.relu": 7}),
        ("resnet34", {"layer1.2.relu": 56, "layer2.3.relu": 28, "layer3.5.relu": 14, "layer4.2.relu": 7}),
        ("resnet50", {"layer1.2.relu": 56, "layer2.3.relu": 28, "layer3.5.relu": 14, "layer4.2.relu": 7}),
        ("resnet101", {"layer1.2.relu": 56, "layer2.3.relu": 28, "layer3.22.relu": 14, "layer4.2.relu": 7}),
        ("resnet152", {"layer1.2.relu": 56, "layer2.7.relu": 28, "layer3.35.relu": 14, "layer4.2.relu": 7}),
    ],
)
def test_map_sizes(name: str, maps: dict[str, int]) -> None:
    assert {path: layer(name, path)["output_shape"][2:] for path in maps} == {p: [s, s] for p, s in maps.items()}


def test_alexnet_neurons() -> None:
    """Krizhevsky et al. 2012, section 3.5 (its 253,440 of conv1 belongs to no square map)."""
    found = [prod(layer("alexnet", f"conv{i}")["output_shape"][1:]) for i in (2, 3, 4, 5)]
    assert found == [186_624, 64_896, 64_896, 43_264]


def test_alexnet_streams_and_initialisation() -> None:
    """Krizhevsky et al. 2012: two streams that meet in conv3 and after pool5; section 5: which biases are 1."""
    nodes = [node for node in bundled("alexnet").graph if node.op.opname in ("conv2d", "linear")]
    assert [getattr(node.op, "groups", 1) for node in nodes] == [1, 2, 1, 2, 2, 1, 1, 1]
    assert [node.init["bias"] for node in nodes] == [0, 1, 0, 1, 1, 1, 1, 0]


@pytest.mark.parametrize(
    "name", [n for n in TOTALS if n not in ("alexnet_owt", "caffenet", "googlenet_bn", "inception_v3")]
)
def test_initialisation(name: str) -> None:
    """Section 5 of AlexNet's paper, 3.1 of ZF Net's; Glorot & Bengio's for VGG (section 3.1); He et al. for ResNets."""
    fillings = {
        "alexnet": Init("normal", {"std": 0.01}),
        "zfnet": Init("normal", {"std": 0.01}),
        "vgg": Init("xavier_uniform"),
        "resnet": Init("kaiming_normal", {"mode": "fan_out", "nonlinearity": "relu"}),
        "googlenet": Init("xavier_uniform"),  # BVLC's bvlc_googlenet, with 0.2 for the biases of convolutions
    }
    filling = next(f for prefix, f in fillings.items() if name.startswith(prefix))
    nodes = [node for node in bundled(name).graph if node.op.opname in ("conv2d", "linear")]
    if name.startswith("resnet"):
        nodes.pop()  # the head is left to PyTorch
    assert all(node.init["weight"] == filling for node in nodes)
    if name.startswith(("zfnet", "vgg")):
        assert all(node.init["bias"] == 0 for node in nodes)
    if name == "googlenet":
        assert all(node.init["bias"] == (0.2 if node.op.opname == "conv2d" else 0) for node in nodes)


@pytest.mark.parametrize("name", ["alexnet", "caffenet", "zfnet"])
def test_first_stages(name: str) -> None:
    """AlexNet normalises before it pools, CaffeNet and ZF Net after."""
    ops = [node.op.opname for node in bundled(name).graph]
    last = ["local_response_norm", "max_pool2d"]
    stage = ["conv2d", "relu", *(last if name == "alexnet" else reversed(last))]
    assert ops[:8] == stage * 2
    assert ops.count("local_response_norm") == 2


@pytest.mark.parametrize(
    "name", [n for n in TOTALS if n.startswith(("alexnet", "caffenet", "zf", "vgg")) and n != "alexnet_owt"]
)
def test_dropout_is_on_the_hidden_layers(name: str) -> None:
    tail = list(bundled(name).graph)[-8:]
    assert [node.op.opname for node in tail] == [
        "flatten",
        *["linear", "relu", "dropout"] * 2,
        "linear",
    ]
    assert [node.path for node in tail if node.op.opname == "linear"] == ["fc6", "fc7", "fc8"]


@pytest.mark.parametrize(("per_class", "boxes"), [(True, 1000), (False, 1)])
def test_vgg_localization(per_class: bool, boxes: int) -> None:
    """Configuration D with 4000 numbers, or 4, in place of 1000 (appendix A): all else is the classifier's."""
    network, classifier = netspec.load("vgg_localization", params={"per_class": per_class}), bundled("vgg_d")
    totals, (parameters, macs) = network.summary()["totals"], TOTALS["vgg_d"]
    assert totals["parameters"] == parameters + (4 * boxes - 1000) * 4097
    assert totals["macs"] == macs + (4 * boxes - 1000) * 4096
    assert [(o.name, str(network.graph.types[o.value])) for o in network.graph.outputs] == [
        ("boxes", f"N x {boxes} x 4")
    ]
    *same, last = classifier.graph
    assert [(n.path, n.op, n.inputs, n.init) for n in same] == [
        (n.path, n.op, n.inputs, n.init) for n in network.graph if n.path not in ("fc8", "boxes")
    ]
    assert (last.path, last.inputs) == ("fc8", network.graph["fc8"].inputs)


# The columns of the VGG paper's Table 1 against each other.


def test_vgg_a_says_e_too() -> None:
    """E is written out for its readers: with A's text and its depths it is the same network."""

    def column(network: Network) -> list[Any]:
        return [(node.path, node.op, node.inputs, node.types, node.init) for node in network.graph]

    assert column(netspec.load("vgg_a", params={"depths": [2, 2, 4, 4, 4]})) == column(bundled("vgg_e"))


def test_vgg_c_is_d_with_1x1() -> None:
    pairs = zip(weighted(bundled("vgg_c")), weighted(bundled("vgg_d")), strict=True)
    changed = [(c["name"], d["parameters"] - c["parameters"]) for c, d in pairs if c["parameters"] != d["parameters"]]
    assert changed == [
        ("conv3.2.conv2d", 8 * 256 * 256),
        ("conv4.2.conv2d", 8 * 512 * 512),
        ("conv5.2.conv2d", 8 * 512 * 512),
    ]


def test_vgg_a_lrn_is_a_with_one_step() -> None:
    plain_ones = [node.op.opname for node in bundled("vgg_a").graph]
    assert [node.op.opname for node in bundled("vgg_a_lrn").graph] == [
        *plain_ones[:2],
        "local_response_norm",
        *plain_ones[2:],
    ]


def test_vgg_ceil_mode() -> None:
    """600 x 1000 at conv5_3: 38 x 63 in ceil mode, as the original is, else 37 x 62; no difference at 224."""

    def conv5(ceil_mode: bool) -> list[int]:
        inputs = {"image": ["N", 3, 600, 1000]}
        found = netspec.load("vgg_d", params={"ceil_mode": ceil_mode}, inputs=inputs).summary()
        return next(entry["output_shape"][2:] for entry in found["layers"] if entry["name"] == "conv5.2.relu")

    assert (conv5(True), conv5(False)) == ([38, 63], [37, 62])
    assert netspec.load("vgg_d", params={"ceil_mode": True}).summary()["totals"] == summary("vgg_d")["totals"]


# torchvision's definitions.


@pytest.mark.parametrize("name", TORCHVISION)
def test_parameters_are_torchvisions(name: str) -> None:
    """As many tensors, of the same shapes, in the same order: a bottleneck's downsample comes last there, too."""
    ours = [weight.shape for weight in bundled(name).graph.state().values() if weight.kind == "parameter"]
    assert ours == [tuple(p.shape) for p in theirs(name).parameters()]


@pytest.mark.parametrize("name", TORCHVISION)
def test_buffers_are_torchvisions(name: str) -> None:
    ours = [weight.shape for weight in bundled(name).graph.state().values() if weight.kind == "buffer"]
    assert ours == [tuple(b.shape) for b in theirs(name).buffers()]


@pytest.mark.parametrize("name", TORCHVISION)
def test_macs_and_shapes_are_torchvisions(name: str) -> None:
    """Layer by layer, as torch's own counter finds them while torchvision's module runs."""
    module = theirs(name)
    layers = {n: m for n, m in module.named_modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))}
    shapes: dict[str, list[int]] = {}
    hooks = [
        m.register_forward_hook(lambda _m, _x, y, n=n: shapes.__setitem__(n, list(y.shape))) for n, m in layers.items()
    ]
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module(torch.zeros(1, 3, 224, 224, device="meta"))
    for hook in hooks:
        hook.remove()
    counts = {path.partition(".")[2]: sum(by_op.values()) // 2 for path, by_op in counter.get_flop_counts().items()}

    network = as_torchvision(name)
    ours = [(entry["macs"], entry["output_shape"][1:]) for entry in weighted(network)]
    assert ours == [(counts[n], shapes[n][1:]) for n in shapes]
    assert network.summary()["totals"]["macs"] == counter.get_total_flops() // 2


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_stride_in_3x3_moves_macs_only(name: str) -> None:
    """The paper's strides and torchvision's: the same weights, other MACs."""
    assert as_torchvision(name).graph.state() == bundled(name).graph.state()
    assert as_torchvision(name).summary()["totals"]["macs"] > summary(name)["totals"]["macs"]
