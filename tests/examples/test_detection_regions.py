"""The examples of Fast R-CNN and R-CNN: regions, SVMs, regression of boxes, and a few steps of both, compared."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import netspec
from tests.support.lazy import lazy_imports
from tests.support.paths import REPOSITORY

with lazy_imports():
    import torch
    from sklearn.linear_model import Ridge
    from sklearn.svm import LinearSVC
    from torch import nn
    from torchvision.ops import box_iou

FOLDER = REPOSITORY / "examples" / "detection"


@pytest.fixture(scope="module")
def example() -> Any:
    """The modules of the example, which import one another by bare name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module


@pytest.fixture(scope="module")
def rcnn(example: Any) -> ModuleType:
    return example("rcnn")


@pytest.fixture(scope="module")
def searched(example: Any) -> list[Any]:
    return example("regions").search_scenes(list(example("scenes").Scenes(6)))


# Regions.


def test_regions_lie_in_the_image_and_differ(searched: list[Any]) -> None:
    for scene, regions in searched:
        height, width = scene.image.shape[1:]
        assert len(regions) > 20
        assert len(regions.unique(dim=0)) == len(regions)
        assert regions.min() >= 0
        assert (regions[:, 2] < width).all()
        assert (regions[:, 3] < height).all()
        assert (regions[:, 2:] - regions[:, :2] + 1 >= 6).all()


def test_the_search_finds_a_square_to_the_pixel(example: Any) -> None:
    image = torch.full((3, 80, 100), 0.2)
    image[:, 20:60, 30:50] = 0.9
    regions = example("regions").selective_search(image)
    assert [30, 20, 49, 59] in regions.tolist()


def test_recall_is_the_part_of_the_objects_that_are_overlapped(example: Any, searched: list[Any]) -> None:
    regions = example("regions")
    edges = torch.tensor([0, 0, 1, 1])
    best = [box_iou(scene.boxes + edges, boxes + edges).amax(1) for scene, boxes in searched]
    assert regions.recall(searched) == pytest.approx((torch.cat(best) >= 0.5).float().mean().item())
    exact = [regions.Searched(scene, scene.boxes) for scene, _ in searched]
    assert regions.recall(exact) == 1
    away = [regions.Searched(scene, scene.boxes + 1000) for scene, _ in searched]
    assert regions.recall(away) == 0


# R-CNN's parts.


def test_a_quarter_of_the_regions_are_objects(rcnn: ModuleType, searched: list[Any]) -> None:
    samples = rcnn.RegionSamples(searched, seed=0)
    rois, labels = rcnn.join_regions([samples[index] for index in range(128)], torch.device("cpu"))
    assert (labels > 0).sum() == 32
    edges = torch.tensor([0, 0, 1, 1])
    for roi, label in zip(rois, labels.tolist(), strict=True):
        scene = searched[int(roi[0])].scene
        overlap, nearest = box_iou(roi[None, 1:] + edges, scene.boxes + edges)[0].max(0)
        assert label == (scene.labels[nearest] if overlap >= 0.5 else 0)


def test_overlaps_are_sorted_by_class(rcnn: ModuleType) -> None:
    overlap = torch.tensor([[0.1, 0.7, 0.4], [0.0, 0.2, 0.3]])
    largest = rcnn.overlap_by_class(overlap, torch.tensor([3, 8, 3]))
    assert largest[:, 3].tolist() == pytest.approx([0.4, 0.3])
    assert largest[:, 8].tolist() == pytest.approx([0.7, 0.2])
    assert largest.sum().item() == pytest.approx(1.6)


def test_hard_negatives_stand_for_all(example: Any) -> None:
    """Mined from 5,000 negatives, the SVM is that of all of them."""
    random = np.random.default_rng(0)
    positive = random.normal(1.5, 1, (60, 8)).astype(np.float32)
    negative = random.normal(0, 1, (5000, 8)).astype(np.float32)
    weight, bias = example("svm").fit_svm(positive, negative, first=200, rounds=10)
    x, y = np.concatenate([positive, negative]), np.repeat([1, 0], [60, 5000])
    whole = LinearSVC(C=0.001, class_weight={1: 2}, intercept_scaling=10, max_iter=20_000, random_state=0).fit(x, y)
    np.testing.assert_allclose(weight, whole.coef_[0], atol=0.02)
    assert bias == pytest.approx(whole.intercept_[0], abs=0.02)


