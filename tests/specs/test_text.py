"""Networks of texts against modules written by hand, with padding and without, in torch and in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import netspec
from tests.support.lazy import lazy_imports

with lazy_imports():
    import numpy as np
    import onnxruntime
    import torch
    from torch import Tensor, nn

    from tests.specs.by_hand import TextClassifier

PAD, VOCABULARY = 1, 25_002


@pytest.fixture(scope="module")
def pair() -> tuple[nn.Module, nn.Module]:
    """The compiled network and the module by hand, with the same weights."""
    torch.manual_seed(0)
    ours, theirs = netspec.load("lstm_classifier").compile().eval(), TextClassifier().eval()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def reviews(lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Tokens of these lengths, padded to the longest."""
    tokens = torch.randint(2, VOCABULARY, (len(lengths), max(lengths)))
    for row, length in zip(tokens, lengths, strict=True):
        row[length:] = PAD
    return tokens, torch.tensor(lengths)


BATCHES = [[7], [9, 9, 9], [12, 5, 5, 1]]


@pytest.mark.parametrize("lengths", BATCHES, ids=["one", "unpadded", "padded"])
def test_it_is_the_module_by_hand(pair: Any, lengths: list[int]) -> None:
    ours, theirs = pair
    batch = reviews(lengths)
    with torch.no_grad():
        torch.testing.assert_close(ours(*batch), theirs(*batch), rtol=1e-5, atol=1e-6)


def test_the_padding_says_nothing(pair: Any) -> None:
    """Each review of a padded batch scores as it does alone, and in any order."""
    ours, _ = pair
    tokens, lengths = reviews([3, 11, 6])
    with torch.no_grad():
        together = ours(tokens, lengths)
        for n, length in enumerate(lengths.tolist()):
            alone = ours(tokens[n : n + 1, :length], lengths[n : n + 1])
            torch.testing.assert_close(together[n : n + 1], alone, rtol=1e-5, atol=1e-6)


def test_training_gives_the_same_gradients(pair: Any) -> None:
    """With dropout at 0, which is drawn in another order here than in the module by hand."""
    torch.manual_seed(1)
    batch = reviews([8, 4])
    gradients: list[dict[str, Tensor]] = []
    for module in pair:
        module.train()
        for layer in module.modules():
            if hasattr(layer, "p"):
                layer.p = 0.0
        module.lstm.dropout = 0.0
        module.zero_grad()
        module(*batch).square().sum().backward()
        gradients.append({name: p.grad for name, p in module.named_parameters()})
        module.eval()
    ours, theirs = gradients
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], rtol=1e-4, atol=1e-6)
    assert not ours["words.weight"][PAD].any()


def test_figures() -> None:
    """The tutorial that has these sizes prints 4,810,857 parameters; the products are counted by hand."""
    totals = netspec.load("lstm_classifier").summary()["totals"]
    assert totals["parameters"] == sum(p.numel() for p in TextClassifier().parameters()) == 4_810_857
    first, second = 2 * 4 * 256 * (100 + 256), 2 * 4 * 256 * (512 + 256)
    assert totals["macs"] == 256 * (first + second) + 512


@pytest.mark.parametrize("opset", [20, 21])
def test_one_model_for_every_batch_and_length(pair: Any, opset: int, tmp_path: Path) -> None:
    ours, _ = pair
    file = tmp_path / "model.onnx"
    netspec.load("lstm_classifier").to_onnx(file, ours, opset=opset)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for lengths in BATCHES:
        tokens, counts = reviews(lengths)
        (found,) = session.run(None, {"tokens": tokens.numpy(), "lengths": counts.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(found, ours(tokens, counts).numpy(), rtol=1e-4, atol=1e-5)


def test_a_smaller_one_trains() -> None:
    """It learns whether a word occurs, which only its states can tell."""
    torch.manual_seed(0)
    params = {"vocabulary": 12, "width": 8, "hidden": 8, "layers": 1, "dropout": 0}
    module = netspec.load("lstm_classifier", params=params).compile()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    loss = torch.tensor(0.0)
    for _ in range(150):
        lengths = torch.randint(1, 9, (64,))
        tokens = torch.randint(2, 12, (64, 8)).where(torch.arange(8) < lengths[:, None], torch.tensor(PAD))
        wanted = (tokens == 5).any(1, keepdim=True).float()
        loss = nn.functional.binary_cross_entropy_with_logits(module(tokens, lengths), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
