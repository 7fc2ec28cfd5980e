"""`fully_convolutional`: equal at the old size, and on larger images what the network gives where its window lies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import netspec
from netspec.graph import Graph
from netspec.network import Network
from netspec.ops.convolution import Conv2d
from netspec.passes import (
    Transformed,
    fully_convolutional,
)
from tests.support.lazy import lazy_imports
from tests.support.networks import classifiers
from tests.support.sliding import CANNOT_SLIDE

with lazy_imports():
    import torch
    from torch import Tensor
    from torch.nn import functional

    from tests.passes.modules import assert_same, assert_whole, images, made_of, run, trained


def small(name: str, size: int = 64, channels: int = 3, **params: object) -> Callable[[], Network]:
    return lambda: netspec.load(name, inputs={"image": ["N", channels, size, size]}, params=params)


GATED = """
netspec: 1
name: gated
inputs: {image: [N, 3, 12, 10]}
network:
  - {conv2d: {out_channels: 4, kernel_size: 3}}
  - multiply:
      branches:
        gate: [POOL, {conv2d: {out_channels: 4, kernel_size: 1}, name: fc}, sigmoid]
        map: []
  - adaptive_avg_pool2d: 1
  - flatten
  - linear: 5
"""

SMALL: dict[str, Callable[[], Network]] = {
    "alexnet": lambda: netspec.load("alexnet", inputs={"image": ["N", 3, 131, 131]}),
    "alexnet_owt": lambda: netspec.load("alexnet_owt"),
    "zfnet": small("zfnet", 128),
    "googlenet": lambda: netspec.load("googlenet"),
    "googlenet_bn": small("googlenet_bn", 96),
    "resnet18": small("resnet18"),
    "resnet34": small("resnet34", 40),
    "resnet34_plain": small("resnet34_plain"),
    "resnet50": small("resnet50"),
    "resnet20_cifar": lambda: netspec.load("resnet20_cifar"),
    "rir": lambda: netspec.load("rir", params={"width": 8}),
    "vgg_a": small("vgg_a", 64),
    "vgg_a_lrn": small("vgg_a_lrn", 64),
    "vgg_c": small("vgg_c", 64),
    "vgg_a, batch norm": small("vgg_a", 64, batch_norm=True),
    "a gate": lambda: netspec.loads(GATED.replace("POOL", "adaptive_avg_pool2d: 1")),
    "mobilenet_v3_large": small("mobilenet_v3_large", 64),
    "mobilenet_v2": small("mobilenet_v2", 48),
}


def flat(values: tuple[Tensor, ...]) -> list[Tensor]:
    return [value.flatten(1) for value in values]


@pytest.mark.parametrize("name", SMALL)
def test_equal_at_the_old_size(name: str) -> None:
    """Outputs of training too, where they can slide."""
    graph = SMALL[name]().graph
    before, made = trained(graph), fully_convolutional(graph)
    assert_whole(made.graph)
    after, image = made_of(before, made), images(graph)
    before.training = after.training = len(made.graph.outputs) > 1
    found, expected = run(after, *image), run(before, *image)
    assert all(value.shape[2:] == (1, 1) for value in found)
    assert_same(flat(found), expected)
    assert [str(size) for size in made.graph.inputs[0].type.spatial] == ["H", "W"]
    height, width = graph.inputs[0].type.spatial
    assert made.graph.inputs[0].nominal == {"H": height, "W": width}


@pytest.mark.parametrize("name", classifiers())
def test_every_bundled_classifier(name: str) -> None:
    graph = netspec.load(name).graph
    if name in CANNOT_SLIDE:
        with pytest.raises(netspec.NetspecError, match=f"NS401: `{name}` can't slide because of {CANNOT_SLIDE[name]}"):
            fully_convolutional(graph)
        return
    made = fully_convolutional(graph)
    assert_whole(made.graph)
    flat = [node.path for node in made.graph if node.op.opname in ("flatten", "linear", "adaptive_avg_pool2d")]
    assert [path for path in flat if ".se." not in path] == []  # gates
    kept = [n.path for n in graph if n.path in made.graph.by_path]
    assert [node.path for node in made.graph] == kept
    assert [made.graph[path].scope for path in kept] == [graph[path].scope for path in kept]
    if name != "googlenet_bn":
        assert (made.declined, len(made.graph.outputs)) == ({}, len(graph.outputs))
        assert made.graph.scopes.keys() == graph.scopes.keys()
    old, new = graph.state(), made.graph.state()
    assert {key: weight.size for key, weight in new.items()} == {key: old[key].size for key in new}
    assert made.derived.keys() == {key for key in new if new[key].shape != old[key].shape}
    ours, theirs = (netspec.summary(g)["totals"] for g in (made.graph, graph))
    assert (ours["parameters"], ours["macs"]) == (theirs["parameters"], theirs["macs"])


def test_a_gate_that_a_window_makes_is_refused() -> None:
    graph = netspec.loads(GATED.replace("POOL", "avg_pool2d: {kernel_size: [10, 8]}")).graph
    with pytest.raises(
        netspec.NetspecError, match=r"NS401.*because of `gate\.avg_pool2d`: its one position goes with every"
    ):
        fully_convolutional(graph)


def test_what_the_layers_are_now() -> None:
    graph = netspec.load("vgg_a").graph
    made = fully_convolutional(graph)
    assert made.done == (
        "images may have any height and width, not 224 x 224 alone: `image`",
        "3 linear layers made 3 convolutions: `fc6` 7x7, `fc7` 1x1, `fc8` 1x1",
        "1 flatten dropped, which does nothing now",
    )
    assert made.graph["fc6"].op == Conv2d(out_channels=4096, kernel_size=(7, 7))
    assert made.graph["fc8"].written == {"out_channels": graph["fc8"].written["out_features"]}
    assert made.graph["fc6"].init == graph["fc6"].init
    source = netspec.to_source(made.graph)
    assert "self.fc6 = nn.Conv2d(512, 4096, 7)" in source
    assert "self.fc8 = nn.Conv2d(4096, classes, 1)" in source
    assert "image (N, 3, H, W)" in source
    assert "Flatten" not in source


def test_blocks_stay() -> None:
    made = fully_convolutional(netspec.load("googlenet").graph)
    assert made.done[1].startswith("5 linear layers made 5 convolutions: `aux1.fc1` 4x4, `aux1.fc2` 1x1,")
    assert made.done[2] == "`adaptive_avg_pool2d` slides over the map: 7x7 average pool"
    source = netspec.to_source(made.graph)
    assert "self.aux1 = Aux(512, classes)" in source
    assert "self.fc2 = nn.Conv2d(1024, classes, 1)" in source
    assert source.count("class ") == netspec.load("googlenet").to_source().count("class ")


# Larger images.

UNPADDED = """
netspec: 1
name: unpadded
params: {classes: 5, pool: false}
inputs: {image: [N, 3, 20, 24]}
network:
  - {conv2d: {out_channels: 6, kernel_size: 5}}
  - relu
  - {max_pool2d: 2}
  - {conv2d: {out_channels: 8, kernel_size: 3}}
  - batch_norm
  - {max_pool2d: 2}
  - {adaptive_avg_pool2d: 1, when: pool}
  - flatten
  - dropout
  - {linear: 9, name: hidden}
  - batch_norm
  - relu
  - {linear: classes, name: scores}
  - {softmax: -1}
