"""`netspec export`: ONNX models from the command line, and files that are not ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netspec
from tests.support.lazy import lazy_imports

from .conftest import TINY, Run

with lazy_imports():
    import onnx
    import onnxruntime
    import torch
    from safetensors.torch import save_file


def run_model(path: Path, image: torch.Tensor) -> torch.Tensor:
    """What ONNX Runtime makes of an image."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"image": image.numpy()})[0])


@pytest.fixture
def state(folder: Path) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    found = netspec.loads(TINY).compile().state_dict()
    save_file(found, folder / "w.safetensors")
    return found


def two_images() -> torch.Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_with_weights(run: Run, folder: Path, state: dict[str, torch.Tensor]) -> None:
    result = run("export", "tiny.yaml", "--weights", "w.safetensors", "--explain")
    assert (result.status, result.out) == (0, "")
    assert result.err.splitlines() == ["1 dropout dropped", "wrote tiny.onnx: 5 nodes, 4 weights, 0.0 MB"]
    onnx.checker.check_model(str(folder / "tiny.onnx"), full_check=True)
    expected = netspec.loads(TINY).compile(state).eval()(two_images()).detach()
    torch.testing.assert_close(run_model(folder / "tiny.onnx", two_images()), expected, rtol=1e-4, atol=1e-5)


def test_with_a_seed(run: Run, folder: Path) -> None:
    assert run("export", "tiny.yaml", "--seed", "3", "-o", "a.onnx").status == 0
    assert run("export", "tiny.yaml", "--seed", "3", "-o", "b.onnx").status == 0
    assert run("export", "tiny.yaml", "-o", "c.onnx").status == 0
    a, b, c = ((folder / f"{name}.onnx").read_bytes() for name in "abc")
    assert a == b != c


def test_without_torch(spawn: Run, folder: Path, state: dict[str, torch.Tensor]) -> None:
    code = (
        "import sys; from netspec.cli.main import main\n"
        "try: main(['export', 'tiny.yaml', '--weights', 'w.safetensors'])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert 'torch' not in sys.modules"
    )
    result = spawn(code=code)
    assert (result.status, "wrote tiny.onnx" in result.err) == (0, True), result.err


def test_kept_batch_norms(run: Run, folder: Path) -> None:
    result = run("export", "resnet20_cifar", "--no-fold", "--opset", "20", "-o", "x.onnx")
    assert result.status == 0
    model = onnx.load(str(folder / "x.onnx"))
    assert model.opset_import[0].version == 20
    assert sum(node.op_type == "BatchNormalization" for node in model.graph.node) == 19


def test_half_precision(run: Run, folder: Path, state: dict[str, torch.Tensor]) -> None:
    assert run("export", "tiny.yaml", "--weights", "w.safetensors", "--fp16").status == 0
    onnx.checker.check_model(str(folder / "tiny.onnx"), full_check=True)
    model = onnx.load(str(folder / "tiny.onnx"))
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert kinds["conv.weight"] == kinds["fc.bias"] == onnx.TensorProto.FLOAT16
    # Who calls it hands in and gets what it did before.
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert model.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    found = run_model(folder / "tiny.onnx", two_images())
    expected = netspec.loads(TINY).compile(state).eval()(two_images()).detach()
    assert 0 < float((found - expected).abs().max() / expected.abs().max()) < 5e-3


def test_keeps_a_file_that_is_not_ours(run: Run, folder: Path) -> None:
    (folder / "tiny.onnx").write_bytes(b"mine")
    result = run("export", "tiny.yaml")
    assert result.status == 1
    assert "tiny.onnx exists and was not written by netspec; --force overwrites it" in result.err
    assert (folder / "tiny.onnx").read_bytes() == b"mine"
    assert run("export", "tiny.yaml", "--force").status == 0
    assert run("export", "tiny.yaml", "--seed", "2").status == 0


def test_weights_that_do_not_fit(run: Run, folder: Path, state: dict[str, torch.Tensor]) -> None:
    result = run("export", "tiny.yaml", "--weights", "w.safetensors", "--set", "classes=7")
    assert (result.status, result.out) == (1, "")
    assert "error NS501: w.safetensors does not fit the network" in result.err
    assert "they fit with `--set classes=10`" in result.err
    assert not list(folder.glob("*.onnx"))


