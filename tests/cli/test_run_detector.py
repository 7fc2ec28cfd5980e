"""`netspec run` with a detector: what it tells, what it draws, and in which files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netspec
from tests.support.paths import HALVES

from .conftest import TINY, Run

SPEC = """
netspec: 1
name: detector
inputs: {image: [N, 3, H, W]}
network: [{halves, name: halves}]
outputs: {boxes: halves.boxes, scores: halves.scores, labels: halves.labels, images: halves.images}
preprocess: {image: {resize: 60, max_size: 100}}
labels: {labels: [background, left, upper]}
"""


@pytest.fixture(autouse=True)
def model(folder: Path) -> Path:
    netspec.load_ops(HALVES)
    netspec.loads(SPEC).to_onnx(folder / "d.onnx")
    for name, height, width, colour in (
        ("red", 30, 50, (255, 102, 0)),
        ("green", 400, 600, (0, 204, 0)),
        ("black", 1, 1, (0, 0, 0)),
    ):
        Image.fromarray(np.full((height, width, 3), colour, "uint8")).save(folder / f"{name}.png")
    return folder / "d.onnx"


def test_a_table(run: Run) -> None:
    result = run("run", "d.onnx", "--image", "red.png", "--image", "black.png", "--image", "green.png")
    assert [line.split() for line in result.out.splitlines()] == [
        ["image", "class", "label", "score", "x1", "y1", "x2", "y2"],
        [result.out.splitlines()[1]],
        ["red.png", "1", "left", "1.000", "0.0", "0.0", "25.0", "30.0"],
        ["black.png", "-", "-", "-", "-", "-", "-", "-"],
        ["green.png", "2", "upper", "0.800", "0.0", "0.0", "600.0", "200.0"],
    ]
    assert "black.png: no detection has a score of 0.6 or more\n" in result.err


def test_json_and_a_threshold(run: Run, folder: Path) -> None:
    images = ("--image", "red.png", "--image", "green.png")
    result = run("run", "d.onnx", *images, "--score", "0.9", "-o", "seen.json", "--device", "cpu")
    assert (result.status, result.out) == (0, "")
    assert "green.png: no detection has a score of 0.9 or more: the best has 0.800\n" in result.err
    red, green = json.loads((folder / "seen.json").read_text())["images"]
    detection = {"class": 1, "label": "left", "score": 1.0, "box": [0.0, 0.0, 25.0, 30.0]}
    assert red == {"image": "red.png", "detections": [detection]}
    assert green == {"image": "green.png", "detections": []}
    assert run("run", "d.onnx", *images, "--score", "0", "-o", "seen.json").status == 0, "it overwrites its own"
    red, green = json.loads((folder / "seen.json").read_text())["images"]
    assert [each["label"] for each in red["detections"]] == ["left", "upper"]


def test_saved_outputs_count_the_images(run: Run, folder: Path) -> None:
    images = [part for name in ("red", "black", "green", "red") for part in ("--image", f"{name}.png")]
    assert run("run", "d.onnx", *images, "--save", "x.npz").status == 0
    with np.load(folder / "x.npz") as saved:
        assert saved["images"].tolist() == [0, 0, 2, 3, 3]
        assert saved["labels"].tolist() == [1, 2, 2, 1, 2]
        assert saved["boxes"].shape == (5, 4)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp", ".PNG"])
def test_a_picture(run: Run, folder: Path, suffix: str) -> None:
    file = folder / f"boxes{suffix}"
    result = run("run", "d.onnx", "--image", "green.png", "-o", file.name, "--format", "csv")
    assert (result.status, result.out.splitlines()[1][:18]) == (0, "green.png,2,upper,")
    assert result.err.endswith(f"wrote {file.name}\n")
    with Image.open(file) as picture:
        assert picture.format == {".png": "PNG", ".webp": "WEBP"}.get(suffix.lower(), "JPEG")
        assert picture.size == (600, 400)
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert np.abs(pixels[202:] - (0, 204, 0)).max() <= 20, "nothing is drawn below the upper half"
    assert np.abs(pixels[100, :4] - (0, 204, 0)).max() > 100
    again = run("run", "d.onnx", "--image", "green.png", "--score", "0.9", "-o", file.name)
    assert again.status == 0, "netspec overwrites what it drew"
    with Image.open(file) as picture:
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - (0, 204, 0)).max() <= 20


def test_pictures_of_several_images(run: Run, folder: Path) -> None:
    images = ("--image", "red.png", "--image", "black.png", "--image", "red.png")
    result = run("run", "d.onnx", *images, "-o", "boxes-{name}.png")
    assert result.status == 0
    assert [line for line in result.err.splitlines() if "wrote" in line] == [
        "wrote boxes-red.png",
        "wrote boxes-black.png",
    ]
    with Image.open(folder / "boxes-black.png") as picture:
        assert (picture.size, picture.getcolors()) == ((320, 320), [(320 * 320, (0, 0, 0))])
    refused = run("run", "d.onnx", *images, "-o", "boxes.png")
    assert (refused.status, "2 images are drawn in as many files: -o 'boxes-{name}.png'" in refused.err) == (2, True)
    (folder / "sub").mkdir()
    (folder / "red.png").rename(folder / "sub" / "black.png")
    refused = run("run", "d.onnx", "--image", "black.png", "--image", "sub/black.png", "-o", "{name}-boxes.png")
    assert "black.png and sub/black.png would both be drawn in black-boxes.png" in refused.err


def test_a_photograph_that_lies_on_its_side(run: Run, folder: Path) -> None:
    with Image.open(folder / "green.png") as picture:
        exif = picture.getexif()
        exif[0x0112] = 6
        picture.save(folder / "turned.png", exif=exif)
    assert run("run", "d.onnx", "--image", "turned.png", "-o", "boxes.png").status == 0
    with Image.open(folder / "boxes.png") as drawn:
        assert drawn.size == (400, 600)
        assert 0x0112 not in drawn.getexif()
        assert drawn.getpixel((200, 500)) == (0, 204, 0)
        assert drawn.getpixel((1, 150)) != (0, 204, 0)


def test_files_that_stay(run: Run, folder: Path) -> None:
    before = (folder / "red.png").read_bytes()
    refused = run("run", "d.onnx", "--image", "green.png", "-o", "red.png")
    assert (refused.status, "red.png exists and was not written by netspec; --force" in refused.err) == (1, True)
    refused = run("run", "d.onnx", "--image", "red.png", "-o", "{name}.png")
    assert "red.png is an input of this command, and stays as it is" in refused.err
    assert (folder / "red.png").read_bytes() == before
    assert run("run", "d.onnx", "--image", "green.png", "-o", "red.png", "--force").status == 0
    assert (folder / "red.png").read_bytes() != before
    assert "no such folder" in run("run", "d.onnx", "--image", "green.png", "-o", "no/x.png").err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("d.onnx", "--image", "red.png", "-o", "x.gif"), "a picture that ends in .png, .jpg or .webp, not `x.gif`"),
        (("d.onnx", "--image", "red.png", "-o", "x.docx"), "-o takes a file that ends in .json"),
        (("d.onnx", "--image", "red.png", "--score", "nan"), "--score takes a number, not nan"),
        (("d.onnx", "--image", "red.png", "--score", "high"), "'high' is not a valid float"),
        (("d.onnx", "--image", "red.png", "--top", "3"), "--top is for classifiers, and d.onnx is a detector"),
        (("d.onnx", "--array", "image=x.npy", "-o", "x.png"), "detections are told and drawn of images"),
        (("d.onnx", "--array", "image=x.npy", "--score", "0.5"), "detections are told and drawn of images"),
        (("tiny.onnx", "--image", "red.png", "-o", "x.png"), "tiny.onnx is no detector, and there is nothing to draw"),
        (("tiny.onnx", "--image", "red.png", "--score", "0.5"), "--score is for detectors, and tiny.onnx is none"),
    ],
)
def test_usage(run: Run, folder: Path, arguments: tuple[str, ...], words: str) -> None:
    (folder / "tiny.yaml").write_text(f"{TINY}preprocess: {{image: {{mean: 0.5}}}}\n")
    netspec.load(folder / "tiny.yaml").to_onnx(folder / "tiny.onnx", seed=1)
    result = run("run", *arguments)
    assert (result.status, result.out, (folder / "x.png").exists()) == (2, "", False)
    assert words in " ".join(result.err.split())


def test_images_that_are_none(run: Run, folder: Path) -> None:
    (folder / "cut.png").write_bytes((folder / "green.png").read_bytes()[:100])
    result = run("run", "d.onnx", "--image", "cut.png", "-o", "x.png")
    assert (result.status, result.out, (folder / "x.png").exists()) == (1, "", False)
    assert "cut.png can't be used: it is cut off" in result.err
    Image.new("RGB", (17_000, 1)).save(folder / "long.png")
    assert run("run", "d.onnx", "--image", "long.png", "-o", "x.png").status == 0
    result = run("run", "d.onnx", "--image", "long.png", "-o", "x.webp")
    assert "a picture of 1 x 17,000 is too large for WEBP" in result.err


def test_a_detector_without_preprocessing(run: Run, folder: Path) -> None:
    netspec.loads(SPEC[: SPEC.index("preprocess")]).to_onnx(folder / "bare.onnx")
    result = run("run", "bare.onnx", "--image", "red.png", "-o", "x.png")
    assert (result.status, "say it in the spec under `preprocess`" in result.err) == (1, True)


def test_arrays_are_told_as_they_are(run: Run, folder: Path) -> None:
    np.save(folder / "x.npy", np.ones((1, 3, 8, 8), "float32"))
    result = run("run", "d.onnx", "--array", "image=x.npy")
    assert [line.split()[0] for line in result.out.splitlines()[2:]] == ["boxes", "scores", "labels", "images"]