"""


@pytest.mark.parametrize("pool", [False, True])
def test_every_crop_without_padding(pool: bool) -> None:
    """Each unit of the map of scores is what the network gives for the part of the image that it sees."""
    graph = netspec.loads(UNPADDED, params={"pool": pool}).graph
    before = trained(graph)
    after = made_of(before, fully_convolutional(graph))
    image = torch.randn(2, 3, 20 + 4 * 3 + 2, 24 + 4 * 2, dtype=torch.float64)
    (found,) = run(after, image)
    assert found.shape == (2, 5, 4, 3)
    for y in range(4):
        for x in range(3):
            (wanted,) = run(before, image[:, :, 4 * y : 4 * y + 20, 4 * x : 4 * x + 24])
            assert_same([found[:, :, y, x]], [wanted])


def classified(features: Tensor, window: tuple[int, int], classify: Callable[[Tensor], Tensor]) -> Tensor:
    """A classifier on every window of a map, one by one."""
    height, width = window
    rows = range(features.shape[2] - height + 1)
    columns = range(features.shape[3] - width + 1)
    scores = [[classify(features[:, :, y : y + height, x : x + width]) for x in columns] for y in rows]
    return torch.stack([torch.stack(row, dim=-1) for row in scores], dim=-2)


@pytest.mark.usefixtures("no_grad")
def test_vggs_dense_evaluation() -> None:
    """Section 3.2 of the paper, written by hand: the layers on every window of pool5's map of a larger image."""
    graph = netspec.load("vgg_a", inputs={"image": ["N", 3, 96, 96]}).graph
    before = trained(graph)
    after = made_of(before, fully_convolutional(graph))
    image = torch.randn(1, 3, 160, 128, dtype=torch.float64)
    features = image
    for path, child in before.named_children():
        features = child(features)
        if path == "pool5":
            break
    layers = [before.get_submodule(path) for path in ("fc6", "fc7", "fc8")]

    def classify(window: Tensor) -> Tensor:
        x = functional.relu(layers[0](window.flatten(1)))
        return layers[2](functional.relu(layers[1](x)))

    (found,) = run(after, image)
    assert found.shape == (1, 1000, 3, 2)
    assert_same([found], [classified(features, (3, 3), classify)])


