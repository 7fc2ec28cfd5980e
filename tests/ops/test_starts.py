"""What weights begin as: each op says it, and it is the distribution of the modules that torch makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.backends.onnx.fillings import filled
from netspec.backends.onnx.seeded import seeded_weights
from netspec.ops.base import REGISTRY
from netspec.types import Init, Tensor, Weight
from tests.support.contract import Case, every_case
from tests.support.lazy import lazy_imports
from tests.support.own_gru import OwnGru

with lazy_imports():
    import torch

    from tests.support.printed import made as module
    from tests.support.printed import state

Array = np.ndarray[Any, Any]


def cases() -> Iterator[Any]:
    for param in every_case():
        (case,) = param.values
        if case.op.weights(*case.inputs):
            yield param
    yield pytest.param(Case(OwnGru(hidden_size=6), OwnGru.examples[0]), id="own_gru")


def drawn(case: Case, weight: Weight, times: int) -> tuple[Array, Array]:
    """All numbers that a weight begins as, over many new modules, and over as many fillings of ours."""
    assert weight.start is not None
    generator = np.random.default_rng(0)
    ours = [filled(weight.start, weight.shape, generator).ravel() for _ in range(times)]
    form = case.op.torch(*case.inputs)
    theirs = [state(module(form))[weight.name].double().numpy().ravel() for _ in range(times)]
    return np.concatenate(ours).astype("float64"), np.concatenate(theirs)


def farthest(a: Array, b: Array) -> float:
    """The largest distance of two samples' distribution functions (Kolmogorov and Smirnov)."""
    places = np.sort(np.concatenate([a, b]))
    return float(
        np.abs(
            np.searchsorted(np.sort(a), places, "right") / a.size
            - np.searchsorted(np.sort(b), places, "right") / b.size
        ).max()
    )


@pytest.mark.parametrize("case", list(cases()))
def test_weights_begin_as_torchs_do(case: Case) -> None:
    torch.manual_seed(0)
    for weight in case.op.weights(*case.inputs):
        a, b = drawn(case, weight, max(2, 4000 // max(1, weight.size)) if isinstance(weight.start, Init) else 1)
        if not isinstance(weight.start, Init):
            np.testing.assert_array_equal(a, b)
            continue
        # Beyond this lies one in ten thousand samples of one distribution.
        assert farthest(a, b) < 2.2 * (2 / a.size) ** 0.5, weight
        assert abs(a.std() / b.std() - 1) < 0.06
        if weight.start.function != "normal":  # which has no bounds
            np.testing.assert_allclose([a.min(), a.max()], [b.min(), b.max()], rtol=0.02)


def seeded(cls: type[OwnGru], monkeypatch: pytest.MonkeyPatch, width: int = 4, init: str = "{}") -> Any:
    """Seeded weights of a network whose only op is one of one's own."""
    monkeypatch.setitem(REGISTRY, cls.opname, cls)
    step = f"{{{cls.opname}: {width}, name: rnn, init: {init}}}"
    return seeded_weights(
        netspec.loads(f"netspec: 1\nname: one\ninputs: {{x: [N, 5, 8]}}\nnetwork: [{step}]\n").graph, 0
    )


def test_seeded_weights_are_what_an_op_of_ones_own_says(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = seeded(OwnGru, monkeypatch, 400)
    assert sorted(weights) == [f"rnn.{kind}_{way}_l0" for kind in ("bias", "weight") for way in ("hh", "ih")]
    for key in weights:
        np.testing.assert_allclose([weights[key].min(), weights[key].max()], [-0.05, 0.05], rtol=0.05)


class Silent(OwnGru, name="silent_gru", principal="hidden_size"):
    """The same, which does not say what its weights begin as."""

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return tuple([Weight(weight.name, weight.shape) for weight in super().weights(x)])


del REGISTRY["silent_gru"]


def test_an_op_that_does_not_say_how_its_weights_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(netspec.NetspecError) as raised:
        seeded(Silent, monkeypatch)
    assert str(raised.value) == (
        "<string>:4:12: error NS501: op `silent_gru` does not say what its weight `weight_ih_l0` begins as\n"
        "    4 | network: [{silent_gru: 4, name: rnn, init: {}}]\n"
        "      |            ^^^^^^^^^^\n"
        "   help: `Weight('weight_ih_l0', ..., start=...)` in its class, "
        "or `init: {weight_ih_l0: ...}` in the spec, or weights from a file"
    )


def test_what_the_spec_says_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    init = "{weight_ih_l0: 1, weight_hh_l0: orthogonal, bias_ih_l0: 2, bias_hh_l0: 3}"
    weights = seeded(Silent, monkeypatch, init=init)
    for name, number in {"weight_ih": 1, "bias_ih": 2, "bias_hh": 3}.items():
        assert set(weights[f"rnn.{name}_l0"].ravel()) == {number}


@pytest.mark.parametrize("start", [Init("gaussian"), Init("uniform", {"low": 0}), Init("xavier_uniform"), (1.0, 2.0)])
def test_a_start_that_does_not_fit(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(OwnGru, name="wrong_gru", principal="hidden_size"):
        def weights(self, x: Tensor) -> tuple[Weight, ...]:
            return tuple([Weight(w.name, w.shape, start=start) for w in super().weights(x)])

    del REGISTRY["wrong_gru"]
    weights = seeded(Wrong, monkeypatch)
    with pytest.raises(netspec.NetspecError, match=r"NS501: `rnn.bias_ih_l0` of 12 can't begin as "):
        weights["rnn.bias_ih_l0"]
