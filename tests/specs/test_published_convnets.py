"""The convolutional networks from SqueezeNet on, and U-Net, against the figures of their papers.

Figures stand here as printed, with their source; none is read from the specs' own `expect`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import pytest

import netspec
from netspec.network import Network

Bundled = Callable[[str], Network]


def rows(network: Network) -> dict[str, Any]:
    """The summary's entry of each layer, by its path."""
    return {entry["name"]: entry for entry in network.summary()["layers"]}


def parameters_below(network: Network, step: str) -> int:
    """The parameters of a step, without running statistics."""
    state = network.graph.state()
    return sum(prod(w.shape) for key, w in state.items() if w.kind == "parameter" and key.startswith(f"{step}."))


def output(network: Network, step: str) -> list[int]:
    """The shape of what a step gives, without the batch."""
    return [entry["output_shape"][1:] for name, entry in rows(network).items() if f"{name}.".startswith(f"{step}.")][-1]


# SqueezeNet.


def test_squeezenet_table_1(bundled: Bundled) -> None:
    """Iandola et al. 2016, Table 1, "# of parameters before pruning": of SqueezeNet 1.0, but for the first two rows."""
    table = {
        "fire3": 12_432,
        "fire4": 45_344,
        "fire5": 49_440,
        "fire6": 104_880,
        "fire7": 111_024,
        "fire8": 188_992,
        "fire9": 197_184,
        "conv10": 513_000,
    }
    network = bundled("squeezenet1_1")
    assert {step: parameters_below(network, step) for step in table} == table
    # Release 1.1: 64 filters of 3x3 for 96 of 7x7 in conv1, so that fire2 squeezes 64 channels for 96.
    conv1, squeezed = (7 * 7 * 3 + 1) * 96 - (3 * 3 * 3 + 1) * 64, (96 - 64) * 16
    assert network.summary()["totals"]["parameters"] == 1_248_424 - conv1 - squeezed


# MobileNetV2.


@pytest.mark.parametrize(
    ("step", "channels", "size"),
    # Sandler et al. 2018, Table 2: what each line gives is what the next one takes
    [
        ("stem", 32, 112), ("stage1", 16, 112), ("stage2", 24, 56), ("stage3", 32, 28), ("stage4", 64, 14),
        ("stage5", 96, 14), ("stage6", 160, 7), ("stage7", 320, 7), ("head", 1280, 7),
    ],
)  # fmt: skip
def test_mobilenet_v2_table_2(step: str, channels: int, size: int, bundled: Bundled) -> None:
    assert output(bundled("mobilenet_v2"), step) == [channels, size, size]


def test_mobilenet_v2_table_4(bundled: Bundled) -> None:
    """Sandler et al. 2018, Table 4: 3.4 M parameters, which leaves out biases and norms, and 300 M multiply-adds."""
    network = bundled("mobilenet_v2")
    matrices = sum(prod(weight.shape) for weight in network.graph.state().values() if len(weight.shape) > 1)
    assert matrices // 10**5 == 34
    assert network.summary()["totals"]["macs"] // 10**6 == 300


# MobileNetV3.


@pytest.mark.parametrize(
    ("step", "takes"),
    # Howard et al. 2019, Table 1: the column Input
    [
        ("stem", (3, 224)), ("bneck1", (16, 112)), ("bneck2", (16, 112)), ("bneck3", (24, 56)), ("bneck4", (24, 56)),
        ("bneck5", (40, 28)), ("bneck6", (40, 28)), ("bneck7", (40, 28)), ("bneck8", (80, 14)), ("bneck9", (80, 14)),
        ("bneck10", (80, 14)), ("bneck11", (80, 14)), ("bneck12", (112, 14)), ("bneck13", (112, 14)),
        ("bneck14", (160, 7)), ("bneck15", (160, 7)), ("head", (160, 7)), ("adaptive_avg_pool2d", (960, 7)),
    ],
)  # fmt: skip
def test_mobilenet_v3_large_table_1(step: str, takes: tuple[int, int], bundled: Bundled) -> None:
    graph = bundled("mobilenet_v3_large").graph
    first = next(node for node in graph if f"{node.path}.".startswith(f"{step}."))
    assert graph.types[first.inputs[0]].shape[1:] == (takes[0], takes[1], takes[1])


