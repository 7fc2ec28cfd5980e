"""`fold_batch_norm`: the same function with fewer layers, the same blocks, and a reason for each that stays."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

import netspec
from netspec.graph import Builder, Graph
from netspec.network import Network
from netspec.passes import Transformed, fold_batch_norm
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

    from tests.passes.modules import assert_same, images, made_of, run, trained


def norms(graph: Graph) -> list[str]:
    return [node.path for node in graph if node.op.opname == "batch_norm"]


def classes(graph: Graph) -> list[str]:
    return re.findall(r"^class (\w+)", netspec.to_source(graph), re.MULTILINE)


def folded_paths(graph: Graph, folded: Transformed) -> list[str]:
    """The batch norms that are gone."""
    return [path for path in norms(graph) if path not in folded.graph.by_path]


def check_equal(graph: Graph, precision: str = "float64", tolerance: float = 1e-9) -> Transformed:
    """Fold, and hold the folded module with the folded weights against the one there was."""
    dtype: torch.dtype = getattr(torch, precision)
    before = trained(graph, dtype)
    folded = fold_batch_norm(graph)
    after = made_of(before, folded)
    assert all(tensor.dtype == dtype for key, tensor in after.state_dict().items() if "num_batches" not in key)
    image = images(graph, 3, dtype)
    assert_same(run(after, *image), run(before, *image), tolerance)
    return folded


# Whole networks.


@pytest.fixture(scope="module")
def small_resnet() -> Network:
    return netspec.load("resnet18", inputs={"image": ["N", 3, 64, 64]})


@pytest.fixture(scope="module")
def resnet50(bundled: Callable[[str], Network]) -> tuple[Graph, Transformed]:
    graph = bundled("resnet50").graph
    return graph, fold_batch_norm(graph)


@pytest.mark.parametrize(("op", "shape"), [("conv1d", (3, 9)), ("conv3d", (3, 4, 5, 4))])
def test_convolutions_of_one_and_three_axes(op: str, shape: tuple[int, ...]) -> None:
    builder = netspec.Builder("net")
    x = builder.add(op, builder.input("image", ("N", *shape)), out_channels=4, kernel_size=3)
    builder.output("y", builder.add("batch_norm", x))
    assert len(check_equal(builder.build()).graph) == 1


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-4)])
def test_resnet18_gives_the_same(small_resnet: Network, dtype: str, tolerance: float) -> None:
    folded = check_equal(small_resnet.graph, dtype, tolerance)
    assert folded.done == ("20 batch norms folded into the layers before them",)
    assert len(folded_paths(small_resnet.graph, folded)) == 20
    assert (folded.declined, folded.fresh) == ({}, frozenset())
    assert norms(folded.graph) == []


def test_resnet50_keeps_its_blocks(resnet50: tuple[Graph, Transformed]) -> None:
    graph, folded = resnet50
    assert len(norms(graph)) == 53
    assert norms(folded.graph) == []
    assert set(folded.graph.scopes) == set(graph.scopes)
    kept = [node for node in graph if node.op.opname != "batch_norm"]
    assert [(n.path, n.scope) for n in folded.graph] == [(n.path, n.scope) for n in kept]
    assert [n.types for n in folded.graph] == [n.types for n in kept]
    assert {"ConvBn", "Bottleneck"} <= set(classes(graph))
    assert classes(folded.graph) == classes(graph)


def test_resnet50_folded_counts(resnet50: tuple[Graph, Transformed]) -> None:
    graph, folded = resnet50
    before, after = (netspec.summary(g)["totals"] for g in (graph, folded.graph))
    # Each pair trades a scale and a shift for a bias.
    widths = sum(graph[path].type.shape[1] for path in norms(graph))
    assert after["parameters"] == before["parameters"] - widths
    assert after["buffers"] == 0
    assert after["macs"] == before["macs"]


def test_resnet50_folded_source_is_clean(resnet50: tuple[Graph, Transformed]) -> None:
    source = netspec.to_source(resnet50[1].graph)
    assert "BatchNorm" not in source
    assert "bias=False" not in source
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--isolated"], ["format", "--isolated", "--check", "--diff"]):
        done = subprocess.run([*ruff, *command, "-"], input=source, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_folding_twice_is_folding_once(resnet50: tuple[Graph, Transformed]) -> None:
    again = fold_batch_norm(resnet50[1].graph)
    assert (again.done, again.declined, again.derived) == ((), {}, {})
    assert str(again.graph) == str(resnet50[1].graph)


def test_the_graph_that_was_stays(small_resnet: Network) -> None:
    text = str(small_resnet.graph)
    fold_batch_norm(small_resnet.graph)
    assert str(small_resnet.graph) == text


# One layer at a time.

MAP = ("N", 4, 6, 6)


def one(op: str, *, norm: Mapping[str, Any] | None = None, shape: Sequence[Any] = MAP, **attributes: Any) -> Graph:
    b = Builder("one")
    x = b.input("image", shape)
    x = b.add(op, x, name="layer", **attributes)
    x = b.add("batch_norm", x, name="norm", **dict(norm or {}))
    b.output("out", b.add("relu", x))
    return b.build()


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("conv2d", {"out_channels": 6, "kernel_size": 3, "bias": False}),
        ("conv2d", {"out_channels": 6, "kernel_size": 3, "bias": True}),
        ("conv2d", {"out_channels": 8, "kernel_size": 3, "groups": 4, "bias": False}),
        ("conv2d", {"out_channels": 4, "kernel_size": 3, "groups": 4}),
        (
            "conv2d",
            {
                "out_channels": 6,
                "kernel_size": (1, 3),
                "stride": 2,
                "dilation": 2,
                "padding_mode": "reflect",
                "padding": 1,
            },
        ),
        ("conv2d", {"out_channels": 6, "kernel_size": 3, "norm": {"affine": False}}),
        ("conv2d", {"out_channels": 6, "kernel_size": 3, "norm": {"eps": 0.5, "momentum": None}}),
        ("linear", {"out_features": 5, "shape": ("N", 4)}),
        ("linear", {"out_features": 5, "bias": False, "norm": {"affine": False}, "shape": ("N", 4)}),
    ],
    ids=["no bias", "bias", "groups", "depthwise", "odd window", "not affine", "eps", "linear", "linear, no bias"],
)
def test_folds(op: str, attributes: dict[str, Any]) -> None:
    graph = one(op, **attributes)
    folded = check_equal(graph)
    assert folded_paths(graph, folded) == ["norm"]
    assert folded.declined == {}
    assert set(folded.derived) == {"layer.weight", "layer.bias"}
    assert "norm.running_var" in folded.derived["layer.bias"].keys
    assert list(folded.graph.state()) == ["layer.weight", "layer.bias"]


def built(build: Callable[[Builder, str], str]) -> Graph:
    b = Builder("several")
    b.output("out", build(b, b.input("image", ["N", 4, 6, 6])))
    return b.build()


def conv(b: Builder, x: str, name: str = "conv") -> str:
    return b.add("conv2d", x, name=name, out_channels=4, kernel_size=3, padding=1)


def norm(b: Builder, x: str, name: str = "norm", **attributes: object) -> str:
    return b.add("batch_norm", x, name=name, **attributes)


def after_relu(b: Builder, x: str) -> str:
    return norm(b, b.add("relu", conv(b, x)))


def first(b: Builder, x: str) -> str:
    return conv(b, norm(b, x))


def used_twice(b: Builder, x: str) -> str:
    y = conv(b, x)
    return b.add("add", norm(b, y), y)


def without_statistics(b: Builder, x: str) -> str:
    return norm(b, conv(b, x), track_running_stats=False)


def is_an_output(b: Builder, x: str) -> str:
    y = conv(b, x)
    b.output("raw", y)
    return norm(b, y)


def shared_layer(b: Builder, x: str) -> str:
    y = norm(b, conv(b, x))
    return b.node("again", b.nodes[0].op, (y,), weights_of="conv")


def shared_norm(b: Builder, x: str) -> str:
    y = conv(b, norm(b, conv(b, x)), "conv_2")
    return b.node("again", b.nodes[1].op, (y,), weights_of="norm")


def twice_in_a_row(b: Builder, x: str) -> str:
    return norm(b, norm(b, conv(b, x)), "norm_2")


def two_norms(b: Builder, x: str) -> str:
    y = conv(b, x)
    return b.add("add", norm(b, y), norm(b, y, "norm_2"))


NOT_BEFORE = "no convolution or linear layer is right before it"


@pytest.mark.parametrize(
    ("build", "declined"),
    [
        (after_relu, {"norm": NOT_BEFORE}),
        (first, {"norm": NOT_BEFORE}),
        (used_twice, {"norm": "`conv` is used elsewhere too"}),
        (without_statistics, {"norm": "it keeps no running statistics, so it is no fixed scale and shift"}),
        (is_an_output, {"norm": "`conv` is used elsewhere too"}),
        (shared_layer, {"norm": "weights are shared"}),
        (shared_norm, {"norm": "weights are shared", "again": "weights are shared"}),
        (twice_in_a_row, {"norm_2": NOT_BEFORE}),
        (two_norms, {"norm": "`conv` is used elsewhere too", "norm_2": "`conv` is used elsewhere too"}),
    ],
)
def test_declines_with_a_reason(build: Callable[[Builder, str], str], declined: dict[str, str]) -> None:
    graph = built(build)
    folded = fold_batch_norm(graph)
    assert folded.declined == declined
    assert norms(folded.graph) == list(declined)
    assert len(folded_paths(graph, folded)) + len(declined) == len(norms(graph))
    if not folded.done:
        assert str(folded.graph) == str(graph)


def test_features_that_are_no_channels() -> None:
    graph = one("linear", out_features=5, shape=("N", 4, 6))
    folded = fold_batch_norm(graph)
    assert folded.done == ()
    assert folded.declined == {"norm": "its channels are not the features of the linear layer before it"}


def test_what_declines_gives_the_same_too() -> None:
    check_equal(built(after_relu))
    check_equal(built(twice_in_a_row))


def test_half_precision_is_computed_in_full() -> None:
    graph = one("conv2d", out_channels=6, kernel_size=3)
    folded = fold_batch_norm(graph)
    state = trained(graph, torch.float64).state_dict()
    half = {key: t.half() if t.is_floating_point() else t for key, t in state.items()}
    exact = folded.weights({key: t.double() if t.is_floating_point() else t for key, t in half.items()})
    for key, tensor in folded.weights(half).items():
        assert tensor.dtype == torch.float16
        assert torch.equal(tensor, exact[key].half())


def test_what_the_spec_wrote_of_the_bias_is_gone() -> None:
    text = """
netspec: 1
name: written
params: {biased: false, width: 4}
inputs: {image: [N, 4, 6, 6]}
network:
  - {conv2d: {out_channels: width, kernel_size: 3, bias: biased}, name: conv, init: {weight: zeros}}
  - batch_norm
"""
    graph = netspec.loads(text).graph
    assert set(graph["conv"].written) == {"out_channels", "bias"}
    folded = fold_batch_norm(graph)
    assert set(folded.graph["conv"].written) == {"out_channels"}
    assert "biased" not in netspec.to_source(folded.graph)
    # Weights that were folded are loaded: what filled the old ones is no way to fill these.
    assert "zeros_" in netspec.to_source(graph)
    assert "init." not in netspec.to_source(folded.graph)


def test_weights_that_do_not_fit() -> None:
    folded = fold_batch_norm(one("conv2d", out_channels=6, kernel_size=3))
    with pytest.raises(netspec.NetspecError, match=r"NS501: the weights have no `layer\.weight`"):
        folded.weights({})
