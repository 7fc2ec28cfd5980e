"""`--fp16`: what half precision can't hold is refused, and what it is too coarse for is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

    from tests.backends.onnx.files import session

Array = np.ndarray[Any, Any]


def of(step: str, shape: str = "[N, 4, 8, 8]") -> netspec.Network:
    """The network of one step, `here`."""
    return netspec.loads(f"netspec: 1\nname: one\ninputs: {{x: {shape}}}\nnetwork: [{{{step}, name: here}}]\n")


TOO_LARGE = [
    ("pad: {padding: [1, 1], value: 1.0e6}", "`value` is 1e+06, and half precision ends at 65,504"),
    ("pad: {padding: [1, 1], value: -65520.0}", "`value` is -6.55e+04, and half precision ends at 65,504"),
    ("softplus: {beta: 1.0e6}", "`beta` is 1e+06, and half precision ends"),
    ("softplus: {threshold: -1.0e6}", "`threshold` is -1e+06, and half precision ends"),
    ("local_response_norm: {size: 4, k: 1.0e6}", "`k` is 1e+06, and half precision ends"),
    ("local_response_norm: {size: 5, k: 1.0e6}", "`k` is 1e+06, and half precision ends"),
    ("local_response_norm: {size: 4, alpha: 1.0e6}", "`alpha` is 1e+06, and half precision ends"),
    ("leaky_relu: 1.0e6", "`negative_slope` is 1e+06, and half precision ends"),
    ("elu: 70000", "`alpha` is 7e+04, and half precision ends"),
    ("layer_norm: {eps: 1.0e6}", "`eps` is 1e+06, and half precision ends"),
    ("softplus: {beta: 1.0e-9}", "half precision is too coarse for 1e-09, a factor of `softplus`"),
    ("avg_pool2d: {kernel_size: 3, divisor_override: 100000000}", "too coarse for 9e-08, a factor of `avg_pool2d`"),
]


@pytest.mark.parametrize(("step", "said"), TOO_LARGE)
def test_what_half_precision_can_not_hold_is_refused(step: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(netspec.NetspecError) as caught:
        of(step).to_onnx(tmp_path / "m.onnx", fp16=True)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "NS401"
    assert said in diagnostic.message
    assert (diagnostic.label, diagnostic.help) == ("here", "leave --fp16 out")
    assert not list(tmp_path.iterdir())
    # In float32 they are what torch has.
    network = of(step)
    network.to_onnx(tmp_path / "m.onnx", module := network.compile().eval())
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    (found,) = session(tmp_path / "m.onnx").run(None, {"x": x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, module(x).numpy(), rtol=1e-4, atol=1e-6)


TOO_LARGE_FOR_FLOAT32 = [
    ("pad: {padding: [1, 1], value: 1.0e300}", "`value` is 1e+300, and float32 ends at 3.4e+38"),
    ("leaky_relu: 1.0e300", "`negative_slope` is 1e+300, and float32 ends at 3.4e+38"),
    ("batch_norm: {eps: 1.0e-60}", "`eps` is 1e-60, and 0 in float32"),
    ("softplus: {beta: 1.0e-60}", "float32 is too coarse for 1e-60, a factor of `softplus`"),
]


@pytest.mark.parametrize(("step", "said"), TOO_LARGE_FOR_FLOAT32)
def test_what_float32_can_not_hold_is_refused(step: str, said: str, tmp_path: Path) -> None:
    for half in (False, True):
        with pytest.raises(netspec.NetspecError) as caught:
            of(step).to_onnx(tmp_path / "m.onnx", fp16=half)
        (diagnostic,) = caught.value.diagnostics
        assert diagnostic.code == "NS401"
        assert half or (said in diagnostic.message and not diagnostic.help)


def test_infinite_padding_of_a_max_pool_stays(tmp_path: Path) -> None:
    network = of("max_pool2d: {kernel_size: 2, dilation: 3, stride: 4, padding: 1, ceil_mode: true}", "[N, 4, 9, 10]")
    network.to_onnx(tmp_path / "m.onnx", fp16=True)
    x = torch.randn(1, 4, 9, 10, generator=torch.Generator().manual_seed(0))
    (found,) = session(tmp_path / "m.onnx").run(None, {"x": x.numpy()})
    np.testing.assert_allclose(found, network.compile()(x).numpy(), rtol=1e-3)


@pytest.mark.parametrize("layer", ["rnn: 6", "gru: 6", "lstm: 6", "gru: {hidden_size: 3, bidirectional: true}"])
def test_a_linear_layer_reads_a_recurrent_one(layer: str, tmp_path: Path) -> None:
    """ONNX Runtime 1.31 crashes on a MatMul of states whose axis of directions goes before they are transposed."""
    network = netspec.loads(f"netspec: 1\nname: two\ninputs: {{x: [N, T, 4]}}\nnetwork: [{layer}, linear: 3]\n")
    network.to_onnx(tmp_path / "m.onnx", module := network.compile().eval(), fp16=True)
    x = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    (scores,) = session(tmp_path / "m.onnx").run(None, {"x": x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(scores, module(x).numpy(), rtol=1e-2, atol=2e-3)


def test_constants_that_become_zero_are_told(tmp_path: Path) -> None:
    done = of("pad: {padding: [1, 1], value: 1.0e-9}").to_onnx(tmp_path / "m.onnx", fp16=True)
    assert done.lost == ("in half precision 1 number becomes 0: the first in `here`",)
    done = of("pad: {padding: [1, 1], value: 1.0e-6}").to_onnx(tmp_path / "m.onnx", fp16=True)
    words = "in half precision 1 number is subnormal, and rounded to a multiple of 6e-08: the first in `here`"
    assert done.lost == (words,)
    assert of("pad: {padding: [1, 1], value: 1.0e-9}").to_onnx(tmp_path / "m.onnx").lost == ()


def test_weights_that_become_zero_are_told(tmp_path: Path) -> None:
    network = of("linear: 4", "[N, 3]")
    state = {"here.weight": torch.ones(4, 3), "here.bias": torch.zeros(4)}
    assert network.to_onnx(tmp_path / "m.onnx", state, fp16=True).lost == ()
    state["here.weight"][1, :2] = 1e-8
    state["here.weight"][2, 0] = -1e-6
    state["here.bias"][3] = 1e-9
    assert network.to_onnx(tmp_path / "m.onnx", state, fp16=True).lost == (
        "in half precision 3 numbers become 0: the first in `here.weight`",
        "in half precision 1 number is subnormal, and rounded to a multiple of 6e-08: the first in `here.weight`",
    )


def test_a_parameter_is_a_weight(tmp_path: Path) -> None:
    network = of("parameter: {shape: [2]}", "[N, 3]")
    with pytest.raises(netspec.NetspecError, match=r"NS501: `here` has 1e\+06, and half precision ends at 65,504"):
        network.to_onnx(tmp_path / "m.onnx", {"here": torch.full((1, 2), 1e6)}, fp16=True)
    done = network.to_onnx(tmp_path / "m.onnx", {"here": torch.full((1, 2), 1e-9)}, fp16=True)
    assert done.lost == ("in half precision 2 numbers become 0: the first in `here`",)


def normalised(eps: float, variance: float) -> tuple[netspec.Network, Any]:
    """A network of a batch norm that nothing is folded into, and its module with a variance."""
    network = of(f"batch_norm: {{eps: {eps:.1e}}}")
    module = network.compile().eval()
    module.here.running_var.fill_(variance)
    return network, module


@pytest.mark.parametrize("variance", [1e-8, 3e-9])
def test_a_variance_that_half_precision_is_too_coarse_for(variance: float, tmp_path: Path) -> None:
    network, module = normalised(1e-8, variance)
    said = "`here.running_var` is a variance that half precision is too coarse for, beside an `eps` of 1e-08"
    with pytest.raises(netspec.NetspecError, match=f"NS501: {said}"):
        network.to_onnx(tmp_path / "m.onnx", module, fp16=True)


@pytest.mark.parametrize(("eps", "variance"), [(1e-5, 1e-8), (1e-5, 0.0), (1e-8, 0.0), (1e-8, 0.5), (1e-5, 3e-6)])
def test_a_variance_whose_sum_half_precision_keeps(eps: float, variance: float, tmp_path: Path) -> None:
    """A channel that is never other than 0 has almost no variance, and networks have such channels."""
    network, module = normalised(eps, variance)
    network.to_onnx(tmp_path / "m.onnx", module, fp16=True)
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.01
    (found,) = session(tmp_path / "m.onnx").run(None, {"x": x.numpy()})
    with torch.no_grad():
        right = module(x).numpy()
    assert np.abs(found - right).max() < 4e-3 * np.abs(right).max()


def test_folded_weights_that_are_too_large(tmp_path: Path) -> None:
    steps = "[{conv2d: {out_channels: 4, kernel_size: 1}}, batch_norm]"
    network = netspec.loads(f"netspec: 1\nname: one\ninputs: {{x: [N, 4, 8, 8]}}\nnetwork: {steps}\n")
    module = network.compile().eval()
    module.batch_norm.running_var.fill_(0)
    module.batch_norm.weight.data.fill_(1e4)
    with pytest.raises(netspec.NetspecError) as caught:
        network.to_onnx(tmp_path / "m.onnx", module, fp16=True)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.message[:20]) == ("NS501", "`conv2d.weight` has ")
    assert diagnostic.help == "leave --fp16 out, or --no-fold if folding made it so large"


def test_weights_of_a_wider_file(tmp_path: Path) -> None:
    network = of("linear: 1", "[N, 1]")
    state = {"here.weight": torch.tensor([[1e300]], dtype=torch.float64), "here.bias": torch.zeros(1)}
    with pytest.raises(netspec.NetspecError, match=r"NS501: `here.weight` has 1e\+300, and float32 ends at 3.4e\+38"):
        network.to_onnx(tmp_path / "m.onnx", state)
