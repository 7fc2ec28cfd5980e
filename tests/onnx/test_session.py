"""`Session`: the numbers of ONNX Runtime and of torch, inputs that do not fit, chunks, threads, images and labels."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision.models import ResNet18_Weights

sys.path.append(str(Path(__file__).parent))

from files import inputs_for, session, trained, worst

import netspec
from netspec.backends.images import Array
from netspec.backends.onnx.session import Prediction

IMAGENET = ResNet18_Weights.DEFAULT.meta["categories"]

TINY = """
netspec: 1
name: tiny
inputs: {image: [N, 3, 8, 8]}
network:
  - {conv2d: {out_channels: 4, kernel_size: 3}, name: conv}
  - relu
  - adaptive_avg_pool2d: 1
  - flatten
  - {linear: 3, name: fc}
outputs: {logits: fc}
preprocess: {image: {mean: 0.5, std: 0.25}}
labels: {logits: [cat, dog, horse]}
"""

TWO = """
netspec: 1
name: two
inputs: {a: [N, T, 4], b: [N, T, 4]}
network:
  - {add, from: [a, b], name: sum}
outputs: {sum: sum}
"""


def exported(text: str, folder: Path, **inputs: list[int | str]) -> netspec.Session:
    network = netspec.loads(text, inputs=inputs)
    network.to_onnx(folder / "m.onnx", trained(network))
    return netspec.Session(folder / "m.onnx", "cpu")


@pytest.fixture
def tiny(tmp_path: Path) -> netspec.Session:
    return exported(TINY, tmp_path)


def refused(code: str, words: str) -> pytest.RaisesExc[netspec.NetspecError]:
    return pytest.raises(netspec.NetspecError, match=f"(?s)error {code}: .*{words}")


@pytest.fixture(scope="module")
def resnet18(tmp_path_factory: pytest.TempPathFactory) -> netspec.Session:
    folder = tmp_path_factory.mktemp("resnet18")
    network = netspec.load("resnet18")
    network.to_onnx(folder / "resnet18.onnx", trained(network))
    return netspec.Session(folder / "resnet18.onnx", "cpu")


def test_it_says_what_it_is(resnet18: netspec.Session) -> None:
    assert (resnet18.device, resnet18.why) == ("cpu", "")
    assert {name: value.shape for name, value in resnet18.inputs.items()} == {"image": ("N", 3, 224, 224)}
    assert {name: value.shape for name, value in resnet18.outputs.items()} == {"logits": ("N", 1000)}
    assert resnet18.labels["logits"] == tuple(IMAGENET)
    assert repr(resnet18).endswith("resnet18.onnx', 'cpu')")


def test_a_photograph_gets_what_torch_gives_it(resnet18: netspec.Session) -> None:
    """From the file to the class: torchvision's own transforms, torch's module, softmax."""
    network = netspec.load("resnet18")
    module = network.compile(trained(network)).eval()
    transform = ResNet18_Weights.IMAGENET1K_V1.transforms()
    photographs: list[Array] = load_sample_images().images
    for pixels in photographs:
        with torch.inference_mode():
            expected = torch.softmax(module(transform(Image.fromarray(pixels))[None])[0].double(), 0)
        (found,) = resnet18.classify(pixels, top=1000)
        assert sorted(each.index for each in found) == list(range(1000))
        ours = torch.tensor([each.probability for each in sorted(found, key=lambda each: each.index)])
        torch.testing.assert_close(ours, expected.float(), rtol=1e-4, atol=1e-7)
        assert found[0].label == IMAGENET[int(expected.argmax())]


def test_classify_sorts(tiny: netspec.Session) -> None:
    images = [np.full((8, 8, 3), value, dtype="uint8") for value in (0, 255)]
    found = tiny.classify(images, top=2)
    assert [len(each) for each in found] == [2, 2]
    scores = tiny.run(tiny.images(images))["logits"]
    for row, predictions in zip(scores, found, strict=True):
        share = np.exp(row.astype("float64")) / np.exp(row.astype("float64")).sum()
        order = np.argsort(-share)[:2]
        assert predictions == [
            Prediction(("cat", "dog", "horse")[i], int(i), pytest.approx(float(share[i]))) for i in order
        ]


@pytest.mark.parametrize("step", ["softmax: 1", "log_softmax: 1", "sigmoid"])
def test_scores_that_are_probabilities_already(step: str, tmp_path: Path) -> None:
    plain = exported(TINY, tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype="uint8")
    logits = plain.run(plain.images(image))["logits"][0].astype("float64")
    expected = 1 / (1 + np.exp(-logits)) if step == "sigmoid" else np.exp(logits) / np.exp(logits).sum()
    text = TINY.replace("name: fc}\n", f"name: fc}}\n  - {{{step}, name: last}}\n").replace(
        "logits: fc", "logits: last"
    )
    netspec.loads(text).to_onnx(tmp_path / "p.onnx", trained(netspec.loads(TINY)))
    (found,) = netspec.Session(tmp_path / "p.onnx", "cpu").classify(image, top=3)
    assert [each.probability for each in found] == pytest.approx(sorted(expected, reverse=True), rel=1e-5)


def test_dense_scores_are_averaged(tmp_path: Path) -> None:
    text = TINY.replace(
        "  - adaptive_avg_pool2d: 1\n  - flatten\n  - {linear: 3, name: fc}",
        "  - {conv2d: {out_channels: 3, kernel_size: 1}, name: fc}",
    )
    dense = exported(text, tmp_path, image=["N", 3, "H", "W"])
    scores = dense.run(image=np.ones((1, 3, 8, 10), "float32"))["logits"]
    assert scores.shape == (1, 3, 6, 8)
    mean = scores[0].astype("float64").mean((1, 2))
    share = np.exp(mean) / np.exp(mean).sum()
    (found,) = dense.predictions(scores, 3)
    assert [each.probability for each in found] == pytest.approx(sorted(share, reverse=True))


# Inputs are held against the model.


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "the model needs `image`.*such as `run\\(image=array\\)`"),
        ({"img": np.zeros((1, 3, 8, 8), "float32")}, "no input `img`.*did you mean `image`"),
        ({"image": np.zeros((3, 8, 8), "float32")}, "was given as 3 x 8 x 8.*`image\\[None\\]`"),
        ({"image": np.zeros((2, 3, 8, 9), "float32")}, "`image` is N x 3 x 8 x 8, and was given as 2 x 3 x 8 x 9"),
        ({"image": np.zeros((1, 3, 8, 8))}, 'given as float64.*`.astype\\("float32"\\)`'),
        ({"image": np.zeros((1, 3, 8, 8), ">f4")}, "given as >f4"),
        ({"image": np.zeros((0, 3, 8, 8), "float32")}, "`image` is empty"),
        ({"image": None}, "given as object"),
        ({"image": [[1.0], [2.0, 3.0]]}, "can't be made an array"),
        (
            {"image": torch.zeros(1, 3, 8, 8, requires_grad=True)},
            r"can't be made an array.*`.detach\(\).cpu\(\).numpy\(\)`",
        ),
    ],
)
def test_inputs_that_do_not_fit(tiny: netspec.Session, inputs: dict[str, object], words: str) -> None:
    with refused("NS503", words):
        tiny.run(inputs)


def test_sizes_that_have_to_be_equal(tmp_path: Path) -> None:
    two = exported(TWO, tmp_path)
    a, b = np.ones((2, 5, 4), "float32"), np.ones((2, 6, 4), "float32")
    with refused("NS503", "`T` is 5 in `a`, and 6 in `b`"):
        two.run(a=a, b=b)
    with refused("NS503", "the model needs `b`"):
        two.run(a=a)
    np.testing.assert_array_equal(two.run({"a": a}, b=a)["sum"], a + a)


def test_what_is_like_an_array(tiny: netspec.Session) -> None:
    image = torch.randn(2, 3, 8, 8)
    expected = tiny.run(image=image.numpy())["logits"]
    np.testing.assert_array_equal(tiny.run(image=image)["logits"], expected)
    strided = image.permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2).numpy()
    np.testing.assert_array_equal(tiny.run(image=strided)["logits"], expected)


# Batches, chunks, threads.


def test_chunks_give_what_the_whole_batch_gives(resnet18: netspec.Session) -> None:
    images = np.random.default_rng(0).standard_normal((7, 3, 224, 224), dtype="float32")
    small = netspec.Session(resnet18.path, "cpu", memory=18 * 2**20)
    sizes: list[int] = []
    run = small._run  # pyright: ignore[reportPrivateUsage]
    small._run = lambda arrays: [sizes.append(len(arrays["image"])), run(arrays)][1]  # type: ignore
    found = small.run(image=images)["logits"]
    # A sample holds at most 8.7 MB between layers: the first convolution's map, before and after its ReLU.
    assert sizes == [2, 2, 2, 1]
    assert worst([found], torch.from_numpy(resnet18.run(image=images)["logits"])) < 1e-6


def test_a_batch_larger_than_memory_is_run_in_chunks(resnet18: netspec.Session) -> None:
    """ONNX Runtime is refused the memory for 32 images at once, and gets it for fewer."""
    code = f"""
