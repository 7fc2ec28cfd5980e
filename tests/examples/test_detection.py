"""The example of detection: its scenes, its measure, its loop in two processes, and a few steps of Faster R-CNN."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
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
    from torch import Tensor

    from netspec.backends.onnx.session import Session

FOLDER = REPOSITORY / "examples" / "detection"

DRIVER = f"""
import sys
import torch
sys.path.insert(0, {str(FOLDER)!r})
import training
from scenes import Scenes

class Brightness(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.guess = torch.nn.Parameter(torch.zeros(()))
        self.seen = []
    def forward(self, images, boxes, labels):
        self.seen.append(images.mean().item())
        return {{"error": (self.guess - images.mean()) ** 2}}

with training.worker() as me:
    model = Brightness()
    scenes = Scenes(1000, side=40, digits=(1, 1), sizes=(20, 40))
    steps = training.train(model, scenes, training.Budget(me, steps=5), me, batch=2)
    timed = training.train(Brightness(), scenes, training.Budget(me, minutes=0.01), me, batch=2)
    torch.save([model.guess.item(), model.seen, len(steps), len(timed)], f"rank{{me.rank}}of{{me.count}}.pt")
"""


@pytest.fixture(scope="module")
def example() -> Any:
    """The modules of the example, which import one another by bare name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module


@pytest.fixture(scope="module")
def scenes(example: Any) -> ModuleType:
    return example("scenes")


# Scenes.


def test_a_scene_is_the_same_each_time(scenes: ModuleType) -> None:
    first, again = scenes.Scenes(10, seed=1)[3], scenes.Scenes(20, seed=1)[3]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for other in (scenes.Scenes(10, seed=2)[3], scenes.Scenes(10, seed=1)[4], scenes.Scenes(10, True, seed=1)[3]):
        assert not torch.equal(first.image, other.image)


def test_scenes_are_as_many_as_was_said(scenes: ModuleType) -> None:
    assert len(list(scenes.Scenes(3))) == len(scenes.Scenes(3)) == 3


@pytest.mark.parametrize("held_out", [False, True])
def test_digits_lie_in_the_image_and_apart(scenes: ModuleType, held_out: bool) -> None:
    counts = set()
    labels: set[int] = set()
    for scene in scenes.Scenes(40, held_out):
        assert scene.image.shape == (3, 160, 160)
        assert scene.image.dtype == scene.boxes.dtype == torch.float32
        assert scene.image.amin() >= 0
        assert scene.image.amax() <= 1
        low, high = scene.boxes[:, :2], scene.boxes[:, 2:]
        assert low.amin() >= 0
        assert high.amax() <= 159
        longer = (high - low + 1).amax(1)
        assert longer.amin() >= 20
        assert longer.amax() <= 60
        apart = ((low[:, None] > high) | (high[:, None] < low)).any(-1)
        assert bool((apart | torch.eye(len(low), dtype=torch.bool)).all())
        counts.add(len(scene.labels))
        labels.update(scene.labels.tolist())
    assert counts == {1, 2, 3, 4}
    assert labels == set(range(1, 11))


def test_boxes_end_where_the_ink_ends(scenes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    black = np.zeros((160, 160, 3), np.float32)
    monkeypatch.setattr(scenes.Scenes, "_background", lambda self, random: black.copy())
    for scene in scenes.Scenes(20):
        ink = scene.image.amax(0)
        for x1, y1, x2, y2 in scene.boxes.int().tolist():
            digit = ink[y1 : y2 + 1, x1 : x2 + 1]
            edges = (digit[0], digit[-1], digit[:, 0], digit[:, -1])
            assert min(edge.amax().item() for edge in edges) > 0.1
            digit.zero_()
        assert not ink.any()


def test_held_out_scenes_have_other_digits(scenes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digits for training are upright bars here, and those held out lie down."""
    pictures = np.zeros((500, 28, 28), np.uint8)
    pictures[:400, 4:24, 12:16] = 255
    pictures[400:, 12:16, 4:24] = 255
    monkeypatch.setattr(scenes, "load_digits", lambda: (pictures,) * 10)
    for held_out in (False, True):
        sizes = torch.cat([scene.boxes[:, 2:] - scene.boxes[:, :2] for scene in scenes.Scenes(40, held_out)])
        assert bool(((sizes[:, 0] > sizes[:, 1]) == held_out).all())


def test_held_out_scenes_have_other_photographs(scenes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    names: set[str] = set()

    def photograph(name: str) -> Image.Image:
        names.add(name)
        return Image.new("RGB", (200, 180))

    monkeypatch.setattr(scenes, "load_photograph", photograph)
    seen: list[set[str]] = []
    for held_out in (False, True):
        names.clear()
        list(scenes.Scenes(80, held_out, side=40, sizes=(20, 40)))
        seen.append(set(names))
    assert seen == [set(scenes.PHOTOGRAPHS), set(scenes.HELD_OUT_PHOTOGRAPHS)]
    assert not seen[0] & seen[1]


# The measure.


def detections(boxes: Tensor, labels: Tensor, scores: list[float]) -> dict[str, Tensor]:
    return {"boxes": boxes, "labels": labels, "scores": torch.tensor(scores)}


def test_precision_is_of_classes_and_overlaps(example: Any, scenes: ModuleType) -> None:
    measure = example("evaluate").average_precisions
    truth = torch.tensor([[10.0, 10, 29, 29], [50, 50, 69, 89]])
    scene = scenes.Scene(torch.zeros(3, 100, 100), truth, torch.tensor([3, 3]))
    # What a detector decodes ends behind the last pixel.
    decoded = truth + torch.tensor([0, 0, 1, 1])
    assert measure([detections(decoded, scene.labels, [0.9, 0.8])], [scene]) == {"mean": 1.0, "2": 1.0}
    # Of 101 points of recall, 51 have a precision of 1 if one of two is found.
    half = measure([detections(decoded[:1], scene.labels[:1], [0.9])], [scene])
    assert half["2"] == pytest.approx(51 / 101)
    # 20 x 20 pixels moved by 7 overlap by 260 of 540, below a half, and moved by 6 by 280 of 520.
    moved = [measure([detections(decoded + torch.tensor([x, 0, x, 0]), scene.labels, [0.9, 0.8])], [scene])["2"]
             for x in (6, 7)]  # fmt: skip
    assert moved[0] == 1
    assert moved[1] < 1
    assert measure([detections(decoded, torch.tensor([4, 4]), [0.9, 0.8])], [scene])["mean"] == 0


def test_recall_counts_objects_that_a_region_overlaps_by_half(example: Any, scenes: ModuleType) -> None:
    truth = torch.tensor([[10.0, 10, 29, 29], [50, 50, 69, 89]])
    scene = scenes.Scene(torch.zeros(3, 100, 100), truth, torch.tensor([3, 3]))
    # 10 of 20 columns are half of the first object, and 9 are less.
    half, less = torch.tensor([[10.0, 10, 19, 29]]), torch.tensor([[10.0, 10, 18, 29]])
    recall = example("evaluate").object_recall
    assert recall([half, less, truth, truth[:0]], [scene] * 4) == pytest.approx(3 / 8)


# Training.


def test_two_processes_learn_the_same_from_scenes_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(DRIVER, "utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "driver.py"]
    settings = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
    ran = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **settings}, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (guess, seen, steps, timed), (other_guess, other_seen, _, other_timed) = (
        torch.load(tmp_path / f"rank{rank}of2.pt") for rank in range(2)
    )
    assert guess == other_guess
    assert guess > 0
    assert steps == 5
    assert timed == other_timed > 0
    assert len({*seen, *other_seen}) == 10


def test_faster_rcnn_runs(example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with torch.random.fork_rng():
        example("faster_rcnn").main(["--quick", "--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert re.search(r"^a detector after \d+ s, 4 steps and 8 scenes$", out, re.M)
    assert re.search(r"^mAP@0\.5 on 8 held-out scenes: \d\.\d{3}; \d+\.\d{3} s per image$", out, re.M)
    assert re.search(r"^\d+ proposals per image, which overlap \d+\.\d% of the digits by half or more$", out, re.M)
    assert re.search(
        r"^ONNX Runtime finds the same in \d of 8 scenes: labels, order, and boxes to 0\.01 pixels$", out, re.M
    )
    for name in ("losses", "detections", "proposals"):
        with Image.open(tmp_path / f"faster_rcnn_{name}.png") as picture:
            assert min(picture.size) > 300
    # The model says itself how a picture becomes its input, and what its labels are.
    session = Session(tmp_path / "faster_rcnn.onnx", "cpu")
    prepared = session.images(tmp_path / "scene.png")["image"]
    scene = example("scenes").Scenes(1, held_out=True)[0]
    assert np.abs(prepared - scene.image[None].numpy()).max() <= 0.5 / 255 + 1e-6
    assert session.labels["labels"] == example("scenes").CLASSES

    network = netspec.load(str(FOLDER / "digits.yaml"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = network.compile().state_dict()
    trained = torch.load(tmp_path / "faster_rcnn.pt")
    assert trained.keys() == first.keys()
    # All of it learns: trunk, RPN and head.
    assert [key for key in trained if key.endswith("weight") and torch.equal(trained[key], first[key])] == []
    assert torch.allclose(trained["trunk.conv1.conv2d.weight"], first["trunk.conv1.conv2d.weight"], atol=0.05)
