"""GPT-2 against one written out by hand: its checkpoint as it is, the same numbers, and no look at words behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import netspec
from tests.support.lazy import lazy_imports

with lazy_imports():
    import onnxruntime
    import torch
    from torch import Tensor, nn
    from torch.utils.flop_counter import FlopCounterMode

    from tests.specs.gpt2_by_hand import Gpt2ByHand

pytestmark = pytest.mark.usefixtures("one_thread")
SIZES = {"vocabulary": 97, "positions": 16, "width": 24, "layers": 3, "heads": 3}


def small() -> netspec.Network:
    return netspec.load("gpt2", params=SIZES)


def by_hand() -> nn.Module:
    """The other model, with weights of which none is like another."""
    torch.manual_seed(0)
    model = Gpt2ByHand(**SIZES)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3 if weight.dim() > 1 else 0.1)
    return model.eval()


def words(samples: int, length: int) -> Tensor:
    return torch.randint(0, SIZES["vocabulary"], (samples, length), generator=torch.Generator().manual_seed(length))


def without_transformer(state: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint of the model without its head."""
    return {k.removeprefix("transformer."): v for k, v in state.items() if k.startswith("transformer.")}


@pytest.mark.parametrize("has_head", [True, False])
def test_a_checkpoint_fits_as_it_is_and_gives_the_same_numbers(has_head: bool) -> None:
    theirs = by_hand()
    state: Any = theirs.state_dict()
    ours = small().compile(state if has_head else without_transformer(state)).eval()
    for length in (1, 5, 16):
        with torch.no_grad():
            wanted = theirs(words(2, length))
            assert wanted.std() > 0.1
            torch.testing.assert_close(ours(words(2, length)), wanted, rtol=1e-4, atol=1e-4)


def test_training_gives_the_same_gradients() -> None:
    theirs = by_hand()
    ours = netspec.load("gpt2", params={**SIZES, "dropout": 0.0}).compile(theirs.state_dict()).train()
    for module in (ours, theirs):
        scores = module(words(2, 9))
        nn.functional.cross_entropy(scores[:, :-1].flatten(0, 1), words(2, 9)[:, 1:].flatten()).backward()
    pairs = small().fit_weights(theirs.state_dict())[1]
    state = dict(theirs.named_parameters())
    for name, weight in ours.named_parameters():
        gradient = state[pairs.pairs[name]].grad
        assert gradient is not None
        right = gradient.t() if name in pairs.transposed else gradient
        torch.testing.assert_close(weight.grad, right, rtol=1e-3, atol=1e-5)


def test_own_weights_are_not_transposed() -> None:
    network = small()
    module = network.compile().eval()
    again = network.compile(module.state_dict()).eval()
    torch.testing.assert_close(again(words(2, 5)), module(words(2, 5)))


def test_a_word_does_not_see_those_behind_it() -> None:
    module = small().compile().eval()
    before, after = words(1, 9), words(1, 9)
    after[:, 5:] = (after[:, 5:] + 1) % SIZES["vocabulary"]
    one, other = module(before), module(after)
    torch.testing.assert_close(one[:, :5], other[:, :5])
    assert not torch.allclose(one[:, 5:], other[:, 5:])


def test_macs_are_those_that_torch_counts() -> None:
    with torch.device("meta"):
        module = (
            small().compile().train()
        )  # in evaluation, attention may be a kernel of which its counter knows nothing
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.empty(1, 16, dtype=torch.int64, device="meta"))
    assert small().summary(at={"T": 16})["totals"]["macs"] * 2 == counter.get_total_flops()


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_torch_exports_and_compiles_it_for_any_length(mode: str) -> None:
    module = netspec.load("gpt2", params={**SIZES, "dropout": 0.0}).compile()
    module.train(mode == "train")
    sizes = {0: torch.export.Dim("N"), 1: torch.export.Dim("T", max=SIZES["positions"])}
    exported = torch.export.export(module, (words(2, 7),), dynamic_shapes=(sizes,)).module()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    for length in (7, 11):
        wanted = module(words(3, length))
        torch.testing.assert_close(exported(words(3, length)), wanted, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(compiled(words(3, length)), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fp16", [False, True])
def test_one_model_is_for_every_length(fp16: bool, tmp_path: Path) -> None:
    theirs = by_hand()
    small().to_onnx(tmp_path / "m.onnx", theirs.state_dict(), fp16=fp16)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    for length in (1, 7, 16):
        with torch.no_grad():
            wanted = theirs(words(2, length))
        (found,) = session.run(None, {"tokens": words(2, length).numpy()})
        error = float((torch.from_numpy(found) - wanted).abs().max() / wanted.abs().max())
        assert error < (1e-2 if fp16 else 1e-5)


def test_weights_of_another_width_are_told_of() -> None:
    wider = Gpt2ByHand(**{**SIZES, "width": 48})
    with pytest.raises(netspec.NetspecError) as caught:
        small().compile(wider.state_dict())
    assert "they fit with `--set width=48`" in str(caught.value)