@pytest.mark.usefixtures("no_grad")
def test_boxes_are_regressed_as_by_scikit_learn(rcnn: ModuleType) -> None:
    generator = torch.Generator().manual_seed(0)
    pool5, moves = torch.rand(90, 30, generator=generator), torch.randn(90, 4, generator=generator)
    classes = torch.arange(90) % 3
    layer = nn.Linear(30, 40)
    rcnn.fit_boxes(layer, pool5, moves, classes, penalty=7)
    for digit in range(3):
        one = classes == digit
        ridge = Ridge(alpha=7).fit(pool5[one].numpy(), moves[one].numpy())
        found = layer(pool5)[:, 4 * digit : 4 * digit + 4]
        np.testing.assert_allclose(found.numpy(), ridge.predict(pool5.numpy()), atol=1e-5)
    assert not layer.weight[12:].any()


@pytest.mark.usefixtures("no_grad")
def test_svms_become_a_layer(rcnn: ModuleType) -> None:
    """Objects of two digits, and regions that are theirs or background."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.eye(3, 12) * 6
    kinds = torch.arange(300) % 3
    regions = centers[kinds] + torch.rand(300, 12, generator=generator)
    overlaps = torch.zeros(300, 10)
    overlaps[kinds == 0, 0] = 1
    overlaps[kinds == 1, 1] = 1
    layer = nn.Linear(12, 10)
    rcnn.fit_svms(layer, regions[kinds < 2], kinds[kinds < 2], regions, overlaps)
    scores = layer(regions)
    for digit in (0, 1):
        assert scores[kinds == digit, digit].min() > 0 > scores[kinds != digit, digit].max()
    assert (scores[:, 2:] < -1).all()


# The examples, run as a user would, with a few steps.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("detector")


def check_run(example: Any, name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example(name).main(["--quick", "--out", str(folder)])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("mAP@0.5 on ") for line in lines)
    assert any("overlap" in line and "by half or more" in line for line in lines)
    assert f"wrote {folder / name}.onnx" in lines
    for kind in ("losses", "detections"):
        with Image.open(folder / f"{name}_{kind}.png") as picture:
            assert np.asarray(picture).std() > 5


def test_fast_rcnn_learns_a_few_steps(example: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_run(example, "fast_rcnn", folder, capsys)
    saved = torch.load(folder / "fast_rcnn.pt", weights_only=True)
    assert saved["trunk.conv1.batch_norm.num_batches_tracked"] >= 7  # three steps as a classifier, four on regions


def test_rcnn_learns_a_few_steps(example: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_run(example, "rcnn", folder, capsys)
    saved = torch.load(folder / "rcnn.pt", weights_only=True)
    assert saved["svm.weight"].any()
    assert saved["deltas.weight"].any()


def test_the_three_are_compared(example: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights as they begin will do."""
    compare = example("compare")
    for name, spec in compare.SPECS.items():
        if not (folder / f"{name}.pt").exists():
            torch.save(netspec.load(spec).compile().state_dict(), folder / f"{name}.pt")
    compare.main(["--scenes", "3", "--timed", "2", "--out", str(folder)])
    lines = capsys.readouterr().out.splitlines()
    heads = [line for line in lines if line.startswith(("R-CNN ", "Fast R-CNN ", "Faster R-CNN "))]
    assert [len(line.split()) for line in heads[:3]] == [7, 10, 10]
    weights = [int(line.split()[-1].replace(",", "")) for line in lines[-3:]]
    assert weights == [694_583, 694_583 - 614_400 - 65_536 + 64 * (2656 + 512), 192_823]


def test_weights_that_are_missing_are_named(example: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"there is no .*rcnn\.pt: run `python .*rcnn\.py --out"):
        example("compare").main(["--out", str(tmp_path)])
