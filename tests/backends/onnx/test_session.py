"""`Session`: the numbers of ONNX Runtime and of torch, inputs that do not fit, chunks, threads, images and labels."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import netspec
from netspec.backends.images import Array
from netspec.ops.base import REGISTRY, Elementwise
from netspec.types import Code, Helper, OnnxWriter, Tensor
from tests.support.lazy import lazy_imports
from tests.support.networks import of_images

with lazy_imports():
    import onnx
    import torch
    from onnx import TensorProto, helper
    from sklearn.datasets import load_sample_images
    from torchvision.models import ResNet18_Weights

    from netspec.backends.images import Array
    from netspec.backends.onnx.batching import Batching
    from netspec.backends.onnx.detections import detection_outputs
    from netspec.backends.onnx.export import for_inference
    from netspec.backends.onnx.scores import are_probabilities
    from netspec.backends.onnx.session import Prediction
    from tests.backends.onnx.files import inputs_for, session, trained, worst


def imagenet() -> list[str]:
    return ResNet18_Weights.DEFAULT.meta["categories"]


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
    assert resnet18.labels["logits"] == tuple(imagenet())
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
        assert found[0].label == imagenet()[int(expected.argmax())]


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


@pytest.mark.parametrize("steps", ["softmax: 1", "softmax: -3"])
def test_probabilities_of_a_map_of_one_place(steps: str, tmp_path: Path) -> None:
    """A softmax keeps what it made through the flattening, and in half precision the cast, behind it."""
    text = (
        TINY[: TINY.index("  - flatten")]
        + f"""  - {{conv2d: {{out_channels: 3, kernel_size: 1}}, name: fc}}
  - {steps}
  - {{flatten, name: flat}}
