"""One network for whole sequences and for single steps: states go in and out, and the length may be 1."""

from __future__ import annotations

from pathlib import Path

import pytest

import netspec
from netspec import NetspecError
from tests.support.lazy import lazy_imports

with lazy_imports():
    import numpy as np
    import torch

SPEC = """netspec: 1
name: decoder
params: {width: 8}
networks:
  decoder:                                  # each word sees the state, and the last one leaves it
    inputs:
      words: {shape: [N, T, 6], nominal: {T: 5}}
      state: [N, width]
    body:
      - {linear: width, from: words, name: word}
      - {linear: word.features, from: state, name: recurrent}
      - {unflatten: {dim: 1, unflattened_size: [1, -1]}, name: first}
      - {add: {broadcast: true}, from: [word, first], name: sum}
      - {tanh, name: hidden}
      - {select: {dim: 1, index: -1}, name: last}
      - {linear: 20, from: hidden, name: scores}
    outputs: {scores: scores, next: last}
  one_step:
    inputs: {word: [N, 6], state: [N, width]}
    body:
      - {unflatten: {dim: 1, unflattened_size: [1, -1]}, from: word, name: words}
      - {decoder, from: [words, state], name: decoder}
      - {select: {dim: 1, index: 0}, name: scores}
    outputs: {scores: scores, next: decoder.next}
"""
LENGTHS = {"open": {}, "one": {"words": ["N", 1, 6]}, "seven": {"words": ["N", 7, 6]}}


def load(network: str = "decoder", text: str = SPEC, **inputs: list[int | str]) -> netspec.Network:
    return netspec.loads(text, network=network, inputs=inputs)


@pytest.mark.parametrize("length", LENGTHS)
def test_each_length_serves(length: str, tmp_path: Path) -> None:
    network = load(**LENGTHS[length])
    module = network.compile().eval()
    network.to_onnx(tmp_path / "decoder.onnx", dict(module.state_dict()))
    session = netspec.Session(tmp_path / "decoder.onnx", "cpu")
    state = torch.zeros(2, 8)
    for words in [torch.randn(2, t, 6) for t in {"open": (1, 4, 1), "one": (1, 1), "seven": (7,)}[length]]:
        scores, following = module(words, state)
        by_hand = torch.tanh(module.word(words) + module.recurrent(state)[:, None])
        torch.testing.assert_close(following, by_hand[:, -1])
        torch.testing.assert_close(scores, module.scores(by_hand))
        outputs = session.run(words=words.numpy(), state=state.numpy())
        np.testing.assert_allclose(outputs["scores"], scores.detach().numpy(), atol=1e-5)
        np.testing.assert_allclose(outputs["next"], following.detach().numpy(), atol=1e-5)
        state = following.detach()
    assert netspec.loads(netspec.to_yaml(network.graph)).graph.hash() == network.graph.hash()
    for report in (network.summary, network.memory, network.receptive_fields):
        assert str(report())


def test_with_one_word_it_is_the_step() -> None:
    whole, step = load().compile().eval(), load("one_step").compile().eval()
    step.load_state_dict({f"decoder.{key}": value for key, value in whole.state_dict().items()})
    words, state = torch.randn(3, 1, 6), torch.randn(3, 8)
    scores, following = whole(words, state)
    step_scores, step_following = step(words[:, 0], state)
    torch.testing.assert_close(step_scores, scores[:, 0])
    torch.testing.assert_close(step_following, following)


def test_an_output_called_as_an_input_is_refused_in_onnx_alone(tmp_path: Path) -> None:
    network = load(text=SPEC.replace("next: last", "state: last").replace("decoder.next", "decoder.state"))
    assert network.compile()(torch.zeros(1, 1, 6), torch.zeros(1, 8)).state.shape == (1, 8)
    with pytest.raises(NetspecError) as raised:
        network.to_onnx(tmp_path / "decoder.onnx")
    (diagnostic,) = raised.value.diagnostics
    assert (diagnostic.code, diagnostic.span and diagnostic.span.text) == ("NS401", "last")
    assert "`next_state`" in diagnostic.help