import re, resource
import numpy as np, netspec
session = netspec.Session({str(resnet18.path)!r}, "cpu", memory=2**40)
images = np.random.default_rng(0).random((48, 3, 224, 224), dtype="float32")
expected = np.concatenate([session.run(image=images[i:i + 4])["logits"] for i in range(0, 48, 4)])
now = int(re.search(r"VmSize:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (now + 150 * 2**20,) * 2)
found = session.run(image=images)["logits"]
assert session._largest < 48, session._largest
np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
"""
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux tells how large a process is")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_threads_share_a_session(resnet18: netspec.Session) -> None:
    images = [np.random.default_rng(i).standard_normal((1, 3, 224, 224), dtype="float32") for i in range(16)]
    alone = [resnet18.run(image=image)["logits"] for image in images]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda image: resnet18.run(image=image)["logits"], images))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["alexnet", "googlenet_bn", "resnet20_cifar", "rir"])
def test_networks_get_what_onnx_runtime_gives(name: str, tmp_path: Path) -> None:
    network = netspec.load(name)
    network.to_onnx(tmp_path / "m.onnx", trained(network))
    inputs = {key: tensor.numpy() for key, tensor in inputs_for(network.graph, batch=3).items()}
    expected = session(tmp_path / "m.onnx").run(None, inputs)
    found = netspec.Session(tmp_path / "m.onnx", "cpu").run(inputs)
    assert list(found) == [o.name for o in network.graph.outputs if o.mode == "inference"]
    assert worst(list(found.values()), [torch.from_numpy(each) for each in expected]) < 1e-6


# Models of other programs, and such as are no models.

X, Y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in "xy")


def model(nodes: list[onnx.NodeProto], opset: int = 21, initializers: tuple[TensorProto, ...] = ()) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "other", [X], [Y], list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def opened(found: onnx.ModelProto | bytes, folder: Path) -> netspec.Session:
    (folder / "m.onnx").write_bytes(found if isinstance(found, bytes) else found.SerializeToString())
    return netspec.Session(folder / "m.onnx", "cpu")


def test_a_model_of_another_program_runs(tmp_path: Path) -> None:
    other = opened(model([helper.make_node("Relu", ["x"], ["y"])]), tmp_path)
    x = np.array([[-1, 2, -3, 4]] * 5, "float32")
    np.testing.assert_array_equal(other.run(x=x)["y"], np.maximum(x, 0))
    with refused("NS503", "m.onnx does not say how an image becomes its input"):
        other.classify(np.zeros((8, 8, 3), "uint8"))
    assert [each.label for each in other.predictions(x, 1)[0]] == [""]


@pytest.mark.parametrize("cut", [0, 1, 8, 1000, -1])
def test_a_model_that_is_cut_off(tiny: netspec.Session, tmp_path: Path, cut: int) -> None:
    with refused("NS502", "m.onnx can't be used: it "):
        opened(tiny.path.read_bytes()[:cut], tmp_path)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" + bytes(99), b"netspec: 1\n", b"PK\x03\x04" + bytes(99)])
def test_a_file_that_is_no_model(content: bytes, tmp_path: Path) -> None:
    with refused("NS502", "m.onnx can't be used: it "):
        opened(content, tmp_path)


def test_no_file(tmp_path: Path) -> None:
    with refused("NS502", "there is no file"):
        netspec.Session(tmp_path / "none.onnx")
    with refused("NS502", "is no file"):
        netspec.Session(tmp_path)


@pytest.mark.parametrize(
    ("node", "opset", "words"),
    [
        (helper.make_node("Evil", ["x"], ["y"]), 21, "No Op registered for Evil"),
        (helper.make_node("Evil", ["x"], ["y"], domain="com.evil"), 21, "com.evil"),
        (helper.make_node("Relu", ["z"], ["y"]), 21, "'z' is not a graph input"),
        (helper.make_node("Relu", ["x"], ["y"]), 99, "ONNX Runtime only .guarantees. support"),
    ],
)
def test_what_onnx_runtime_refuses(node: onnx.NodeProto, opset: int, words: str, tmp_path: Path) -> None:
    with refused("NS502", f"m.onnx can't be used: ONNX Runtime refuses it.*{words}") as error:
        opened(model([node], opset), tmp_path)
    assert "/onnxruntime_src" not in str(error.value)


def test_what_fails_while_it_runs(tmp_path: Path) -> None:
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [3, 5])
    other = opened(model([helper.make_node("Reshape", ["x", "shape"], ["y"])], initializers=(shape,)), tmp_path)
    with refused("NS502", "m.onnx failed.*can.*not be reshaped|m.onnx failed"):
        other.run(x=np.ones((1, 4), "float32"))


def test_a_model_that_asks_for_all_memory_there_is(tmp_path: Path) -> None:
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [10**6, 10**7])
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["large"]),
        helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    with refused("NS502", "memory|ONNX Runtime refuses it"):
        opened(model(nodes, initializers=(shape,)), tmp_path).run(x=np.ones((2, 4), "float32"))


@pytest.mark.parametrize("location", ["../w.bin", "/etc/hostname", "missing.bin", "", "..", "a/b.bin"])
@pytest.mark.parametrize("where", ["initializer", "constant", "inner graph"])
def test_weights_out_of_the_folder(location: str, where: str, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(np.ones(4, "float32").tobytes())
    (tmp_path / "m").mkdir()
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    add = helper.make_node("Add", ["x", "w"], ["y"])
    constant = helper.make_node("Constant", [], ["w"])
    constant.attribute.append(onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR, t=weight))
    if where == "initializer":
        found = model([add], initializers=(weight,))
    elif where == "constant":
        found = model([constant, add])
    else:
        inner = helper.make_graph([constant, add], "inner", [], [helper.make_tensor_value_info("y", 1, ["N", 4])])
        true = helper.make_tensor("true", TensorProto.BOOL, [], [True])
        found = model(
            [helper.make_node("If", ["true"], ["y"], then_branch=inner, else_branch=inner)], initializers=(true,)
        )
    with refused("NS502", "m.onnx can't be used: .*beside it"):
        opened(found, tmp_path / "m")


def test_external_data_that_is_cut_off_or_gone(tmp_path: Path) -> None:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="w.bin")
    found = model([helper.make_node("Add", ["x", "w"], ["y"])], initializers=(weight,))
    (tmp_path / "w.bin").write_bytes(np.arange(4, dtype="float32").tobytes())
    x = np.ones((1, 4), "float32")
    np.testing.assert_array_equal(opened(found, tmp_path).run(x=x)["y"], x + np.arange(4, dtype="float32"))
    (tmp_path / "w.bin").write_bytes(bytes(15))
    with refused("NS502", "w.bin is cut off: `w` ends at 16 bytes"):
        opened(found, tmp_path)
    (tmp_path / "w.bin").unlink()
    with refused("NS502", "there is no file .*w.bin beside it"):
        opened(found, tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("netspec.labels", '{"y": ["a"]}', "`y` has 4 classes, and 1 labels"),
        ("netspec.labels", "[]", "no mapping"),
        ("netspec.labels", '{"y": {"a": 1}}', "a list of names"),
        ("netspec.labels", '{"z": ["a"]}', "no output `z`"),
        ("netspec.labels", '{"y": ["a", "b", "c", "\\u001b[31m"]}', "text on one line"),
        ("netspec.labels", "{{{", ""),
        ("netspec.preprocess", '{"x": {"resize": 8}}', "`preprocess` is for images"),
        ("netspec.preprocess", '{"x": {"resize": 1000000000}}', "an int from 1 to 16,384"),
        ("netspec.preprocess", '{"x": {"std": 0}}', "a number more than 0"),
    ],
)
def test_metadata_that_is_wrong(key: str, value: str, words: str, tmp_path: Path) -> None:
    found = model([helper.make_node("Relu", ["x"], ["y"])])
    helper.set_model_props(found, {key: value})
    with refused("NS502", f"its `{key}` is wrong.*{words}"):
        opened(found, tmp_path)


def test_a_spec_that_is_wrong_is_not_needed(tmp_path: Path) -> None:
    found = model([helper.make_node("Relu", ["x"], ["y"])])
    helper.set_model_props(found, {"netspec.spec": "}{"})
    assert opened(found, tmp_path).run(x=np.ones((3, 4), "float32"))["y"].shape == (3, 4)


def test_what_is_no_tensor(tmp_path: Path) -> None:
    sequence = helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None)
    node = helper.make_node("ConcatFromSequence", ["x"], ["y"], axis=0)
    graph = helper.make_graph([node], "other", [sequence], [Y])
    with refused("NS502", "`x` is no tensor with a shape"):
        opened(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path)


# What the metadata carry comes back.


def test_import_keeps_preprocess_and_labels(tiny: netspec.Session) -> None:
    from netspec.backends.onnx.imported import import_model

    graph = import_model(tiny.path).graph
    assert graph.inputs[0].preprocess == netspec.loads(TINY).graph.inputs[0].preprocess
    assert graph.outputs[0].labels == ("cat", "dog", "horse")


def test_labels_without_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The word stands in the model, and has names where torchvision is installed."""
    network = netspec.load("alexnet_owt")
    with monkeypatch.context() as patch:
        patch.setattr("netspec.labels.find_spec", lambda name: None)
        network.to_onnx(tmp_path / "m.onnx")
        bare = netspec.Session(tmp_path / "m.onnx", "cpu")
        assert bare.labels == {}
        assert bare.metadata["netspec.labels"] == '{"logits": "imagenet"}'
    assert netspec.Session(tmp_path / "m.onnx", "cpu").labels["logits"] == tuple(IMAGENET)