outputs: {{logits: flat}}
preprocess: {{image: {{mean: 0.5}}}}
"""
    )
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype="uint8")
    for half in (False, True):
        netspec.loads(text).to_onnx(tmp_path / "m.onnx", seed=1, fp16=half)
        session = netspec.Session(tmp_path / "m.onnx", "cpu")
        (scores,) = session.run(session.images(image))["logits"]
        (found,) = session.classify(image, top=3)
        assert [each.probability for each in found] == pytest.approx(sorted(map(float, scores), reverse=True))


def test_two_outputs_of_one_softmax(tmp_path: Path) -> None:
    nodes = [helper.make_node("Softmax", ["x"], ["p"], axis=1)]
    nodes += [helper.make_node("Identity", ["p"], [name]) for name in ("y", "z")]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in "yz"]
    graph = helper.make_graph(nodes, "other", [rows_of_4("x")], outputs)
    found = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    assert are_probabilities(found) == {"y": True, "z": True}


def test_large_scores_are_no_infinity(tmp_path: Path) -> None:
    other = opened(model([helper.make_node("Relu", ["x"], ["y"])]), tmp_path)
    ((best,),) = other.predictions({"y": np.array([[1e4, 0, 0, -1e4]], "float32")}, 1)
    assert (best.index, best.probability) == (0, 1.0)
    for wrong in (np.nan, np.inf):
        with refused("NS503", "`y` is not finite, and scores no classes"):
            other.predictions({"y": np.array([[wrong, 0, 0, 0]], "float32")}, 1)
    # Classes that are masked out score minus infinity.
    assert len(other.predictions({"y": np.array([[-np.inf, 0, 0, 0]], "float32")}, 4)[0]) == 4


def test_equal_scores_come_in_the_order_of_the_classes(tmp_path: Path) -> None:
    other = opened(model([helper.make_node("Relu", ["x"], ["y"])]), tmp_path)
    (found,) = other.predictions({"y": np.tile(np.array([[0, 1]], "float32"), 200)}, 400)
    assert [each.index for each in found] == [*range(1, 400, 2), *range(0, 400, 2)]


def test_the_output_with_labels_scores_the_classes(tmp_path: Path) -> None:
    text = TINY.replace("outputs: {logits: fc}", "outputs: {features: conv, logits: fc}")
    both = exported(text, tmp_path)
    assert both.scores == "logits"
    image = np.zeros((8, 8, 3), "uint8")
    assert {each.label for each in both.classify(image)[0]} == {"cat", "dog", "horse"}
    neither = exported(text[: text.index("labels")], tmp_path)
    assert neither.scores == ""
    with refused("NS503", "no output that scores classes: `features`, `logits`"):
        neither.classify(image)


@pytest.mark.parametrize(
    "steps", ["- {linear: 1, name: fc}", "- {unflatten: {dim: 1, unflattened_size: [2, 2]}, name: fc}"]
)
def test_what_scores_no_classes(steps: str, tmp_path: Path) -> None:
    text = TINY[: TINY.index("labels")].replace("- {linear: 3, name: fc}", steps)
    with refused("NS503", "no output that scores classes"):
        exported(text, tmp_path).classify(np.zeros((8, 8, 3), "uint8"))


def test_images_of_one_channel_in_double_precision(tmp_path: Path) -> None:
    text = TINY[: TINY.index("  - {conv2d")] + TINY[TINY.index("  - flatten") :]
    grey = exported(text.replace("[N, 3, 8, 8]", "{shape: [N, 1, 8, 8], dtype: float64}"), tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype="uint8")
    found = grey.images([pixels, pixels])["image"]
    assert (found.shape, found.dtype) == ((2, 1, 8, 8), np.float64)
    np.testing.assert_allclose(found[0, 0], (pixels / 255 - 0.5) / 0.25, atol=1e-6)


def test_images_that_are_no_batch(tiny: netspec.Session, tmp_path: Path) -> None:
    with refused("NS503", "there is no image"):
        tiny.images([])
    with refused("NS503", "an image is a file.*not NoneType"):
        tiny.images([None])  # type: ignore[list-item]
    dense = exported(TINY.replace("[N, 3, 8, 8]", "[N, 3, H, W]"), tmp_path)
    pixels = [np.zeros((8, width, 3), "uint8") for width in (8, 9)]
    with refused("NS503", "these images have several sizes"):
        dense.images(pixels)
    assert dense.images(tuple(pixels[:1]))["image"].shape == (1, 3, 8, 8)
    with refused("NS503", "takes several inputs: `a`, `b`"):
        exported(TWO, tmp_path).images(pixels)


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
    (found,) = dense.predictions({"logits": scores}, 3)
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
            lambda: {"image": torch.zeros(1, 3, 8, 8, requires_grad=True)},
            r"can't be made an array.*`.detach\(\).float\(\).cpu\(\).numpy\(\)`",
        ),
    ],
)
def test_inputs_that_do_not_fit(tiny: netspec.Session, inputs: Any, words: str) -> None:
    with refused("NS503", words):
        tiny.run(inputs() if callable(inputs) else inputs)


def test_sizes_that_have_to_be_equal(tmp_path: Path) -> None:
    two = exported(TWO, tmp_path)
    a, b = np.ones((2, 5, 4), "float32"), np.ones((2, 6, 4), "float32")
    with refused("NS503", "`T` is 5 in `a`, and 6 in `b`"):
        two.run(a=a, b=b)
    with refused("NS503", "the model needs `b`"):
        two.run(a=a)
    np.testing.assert_array_equal(two.run({"a": a}, b=a)["sum"], a + a)


def test_the_array_of_an_only_input_may_stand_alone(tiny: netspec.Session, tmp_path: Path) -> None:
    image = np.random.default_rng(0).standard_normal((2, 3, 8, 8), dtype="float32")
    np.testing.assert_array_equal(tiny.run(image)["logits"], tiny.run(image=image)["logits"])
    with refused("NS503", "takes `a`, `b`.*such as `run\\(a=array, b=array\\)`"):
        exported(TWO, tmp_path).run(np.ones((1, 2, 4), "float32"))


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


@pytest.mark.parametrize("name", [*of_images(), "lstm_classifier"])
def test_samples_of_the_bundled_networks_never_meet(name: str) -> None:
    graph = for_inference(netspec.load(name).graph).graph
    independent = Batching({"netspec.spec": netspec.to_yaml(graph)}, 2**30).samples_are_independent
    # Rows of detections are no samples: how many there are depends on all images.
    assert independent == (not detection_outputs(graph))


@pytest.mark.parametrize("step", ["softmax: 0", "softmax: -2", "log_softmax: 0"])
def test_what_mixes_samples_is_never_run_in_chunks(step: str, tmp_path: Path) -> None:
    text = TINY.replace("name: fc}\n", f"name: fc}}\n  - {{{step}, name: last}}\n").replace(
        "logits: fc", "logits: last"
    )
    whole = exported(text, tmp_path)
    images = np.random.default_rng(0).standard_normal((5, 3, 8, 8), dtype="float32")
    chunked = netspec.Session(whole.path, "cpu", memory=1)
    np.testing.assert_array_equal(chunked.run(images)["logits"], whole.run(images)["logits"])


def test_samples_that_meet_along_another_axis(tmp_path: Path) -> None:
    """Where the batch is not the first axis in between, a softmax over another one may be one over the batch."""
    steps = "{transpose: {dim0: 0, dim1: 1}}\n  - softmax: 1\n  - {transpose: {dim0: 0, dim1: 1}, name: last}"
    text = TINY.replace("name: fc}\n", f"name: fc}}\n  - {steps}\n")
    whole = exported(text.replace("logits: fc", "logits: last"), tmp_path)
    images = np.random.default_rng(0).standard_normal((5, 3, 8, 8), dtype="float32")
    chunked = netspec.Session(whole.path, "cpu", memory=1)
    np.testing.assert_array_equal(chunked.run(images)["logits"], whole.run(images)["logits"])
    np.testing.assert_allclose(whole.run(images)["logits"].sum(0), np.ones(3), rtol=1e-5)


CENTER = Helper("def center(x: Tensor) -> Tensor:\n    return x - x.mean(0, True)")


class BatchCenter(Elementwise, name="batch_center"):
    """An op of one's own that says nothing of samples: x less its mean over the batch."""

    def torch(self, x: Tensor) -> Code:
        return Code("center(", ("{0}",), helpers=(CENTER,))

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Sub(x, g.ReduceMean(x, g.constant([0])))