@pytest.mark.usefixtures("no_grad")
def test_resnets_dense_evaluation() -> None:
    """The mean over every window as large as the old map, and the layer on it."""
    graph = netspec.load("resnet18", inputs={"image": ["N", 3, 64, 64]}).graph
    before = trained(graph)
    after = made_of(before, fully_convolutional(graph))
    image = torch.randn(2, 3, 120, 97, dtype=torch.float64)
    features = image
    for path, child in before.named_children():
        if path == "adaptive_avg_pool2d":
            break
        features = child(features)
    fc = before.get_submodule("fc")
    (found,) = run(after, image)
    assert_same([found], [classified(features, (2, 2), lambda window: fc(window.mean((2, 3))))])


# One op at a time.

START = "netspec: 1\nname: one\ninputs: {image: [N, 4, 6, 6]}\n"


def check(network: str, declined: dict[str, str] | None = None) -> tuple[Graph, Transformed]:
    """Equal at the old size; what it is at another is torch's to run."""
    graph = netspec.loads(f"{START}network: {network}\n").graph
    before, made = trained(graph), fully_convolutional(graph)
    assert made.declined == (declined or {})
    assert_whole(made.graph)
    after = made_of(before, made)
    image = images(graph)
    assert_same(flat(run(after, *image)), flat(run(before, *image)))
    run(after, *images(made.graph, H=13, W=11))
    return graph, made


SLIDES = [
    "[flatten, {linear: 3}]",
    "[flatten, {linear: {out_features: 3, bias: false}}, {prelu: 3}, {batch_norm: {affine: false}}]",
    "[flatten, relu, {prelu: 1}, dropout, identity, gelu, {linear: 3}, flatten, {linear: 2}, {log_softmax: 1}]",
    "[{max_pool2d: 3}, flatten, {linear: 5, name: a}, {linear: 5, name: b}, {add, from: [a, b]}, {softmax: -1}]",
    "[{flatten, name: f}, {linear: 5, name: a}, {linear: 2, from: f, name: b}, {concat: {dim: -1}, from: [a, b]}]",
    "[{conv2d: {out_channels: 2, kernel_size: 1}, name: c}, {flatten, name: f}, {flatten, from: image, name: g},"
    " {concat, from: [f, g]}, {linear: 3}]",
    "[{flatten, name: f}, {linear: 144, name: a}, {linear: 3}]",
    "[{adaptive_avg_pool2d: 6}, flatten, {linear: 3}]",
    "[{adaptive_avg_pool2d: 3}, flatten, {linear: 3}]",
    "[{adaptive_avg_pool2d: {output_size: [1, 6]}}, flatten, {linear: 3}]",
    "[{adaptive_max_pool2d: {output_size: [2, 1]}}, flatten, {linear: 3}]",
    "[{adaptive_max_pool2d: 1}, {conv2d: {out_channels: 3, kernel_size: 1}}, flatten]",
    "[{max_pool2d: 6}, {adaptive_avg_pool2d: 1}, flatten, {linear: 3}]",
    "[flatten]",
    "[relu, {conv2d: {out_channels: 3, kernel_size: 3}}, {softmax: 1}]",
    "[{max_pool2d: 2, name: p}, {interpolate, from: [p, image], name: i}, {add, from: [i, image]}]",
    "[{narrow: {dim: 1, start: 1, length: 2}}, flatten, {linear: 3}]",
    "[{flatten, name: f}, {linear: 8, name: a}, {linear: 8, from: f, share: a, name: b}, {multiply, from: [a, b]}]",
]


