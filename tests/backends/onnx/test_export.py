"""`to_onnx`: models that ONNX's checker takes, whose shapes are netspec's, and that ONNX Runtime runs as torch does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.network import Network
from tests.support.lazy import lazy_imports
from tests.support.paths import OTHER

with lazy_imports():
    import onnx
    import torch
    from onnx import numpy_helper

    from tests.backends.onnx.files import inputs_for, session, trained, worst

NORMS_FIRST = {"rir", "densenet121"}
"""Networks with batch norms before convolutions, which cannot be folded into any."""
OTHERS = sorted(path for path in OTHER.glob("*.yaml") if not re.search("rcnn|detector", path.stem))
Bundled = Callable[[str], Network]


def held_against_torch(network: Network, path: Path, tolerance: float = 1e-4, **options: object) -> onnx.ModelProto:
    """Export a network with weights, and hold the file against ONNX's checks and the compiled module."""
    state = trained(network)
    network.to_onnx(path, state, **options)  # type: ignore[arg-type]
    onnx.checker.check_model(str(path), full_check=True)
    module = network.compile(state).eval()
    inputs = inputs_for(network.graph)
    with torch.inference_mode():
        expected = module(*inputs.values())
    found = session(path).run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    assert worst(found, expected) < tolerance
    return onnx.load(str(path))


# Detectors are held in tests/specs/test_detectors.py, on regions within their images.
@pytest.mark.parametrize("name", [name for name in netspec.names() if "rcnn" not in name])
def test_every_bundled_network(name: str, bundled: Bundled, tmp_path: Path) -> None:
    # The least of U-Net: at its 572 x 572 it computes for half a minute.
    network = netspec.load(name, inputs={"image": ["N", 1, 188, 188]}) if name == "unet" else bundled(name)
    model = held_against_torch(network, tmp_path / "m.onnx")
    graph = network.graph
    assert {i.domain: i.version for i in model.opset_import} == {"": 21}
    assert model.ir_version == 10
    # Batch norms are folded, dropout and heads of training are gone.
    ops = {node.op_type for node in model.graph.node}
    assert not ops & {"Dropout", "BatchNormalization"} or name in NORMS_FIRST
    assert [o.name for o in model.graph.output] == [o.name for o in graph.outputs if o.mode == "inference"]
    keys = [tensor.name for tensor in model.graph.initializer if "/" not in tensor.name]
    paths = tuple([node.path for node in graph])
    assert [key for key in keys if key not in paths and not key.startswith(tuple([f"{path}." for path in paths]))] == []
    for node in model.graph.node:
        where = {entry.key: entry.value for entry in node.metadata_props}
        assert node.name.startswith(f"/{where['netspec.path'].replace('.', '/')}/{node.op_type}")
        span = graph[where["netspec.path"]].span
        assert span is not None
        assert where["netspec.at"] == f"{Path(span.source.name).name}:{':'.join(span.place.split(':')[-2:])}"


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_other_networks(path: Path, tmp_path: Path) -> None:
    held_against_torch(netspec.load(path), tmp_path / "m.onnx")


@pytest.mark.parametrize("opset", [20, 21])
@pytest.mark.parametrize("name", ["resnet18", "googlenet", "rir", "resnet20_cifar"])
def test_kept_batch_norms_in_both_opsets(name: str, opset: int, bundled: Bundled, tmp_path: Path) -> None:
    network = bundled(name)
    model = held_against_torch(network, tmp_path / "m.onnx", fold=False, opset=opset)
    assert model.opset_import[0].version == opset
    norms = sum(node.op_type == "BatchNormalization" for node in model.graph.node)
    assert norms == sum(node.op.opname == "batch_norm" for node in network.graph)


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "rir", "resnet20_cifar"])
def test_half_precision(name: str, bundled: Bundled, tmp_path: Path) -> None:
    model = held_against_torch(bundled(name), tmp_path / "m.onnx", tolerance=5e-3, fp16=True)
    halves = {t.name for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT16}
    assert {t.name for t in model.graph.initializer if "/" not in t.name} <= halves
    inside = {v.type.tensor_type.elem_type for v in model.graph.value_info}
    assert inside == {onnx.TensorProto.FLOAT16}