del REGISTRY["batch_center"]


def in_one_and_in_parts(text: str, folder: Path, **inputs: Array) -> None:
    """A session that may hold one sample at a time gives what one without bounds gives."""
    whole = exported(f"netspec: 1\nname: met\n{text}", folder)
    chunked = netspec.Session(whole.path, "cpu", memory=1)
    expected = whole.run(inputs)
    for name, value in chunked.run(inputs).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "steps",
    [
        "{batch_norm: {track_running_stats: false}}",
        "{softmax: -4}",
        "{permute: {dims: [3, 1, 2, 0]}}, {softmax: 3}, {permute: {dims: [3, 1, 2, 0]}}",
        "{unflatten: {dim: 0, unflattened_size: [-1, 1]}}, {softmax: 0}, {flatten: {start_dim: 0, end_dim: 1}}",
        "{flatten: {start_dim: 0, end_dim: 1}}, {unflatten: {dim: 0, unflattened_size: [-1, 3]}}",
        "{concat: 0, from: [x, x]}, {narrow: {dim: 0, start: 1, length: 1}, name: one}, {concat: 0, from: [one, x]}",
        "{select: {dim: 0, index: 2}, name: of_two}, {parameter: {shape: [4]}, from: x, name: p}, {linear: 2}",
        "{batch_center}",
        "{flatten: 2}, {lstm: 4, name: l}, {transpose: {dim0: 0, dim1: 1}, from: l.h_n}, {softmax: 0}",
        "{flatten: 2}, {lstm: 4, name: l}, {softmax: 1, from: l.h_n}, {select: {dim: 0, index: 0}}",
        "{flatten: 2}, {lstm: 4, name: l}, {flatten: {start_dim: 0, end_dim: 1}, from: l.h_n}",
        "{flatten: 2}, {lstm: 4, name: l}, {select: {dim: 1, index: 1}, from: l.h_n}, {relu, from: l}",
        "{flatten: 2}, {lstm: 4, name: l}, {relu, from: l.h_n}",
    ],
)
def test_samples_that_meet_are_run_together(steps: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY, "batch_center", BatchCenter)
    x = np.random.default_rng(0).standard_normal((5, 3, 4, 4), dtype="float32")
    in_one_and_in_parts(f"inputs: {{x: [N, 3, 4, 4]}}\nnetwork: [{steps}]\n", tmp_path, x=x)


