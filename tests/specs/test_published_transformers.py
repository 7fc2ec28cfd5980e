"""Figures of the papers of transformers, and what they say of their layers."""

from __future__ import annotations

import pytest

import netspec

# Dosovitskiy et al. 2020, Table 1: layers, width, MLP width, heads, and millions of parameters. It prints 307 for
# Large, which its own sizes do not give.
SIZES = [
    ("Base", {"layers": 12, "width": 768, "mlp_width": 3072, "heads": 12}, 86),
    ("Large", {"layers": 24, "width": 1024, "mlp_width": 4096, "heads": 16}, 304),
    ("Huge", {"layers": 32, "width": 1280, "mlp_width": 5120, "heads": 16, "patch": 14}, 632),
]


@pytest.mark.parametrize(("params", "millions"), [size[1:] for size in SIZES], ids=[size[0] for size in SIZES])
def test_vision_transformers_of_table_1(params: dict[str, int], millions: int) -> None:
    assert netspec.load("vit_b_16", params=params).summary()["totals"]["parameters"] // 10**6 == millions


def test_a_patch_sees_its_pixels_and_after_one_attention_all() -> None:
    rows = {row["name"]: row for row in netspec.load("vit_b_16").receptive_fields(every=True)["layers"]}
    assert rows["conv_proj"]["size"] == [16, 16]
    assert rows["layers.0.self_attention"]["size"] == [224, 224]


# Radford et al. 2019, Table 2: layers, width, and millions of parameters, as the authors' README corrects them.
GPT2 = [(12, 768, 124), (24, 1024, 355), (36, 1280, 774), (48, 1600, 1558)]


@pytest.mark.parametrize(("layers", "width", "millions"), GPT2)
def test_gpt2s_of_table_2(layers: int, width: int, millions: int) -> None:
    network = netspec.load("gpt2", params={"layers": layers, "width": width, "heads": width // 64})
    assert round(network.summary()["totals"]["parameters"] / 10**6) in (millions, millions + 1)


def test_the_head_of_gpt2_is_its_embedding() -> None:
    totals = netspec.load("gpt2").summary()["totals"]
    # Vectors of words and places; of each layer two norms, four projections and the two of the MLP; a last norm.
    width, words, places = 768, 50257, 1024
    layer = 4 * width + 4 * (width * width + width) + (2 * 4 * width * width + 4 * width + width)
    assert totals["parameters"] == (words + places) * width + 12 * layer + 2 * width == 124_439_808
    # Of each token: 12 layers of 12 * width * width and of two products with all keys, and the head.
    assert totals["macs"] == places * (12 * (12 * width * width + 2 * places * width) + words * width)
