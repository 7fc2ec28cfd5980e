"""Networks over one and three spatial axes, M5 of waveforms and C3D of films, against modules of torch by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

import netspec
from netspec.analysis.field_propagation import propagate_fields
from tests.support.lazy import lazy_imports
from tests.support.paths import OTHER

with lazy_imports():
    import onnxruntime
    import torch
    from torch import Tensor, nn
    from torch.utils.flop_counter import FlopCounterMode

SMALL = {"m5": {"wave": ["N", 1, 2000]}, "c3d": {"clip": ["N", 3, 16, 48, 33]}}
"""Inputs that are worked out soon."""
FLAT = {"m5": 512, "c3d": 512 * 1 * 2 * 1}
"""The features of the small inputs when they are flattened."""


def m5() -> nn.Module:
    """Dai et al. 2016, Table 1."""
    layers: list[nn.Module] = []
    entering = 1
    for width, kernel, stride, padding in [(128, 80, 4, 38), (128, 3, 1, 1), (256, 3, 1, 1), (512, 3, 1, 1)]:
        layers += [
            nn.Conv1d(entering, width, kernel, stride, padding),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.MaxPool1d(4),
        ]
        entering = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(512, 10))


def c3d(features: int = 8192) -> nn.Module:
    """Tran et al. 2015, Figure 3."""
    layers: list[nn.Module] = []
    entering = 3
    for widths in [(64,), (128,), (256, 256), (512, 512), (512, 512)]:
        for width in widths:
            layers += [nn.Conv3d(entering, width, 3, padding=1), nn.ReLU()]
            entering = width
        first, last = len(layers) == 2, len(layers) > 18
        layers.append(nn.MaxPool3d((1, 2, 2) if first else 2, ceil_mode=last))
    for a, b in [(features, 4096), (4096, 4096)]:
        layers += [nn.Linear(a, b), nn.ReLU(), nn.Dropout()]
    layers.insert(-6, nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(4096, 487))


def small(name: str) -> tuple[netspec.Network, nn.Module, nn.Module, Tensor]:
    """A network for a small input, its module and torch's with the same weights, and two samples."""
    torch.manual_seed(0)
    net = netspec.load(OTHER / f"{name}.yaml", inputs=SMALL[name])
    theirs = m5() if name == "m5" else c3d(FLAT[name])
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
        elif isinstance(module, nn.Conv3d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    keys = net.graph.state()
    weights = dict(zip(keys, theirs.state_dict().values(), strict=True))
    x = torch.rand(2, *net.graph.inputs[0].type.shape[1:])  # pyright: ignore
    return net, net.compile(weights=weights), theirs, x


@pytest.mark.parametrize("name", SMALL)
def test_claims_hold(name: str) -> None:
    count, broken = netspec.load(OTHER / f"{name}.yaml").check_expectations()
    assert count == 4
    assert not broken


@pytest.mark.parametrize("name", SMALL)
def test_figures_are_those_of_torchs_modules(name: str) -> None:
    net = netspec.load(OTHER / f"{name}.yaml")
    with torch.device("meta"):
        theirs = (m5() if name == "m5" else c3d()).eval()
        x = torch.empty(1, *net.graph.inputs[0].type.shape[1:])  # pyright: ignore
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        theirs(x)
    totals = net.summary()["totals"]
    assert totals["parameters"] == sum(p.numel() for p in theirs.parameters())
    assert totals["macs"] * 2 == counter.get_total_flops()


@pytest.mark.usefixtures("no_grad", "one_thread")
@pytest.mark.parametrize("name", SMALL)
def test_outputs_are_those_of_torchs_modules(name: str) -> None:
    _, ours, theirs, x = small(name)
    expected = theirs.eval()(x)
    assert expected.std() > 1e-2
    torch.testing.assert_close(ours.eval()(x), expected, rtol=1e-5, atol=1e-5)
    if name == "m5":  # C3D drops out
        torch.testing.assert_close(ours.train()(x), theirs.train()(x), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("no_grad", "one_thread")
@pytest.mark.parametrize("name", SMALL)
def test_onnx_runtime_computes_the_same(name: str, tmp_path: Path) -> None:
    net, ours, _, x = small(name)
    net.to_onnx(tmp_path / "model.onnx", ours.state_dict())
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {net.graph.inputs[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(y), ours.eval()(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "sizes", "strides"),
    [
        ("m5", {"unit1": 92, "unit2": 172, "unit3": 492, "unit4": 1772}, {"unit4": (1024,)}),
        ("c3d", {"pool2": (6, 10, 10), "pool5": (76, 150, 150)}, {"pool1": (1, 2, 2), "pool5": (16, 32, 32)}),
    ],
)
def test_receptive_fields_by_hand(name: str, sizes: dict[str, object], strides: dict[str, object]) -> None:
    """The sum over layers of (kernel - 1) times the product of the strides before, along each axis."""
    net = netspec.load(OTHER / f"{name}.yaml")
    fields = {
        path.partition(".")[0]: next(iter(each.values())) for path, each in propagate_fields(net.graph).items() if each
    }
    for step, size in sizes.items():
        assert fields[step].size == (size if isinstance(size, tuple) else (size,))
    for step, stride in strides.items():
        assert fields[step].stride == stride


@pytest.mark.parametrize("name", SMALL)
def test_sources_name_the_axes(name: str) -> None:
    source = netspec.load(OTHER / f"{name}.yaml").to_source()
    if name == "m5":
        assert '"""Maps (N, in_channels, L) to (N, width, L_out)."""' in source
        assert "nn.MaxPool1d(4)" in source
    else:
        assert '"""Maps (N, in_channels, D, H, W) to (N, width, D, H, W)."""' in source
        assert "self.pool1 = nn.MaxPool3d((1, 2, 2))" in source