@pytest.mark.parametrize("cut", [0, 8, 100, -1])
def test_a_file_of_weights_that_is_cut_off(run: Run, folder: Path, state: dict[str, torch.Tensor], cut: int) -> None:
    whole = (folder / "w.safetensors").read_bytes()
    (folder / "w.safetensors").write_bytes(whole[:cut])
    result = run("export", "tiny.yaml", "--weights", "w.safetensors")
    assert result.status == 1
    assert "w.safetensors can't be read as weights: it is cut off" in result.err
    assert not list(folder.glob("*.onnx"))


def test_an_op_without_onnx(run: Run, folder: Path) -> None:
    (folder / "own.py").write_text(
        "from netspec.ops.activation import Activation\nfrom netspec.ops.base import example\n\n\n"
        'class Odd(Activation, name="odd"):\n    """An op of one\'s own, without a rule for ONNX."""\n\n'
        '    examples = (example((1, 2)),)\n\n    def torch(self, x):\n        return self.layer("nn.ReLU")\n'
    )
    (folder / "x.yaml").write_text("netspec: 1\nname: x\ninputs: {a: [N, 4]}\nnetwork:\n  - odd\n")
    result = run("export", "x.yaml", "--ops", "own.py")
    assert result.status == 1
    assert "x.yaml:5:5: error NS401: `odd` has no rule for ONNX" in result.err
    assert not list(folder.glob("*.onnx"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "x.py"), "-o takes a file that ends in .onnx, not `x.py`"),
        (("--weights", "w.pt", "--seed", "1"), "two sources of weights"),
        (("--opset", "22"), "'--opset'"),
        (("--seed", "-1"), "'--seed'"),
    ],
)
def test_usage(run: Run, folder: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run("export", "tiny.yaml", *arguments)
    assert (result.status, result.out) == (2, "")
    assert said in result.err


RANDOM = "its weights are random (seed 0): --weights FILE gives trained ones\n"


def test_random_weights_are_told(run: Run, folder: Path, state: dict[str, torch.Tensor]) -> None:
    assert RANDOM in run("export", "tiny.yaml").err
    said = {entry.key: entry.value for entry in onnx.load(str(folder / "tiny.onnx")).metadata_props}
    assert said["netspec.seed"] == "0"
    # Who names a seed knows; the model says it all the same.
    assert "random" not in run("export", "tiny.yaml", "--seed", "3").err
    said = {entry.key: entry.value for entry in onnx.load(str(folder / "tiny.onnx")).metadata_props}
    assert said["netspec.seed"] == "3"
    assert "random" not in run("export", "tiny.yaml", "--weights", "w.safetensors").err
    said = {entry.key: entry.value for entry in onnx.load(str(folder / "tiny.onnx")).metadata_props}
    assert "netspec.seed" not in said
    # What has no weights has none that are random.
    (folder / "none.yaml").write_text("netspec: 1\nname: none\ninputs: {a: [N, 3]}\nnetwork: [relu]\n")
    assert "random" not in run("export", "none.yaml").err


def test_what_half_precision_loses_is_told(run: Run, folder: Path) -> None:
    (folder / "x.yaml").write_text(
        "netspec: 1\nname: x\ninputs: {a: [N, 3]}\nnetwork:\n"
        "  - {linear: 4, name: one, init: {weight: 0.000000001, bias: 0.5}}\n"
    )
    assert "half precision" not in run("export", "x.yaml", "--seed", "1").err
    for arguments in ([], ["--explain"]):
        result = run("export", "x.yaml", "--seed", "1", "--fp16", *arguments)
        assert (result.status, result.out) == (0, "")
        assert result.err.count("in half precision 12 numbers become 0: the first in `one.weight`\n") == 1


def test_a_seed_gives_what_the_spec_says(run: Run, folder: Path) -> None:
    (folder / "x.yaml").write_text(
        "netspec: 1\nname: x\ninputs: {a: [N, 300]}\nnetwork:\n"
        "  - {linear: 400, name: one, init: {weight: {normal: {std: 0.02}}, bias: 0.5}}\n"
        "  - {linear: 500, name: two}\n"
    )
    assert run("export", "x.yaml", "--seed", "0").status == 0
    found = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(str(folder / "x.onnx")).graph.initializer}
    assert abs(found["one.weight"].std() - 0.02) < 2e-4
    assert np.all(found["one.bias"] == 0.5)
    # As torch.nn.Linear begins: uniform within 1 / sqrt(in_features).
    bound = 1 / 400**0.5
    for name in ("two.weight", "two.bias"):
        assert np.abs(found[name]).max() <= bound
        assert abs(found[name].std() - bound / 3**0.5) < 0.1 * bound
