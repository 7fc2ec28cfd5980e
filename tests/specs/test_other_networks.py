"""Networks that are not bundled, each from a spec beside this file, against definitions that are not ours."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import pairwise

import pytest

import netspec
from netspec.analysis.field import UNEVEN
from netspec.analysis.field_propagation import propagate_fields
from tests.support.lazy import lazy_imports
from tests.support.paths import OTHER

with lazy_imports():
    import torch
    import torchvision
    from torch import Tensor, nn

    from tests.specs.by_hand import UnetByHand

NAMES = ["mobilenet_v2", "resnet50_fpn", "unet", "vit_b_16"]


@cache
def loaded(name: str) -> netspec.Network:
    return netspec.load(OTHER / f"{name}.yaml")


def image(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def randomized(module: nn.Module) -> dict[str, Tensor]:
    """A state dict of numbers of which none is like another, small where they are many."""
    generator = torch.Generator().manual_seed(0)
    found: dict[str, Tensor] = {}
    for name, value in module.state_dict().items():
        if not value.is_floating_point():
            found[name] = value
            continue
        noise = torch.randn(value.shape, generator=generator)
        scale = max(1, value[0].numel()) ** -0.5 if value.dim() > 1 else 0.1
        found[name] = noise.abs() + 0.5 if name.endswith("running_var") else noise * scale
    return found


def assert_same(ours: nn.Module, theirs: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        given, wanted = ours.eval()(x), theirs.eval()(x)
    assert wanted.std() > 1e-3  # weights of nothing would make all networks alike
    torch.testing.assert_close(given, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_claims_hold_and_the_module_is_proved(name: str) -> None:
    found = loaded(name)
    count, broken = found.check_expectations()
    assert count > 0
    assert not broken
    with torch.device("meta"):
        state = found.compile().state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == {
        key: weight.shape for key, weight in found.graph.state().items()
    }


# torchvision's ViT-B/16.


def vit_key(theirs: str) -> str:
    renamed = [
        (r"^encoder\.layers\.encoder_layer_(\d+)\.mlp\.0\.", r"layers.\1.mlp.linear."),
        (r"^encoder\.layers\.encoder_layer_(\d+)\.mlp\.3\.", r"layers.\1.mlp.linear_2."),
        (r"^encoder\.layers\.encoder_layer_(\d+)\.", r"layers.\1."),
        (r"^(encoder|heads)\.", ""),
    ]
    for pattern, text in renamed:
        theirs = re.sub(pattern, text, theirs)
    return theirs


def test_vit_b_16_is_torchvisions() -> None:
    with torch.device("meta"):
        theirs = torchvision.models.vit_b_16(weights=None)
        ours = loaded("vit_b_16").compile()
    assert sum(p.numel() for p in theirs.parameters()) == 86_567_656
    state = randomized(theirs)
    theirs.load_state_dict(state, assign=True)
    ours.load_state_dict({vit_key(key): value for key, value in state.items()}, assign=True)
    assert_same(ours, theirs, image(1, 2, 3, 224, 224))


def test_vit_b_16_has_the_macs_that_torch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        theirs = torchvision.models.vit_b_16(weights=None).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            theirs(torch.empty(1, 3, 224, 224))
    assert loaded("vit_b_16").summary()["totals"]["macs"] * 2 == counter.get_total_flops()


def test_attributes_of_a_layer_are_torchvisions() -> None:
    theirs = dict(torchvision.models.vit_b_16(weights=None).encoder.layers[0].named_children())
    ours = dict(loaded("vit_b_16").compile().get_submodule("layers.0").named_children())
    assert list(ours) == list(theirs)
    assert isinstance(ours["self_attention"], nn.MultiheadAttention)


def test_parameters_begin_as_the_spec_says() -> None:
    torch.manual_seed(0)
    module = loaded("vit_b_16").compile()
    assert not module.class_token.any()
    assert abs(module.pos_embedding.std().item() - 0.02) < 1e-3
    assert isinstance(module.pos_embedding, nn.Parameter)
    assert module.pos_embedding.requires_grad


def test_a_token_is_not_seen_before_the_first_attention() -> None:
    """A patch sees 16 x 16 pixels, and everything once attention has mixed them."""
    fields = propagate_fields(loaded("vit_b_16").graph)
    assert fields["conv_proj"]["image"].size == (16, 16)
    assert fields["patches"]["image"].size == (16, 16)
    assert fields["layers.0.self_attention"]["image"].size == (224, 224)


# torchvision's MobileNetV2.

COPIES = {2: 2, 3: 3, 4: 4, 5: 3, 6: 3}
BLOCKS = ["stage1", *(f"stage{stage}.{n}" for stage, count in COPIES.items() for n in range(count)), "stage7"]


def mobilenet_key(theirs: str) -> str:
    """`features.3.conv.1.0.weight` is the depthwise convolution of the third block."""
    head, *rest = theirs.split(".")
    if head == "classifier":
        return f"fc.{rest[-1]}"
    number, last = int(rest[0]), rest[-1]
    if number in (0, 18):
        return f"{'stem' if number == 0 else 'head'}.{('conv2d', 'batch_norm')[int(rest[1])]}.{last}"
    parts = ["depthwise", "project", "norm"] if number == 1 else ["expand", "depthwise", "project", "norm"]
    part = parts[int(rest[2])]
    inner = f".{('conv2d', 'batch_norm')[int(rest[3])]}" if len(rest) > 4 else ""
    return f"{BLOCKS[number - 1]}.{part}{inner}.{last}"


def test_mobilenet_v2_is_torchvisions() -> None:
    theirs = torchvision.models.mobilenet_v2(weights=None)
    assert sum(p.numel() for p in theirs.parameters()) == 3_504_872
    state = randomized(theirs)
    theirs.load_state_dict(state)
    ours = loaded("mobilenet_v2").compile(weights={mobilenet_key(key): value for key, value in state.items()})
    assert_same(ours, theirs, image(2, 2, 3, 224, 224))


# U-Net, which is written by hand: the original code gives no PyTorch to compare with.


def unet_key(theirs: str) -> str:
    part, number, *rest = theirs.split(".")
    if part == "last":
        return f"scores.{number}"
    if part == "up":
        return f"up{4 - int(number)}.up_conv.{rest[0]}"
    block = (
        f"up{4 - int(number)}.double_conv"
        if part == "after"
        else ["down1", "down2", "down3", "down4", "bottom"][int(number)]
    )
    return f"{block}.{'conv2d' if rest[0] == '0' else 'conv2d_2'}.{rest[1]}"


def test_unet_is_that_of_the_paper() -> None:
    """23 convolutions (section 2), the only count in the paper; the parameters that follow, by arithmetic.

    The same number is what G. Chlebus counts of the U-Net in "Looking under the hood of tensorflow models", 2018
    (gchlebus.github.io).
    """
    theirs = UnetByHand()
    convolutions = [m for m in theirs.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convolutions) == 23
    widths = [1, 64, 128, 256, 512, 1024]
    down = sum((9 * a + 1) * b + (9 * b + 1) * b for a, b in pairwise(widths))
    up = sum((4 * 2 * w + 1) * w + (9 * 2 * w + 1) * w + (9 * w + 1) * w for w in widths[1:-1])
    assert down + up + 64 * 2 + 2 == 31_030_658 == sum(p.numel() for p in theirs.parameters())
    state = randomized(theirs)
    theirs.load_state_dict(state)
    ours = loaded("unet").compile(weights={unet_key(key): value for key, value in state.items()})
    assert_same(ours, theirs, image(3, 1, 1, 572, 572))
    # The least that the paper's tiling takes, and a map that is not square.
    assert_same(ours, theirs, image(4, 2, 1, 188, 204))


def test_unet_at_every_size() -> None:
    """Figure 1's sizes with a symbolic map: 572 gives 388, and 16 more give 16 more."""
    text = (OTHER / "unet.yaml").read_text().replace("[N, 1, 572, 572]", "[N, 1, H, W]").partition("expect:")[0]
    graph = netspec.loads(text).graph
    for height, width, seen in ((572, 572, (388, 388)), (188, 204, (4, 20))):
        assert graph.at(H=height, W=width)["scores"].spatial == seen


