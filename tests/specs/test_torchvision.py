"""Bundled networks that torchvision has, too, against its modules with the same weights.

A network is a line of `PEERS`; `tests/specs/against.py` has what a line may hold, and what is compared.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.specs.against import (
    Pair,
    Peer,
    assert_equal_by_chance,
    assert_equal_in_evaluation,
    assert_equal_in_onnx_runtime,
    assert_equal_in_training,
    assert_equal_totals,
    meet,
)

# The arguments without which GoogLeNet's constructor initialises slowly, or its module changes images.
GOOGLENET = {"init_weights": False, "transform_input": False}

PEERS = [
    Peer("resnet18", "resnet18"),
    Peer("resnet50", "resnet50", params={"stride_in_3x3": True}, small=(96, 64)),
    Peer("alexnet_owt", "alexnet"),
    Peer(
        "googlenet_bn",
        "googlenet",
        GOOGLENET,
        outputs=("logits", "aux_logits1", "aux_logits2"),
        small=(64, 96),
        chance=False,
    ),
    Peer("inception_v3", "inception_v3", GOOGLENET, outputs=("logits", "aux_logits")),
    Peer("squeezenet1_1", "squeezenet1_1"),
    Peer("mobilenet_v2", "mobilenet_v2", small=(96, 64)),
    Peer("mobilenet_v3_large", "mobilenet_v3_large", small=(96, 64)),
    Peer("resnext50_32x4d", "resnext50_32x4d", small=(96, 64)),
    Peer("vit_b_16", "vit_b_16"),
    Peer("densenet121", "densenet121", small=(96, 64)),
    Peer("efficientnet_b0", "efficientnet_b0", small=(96, 64)),
    Peer("convnext_tiny", "convnext_tiny", small=(96, 64)),
]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module", params=PEERS, ids=lambda peer: peer.name)
def pair(request: pytest.FixtureRequest) -> Pair:
    return meet(request.param)


def test_the_state_dict_fits_as_it_is_and_gives_the_same_numbers(pair: Pair) -> None:
    assert_equal_in_evaluation(pair)


def test_training_gives_the_same_numbers_and_statistics(pair: Pair) -> None:
    assert_equal_in_training(pair)
    if pair.peer.chance:
        assert_equal_by_chance(pair)


def test_parameters_and_multiply_accumulates_are_equal(pair: Pair) -> None:
    assert_equal_totals(pair)


def test_onnx_runtime_gives_the_same_numbers(pair: Pair, tmp_path: Path) -> None:
    assert_equal_in_onnx_runtime(pair, tmp_path / "m.onnx")
