"""Detections: from the outputs of a detector to boxes in pixels of each image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import netspec
from tests.support.lazy import lazy_imports
from tests.support.paths import HALVES

with lazy_imports():
    import onnx
    import torch
    from onnx import helper
    from torchvision.transforms import v2

    from netspec.backends.images import PreparedImage
    from netspec.backends.onnx.detections import Detection, detection_outputs, read_detections
    from netspec.backends.onnx.imported import import_model
    from tests.support.photographs import images as photographs

SPEC = """
netspec: 1
name: detector
inputs: {image: [N, 3, H, W]}
network: [{halves, name: halves}]
outputs: {corners: halves.boxes, scores: halves.scores, classes: halves.labels, of: halves.images}
preprocess: {image: {resize: 60, max_size: 100}}
labels: {classes: [background, left, upper]}
"""


@pytest.fixture(autouse=True)
def _halves(own_ops_forgotten: None) -> None:
    netspec.load_ops(HALVES)


def exported(folder: Path, text: str = SPEC, **inputs: list[int | str]) -> netspec.Session:
    netspec.loads(text, inputs=inputs).to_onnx(folder / "m.onnx")
    return netspec.Session(folder / "m.onnx", "cpu")


def coloured(height: int, width: int, red: int, green: int) -> Any:
    return np.full((height, width, 3), (red, green, 0), "uint8")


def near(score: float) -> Any:
    """A score, of a mean that float32 rounds."""
    return pytest.approx(score, abs=1e-5)


def refused(code: str, words: str) -> pytest.RaisesExc[netspec.NetspecError]:
    return pytest.raises(netspec.NetspecError, match=f"(?s)error {code}: .*{words}")


def test_the_graph_tells_which_outputs_are_detections(tmp_path: Path) -> None:
    names = {"boxes": "corners", "scores": "scores", "labels": "classes", "images": "of"}
    assert detection_outputs(netspec.loads(SPEC).graph) == names
    session = exported(tmp_path)
    assert session.detections == names
    assert json.loads(session.metadata["netspec.detections"]) == names
    assert detection_outputs(import_model(session.path).graph) == names
    without = exported(tmp_path, SPEC.replace(", of: halves.images", ""))
    assert (without.detections, "netspec.detections" in without.metadata) == ({}, False)


def test_the_bundled_op_detects(tmp_path: Path) -> None:
    text = """
netspec: 1
name: regions
inputs:
  image: [N, 3, H, W]
  rois: {shape: [R, 5], nominal: {R: 3}}
  scores: {shape: [R, 4]}
  deltas: {shape: [R, 16]}
network: [{detections, from: [rois, scores, deltas, image], name: d}]
outputs: {boxes: d.boxes, scores_of: d.scores, labels: d.labels, images: d.images}
labels: {labels: [background, a, b, c]}
"""
    assert detection_outputs(netspec.loads(text).graph)["scores"] == "scores_of"
    with refused("NS206", "`labels` has 4 classes, and 21 labels"):
        netspec.loads(text.replace("[background, a, b, c]", "voc"))


def test_images_of_several_sizes(tmp_path: Path) -> None:
    session = exported(tmp_path)
    images = [coloured(30, 50, 255, 102), coloured(200, 20, 0, 51), coloured(1, 1, 0, 0), coloured(300, 400, 51, 255)]
    left, upper, nothing, both = session.detect(images)
    assert left == [
        Detection("left", 1, 1.0, (0, 0, 25, 30)),
        Detection("upper", 2, near(0.4), (0, 0, 50, 15)),
    ]
    assert upper == [Detection("upper", 2, near(0.2), (0, 0, 20, 100))]
    assert nothing == []
    assert [each.label for each in both] == ["upper", "left"], "in descending order of the scores"
    assert session.detect(images, score=0.3) == [left, [], [], both[:1]]
    assert session.detect(images[0]) == [left]
    assert session.detect([]) == []


def test_boxes_are_where_torchvision_would_put_them(tmp_path: Path) -> None:
    """The corners, in the sizes to which torchvision resizes, as torchvision's own transform of boxes scales them."""
    from torchvision import tv_tensors

    session = exported(tmp_path)
    for pixels in photographs().values():
        size = pixels.shape[:2]
        ((first, *_),) = session.detect(pixels)
        resized = v2.Resize(60, max_size=100)(torch.zeros(3, *size))
        boxes: Any = session.run(session.images(pixels))["corners"]
        given = tv_tensors.BoundingBoxes(torch.tensor(boxes), format="XYXY", canvas_size=resized.shape[1:])  # type: ignore
        expected = v2.Resize(size)(given)
        assert np.abs(np.array(first.box) - expected.numpy()[first.index - 1]).max() < 1e-3


def test_a_photograph_that_lies_on_its_side(tmp_path: Path) -> None:
    """Boxes are in pixels of the image as viewers show it."""
    picture = Image.fromarray(coloured(30, 50, 255, 0))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "x.png", exif=exif)
    ((found,),) = exported(tmp_path).detect(tmp_path / "x.png")
    assert found.box == (0, 0, 15, 50)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "LA"])
def test_images_of_every_kind(mode: str, tmp_path: Path) -> None:
    picture = Image.fromarray(coloured(30, 50, 255, 255)).convert(mode)
    assert [each.box for each in exported(tmp_path).detect(picture)[0]] == [(0, 0, 25, 30), (0, 0, 50, 15)]