def test_the_receptive_field_of_unet_is_where_the_gradient_is() -> None:
    """Behind up-convolutions units differ: the most that any sees is what the field says. Its widths are a 64th."""
    whole = propagate_fields(loaded("unet").graph)["scores"]["image"]
    text = (OTHER / "unet.yaml").read_text().partition("expect:")[0]
    thin = re.sub(r"(double_conv|out_channels): (\d+)", lambda m: f"{m[1]}: {int(m[2]) // 64}", text)
    found = netspec.loads(thin)
    field = propagate_fields(found.graph)["scores"]["image"]
    assert field == whole
    assert field.note == UNEVEN
    assert field.stride == (1, 1)
    module = found.compile().double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.abs_()
        for convolution in module.modules():
            if isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d):
                convolution.weight.div_(convolution.weight.sum((1, 2, 3), keepdim=True))
    x = torch.ones(1, 1, 236, 236, dtype=torch.float64, requires_grad=True)
    most = 0
    # Means in place of maxima, which see one of four.
    pools = [m for m in module.modules() if isinstance(m, nn.MaxPool2d)]
    assert len(pools) == 4
    for pool in pools:
        pool.forward = lambda x: nn.functional.avg_pool2d(x, 2)
    scores = module(x)
    spans = field.spans[0]
    for unit in range(10, 27):
        (gradient,) = torch.autograd.grad(scores[0, 0, unit, 26], x, retain_graph=True)
        rows = gradient[0, 0].any(1).nonzero().flatten()
        first, last = int(rows[0]), int(rows[-1])
        assert (first, last) == spans.of(unit)
        most = max(most, last - first + 1)
    assert (most, most) == field.size


