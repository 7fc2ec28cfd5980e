"""`netspec import`: what netspec exported comes back, the same network with the same weights, and nothing else does."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import netspec
from netspec.cli.main import main
from netspec.network import Network
from tests.support.lazy import lazy_imports
from tests.support.paths import OTHER

with lazy_imports():
    import onnx
    import torch

    from netspec.backends.onnx.imported import import_model
    from tests.backends.onnx.files import inputs_for, session, trained, worst

OTHERS = sorted(path for path in OTHER.glob("*.yaml") if not re.search("rcnn|detector", path.stem))


def run(*arguments: str) -> int:
    """The command's exit status."""
    try:
        main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def round_trip(network: Network, folder: Path, **options: bool) -> None:
    """Export a network, import the model, and hold both networks against each other by structure and by numbers."""
    network.to_onnx(folder / "m.onnx", trained(network), **options)  # type: ignore[arg-type]
    assert run("import", str(folder / "m.onnx"), "-o", str(folder / "again.yaml")) == 0
    again = netspec.load(folder / "again.yaml")
    said = {entry.key: entry.value for entry in onnx.load(str(folder / "m.onnx")).metadata_props}
    assert again.graph.hash() == said["netspec.hash"]
    module = again.compile(load_as_torch(folder / "again.safetensors")).eval()
    inputs = inputs_for(network.graph)
    with torch.inference_mode():
        expected = module(*inputs.values())
    found = session(folder / "m.onnx").run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    assert worst(found, expected) < (2e-2 if options.get("fp16") else 1e-4)


def load_as_torch(path: Path) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(value.astype("float32")) for key, value in load_file(path).items()}


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "rir", "alexnet", "resnet20_cifar"])
def test_bundled_networks(name: str, bundled: Callable[[str], Network], tmp_path: Path) -> None:
    round_trip(bundled(name), tmp_path)


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_other_networks(path: Path, tmp_path: Path) -> None:
    round_trip(netspec.load(path), tmp_path)


@pytest.mark.parametrize("options", [{"fold": False}, {"fp16": True}], ids=["norms kept", "half"])
def test_other_ways_to_export(options: dict[str, bool], bundled: Callable[[str], Network], tmp_path: Path) -> None:
    round_trip(bundled("resnet20_cifar"), tmp_path, **options)


def test_folded_is_folded(bundled: Callable[[str], Network], tmp_path: Path) -> None:
    from netspec.passes import fold_batch_norm

    network = bundled("resnet18")
    network.to_onnx(tmp_path / "m.onnx", seed=1)
    again = netspec.loads(import_model(tmp_path / "m.onnx").text)
    assert netspec.diff(again, fold_batch_norm(network.graph).graph)["same"]


# Files that are none of ours, or not as they were.


@pytest.fixture
def model(bundled: Callable[[str], Network], tmp_path: Path) -> Path:
    bundled("resnet20_cifar").to_onnx(tmp_path / "m.onnx", seed=1)
    return tmp_path / "m.onnx"


def refused(path: Path) -> str:
    with pytest.raises(netspec.NetspecError) as caught:
        import_model(path)
    assert caught.value.diagnostics[0].code == "NS502"
    return str(caught.value)


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.9, 0.9999])
def test_a_file_that_is_cut_off(model: Path, share: float) -> None:
    whole = model.read_bytes()
    model.write_bytes(whole[: int(len(whole) * share)])
    assert "it is cut off, or no ONNX model" in refused(model) or "it holds no graph" in refused(model)


def test_files_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"\x89PNG\r\n\x1a\n" + os.urandom(500))
    assert "can't be used" in refused(tmp_path / "x.onnx")
    assert "there is no file" in refused(tmp_path / "y.onnx")
    assert "is no file" in refused(tmp_path)


def test_a_model_of_another_program(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    value = [onnx.helper.make_tensor_value_info(name, 1, ["N", 4]) for name in "xy"]
    made = onnx.helper.make_model(onnx.helper.make_graph([node], "g", value[:1], value[1:]), producer_name="pytorch")
    onnx.save(made, str(tmp_path / "x.onnx"))
    assert "x.onnx was written by pytorch, and holds no spec" in refused(tmp_path / "x.onnx")


def changed(model: Path, change: Callable[[onnx.ModelProto], object]) -> str:
    made = onnx.load(str(model))
    change(made)
    onnx.save(made, str(model))
    return refused(model)


ONE = "constant/int64/8/0,8,0,0,0,8,0,0"


def test_a_model_that_was_changed(model: Path) -> None:
    original = model.read_bytes()
    changes: list[tuple[Callable[[onnx.ModelProto], object], str]] = [
        (lambda m: m.graph.node.pop(3), "stands another node"),
        (lambda m: m.graph.node.pop(), "it has 53 nodes, and its spec 54"),
        (
            lambda m: setattr(m.graph.node[1], "op_type", "Tanh"),
            "where `/relu/Relu` was stands another node, Tanh /relu/Relu",
        ),
        (lambda m: m.graph.initializer.pop(0), "is another, or missing"),
        (
            lambda m: m.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.ones(8, "int64"), ONE)),
            "is another",
        ),
        (lambda m: m.graph.initializer.pop(), "`fc.bias` is missing"),
        (lambda m: m.graph.initializer[-1].dims.__setitem__(0, 8), "is not as long as its shape says"),
        (lambda m: setattr(m.metadata_props[-1], "value", "netspec: 2"), "holds a spec that can't be read"),
    ]
    for change, said in changes:
        model.write_bytes(original)
        assert said in changed(model, change)


def test_weights_beside_the_model(
    bundled: Callable[[str], Network], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import netspec.backends.onnx.write as write

    monkeypatch.setattr(write, "_MAX_MODEL_BYTES", 500_000)
    path, data = tmp_path / "m.onnx", tmp_path / "m.onnx.data"
    bundled("resnet20_cifar").to_onnx(path, seed=1)
    whole, weights = data.read_bytes(), import_model(path).weights
    assert all(np.isfinite(array).all() for array in weights.values())
    del weights
    data.write_bytes(whole[:-10_000])
    assert "m.onnx.data is cut off" in refused(path)
    data.unlink()
    assert "there is no file" in refused(path)
    data.symlink_to("/etc/passwd")
    assert "which is a link" in refused(path)
    data.unlink()
    data.write_bytes(whole)
    for place in ("../m.onnx.data", "/etc/passwd", "", "..", "a/b"):
        made = onnx.load(str(path), load_external_data=False)
        for tensor in made.graph.initializer:
            for entry in tensor.external_data:
                entry.value = place if entry.key == "location" else entry.value
        (tmp_path / "x.onnx").write_bytes(made.SerializeToString())
        assert "which is no file beside it" in refused(tmp_path / "x.onnx")


def test_nothing_is_lost(model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("# mine\n")
    assert run("import", str(model), "-o", str(tmp_path / "mine.yaml")) == 1
    assert (tmp_path / "mine.yaml").read_text() == "# mine\n"
    assert run("import", str(model), "-o", str(tmp_path / "m.json")) == 2
    model.write_bytes(model.read_bytes()[:1000])
    assert run("import", str(model), "-o", str(tmp_path / "new.yaml")) == 1
    assert not (tmp_path / "new.yaml").exists()
    assert not (tmp_path / "new.safetensors").exists()