@pytest.mark.parametrize("layer", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("read", ["{select: {dim: 0, index: 1}", "{transpose: {dim0: 0, dim1: 1}"])
def test_networks_that_read_states_are_run_in_parts(layer: str, read: str, tmp_path: Path) -> None:
    """The first axis of states is that of the layers; the samples are on the second until an op moves them."""
    attributes = "{hidden_size: 4, bidirectional: true, lengths: true}"
    text = f"""
inputs: {{x: [N, T, 3], lengths: {{shape: [N], dtype: int64}}}}
network:
  - {{{layer}: {attributes}, from: [x, lengths], name: layer}}
  - {read}, from: layer.h_n, name: read}}
  - {{relu, name: last}}
outputs: {{steps: layer, last: last}}
"""
    graph = netspec.loads(f"netspec: 1\nname: met\n{text}").graph
    assert Batching({"netspec.spec": netspec.to_yaml(graph)}, 1).samples_are_independent
    x = np.random.default_rng(0).standard_normal((5, 6, 3), dtype="float32")
    in_one_and_in_parts(text, tmp_path, x=x, lengths=np.array([6, 2, 5, 1, 3]))


def test_a_classifier_of_texts_is_run_in_parts(tmp_path: Path) -> None:
    network = netspec.load("lstm_classifier", params={"vocabulary": 50, "width": 8, "hidden": 16})
    network.to_onnx(tmp_path / "m.onnx", trained(network))
    whole = netspec.Session(tmp_path / "m.onnx", "cpu")
    small = netspec.Session(whole.path, "cpu", memory=1)
    rows: list[int] = []
    run = small._run  # pyright: ignore[reportPrivateUsage]
    small._run = lambda arrays: [rows.append(len(arrays["tokens"])), run(arrays)][1]  # type: ignore
    texts = {"tokens": np.random.default_rng(0).integers(2, 50, (4, 9)), "lengths": np.array([9, 1, 4, 7])}
    np.testing.assert_allclose(small.run(texts)["logits"], whole.run(texts)["logits"], rtol=1e-6, atol=1e-6)
    assert rows == [1, 1, 1, 1]


def test_samples_that_meet_in_training_alone_are_run_apart(tmp_path: Path) -> None:
    text = TINY.replace("outputs: {logits: fc}", "outputs: {logits: fc, all: {from: last, mode: train}}")
    graph = netspec.loads(text.replace("name: fc}\n", "name: fc}\n  - {softmax: 0, name: last}\n")).graph
    assert Batching({"netspec.spec": netspec.to_yaml(graph)}, 1).samples_are_independent


@pytest.mark.parametrize(
    ("inputs", "network"),
    [
        ("{x: [N, 3], m: [N, N]}", "[{softmax: 1, from: m}, {linear: 2, from: x, name: y}]"),
        ("{x: [N, 3], m: [1, 3]}", "[{linear: 2, from: m}, {linear: 2, from: x, name: y}]"),
        ("{x: [N, 3], m: [3, N]}", "[{softmax: 0, from: m, name: b}, {linear: 2, from: x, name: y}]"),
        ("{x: [4, 3]}", "[{linear: 2, name: y}]"),
    ],
)
def test_inputs_without_the_batch_as_their_first_axis(inputs: str, network: str, tmp_path: Path) -> None:
    text = f"inputs: {inputs}\nnetwork: {network}\noutputs: {{y: y}}\n"
    rng = np.random.default_rng(0)
    network_ = netspec.loads(f"netspec: 1\nname: met\n{text}")
    arrays = {i.name: rng.standard_normal(i.type.at({"N": 4}).shape, dtype="float32") for i in network_.graph.inputs}
    in_one_and_in_parts(text, tmp_path, **arrays)


def test_nothing_is_known_of_the_samples_of_other_programs(tmp_path: Path) -> None:
    path = opened(model([helper.make_node("Softmax", ["x"], ["y"], axis=0)]), tmp_path).path
    x = np.random.default_rng(0).standard_normal((6, 4), dtype="float32")
    found = netspec.Session(path, "cpu", memory=1).run(x)["y"]
    np.testing.assert_allclose(found.sum(0), np.ones(4), rtol=1e-5)


def test_several_inputs_and_outputs_in_chunks(tmp_path: Path) -> None:
    text = TWO.replace("outputs: {sum: sum}", "  - {relu, name: last}\noutputs: {sum: sum, last: last}")
    whole = exported(text, tmp_path)
    a, b = np.random.default_rng(0).standard_normal((2, 7, 5, 4), dtype="float32")
    chunked = netspec.Session(whole.path, "cpu", memory=1)
    for name, value in chunked.run(a=a, b=b).items():
        np.testing.assert_array_equal(value, whole.run(a=a, b=b)[name])
    np.testing.assert_array_equal(whole.run(a=a, b=b)["sum"], a + b)


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
assert session._batching.chunk_size({{"image": images}}) < 48
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


def rows_of_4(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4])