def test_weights_beyond_half_precision(tmp_path: Path) -> None:
    network = netspec.load("resnet20_cifar")
    state = trained(network)
    state["fc.bias"][0] = 1e5
    with pytest.raises(netspec.NetspecError, match=r"NS501: `fc\.bias` has 1e\+05, and half precision ends at 65,504"):
        network.to_onnx(tmp_path / "m.onnx", state, fp16=True)
    assert not list(tmp_path.iterdir())


def values_of(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """What a model says of its values, but for its inputs."""
    return [*model.graph.value_info, *model.graph.output]


@pytest.mark.parametrize("name", ["resnet50", "googlenet", "alexnet", "rir"])
def test_every_shape_is_netspecs(name: str, bundled: Bundled, tmp_path: Path) -> None:
    """Strict shape inference, from nothing but the inputs' sizes, agrees with netspec on every value."""
    graph = netspec.load(name, inputs={i.name: [2, *i.type.shape[1:]] for i in bundled(name).graph.inputs}).graph
    network = netspec.load(name, inputs={i.name: [2, *i.type.shape[1:]] for i in graph.inputs})
    network.to_onnx(tmp_path / "m.onnx", seed=1)
    model = onnx.load(str(tmp_path / "m.onnx"))
    said = {v.name: onnx.TypeProto.FromString(v.type.SerializeToString()) for v in values_of(model)}
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    found = {v.name: v.type for v in values_of(inferred)}
    values = {value for node in model.graph.node for value in node.output}
    assert values == found.keys()
    for value in values & said.keys():
        assert found[value] == said[value], value
    # What rules make on the way to their value is of no interest; all else is told.
    assert len(said) >= 0.9 * len(values)


def test_symbolic_sizes_stay_open(tmp_path: Path) -> None:
    network = netspec.load("resnet18", inputs={"image": ["N", 3, "H", "W"]})
    state = trained(network)
    network.to_onnx(tmp_path / "m.onnx", state)
    onnx.checker.check_model(str(tmp_path / "m.onnx"), full_check=True)
    model = onnx.load(str(tmp_path / "m.onnx"))
    dims = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert dims == ["N", 3, "H", "W"]
    shapes = {
        v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.value_info
    }
    assert shapes["layer4.1.relu"] == ["N", 512, "(H + 31)//32", "(W + 31)//32"]
    module = network.compile(state).eval()
    run = session(tmp_path / "m.onnx")
    for batch, height, width in ((1, 64, 96), (3, 97, 61)):
        inputs = inputs_for(network.graph, batch, H=height, W=width)
        with torch.inference_mode():
            expected = module(inputs["image"])
        assert worst(run.run(None, {"image": inputs["image"].numpy()}), expected) < 1e-4


# Weights.


def test_weights_of_modules_states_and_files(bundled: Bundled, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    network = bundled("resnet20_cifar")
    state = trained(network)
    module = network.compile(state)
    save_file(state, tmp_path / "w.safetensors")
    torch.save(state, tmp_path / "w.pt")
    sources = {"module": module, "dict": state, "safetensors": tmp_path / "w.safetensors", "pt": str(tmp_path / "w.pt")}
    written: dict[str, bytes] = {}
    for name, source in sources.items():
        network.to_onnx(tmp_path / f"{name}.onnx", source)
        written[name] = (tmp_path / f"{name}.onnx").read_bytes()
    assert len(set(written.values())) == 1


def test_weights_of_torchvision(tmp_path: Path) -> None:
    import torchvision

    theirs = torchvision.models.resnet18(num_classes=5).eval()
    netspec.load("resnet18", params={"classes": 5}).to_onnx(tmp_path / "m.onnx", theirs)
    image = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = theirs(image)
    assert worst(session(tmp_path / "m.onnx").run(None, {"image": image.numpy()}), expected) < 1e-4


def test_weights_that_do_not_fit(bundled: Bundled, tmp_path: Path) -> None:
    state = trained(netspec.load("resnet20_cifar", params={"classes": 7}))
    with pytest.raises(netspec.NetspecError, match=r"NS501: the weights do not fit") as caught:
        bundled("resnet20_cifar").to_onnx(tmp_path / "m.onnx", state)
    assert "`--set classes=7`" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_seed_is_a_seed(bundled: Bundled, tmp_path: Path) -> None:
    network = bundled("resnet20_cifar")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        network.to_onnx(tmp_path / f"{name}.onnx", seed=seed)
    a, b, c = ((tmp_path / f"{name}.onnx").read_bytes() for name in "abc")
    assert a == b
    assert a != c


# The file.


def test_metadata(bundled: Bundled, tmp_path: Path) -> None:
    network = bundled("resnet20_cifar")
    network.to_onnx(tmp_path / "m.onnx")
    model = onnx.load(str(tmp_path / "m.onnx"))
    assert (model.producer_name, model.graph.name) == ("netspec", "resnet20_cifar")
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said["netspec.version"] == netspec.__version__
    assert said["netspec.title"] == network.title
    again = netspec.loads(said["netspec.spec"]).graph
    assert again.hash() == said["netspec.hash"]
    # It is the network that the file holds: its weights are the file's.
    assert {t.name for t in model.graph.initializer if "/" not in t.name} == set(again.state())


def test_weights_of_more_than_two_gigabytes_stand_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import netspec.backends.onnx.write as write

    monkeypatch.setattr(write, "_MAX_MODEL_BYTES", 500_000)
    network = netspec.load("resnet20_cifar")
    state = trained(network)
    done = network.to_onnx(tmp_path / "m.onnx", state)
    assert done.external
    assert {path.name for path in tmp_path.iterdir()} == {"m.onnx", "m.onnx.data"}
    assert (tmp_path / "m.onnx").stat().st_size < 100_000
    onnx.checker.check_model(str(tmp_path / "m.onnx"), full_check=True)
    inputs = inputs_for(network.graph)
    with torch.inference_mode():
        expected = network.compile(state).eval()(*inputs.values())
    found = session(tmp_path / "m.onnx").run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    assert worst(found, expected) < 1e-4
    for tensor in onnx.load(str(tmp_path / "m.onnx"), load_external_data=False).graph.initializer:
        place = {entry.key: entry.value for entry in tensor.external_data}
        assert not place or int(place["offset"]) % 4096 == 0


def test_every_bit_of_the_weights_is_there(tmp_path: Path) -> None:
    network = netspec.load("resnet20_cifar")
    state = trained(network)
    network.to_onnx(tmp_path / "m.onnx", state, fold=False)
    model = onnx.load(str(tmp_path / "m.onnx"))
    found = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if "/" not in t.name}
    assert found.keys() == {key for key in state if "num_batches" not in key}
    assert all(np.array_equal(found[key], state[key].numpy()) for key in found)


@pytest.mark.parametrize("largest", [500_000, 2**31])
def test_nothing_is_lost_where_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundled: Bundled, largest: int
) -> None:
    import netspec.backends.onnx.write as write

    monkeypatch.setattr(write, "_MAX_MODEL_BYTES", largest)
    network = bundled("resnet20_cifar")
    network.to_onnx(tmp_path / "m.onnx", seed=1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    right, count = write._write_array, 0

    def full(*arguments: object) -> None:
        nonlocal count
        count += 1
        if count == 20:
            raise OSError(28, "No space left on device")
        right(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(write, "_write_array", full)
    with pytest.raises(OSError, match="No space left"):
        network.to_onnx(tmp_path / "m.onnx", seed=2)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
