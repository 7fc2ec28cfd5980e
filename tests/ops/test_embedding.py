"""Embeddings: what they refuse, how they begin, and their weights in other layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.backends.onnx.seeded import seeded_weights
from netspec.ops.base import RuleError
from netspec.types import Tensor
from tests.support.contract import named_op as op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import onnxruntime
    import torch
    from torch import nn

TOKENS = Tensor((2, 5), "int64")

TIED = """
netspec: 1
name: tied
inputs: {tokens: {shape: [N, T], dtype: int64}}
network:
  - {embedding: {num_embeddings: 11, embedding_dim: 6, padding_idx: 0}, name: words}
  - {linear: 6, name: hidden}
  - tanh
  - {linear: {out_features: 11, bias: false}, name: scores, share: words}
"""


@pytest.mark.parametrize(
    ("attributes", "x", "message", "code", "at"),
    [
        ({}, Tensor((2, 5)), "`embedding` takes integers, and its input is float32", "NS302", ""),
        ({}, Tensor((2, 5), "bool"), "`embedding` takes integers, and its input is bool", "NS302", ""),
        ({}, Tensor((), "int64"), "`embedding` takes an input with a batch, and this one has no axis", "NS302", ""),
        ({"padding_idx": 7}, TOKENS, "there is no row 7 among 7 embeddings", "NS304", "padding_idx"),
        ({"padding_idx": -8}, TOKENS, "there is no row -8 among 7 embeddings", "NS304", "padding_idx"),
    ],
)
def test_misuse(attributes: dict[str, int], x: Tensor, message: str, code: str, at: str) -> None:
    with pytest.raises(RuleError) as raised:
        op("embedding", num_embeddings=7, embedding_dim=3, **attributes).infer(x)
    assert (raised.value.message, raised.value.code, raised.value.at) == (message, code, at)


def test_floats_are_told_their_dtype() -> None:
    with pytest.raises(netspec.NetspecError, match="say `dtype: int64` of the input"):
        netspec.loads(TIED.replace("{shape: [N, T], dtype: int64}", "[N, T]"))


@pytest.mark.parametrize("row", [0, 3, -1])
def test_the_padding_row_begins_as_zeros(row: int) -> None:
    text = TIED.replace("padding_idx: 0", f"padding_idx: {row}")
    graph = netspec.loads(text).graph
    drawn = seeded_weights(graph, 0)["words.weight"]
    theirs = nn.Embedding(11, 6, padding_idx=row).weight.detach().numpy()
    np.testing.assert_array_equal((drawn == 0).all(axis=1), (theirs == 0).all(axis=1))


def test_tied_embeddings(tmp_path: Path) -> None:
    """One weight scores the words that it embeds: in the module, in the totals, in ONNX, and in the gradient."""
    net = netspec.loads(TIED)
    assert net.summary()["totals"]["parameters"] == 11 * 6 + 6 * 6 + 6
    assert "nn.functional.linear(self.tanh(x), self.words.weight)" in net.to_source()
    module = net.compile()
    assert sorted(module.state_dict()) == ["hidden.bias", "hidden.weight", "words.weight"]
    tokens = torch.randint(0, 11, (3, 4))
    words, hidden = module.words, module.hidden
    with torch.no_grad():
        right = torch.tanh(hidden(words(tokens))) @ words.weight.T
        torch.testing.assert_close(module(tokens), right)
    net.to_onnx(tmp_path / "tied.onnx", module)
    session = onnxruntime.InferenceSession(str(tmp_path / "tied.onnx"))
    (found,) = session.run(None, {"tokens": tokens.numpy()})
    np.testing.assert_allclose(found, right.numpy(), atol=1e-5)
    module(tokens).sum().backward()
    assert bool((words.weight.grad != 0).any())


def test_an_embedding_with_the_weight_of_a_linear_layer() -> None:
    """The other way round: the layer that scores stands first, and its weight embeds."""
    net = netspec.loads(
        """
netspec: 1
name: tied
inputs: {x: [N, T, 6], tokens: {shape: [N, T], dtype: int64}}
network:
  - {linear: {out_features: 11, bias: false}, from: x, name: scores}
  - {embedding: {num_embeddings: 11, embedding_dim: 6, padding_idx: 2}, from: tokens, name: words, share: scores}
outputs: {scores: scores, words: words}
"""
    )
    assert "nn.functional.embedding(tokens, self.scores.weight, padding_idx=2)" in net.to_source()
    module = net.compile()
    tokens = torch.randint(0, 11, (2, 3))
    torch.testing.assert_close(module(torch.randn(2, 3, 6), tokens)[1], module.scores.weight[tokens])
