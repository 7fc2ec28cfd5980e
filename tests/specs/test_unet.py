"""U-Net against a module written from its paper, which has no PyTorch of its own, and the figures of the paper."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

import netspec
from netspec.analysis.field import UNEVEN
from netspec.analysis.field_propagation import propagate_fields
from netspec.network import Network
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch import Tensor, nn
    from torch.utils.flop_counter import FlopCounterMode

    from tests.specs.against import assert_equal_numbers, randomize
    from tests.specs.by_hand import UnetByHand

Bundled = Callable[[str], Network]

PADDED = {"padded": True}


def image(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def key(theirs: str) -> str:
    """The name in the spec of a weight of the module by hand."""
    part, number, *rest = theirs.split(".")
    if part == "last":
        return f"scores.{number}"
    if part == "up":
        return f"up{4 - int(number)}.up_conv.{rest[0]}"
    blocks = ["down1", "down2", "down3", "down4", "bottom"]
    block = f"up{4 - int(number)}.double_conv" if part == "after" else blocks[int(number)]
    return f"{block}.{'conv1' if rest[0] == '0' else 'conv2'}.{rest[1]}"


@pytest.fixture(scope="module", params=[{}, PADDED], ids=["the paper's", "padded"])
def pair(request: pytest.FixtureRequest) -> tuple[Network, nn.Module]:
    """The network for images of any size, and the module by hand with random weights."""
    theirs = UnetByHand(width=8, padded="padded" in request.param).eval()
    randomize(theirs)
    params = {"width": 8, **request.param}
    return netspec.load("unet", params=params, inputs={"image": ["N", 1, "H", "W"]}), theirs


@pytest.mark.usefixtures("no_grad", "one_thread")
@pytest.mark.parametrize("size", [(188, 204), (236, 188), (241, 250)])
def test_numbers_are_those_of_the_module_by_hand(
    pair: tuple[Network, nn.Module], size: tuple[int, int], tmp_path: Path
) -> None:
    """Compiled and exported, at one spec for all sizes: 188 is the least that the paper's has room for."""
    network, theirs = pair
    state = {key(name): value for name, value in theirs.state_dict().items()}
    ours, x = network.compile(state).eval(), image(1, 2, 1, *size)
    wanted = theirs(x)
    assert_equal_numbers([ours(x)], [wanted])
    network.to_onnx(tmp_path / "m.onnx", state)
    exported = netspec.Session(tmp_path / "m.onnx", "cpu").run(x.numpy())["logits"]
    assert_equal_numbers([torch.from_numpy(exported)], [wanted])


def test_a_padded_map_is_as_large_as_its_image_where_16_divides_it() -> None:
    graph = netspec.load("unet", params=PADDED, inputs={"image": ["N", 1, "H", "W"]}).graph
    for sizes, seen in (((512, 400), (512, 400)), ((241, 250), (240, 240))):
        assert graph.at(H=sizes[0], W=sizes[1])["scores"].spatial == seen


def test_figure_1_at_every_size() -> None:
    """572 gives 388, and 16 more give 16 more."""
    graph = netspec.load("unet", inputs={"image": ["N", 1, "H", "W"]}).graph
    for height, width, seen in ((572, 588, (388, 404)), (188, 204, (4, 20))):
        assert graph.at(H=height, W=width)["scores"].spatial == seen


def test_layers_and_parameters(bundled: Bundled) -> None:
    """23 convolutions (section 2), the only count in the paper; the parameters that follow, by arithmetic.

    The same number is what G. Chlebus counts of the U-Net in "Looking under the hood of tensorflow models", 2018
    (gchlebus.github.io).
    """
    network = bundled("unet")
    assert sum(node.op.opname in ("conv2d", "conv_transpose2d") for node in network.graph) == 23
    widths = [1, 64, 128, 256, 512, 1024]
    down = sum((9 * a + 1) * b + (9 * b + 1) * b for a, b in pairwise(widths))
    up = sum((4 * 2 * w + 1) * w + (9 * 2 * w + 1) * w + (9 * w + 1) * w for w in widths[1:-1])
    assert network.summary()["totals"]["parameters"] == down + up + 64 * 2 + 2 == 31_030_658


def test_multiply_accumulates_are_those_that_torch_counts(bundled: Bundled) -> None:
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        UnetByHand()(torch.empty(1, 1, 572, 572))
    assert bundled("unet").summary()["totals"]["macs"] * 2 == counter.get_total_flops()


def test_convolutions_begin_as_section_3_says() -> None:
    """A Gaussian of standard deviation sqrt(2 / N), where N = 9 x 64 for a 3x3 convolution of 64 channels."""
    torch.manual_seed(0)
    weight = netspec.load("unet").compile().state_dict()["down2.conv1.weight"]
    assert abs(float(weight.std()) / (2 / (9 * 64)) ** 0.5 - 1) < 0.01


def test_the_receptive_field_is_where_the_gradient_is(bundled: Bundled) -> None:
    """Behind up-convolutions units differ: the most that any sees is what the field says. Widths matter nothing."""
    field = propagate_fields(bundled("unet").graph)["scores"]["image"]
    assert (field.note, field.stride) == (UNEVEN, (1, 1))
    module = netspec.load("unet", params={"width": 1}).compile().double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.abs_()
        for convolution in module.modules():
            if isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d):
                convolution.weight.div_(convolution.weight.sum((1, 2, 3), keepdim=True))
    # Means in place of maxima, which see one of four.
    pools = [part for part in module.modules() if isinstance(part, nn.MaxPool2d)]
    assert len(pools) == 4
    for pool in pools:
        pool.forward = lambda x: nn.functional.avg_pool2d(x, 2)
    x = torch.ones(1, 1, 236, 236, dtype=torch.float64, requires_grad=True)
    scores, most = module(x), 0
    for unit in range(10, 27):
        (gradient,) = torch.autograd.grad(scores[0, 0, unit, 26], x, retain_graph=True)
        rows = gradient[0, 0].any(1).nonzero().flatten()
        first, last = int(rows[0]), int(rows[-1])
        assert (first, last) == field.spans[0].of(unit)
        most = max(most, last - first + 1)
    assert (most, most) == field.size


def test_the_source_is_that_of_a_person(bundled: Bundled) -> None:
    source = bundled("unet").to_source()
    assert re.findall(r"^class (\w+)", source, re.M) == ["DoubleConv", "Up", "Unet"]
    assert source.count("def center_crop(") == 1
    for line in (
        "self.up_conv = nn.ConvTranspose2d(below_channels, width, 2, stride=2)",
        "self.up4 = Up(16 * width, 8 * width, 8 * width)",
        "out = center_crop(left, x)",
        "return self.double_conv(torch.cat([out, x], dim=1))",
        "x = self.up3(x, down3)",
    ):
        assert f" {line}\n" in source