def model(nodes: list[onnx.NodeProto], opset: int = 21, initializers: tuple[TensorProto, ...] = ()) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "other", [rows_of_4("x")], [rows_of_4("y")], list(initializers))
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
    assert [each.label for each in other.predictions({"y": x}, 1)[0]] == [""]


def test_a_scalar(tmp_path: Path) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, []) for name in "xy")
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "other", [x], [y])
    other = opened(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path)
    assert float(other.run(x=np.float32(3))["y"]) == -3
    with refused("NS503", "`x` is a scalar, and was given as 1"):
        other.run(x=np.ones(1, "float32"))


def test_no_inputs_and_sizes_that_are_not_said(tmp_path: Path) -> None:
    value = helper.make_tensor("v", TensorProto.FLOAT, [2, 4], range(8))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("Neg", ["v"], ["y"])], "other", [], [y], [value])
    other = opened(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path)
    assert other.run()["y"].shape == (2, 4)
    with refused("NS503", "no input `x`\n   help: it takes none"):
        other.run(x=np.ones(1, "float32"))


def test_initializers_are_no_inputs(tmp_path: Path) -> None:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4], [1, 2, 3, 4])
    w = helper.make_tensor_value_info("w", TensorProto.FLOAT, [4])
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "other", [rows_of_4("x"), w], [rows_of_4("y")], [weight]
    )
    other = opened(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path)
    assert list(other.inputs) == ["x"]
    assert other.run(np.zeros((1, 4), "float32"))["y"].tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("size", [-1, None])
def test_sizes_without_a_name(size: int | None, tmp_path: Path) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [size, size]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", [x], [y])
    other = opened(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path)
    assert other.inputs["x"].shape == ("?", "?")
    assert other.run(np.ones((2, 5), "float32"))["y"].shape == (2, 5)


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
    ("node", "opset"),
    [
        (("Evil", "x", ""), 21),
        (("Evil", "x", "com.evil"), 21),
        (("Relu", "z", ""), 21),
        (("Relu", "x", ""), 99),
    ],
)
def test_what_onnx_runtime_refuses(node: tuple[str, str, str], opset: int, tmp_path: Path) -> None:
    op_type, value, domain = node
    with refused("NS502", "m.onnx can't be used: ONNX Runtime refuses it") as error:
        opened(model([helper.make_node(op_type, [value], ["y"], domain=domain)], opset), tmp_path)
    assert "/onnxruntime_src" not in str(error.value)


