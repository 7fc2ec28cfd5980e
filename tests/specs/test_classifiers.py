"""GoogLeNet, the CIFAR ResNets and their like against definitions that are not ours: numbers from the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import netspec
from netspec.types import Init
from tests.specs.against import randomize
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    import torchvision
    from torch import Tensor, nn
    from torch.nn import functional
    from torchvision.models import GoogLeNet_Weights

    from netspec.backends.images import prepare_image
    from tests.specs.by_hand import GeneralizedLayer, Ror, cifar_resnet


def copy_in_order(source: nn.Module, target: nn.Module) -> None:
    """The weights of one module as those of another that has them in the same order."""
    theirs, ours = source.state_dict(), target.state_dict()
    assert [v.shape for v in theirs.values()] == [v.shape for v in ours.values()]
    target.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))


@pytest.fixture(scope="module")
def googlenets() -> tuple[nn.Module, nn.Module]:
    theirs = torchvision.models.googlenet(
        weights=None, aux_logits=True, init_weights=False, transform_input=False, dropout=0.0, dropout_aux=0.0
    )
    randomize(theirs)
    ours = netspec.load("googlenet_bn", params={"dropout": 0.0}).compile()
    for module in ours.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    copy_in_order(theirs, ours)
    return ours, theirs


def test_googlenet_bn_is_torchvisions(googlenets: tuple[nn.Module, nn.Module]) -> None:
    ours, theirs = googlenets
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-4, atol=1e-5)


@pytest.fixture
def transforming(googlenets: tuple[nn.Module, nn.Module]) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Both, theirs as it is with trained weights: it makes other means and deviations of those it is given."""
    ours, theirs = googlenets
    theirs.transform_input = True  # type: ignore[assignment]
    yield ours.eval(), theirs.eval()
    theirs.transform_input = False  # type: ignore[assignment]


def test_googlenet_bn_takes_images_by_its_own_means(transforming: tuple[nn.Module, nn.Module], tmp_path: Path) -> None:
    """From pixels to scores, compiled and exported: the spec's `preprocess` is torchvision's transforms and its own."""
    ours, theirs = transforming
    network = netspec.load("googlenet_bn", params={"dropout": 0.0})
    how = network.graph.inputs[0].preprocess
    assert how is not None
    pixels = np.random.default_rng(0).integers(0, 256, (300, 280, 3), dtype="uint8")
    given = GoogLeNet_Weights.IMAGENET1K_V1.transforms()(Image.fromarray(pixels))
    with torch.no_grad():
        expected = theirs(given[None])
        same = {"rtol": 1e-3, "atol": 1e-4 * float(expected.std())}
        torch.testing.assert_close(ours(torch.from_numpy(prepare_image(pixels, how))[None]), expected, **same)
        # The images that torchvision's transforms give, without what torchvision's network makes of them.
        assert (ours(given[None]) - expected).abs().max() > 0.1 * expected.std()
    network.to_onnx(tmp_path / "m.onnx", ours.state_dict())
    session = netspec.Session(tmp_path / "m.onnx", "cpu")
    found = session.run(session.images(pixels))["logits"]
    torch.testing.assert_close(torch.from_numpy(found), expected, **same)


