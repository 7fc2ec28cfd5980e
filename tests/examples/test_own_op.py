"""The example of an op of one's own: it is right, and SE-ResNet-50 with it is what its parts are."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

import netspec
from netspec.ops.base import REGISTRY, Op
from netspec.ops.own import load_ops
from tests.support.lazy import lazy_imports
from tests.support.paths import REPOSITORY

with lazy_imports():
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from torchvision.ops import SqueezeExcitation

FOLDER = REPOSITORY / "examples" / "own_op"


@pytest.fixture(scope="module")
def squeeze() -> Iterator[type[Op]]:
    before = dict(REGISTRY)
    (cls,) = load_ops(FOLDER / "squeeze_excitation.py")
    yield cls
    REGISTRY.clear()
    REGISTRY.update(before)
    del sys.modules["squeeze_excitation"]


def test_the_op_is_what_torch_does(squeeze: type[Op]) -> None:
    assert squeeze.examples
    for example in squeeze.examples:
        builder = netspec.Builder("one")
        image = builder.input("image", example.inputs[0])
        builder.output("y", builder.add("squeeze_excitation", image, name="se", **example.attributes))
        graph = builder.build()
        module = netspec.compile(graph).eval()
        x = torch.randn(example.inputs[0])
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            assert module(x).shape == x.shape == graph["se"].type.shape
        state = {key: tuple(value.shape) for key, value in module.state_dict().items()}
        assert state == {key: weight.shape for key, weight in graph.state().items()}
        (layer,) = netspec.summary(graph)["layers"]
        assert 2 * layer["macs"] * x.shape[0] == counter.get_total_flops()
        assert layer["receptive_field"]["stride"] == [0, 0]


def test_se_resnet50(squeeze: type[Op]) -> None:
    net = netspec.load(FOLDER / "se_resnet50.yaml", params={"classes": 10}, inputs={"image": ["N", 3, 64, 64]})
    module = net.compile().eval()
    assert sum(isinstance(inner, SqueezeExcitation) for inner in module.modules()) == 16
    block = module.get_submodule("layer2.0")
    x = torch.randn(2, 256, 16, 16)
    with torch.no_grad():
        assert module(torch.randn(2, 3, 64, 64)).shape == (2, 10)
        value = x
        for name, part in block.get_submodule("residual").named_children():
            value = part(value)
            if name == "conv_bn_3":
                means = value.mean((2, 3), keepdim=True)
                se = block.get_submodule("residual.se")
                gate = torch.sigmoid(se.fc2(torch.relu(se.fc1(means))))
                value = value * gate
                break
        expected = torch.relu(value + block.get_submodule("shortcut")(x))
        torch.testing.assert_close(block(x), expected)


def test_its_claims_hold(squeeze: type[Op]) -> None:
    assert netspec.load(FOLDER / "se_resnet50.yaml").check_expectations() == (2, [])