# The source reads as if written.


@pytest.mark.parametrize("name", NAMES)
def test_sources_have_one_class_per_block(name: str) -> None:
    source = loaded(name).to_source()
    classes = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    assert (
        classes
        == {
            "mobilenet_v2": ["Conv", "InvertedResidual", "MobilenetV2"],
            "resnet50_fpn": ["ConvBn", "Bottleneck", "Resnet50", "Merge", "Smooth", "Resnet50FpnOutput", "Resnet50Fpn"],
            "unet": ["DoubleConv", "Up", "Unet"],
            "vit_b_16": ["Mlp", "EncoderLayer", "VitB16"],
        }[name]
    )


def test_lines_of_sources() -> None:
    vit, unet = loaded("vit_b_16").to_source(), loaded("unet").to_source()
    for line in (
        "def __init__(self, in_features: int, heads: int, mlp_width: int) -> None:",
        "self.ln_1 = nn.LayerNorm(in_features, eps=1e-06)",
        "out = self.self_attention(out, out, out, need_weights=False)[0]",
        "self.class_token = nn.Parameter(torch.zeros(1, 1, width))",
        "x = tokens + self.pos_embedding.expand(tokens.shape[0], -1, -1)",
        "nn.init.normal_(self.pos_embedding, std=0.02)",
        "patches = self.flatten(x).transpose(1, 2)",
        "x = self.ln(x)[:, 0]",
    ):
        assert f" {line}\n" in vit
    for line in (
        "self.up_conv = nn.ConvTranspose2d(below_channels, width, 2, stride=2)",
        "self.up4 = Up(1024, 512, 512)",
        "out = center_crop(skipped, x)",
        "return self.double_conv(torch.cat([out, x], dim=1))",
        "x = self.up4(x, down4)",
    ):
        assert f" {line}\n" in unet
    assert unet.count("def center_crop(") == 1


# torchvision's feature pyramid over ResNet-50.


@pytest.mark.usefixtures("no_grad")
@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
def test_resnet50_fpn_is_torchvisions(size: tuple[int, int]) -> None:
    theirs = torchvision.models.detection.backbone_utils.resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=nn.BatchNorm2d
    )
    assert sum(p.numel() for p in theirs.parameters()) == 26_852_416
    state = randomized(theirs)
    theirs.load_state_dict(state)
    ours = loaded("resnet50_fpn").compile()
    body = [value for key, value in state.items() if key.startswith("body.")]
    found = dict(zip([key for key in ours.state_dict() if key.startswith("body.")], body, strict=True))
    for number, name in enumerate(("m2.lateral", "m3.lateral", "m4.lateral", "m5")):
        for kind in ("weight", "bias"):
            found[f"{name}.{kind}"] = state[f"fpn.inner_blocks.{number}.0.{kind}"]
            found[f"p{number + 2}.conv2d.{kind}"] = state[f"fpn.layer_blocks.{number}.0.{kind}"]
    ours.load_state_dict(found)
    x = image(5, 1, 3, *size)
    given, wanted = ours.eval()(x), list(theirs.eval()(x).values())
    assert len(given) == len(wanted) == 5
    for mine, other in zip(given, wanted, strict=True):
        assert other.std() > 1e-3
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
