"""Networks that are not bundled, each from a spec beside this file, against definitions that are not ours."""

from __future__ import annotations

import ast
from functools import cache

import pytest

import netspec
from netspec.analysis.field_propagation import propagate_fields
from tests.support.lazy import lazy_imports
from tests.support.paths import OTHER

with lazy_imports():
    import torch
    import torchvision
    from torch import Tensor, nn


NAMES = ["resnet50_fpn", "vit_b_16"]


@cache
def loaded(name: str) -> netspec.Network:
    file = OTHER / f"{name}.yaml"
    return netspec.load(file if file.exists() else name)


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


# The source reads as if written.


@pytest.mark.parametrize("name", NAMES)
def test_sources_have_one_class_per_block(name: str) -> None:
    source = loaded(name).to_source()
    classes = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    assert (
        classes
        == {
            "resnet50_fpn": ["ConvBn", "Bottleneck", "Resnet50", "Merge", "Smooth", "Resnet50FpnOutput", "Resnet50Fpn"],
            "vit_b_16": ["Mlp", "EncoderLayer", "VitB16"],
        }[name]
    )


def test_lines_of_sources() -> None:
    vit = loaded("vit_b_16").to_source()
    for line in (
        "def __init__(self, in_features: int, heads: int, mlp_width: int) -> None:",
        "self.ln_1 = nn.LayerNorm(in_features, eps=1e-06)",
        "out = self.self_attention(out, out, out, need_weights=False)[0]",
        "self.class_token = nn.Parameter(torch.zeros(1, 1, width))",
        "x = tokens + self.pos_embedding",
        "nn.init.normal_(self.pos_embedding, std=0.02)",
        "patches = self.flatten(x).transpose(1, 2)",
        "x = self.ln(x)[:, 0]",
    ):
        assert f" {line}\n" in vit


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