@pytest.mark.parametrize("network", SLIDES)
def test_slides(network: str) -> None:
    _, made = check(network)
    assert not [node for node in made.graph if node.op.opname in ("flatten", "linear") or "adaptive" in node.op.opname]


def test_expressions_and_initialisers_that_stay() -> None:
    text = f"""{START}params: {{n: 3, b: true, d: -1, m: 2}}
network:
  - {{adaptive_avg_pool2d: m}}
  - flatten
  - {{linear: {{out_features: n, bias: b}}, name: l, init: {{weight: xavier_uniform, bias: 0.5}}}}
  - {{linear: n, name: k, init: {{weight: eye}}}}
  - {{softmax: d}}
"""
    graph = netspec.loads(text).graph
    made = fully_convolutional(graph).graph
    assert set(made["l"].written) == {"out_channels", "bias"}
    assert made["l"].init == graph["l"].init
    assert made["k"].init == {}
    assert (made["softmax"].written, made["softmax"].op.model_dump()) == ({}, {"dim": 1})
    assert made["adaptive_avg_pool2d"].written == {}
    assert made.params == graph.params
    netspec.compile(made)


REFUSED = {
    "[flatten, {layer_norm}, {linear: 3}]": "`layer_norm`: it has no equal on what was flattened, 4 x 6 x 6",
    "[flatten, {batch_norm}, {linear: 3}]": "`batch_norm`: it has no equal on what was flattened",
    "[flatten, {softmax: 1}]": "`softmax`: it has no equal",
    "[flatten, {linear: 3}, {softmax: 0}]": "`softmax`: it has no equal on what was flattened, 3 x 1 x 1",
    "[flatten, {linear: 8}, {unflatten: {dim: 1, unflattened_size: [2, 2, 2]}}]": "`unflatten`: it has no equal",
    "[{flatten: 2}, {linear: 3}]": "`flatten`: it makes N x 4 x 36 of N x 4 x 6 x 6, and only maps have any size",
    "[{linear: 3}]": "`linear`: it is linear over the width of a map",
    "[{layer_norm}]": "`layer_norm`: it normalises over the width of a map",
    "[{softmax: -1}]": "`softmax`: it is a softmax over places",
    "[{interpolate: {size: 3}}]": "`interpolate`: it makes a map of a fixed size",
    "[{transpose: {dim0: 1, dim1: 2}}, flatten]": "`transpose`: it moves axes",
    "[{narrow: {dim: 2, start: 0, length: 2}}, flatten]": "`narrow`: it takes a part of fixed size",
    "[{adaptive_avg_pool2d: 4}]": "`adaptive_avg_pool2d`: it shares a map of 6 out over 4 windows of different sizes",
    "[{parameter: {shape: [4, 6, 6]}, name: p}, {add, from: [p, image]}]": "`p`: it has a size of its own",
    "[{flatten, name: f}, {linear: 144, name: a}, {add, from: [a, f]}]": "flattened, 144 x 1 x 1 and 4 x 6 x 6",
    "[{flatten, name: f}, {max_pool2d: 2, from: image, name: p}, {flatten, name: g}, {concat, from: [f, g]}]": (
        "flattened, 4 x 6 x 6 and 4 x 3 x 3"
    ),
}


@pytest.mark.parametrize("network", REFUSED)
def test_does_not_slide(network: str) -> None:
    with pytest.raises(netspec.NetspecError) as caught:
        fully_convolutional(netspec.loads(f"{START}network: {network}\n").graph)
    assert {diagnostic.code for diagnostic in caught.value.diagnostics} == {"NS401"}
    assert REFUSED[network] in str(caught.value)
    assert all(diagnostic.span is not None for diagnostic in caught.value.diagnostics)


def test_a_layer_that_would_be_two() -> None:
    text = """
netspec: 1
name: one
inputs: {image: [N, 4, 6, 6]}
network:
  - {flatten, name: f}
  - {linear: 144, name: a}
  - {linear: 144, share: a, name: b}
"""
    said = "`one` can't slide because of `b`: it has the weights of `a` and would become another layer"
    with pytest.raises(netspec.NetspecError, match=said):
        fully_convolutional(netspec.loads(text).graph)