def test_what_fails_while_it_runs(tmp_path: Path) -> None:
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [3, 5])
    other = opened(model([helper.make_node("Reshape", ["x", "shape"], ["y"])], initializers=(shape,)), tmp_path)
    with refused("NS502", "m.onnx failed.*cannot be reshaped"):
        other.run(x=np.ones((1, 4), "float32"))


def test_a_model_that_asks_for_all_memory_there_is(tmp_path: Path) -> None:
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [10**6, 10**7])
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["large"]),
        helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    with refused("NS502", "m.onnx and a batch of 2 do not fit into memory.*Failed to allocate memory"):
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


@pytest.mark.parametrize(
    ("entries", "dtype", "dims", "words"),
    [
        ({"location": "w.bin", "offset": "abc"}, "FLOAT", [4], "not in which"),
        ({"location": "w.bin", "offset": "-8"}, "FLOAT", [4], "w.bin is cut off"),
        ({"location": "w.bin", "offset": "1" * 5000}, "FLOAT", [4], "not in which"),
        ({"location": "w.bin"}, 99, [4], "not in which"),
        ({"location": "w.bin"}, "FLOAT", [2**32, 2**32], "w.bin is cut off"),
        ({"location": "w" * 300}, "FLOAT", [4], "there is no file"),
        ({"location": "link.bin"}, "FLOAT", [4], "which is a link"),
        ({}, "FLOAT", [4], "no file beside it"),
    ],
)
def test_places_of_weights_that_are_none(
    entries: dict[str, str], dtype: str | int, dims: list[int], words: str, tmp_path: Path
) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(16))
    (tmp_path / "link.bin").symlink_to("w.bin")
    number = TensorProto.DataType.Value(dtype) if isinstance(dtype, str) else dtype
    weight = TensorProto(name="w", data_type=number, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        weight.external_data.add(key=key, value=value)
    with refused("NS502", f"m.onnx can't be used: .*{words}"):
        opened(model([helper.make_node("Add", ["x", "w"], ["y"])], initializers=(weight,)), tmp_path)


def test_weights_of_half_a_byte(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes([0x21, 0x43]))
    weight = TensorProto(name="w", data_type=TensorProto.UINT4, dims=[4], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="./w.bin")
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [2.0])
    nodes = [helper.make_node("DequantizeLinear", ["w", "scale"], ["v"]), helper.make_node("Add", ["x", "v"], ["y"])]
    other = opened(model(nodes, initializers=(weight, scale)), tmp_path)
    assert other.run(np.zeros((1, 4), "float32"))["y"].tolist() == [[2, 4, 6, 8]]


@pytest.mark.parametrize("key", ["netspec.labels", "netspec.preprocess", "netspec.spec"])
def test_metadata_that_are_no_text(key: str, tmp_path: Path) -> None:
    found = model([helper.make_node("Relu", ["x"], ["y"])])
    helper.set_model_props(found, {key: "QQQQ"})
    with refused("NS502", "what it says of itself is no text"):
        opened(found.SerializeToString().replace(b"QQQQ", b"\xff\xfe\xfd\xfc"), tmp_path)


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
        ("netspec.preprocess", '{"x": {"resize": 1000000000}}', "an int from 1 to 8,192"),
        ("netspec.preprocess", '{"x": {"std": 0}}', "a number from 1e-6 to 1e6"),
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
    graph = helper.make_graph([node], "other", [sequence], [rows_of_4("y")])
    with refused("NS502", "`x` is no tensor"):
        opened(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path)


# What the metadata carry comes back.


def test_the_names_themselves_are_in_the_model(resnet18: netspec.Session) -> None:
    """Where it runs, nothing need be installed that knows ImageNet."""
    assert json.loads(resnet18.metadata["netspec.labels"]) == {"logits": imagenet()}


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
    assert netspec.Session(tmp_path / "m.onnx", "cpu").labels["logits"] == tuple(imagenet())