def test_images_normalised_for_torchvisions_googlenet(transforming: tuple[nn.Module, nn.Module]) -> None:
    """What docs/networks.md says to do with them."""
    ours, theirs = transforming
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(3))
    mean, std = (torch.tensor(each)[:, None, None] for each in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.no_grad():
        expected = theirs(x)
        torch.testing.assert_close(ours((x * std + mean - 0.5) / 0.5), expected, rtol=1e-4, atol=1e-5)


def test_googlenet_bn_in_training_is_torchvisions(googlenets: tuple[nn.Module, nn.Module]) -> None:
    ours, theirs = googlenets
    # The flag of the network alone: its layers stay in evaluation, so that nothing is random.
    ours.eval().training = theirs.eval().training = True
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        given, wanted = ours(x), theirs(x)
    assert given._fields == ("logits", "aux1", "aux2")
    for one, other in (
        (given.logits, wanted.logits),
        (given.aux1, wanted.aux_logits1),
        (given.aux2, wanted.aux_logits2),
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_inception_v3_begins_as_torchvisions() -> None:
    """Its constructor takes a standard deviation from the layer, or 0.1."""
    theirs = torchvision.models.inception_v3(weights=None, init_weights=False)
    network = netspec.load("inception_v3")
    pairs = network.fit_weights(theirs.state_dict())[1].pairs
    nodes = [node for node in network.graph if node.op.opname in ("conv2d", "linear")]
    given = {pairs[f"{node.path}.weight"].removesuffix(".weight"): node.init["weight"] for node in nodes}
    layers = {name: m for name, m in theirs.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    assert given == {name: Init("trunc_normal", {"std": getattr(m, "stddev", 0.1)}) for name, m in layers.items()}


def test_alexnet_owt_is_torchvisions() -> None:
    theirs = torchvision.models.alexnet(weights=None).eval()
    ours = netspec.load("alexnet_owt").compile().eval()
    copy_in_order(theirs, ours)
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "theirs"), [("vgg_a", "vgg11_bn"), ("vgg_b", "vgg13_bn"), ("vgg_e", "vgg19_bn")])
def test_vggs_with_batch_norm_are_torchvisions(name: str, theirs: str) -> None:
    with torch.device("meta"):
        module = getattr(torchvision.models, theirs)(init_weights=False)
    state = netspec.load(name, params={"batch_norm": True}).graph.state()
    assert [w.shape for w in state.values()] == [tuple(v.shape) for v in module.state_dict().values()]


def test_inception_modules_are_those_of_table_1() -> None:
    """Widths #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj of Szegedy et al. 2014, Table 1."""
    table = {
        "inception3a": (64, 96, 128, 16, 32, 32),
        "inception3b": (128, 128, 192, 32, 96, 64),
        "inception4a": (192, 96, 208, 16, 48, 64),
        "inception4b": (160, 112, 224, 24, 64, 64),
        "inception4c": (128, 128, 256, 24, 64, 64),
        "inception4d": (112, 144, 288, 32, 64, 64),
        "inception4e": (256, 160, 320, 32, 128, 128),
        "inception5a": (256, 160, 320, 32, 128, 128),
        "inception5b": (384, 192, 384, 48, 128, 128),
    }
    net = netspec.load("googlenet")
    assert {
        p: tuple(s.params.values()) for p, s in net.graph.scopes.items() if p.startswith("incep") and "." not in p
    } == table
    source = net.to_source()
    assert source.count("class Inception") == 1
    for name, widths in table.items():
        assert f"        self.{name} = Inception(" in source
        assert f", {', '.join(map(str, widths))})\n" in source


@pytest.mark.parametrize("layers", [20, 32, 56])
def test_cifar_resnets(layers: int) -> None:
    theirs = cifar_resnet((layers - 2) // 6).eval()
    randomize(theirs)
    ours = netspec.load(f"resnet{layers}_cifar").compile().eval()
    copy_in_order(theirs, ours)
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


# Table 6 prints millions.
TABLE_6 = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7, 1202: 19.4}


@pytest.mark.parametrize("layers", TABLE_6)
def test_table_6(layers: int) -> None:
    net = netspec.load(f"resnet{layers}_cifar")
    millions = net.summary()["totals"]["parameters"] / 1e6
    assert round(millions, 1 if layers > 100 else 2) == TABLE_6[layers]
    convolutions = [n for n in net.graph if n.op.opname in ("conv2d", "linear")]
    assert len(convolutions) == layers  # no projections: option A


def test_the_longest_prints_as_short_as_the_shortest() -> None:
    lines = [netspec.load(f"resnet{layers}_cifar").to_source().splitlines() for layers in (110, 1202)]
    assert len(lines[0]) == len(lines[1]) < 100
    assert "        self.layer3 = nn.Sequential(" in lines[1]
    assert any("for _ in range(199)" in line for line in lines[1])


def test_the_longest_compiles_and_is_proved() -> None:
    from netspec.backends.pytorch.runtime.prove import prove_module

    net = netspec.load("resnet1202_cifar")
    assert "19,421,274 parameters" in prove_module(net.graph, net.to_source())


def test_the_plain_network_is_resnet34_without_shortcuts() -> None:
    plain, residual = netspec.load("resnet34_plain"), netspec.load("resnet34")

    def shapes(net: netspec.Network) -> list[Any]:
        return [w.shape for key, w in net.graph.state().items() if ".shortcut." not in key]

    assert shapes(plain) == shapes(residual)
    assert not any(node.op.opname == "add" for node in plain.graph)


@pytest.mark.usefixtures("no_grad")
@pytest.mark.parametrize("training", [False, True])
def test_residual_networks_of_residual_networks(training: bool) -> None:
    theirs = Ror(9).double()
    randomize(theirs)
    ours = netspec.load("ror3_56_cifar").compile().double()
    copy_in_order(theirs, ours)
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    torch.testing.assert_close(ours.train(training)(x), theirs.train(training)(x))
    statistics = [dict(module.named_buffers()).values() for module in (ours, theirs)]
    for one, other in zip(*statistics, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("layers", [56, 110, 164])
def test_ror_is_the_resnet_of_its_depth_with_three_projections(layers: int) -> None:
    """1x1 convolutions with a batch norm: over the second and the third stage, and over all of them."""
    net = netspec.load(f"ror3_{layers}_cifar")
    plain = (layers - 2) // 6
    resnet = sum(parameter.numel() for parameter in cifar_resnet(plain).parameters())
    projections = sum(a * b + 2 * b for a, b in ((16, 32), (32, 64), (16, 64)))
    assert net.summary()["totals"]["parameters"] == resnet + projections
    assert sum(parameter.numel() for parameter in Ror(plain).parameters()) == resnet + projections
    convolutions = [node for node in net.graph if node.op.opname in ("conv2d", "linear")]
    assert len(convolutions) == layers + 3


@pytest.mark.usefixtures("no_grad")
def test_resnet_in_resnet() -> None:
    ours = netspec.load("rir").compile().eval()
    randomize(ours)
    state = ours.state_dict()
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))

    def stem(stream: str) -> Tensor:
        made = functional.conv2d(x, state[f"conv_{stream}.weight"], padding=1)
        norm = [state[f"stem_{stream}.batch_norm.{n}"] for n in ("running_mean", "running_var", "weight", "bias")]
        return functional.relu(functional.batch_norm(made, *norm))

    r, t = stem("r"), stem("t")
    layers, before = 2, 48
    for stage, (width, depth) in enumerate(((48, 2), (96, 3), (192, 3)), start=1):
        for block in range(depth):
            stride = 2 if width != before else 1
            path, entering = f"stage{stage}.{block}", r
            for name in ("first", "second"):
                layer = GeneralizedLayer(before, width, stride).eval()
                layer.take(state, f"{path}.{name}")
                (r, t), before, stride, layers = layer(r, t), width, 1, layers + 1
            if f"{path}.shortcut.weight" in state:
                entering = functional.conv2d(entering, state[f"{path}.shortcut.weight"], stride=2)
            r = r + entering
    scores = functional.conv2d(torch.cat([r, t], dim=1), state["classifier.weight"], state["classifier.bias"])
    assert layers == 18
    # Both stems, four 3x3 convolutions and two norms a layer, the projections where a stage begins, the classifier.
    stages = ((48, 48, 4), (48, 96, 6), (96, 192, 6))
    wanted = 2 * (27 * 48 + 2 * 48) + 384 * 10 + 10 + 2 * (48 * 96 + 96 * 192)
    for entering, width, depth in stages:
        wanted += 36 * width * (entering + (depth - 1) * width) + depth * 4 * width
    assert sum(p.numel() for p in ours.parameters()) == wanted == 9_516_010
    torch.testing.assert_close(ours(x), scores.mean(dim=(2, 3)), rtol=1e-4, atol=1e-5)
