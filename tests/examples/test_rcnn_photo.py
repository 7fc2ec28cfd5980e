"""R-CNN on photographs: the example runs, its score prefers whole objects, and ONNX Runtime classifies the same."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import netspec
from tests.support.lazy import lazy_imports
from tests.support.packaged import cat
from tests.support.paths import REPOSITORY

with lazy_imports():
    import torch

FOLDER = REPOSITORY / "examples" / "rcnn_photo"


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    try:
        import rcnn_photo

        yield rcnn_photo
    finally:
        sys.path.remove(str(FOLDER))
        for name in ("rcnn_photo", "figure"):
            sys.modules.pop(name, None)


def test_it_says_what_it_did_and_draws_it(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.png"
    example.main(["--quick", "-o", str(target)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("chelsea.png: 2")
    assert "regions, searched in" in lines[0]
    assert lines[1].split()[0] == "cat"
    assert lines[-1] == f"wrote {target}"
    with Image.open(target) as picture:
        assert picture.width == 4 * 400 + 5 * 16
        assert np.asarray(picture).std() > 20


def test_the_whole_object_scores_best(example: ModuleType) -> None:
    """Regions of an object, of its half, of a chance hit, and of background; each but the chance hit twice or more."""
    boxes = torch.tensor(
        [
            [20, 20, 79, 79],
            [22, 20, 81, 81],
            [20, 20, 79, 49],
            [20, 50, 79, 79],
            [100, 0, 139, 39],
            [100, 2, 139, 41],
            [102, 0, 141, 41],
            [100, 100, 149, 149],
        ]
    ).float()
    probabilities = torch.tensor([0.8, 0.8, 0.9, 0.9, 0.95, 0, 0, 0])
    scores = example.score_regions(boxes, probabilities)
    assert scores[:2].min() > scores[2:].max()
    assert scores[4] < probabilities[4] * 2 / 3
    assert (scores <= probabilities.max()).all()


def test_regions_are_inside_large_enough_and_different(example: ModuleType) -> None:
    pixels = np.asarray(Image.open(cat()).convert("RGB"))
    boxes = example.selective_search(pixels)
    assert len(boxes) > 100
    assert len(boxes.unique(dim=0)) == len(boxes)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] < pixels.shape[1]).all()
    assert (boxes[:, 3] < pixels.shape[0]).all()
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    assert sides.min() >= 40
    assert (sides.amax(1) <= 3 * sides.amin(1)).all()


@pytest.mark.usefixtures("no_grad")
def test_onnx_runtime_classifies_the_same(example: ModuleType, tmp_path: Path) -> None:
    module = example.load_network()
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    model = tmp_path / "rcnn_photo.onnx"
    netspec.load(FOLDER / "rcnn_photo.yaml").to_onnx(model, tmp_path / "weights.pt")
    image = torch.randn(1, 3, 90, 120, generator=torch.Generator().manual_seed(0))
    rois = torch.tensor([[0, 5, 10, 60, 80], [0, 0, 0, 119, 89], [0, 70, 3, 110, 30]]).float()
    scores = netspec.Session(model, "cpu").run(image=image.numpy(), rois=rois.numpy())["scores"]
    expected, _ = module(image, rois)
    torch.testing.assert_close(torch.from_numpy(scores), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "x.jpg", "--class", "pet=tabby,hobbit"], "there is no file x.jpg"),
        (["--image", __file__, "--class", "pet=tabby,hobbit"], "ImageNet has no class `hobbit`"),
        (["--image", __file__], "--image FILE and --class NAME=LABEL,LABEL go together"),
    ],
)
def test_what_can_not_be_is_said(
    example: ModuleType, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        example.main(arguments)
    assert message in capsys.readouterr().err


def test_a_photograph_without_regions_is_named(example: ModuleType, tmp_path: Path) -> None:
    Image.new("RGB", (30, 30), "red").save(tmp_path / "small.png")
    with pytest.raises(SystemExit, match=r"small\.png: selective search finds no region of 40 pixels"):
        example.main(["--image", str(tmp_path / "small.png"), "--class", "tabby"])