def test_mobilenet_v3_large_table_3(bundled: Bundled) -> None:
    """Howard et al. 2019, Table 3, V3-Large 1.0: 5.4 M parameters, which leaves out biases and norms; 219 M MAdds.

    The multiply-accumulates of convolutions and linear layers are 1.1 % less.
    """
    network = bundled("mobilenet_v3_large")
    matrices = sum(prod(weight.shape) for weight in network.graph.state().values() if len(weight.shape) > 1)
    assert matrices // 10**5 == 54
    assert round(219e6 / network.summary()["totals"]["macs"], 3) == 1.011


def test_the_gates_of_mobilenet_v3_squeeze_to_a_quarter(bundled: Bundled) -> None:
    """Howard et al. 2019, section 5.3; of the expansion, to the nearest multiple of 8 that is not 10 % less."""
    state = bundled("mobilenet_v3_large").graph.state()
    gates = {key: weight.shape for key, weight in state.items() if key.endswith("fc1.weight") and ".se." in key}
    assert len(gates) == 8
    for squeezed, channels, *_ in gates.values():
        nearest = (channels // 4 + 4) // 8 * 8
        assert squeezed == (nearest if nearest >= 0.9 * channels / 4 else nearest + 8)


# ResNeXt.


def test_resnext_table_1(bundled: Bundled) -> None:
    """Xie et al. 2017, Table 1, with ResNet-50 beside it: the same complexity, its strides in the 3x3 of both."""
    resnet = netspec.load("resnet50", params={"stride_in_3x3": True})
    figures = [network.summary()["totals"] for network in (bundled("resnext50_32x4d"), resnet)]
    assert [round(totals["macs"] / 1e9, 1) for totals in figures] == [4.2, 4.1]
    assert [totals["parameters"] // 10**5 / 10 for totals in figures] == [25.0, 25.5]


def test_a_block_of_resnext_has_as_many_parameters_as_one_of_resnet(bundled: Bundled) -> None:
    """Xie et al. 2017, section 3.4: about 70 k in both templates of Figure 1, whose input has 256 channels."""
    for network in (bundled("resnext50_32x4d"), bundled("resnet50")):
        state = network.graph.state()
        convolutions = [w.shape for key, w in state.items() if key.startswith("layer1.1.") and len(w.shape) == 4]
        assert round(sum(map(prod, convolutions)), -4) == 70_000


# DenseNet.


@pytest.mark.parametrize(
    ("step", "size"),
    # Huang et al. 2017, Table 1
    [
        ("conv0", 112), ("pool0", 56), ("denseblock1", 56), ("transition1", 28), ("denseblock2", 28),
        ("transition2", 14), ("denseblock3", 14), ("transition3", 7), ("denseblock4", 7),
    ],
)  # fmt: skip
def test_densenet_table_1(step: str, size: int, bundled: Bundled) -> None:
    assert output(bundled("densenet121"), step)[1:] == [size, size]


@pytest.mark.parametrize(
    ("depths", "layers"),
    # Huang et al. 2017, Table 1: names count layers with weights. (DenseNet-264 of 6, 12, 64, 48 would be 265.)
    [([6, 12, 24, 16], 121), ([6, 12, 32, 32], 169), ([6, 12, 48, 32], 201)],
)
def test_densenets_have_the_layers_of_their_names(depths: list[int], layers: int) -> None:
    graph = netspec.load("densenet121", params={"depths": depths}).graph
    assert sum(node.op.opname in ("conv2d", "linear") for node in graph) == layers


def test_a_layer_of_densenet_reads_all_before_it(bundled: Bundled) -> None:
    """Huang et al. 2017, section 3: layer l takes k0 + k (l - 1) maps, and transitions halve them (theta = 0.5)."""
    network, entering, growth = bundled("densenet121"), 64, 32
    state = network.graph.state()
    for block, depth in enumerate((6, 12, 24, 16), start=1):
        taken = [state[f"denseblock{block}.layers.{n}.new.conv1.weight"].shape[1] for n in range(depth)]
        assert taken == [entering + growth * n for n in range(depth)]
        entering = (entering + growth * depth) // 2


def test_a_block_of_densenet_has_half_of_l_times_l_plus_1_connections(bundled: Bundled) -> None:
    """Huang et al. 2017, section 1: each layer is connected to all layers behind it."""
    graph = bundled("densenet121").graph

    def joined(value: str) -> set[str]:
        """The values whose maps a value holds."""
        node = graph.by_path.get(value)
        if node is None or node.op.opname != "concat":
            return {value}
        return set().union(*map(joined, node.inputs))

    for block, depth in enumerate((6, 12, 24, 16), start=1):
        norms = [graph[f"denseblock{block}.layers.{n}.new.norm1"] for n in range(depth)]
        assert sum(len(joined(norm.inputs[0])) for norm in norms) == depth * (depth + 1) // 2


def test_densenet_201_has_20_million_parameters() -> None:
    """Huang et al. 2017, section 4.4: "DenseNet-201 with 20M parameters"."""
    totals = netspec.load("densenet121", params={"depths": [6, 12, 48, 32]}).summary()["totals"]
    assert round(totals["parameters"] / 1e6) == 20


# EfficientNet.

EFFICIENTNET_TABLE_1 = [  # Tan & Le 2019, Table 1: step, resolution of its input, channels, layers
    ("stem", 224, 32, 1),
    ("stage1", 112, 16, 1),
    ("stage2", 112, 24, 2),
    ("stage3", 56, 40, 2),
    ("stage4", 28, 80, 3),
    ("stage5", 14, 112, 3),
    ("stage6", 14, 192, 4),
    ("stage7", 7, 320, 1),
    ("head", 7, 1280, 1),
]


def test_efficientnet_b0_table_1(bundled: Bundled) -> None:
    network = bundled("efficientnet_b0")
    # What a step gives is what the next one takes.
    resolutions = [resolution for _, resolution, _, _ in EFFICIENTNET_TABLE_1[1:]] + [7]
    for (step, _, channels, layers), resolution in zip(EFFICIENTNET_TABLE_1, resolutions, strict=True):
        assert output(network, step) == [channels, resolution, resolution]
        if step.startswith("stage"):
            blocks = {
                path for path, scope in network.graph.scopes.items() if scope.block and scope.block.name == "mbconv"
            }
            assert len([path for path in blocks if f"{path}.".startswith(f"{step}.")]) == layers


def test_efficientnet_b0_table_2(bundled: Bundled) -> None:
    """Tan & Le 2019, Table 2: 5.3 M parameters, 0.39 B FLOPs."""
    totals = bundled("efficientnet_b0").summary()["totals"]
    assert (f"{totals['parameters'] / 1e6:.1f}", f"{totals['macs'] / 1e9:.2f}") == ("5.3", "0.39")


# ConvNeXt.


@pytest.mark.parametrize(("step", "channels", "size"), [("stage1", 96, 56), ("stage2", 192, 28), ("stage3", 384, 14)])
def test_convnext_tiny_table_9(step: str, channels: int, size: int, bundled: Bundled) -> None:
    """Liu et al. 2022, Table 9, whose stages have 3, 3, 9 and 3 blocks."""
    network = bundled("convnext_tiny")
    assert output(network, step) == [channels, size, size]
    depths = [len([p for p in network.graph.scopes if p.startswith(f"stage{n}.")]) for n in (1, 2, 3, 4)]
    assert depths == [3, 3, 9, 3]


def test_convnext_tiny_table_1(bundled: Bundled) -> None:
    """Liu et al. 2022, Table 1: 29 M parameters, 4.5 G FLOPs."""
    totals = bundled("convnext_tiny").summary()["totals"]
    assert (round(totals["parameters"] / 1e6), f"{totals['macs'] / 1e9:.1f}") == (29, "4.5")