def test_what_fits_at_the_old_size_alone() -> None:
    text = f"{START}network: [{{max_pool2d: 2}}, {{interpolate: 2, name: i}}, {{add, from: [i, image]}}]\n"
    with pytest.raises(netspec.NetspecError, match=r"(?s)NS301: `add` needs equal shapes.*only if H % 2 == 0"):
        fully_convolutional(netspec.loads(text).graph)


def test_every_problem_and_none_that_follows() -> None:
    network = "[{softmax: -1, name: a}, {softmax: -1, name: x}, {linear: 3, from: image, name: b}]"
    with pytest.raises(netspec.NetspecError) as caught:
        fully_convolutional(netspec.loads(f"{START}network: {network}\noutputs: {{x: x, b: b}}\n").graph)
    assert [d.message.partition("`: ")[0].rpartition("`")[2] for d in caught.value.diagnostics] == ["a", "b"]


def test_outputs_of_training_that_can_not_slide_go() -> None:
    graph = netspec.load("googlenet_bn").graph
    made = fully_convolutional(graph)
    assert [o.name for o in made.graph.outputs] == ["logits"]
    assert made.done[0] == "outputs of training that can't slide dropped: `aux1`, `aux2`"
    reason = "it shares a map of 14 out over 4 windows of different sizes"
    assert made.declined == {f"aux{n}.adaptive_avg_pool2d": reason for n in (1, 2)}
    assert not [node.path for node in made.graph if node.path.startswith("aux")]


INPUTS = {
    "{image: [N, 8]}": ("NS302", "only a map (N, C, H, W) can have any size, and input `image` is N x 8"),
    "{image: [N, 3, H, W]}": ("NS305", "input `image` is open already: N x 3 x H x W"),
    "{image: [N, 3, 8, W]}": ("NS305", "input `image` is open already"),
    "{image: [N, 3, 8, 8], other: [N, 3, 4, 4]}": ("NS301", "`image` and `other` are not of one height and width"),
    "{image: [H, 3, 8, 8]}": ("NS210", "`H` is a size of `one` already"),
}


@pytest.mark.parametrize("inputs", INPUTS)
def test_inputs_that_can_not_be_opened(inputs: str) -> None:
    text = f"netspec: 1\nname: one\ninputs: {inputs}\nnetwork: [{{relu, from: image}}]\n"
    with pytest.raises(netspec.NetspecError) as caught:
        fully_convolutional(netspec.loads(text).graph)
    code, said = INPUTS[inputs]
    assert caught.value.diagnostics[0].code == code
    assert said in str(caught.value)


def test_two_inputs_of_one_size() -> None:
    text = """
netspec: 1
name: two
params: {size: 8}
inputs: {left: [N, 3, size, size], right: [N, 2, size, 8]}
network: [{concat, from: [left, right]}, {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}}, flatten, {linear: 3}]
"""
    graph = netspec.loads(text).graph
    before, made = trained(graph), fully_convolutional(graph)
    pair = images(graph)
    assert_same(flat(run(made_of(before, made), *pair)), run(before, *pair))
    assert [str(i.type) for i in made.graph.inputs] == ["N x 3 x H x W", "N x 2 x H x W"]
    assert all(i.written == {} for i in made.graph.inputs)


def test_a_network_without_such_layers_is_opened() -> None:
    graph = netspec.load("unet").graph
    made = fully_convolutional(graph)
    assert made.done == ("images may have any height and width, not 572 x 572 alone: `image`",)
    assert (made.declined, dict(made.derived)) == ({}, {})
    with pytest.raises(netspec.NetspecError, match="NS305"):
        fully_convolutional(made.graph)


def test_layers_that_share_weights_and_stay_may_differ() -> None:
    """A convolution with another dilation, and a batch norm with another eps, slide as they are."""
    graph = netspec.loads(
        "netspec: 1\nname: net\ninputs: {image: [N, 4, 8, 8]}\nnetwork:\n"
        "  - {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, name: a}\n  - {batch_norm, name: n}\n"
        "  - {conv2d: {out_channels: 4, kernel_size: 3, padding: 2, dilation: 2}, share: a}\n"
        "  - {batch_norm: {eps: 0.1}, share: n}\n  - flatten\n  - linear: 5\n"
    ).graph
    before, made = trained(graph), fully_convolutional(graph)
    image = images(graph)
    (scores,) = run(made_of(before, made), *image)
    assert_same([scores.flatten(1)], run(before, *image))
