"""`netspec.to_onnx`: graphs that have no spec are exported as networks are."""

from __future__ import annotations

from pathlib import Path

import pytest

import netspec


def tiny(features: int = 2) -> netspec.Network:
    body = f"network:\n  - {{linear: {features}, name: fc}}\n"
    return netspec.loads(f"netspec: 1\nname: tiny\ninputs: {{x: [N, 3]}}\n{body}")


def test_a_graph_is_exported_as_its_network_is(tmp_path: Path) -> None:
    network, module = tiny(), tiny().compile()
    for number, weights in enumerate((None, module, module.state_dict())):
        files = [tmp_path / f"{number}_{name}.onnx" for name in ("graph", "network", "method")]
        netspec.to_onnx(network.graph, files[0], weights)
        netspec.to_onnx(network, files[1], weights)
        network.to_onnx(files[2], weights)
        assert files[0].read_bytes() == files[1].read_bytes() == files[2].read_bytes()


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(netspec.NetspecError, match="NS501"):
        netspec.to_onnx(tiny().graph, tmp_path / "tiny.onnx", tiny(5).compile())
    assert not (tmp_path / "tiny.onnx").exists()