def test_a_crop_is_undone() -> None:
    """A box of the crop, moved by what is cut off and scaled, and cut off at the border of the image."""
    image = PreparedImage(np.zeros((3, 50, 50)), size=(100, 200), resized=(50, 100), corner=(0, 25))
    boxes = np.array([[0, 0, 50, 50], [-40, -1, 80, 10]], "float32")
    np.testing.assert_array_equal(image.boxes_in_image(boxes), [[50, 0, 150, 100], [0, 0, 200, 20]])


def test_a_fixed_batch(tmp_path: Path) -> None:
    session = exported(tmp_path, image=[2, 3, "H", "W"])
    images = [coloured(60, 80, red, 0) for red in (255, 0, 204, 51)]
    assert [[each.score for each in objects] for objects in session.detect(images)] == [
        [1.0],
        [],
        [near(0.8)],
        [near(0.2)],
    ]
    numbers = [outputs["of"].tolist() for outputs, _ in session.detection_runs(images)]
    assert numbers == [[0], [2, 3]], "outputs that are joined tell of which image each detection is"
    with refused("NS503", "was given as 1 x 3"):
        session.detect(images[:3])
    with refused("NS503", "several sizes"):
        session.detect([images[0], coloured(60, 60, 1, 1)])


def test_a_fixed_size(tmp_path: Path) -> None:
    session = exported(tmp_path, image=[1, 3, 40, 40])
    assert session.detect(coloured(100, 50, 255, 0)) == [[Detection("left", 1, 1.0, (0, 0, 25, 100))]]


def test_half_precision(tmp_path: Path) -> None:
    netspec.loads(SPEC).to_onnx(tmp_path / "m.onnx", fp16=True)
    ((found,),) = netspec.Session(tmp_path / "m.onnx", "cpu").detect(coloured(30, 50, 255, 0))
    assert found == Detection("left", 1, 1.0, (0, 0, 25, 30))


def test_what_is_no_detector(tmp_path: Path) -> None:
    session = exported(tmp_path)
    with refused("NS503", "no output that scores classes.*it is a detector"):
        session.classify(coloured(30, 50, 1, 1))
    with refused("NS503", "is no detector: it has no outputs for `boxes`, `scores`, `labels`, `images`"):
        exported(tmp_path, SPEC.replace(", of: halves.images", "")).detect(coloured(30, 50, 1, 1))
    with refused("NS503", "does not say how an image becomes its input"):
        text = SPEC[: SPEC.index("preprocess")]
        exported(tmp_path, text).detect(coloured(30, 50, 1, 1))


def test_classes_without_a_label(tmp_path: Path) -> None:
    session = exported(tmp_path, SPEC[: SPEC.index("labels:")])
    assert session.detect(coloured(30, 50, 255, 0)) == [[Detection("", 1, 1.0, (0, 0, 25, 30))]]


# Outputs of any model, and metadata that anyone wrote.

NAMES = {role: role for role in ("boxes", "scores", "labels", "images")}


def outputs(**changes: Any) -> dict[str, Any]:
    values = {
        "boxes": np.zeros((2, 4), "float32"),
        "scores": np.array([0.5, 0.6], "float32"),
        "labels": np.array([1, 99]),
        "images": np.array([0, 0]),
    }
    return {**values, **changes}


def read(**changes: Any) -> list[list[Detection]]:
    image = PreparedImage(np.zeros((3, 8, 8)), (8, 8), (8, 8), (0, 0))
    return read_detections(outputs(**changes), NAMES, [image], ("background", "cat"))


def test_a_class_beyond_the_labels_has_none() -> None:
    assert [(each.label, each.index) for each in read()[0]] == [("", 99), ("cat", 1)]
    assert [each.label for each in read(labels=np.array([-1, 1]))[0]] == ["cat", ""]


def test_equal_scores_keep_their_order() -> None:
    assert [each.index for each in read(scores=np.array([0.5, 0.5], "float16"))[0]] == [1, 99]


@pytest.mark.parametrize(
    ("role", "value", "words"),
    [
        ("boxes", np.zeros((2, 5), "float32"), "`boxes` is 2 x 5, float32, and tells no boxes of detections"),
        ("boxes", np.zeros((3, 4), "float32"), "`boxes` is 3 x 4"),
        ("boxes", np.zeros((2, 4), "int64"), "`boxes` is 2 x 4, int64"),
        ("scores", np.zeros((1, 2), "float32"), "`scores` is 1 x 2"),
        ("scores", np.float32(1), "`boxes` is 2 x 4"),
        ("labels", np.zeros(2, "float32"), "`labels` is 2, float32"),
        ("images", np.zeros(3, "int64"), "`images` is 3, int64"),
        ("images", np.array([0, 1]), "other images than 0 to 0"),
        ("images", np.array([-1, 0]), "other images than 0 to 0"),
        ("boxes", np.full((2, 4), np.nan, "float32"), "not finite"),
        ("scores", np.array([1, np.inf], "float32"), "not finite"),
    ],
)
def test_outputs_that_are_no_detections(role: str, value: Any, words: str) -> None:
    with refused("NS503", words):
        read(**{role: value})


@pytest.mark.parametrize("text", ["[]", "{", '{"boxes": "corners"}', json.dumps({**NAMES, "boxes": "none"})])
def test_metadata_that_is_wrong(text: str, tmp_path: Path) -> None:
    model = onnx.load(exported(tmp_path).path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(model, {**metadata, "netspec.detections": text})
    onnx.save(model, tmp_path / "wrong.onnx")
    with refused("NS502", "its `netspec.detections` is wrong"):
        netspec.Session(tmp_path / "wrong.onnx", "cpu")
