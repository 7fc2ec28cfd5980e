"""Detectors in ONNX Runtime: one model for images of all sizes, which finds what PyTorch finds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

    from netspec.detection import box_iou
    from tests.support.detectors import (
        Candidates,
        Found,
        Pair,
        are_same,
        scenes,
        small_detector,
    )

pytestmark = pytest.mark.usefixtures("no_grad", "one_thread")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return small_detector(tmp_path_factory.mktemp("detector"))


def images(count: int, height: int, width: int) -> torch.Tensor:
    return scenes(count, height, width, torch.Generator().manual_seed(height))


@pytest.mark.parametrize(
    "size",
    [
        *((1, 160, 224), (1, 97, 131), (1, 150, 201), (1, 224, 160), (1, 63, 300), (1, 259, 64)),
        *((2, 128, 128), (3, 100, 147), (3, 145, 99)),
    ],
)
def test_both_find_the_same(pair: Pair, size: tuple[int, int, int]) -> None:
    """In images of any size and number; tens of boxes of several classes, from anchors of several forms."""
    found = pair.by_torch(images(*size))
    assert len(found.scores) >= 10 * size[0]
    assert len(found.labels.unique()) >= 5
    assert found.images.unique().tolist() == list(range(size[0]))
    comparison = pair.compare(images(*size))
    assert comparison.unexplained == []
    assert comparison.detections == len(found.scores)


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 15, 300), (2, 9, 15), (1, 16, 16), (2, 33, 18)])
def test_images_smaller_than_an_anchor(pair: Pair, size: tuple[int, int, int]) -> None:
    """Where no region can be as large as the smallest proposal, nothing is found."""
    found = pair.by_torch(images(*size))
    assert pair.compare(images(*size)).differing == 0
    assert (len(found.scores) == 0) == (min(size[1:]) < 16)


def test_an_image_without_detections_among_others(pair: Pair) -> None:
    batch = images(3, 128, 160)
    batch[1] = 0
    found = pair.by_torch(batch)
    assert found.images.unique().tolist() == [0, 2]
    assert pair.compare(batch).detections == len(found.scores)
    assert pair.compare(batch[1:2]).detections == 0


# The comparison itself.


def wrong(found: Found, mistake: str) -> Found:
    """What is found, with a mistake in the fourth detection."""
    boxes, scores, labels, numbers = (value.clone() for value in found)
    if mistake == "moved":
        boxes[3] += 0.01
    elif mistake == "another label":
        labels[3] = labels[3] % 20 + 1
    elif mistake == "another score":
        scores[3] -= 1e-4
    rows = {"left out": [0, 1, 2, *range(4, len(scores))], "swapped": [0, 1, 3, 2, *range(4, len(scores))]}
    rows = rows.get(mistake, list(range(len(scores))))
    if mistake == "twice":
        rows.insert(3, 3)
    return Found(boxes[rows], scores[rows], labels[rows], numbers[rows])


@pytest.mark.parametrize("mistake", ["moved", "another label", "another score", "left out", "swapped", "twice"])
def test_a_difference_without_a_reason_is_told(pair: Pair, mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = images(1, 160, 224)
    found = wrong(pair.by_runtime(image), mistake)
    assert not are_same(pair.by_torch(image), found)
    monkeypatch.setattr(pair, "by_runtime", lambda _image: found)
    assert len(pair.compare(image).unexplained) == 1


def nearest_limits(found: Found, far: float) -> dict[str, float]:
    """Limits of detections that lie a little beyond what is found, so that other boxes would be."""
    overlaps = box_iou(found.boxes.double(), found.boxes.double())
    alike = (found.labels[:, None] == found.labels).triu(1)
    return {"score_thresh": float(found.scores[-1]) + far, "nms_thresh": float(overlaps[alike].max()) - far}


@pytest.mark.parametrize("far", [2e-6, 1e-4])
@pytest.mark.parametrize("limit", ["score_thresh", "nms_thresh"])
def test_a_limit_within_rounding_is_a_reason(
    pair: Pair, limit: str, far: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = images(1, 160, 224)
    found = pair.by_runtime(image)
    other = {limit: nearest_limits(found, far)[limit]}
    monkeypatch.setattr(pair, "limits", pair.limits.model_copy(update=other))
    near, wrong = pair.explain(image, 0, found)
    decision = {"score_thresh": "head: a score and its limit", "nms_thresh": "head: an overlap"}[limit]
    assert decision in near
    assert set(wrong) == (set() if far < 1e-5 else {decision})


BOXES = [[0.0, 0, 10, 10], [0, 0, 10, 6], [20, 0, 30, 10], [40, 0, 50, 10]]
SCORES = [0.9, 0.8, 0.7, 0.1]


def judged(scores: list[float], rows: list[int], **limits: Any) -> tuple[list[str], list[str]]:
    """What is near a limit, and what is wrong, if of `BOXES` with `SCORES` these rows are chosen, with other scores."""
    boxes, right = torch.tensor(BOXES), torch.tensor(SCORES)
    given: dict[str, Any] = {"nms_thresh": 0.5, "score_thresh": 0.2, "most": 3, "spare": torch.ones(4)}
    candidates = Candidates(boxes, right, torch.zeros(4), **given | limits, inclusive=False)
    return candidates.judge(boxes[rows], torch.zeros(len(rows)), torch.tensor(scores)[rows])


def test_what_non_maximum_suppression_may_choose() -> None:
    assert judged(SCORES, [0, 2]) == ([], [])
    assert judged(SCORES, [0]) == (["a box that nothing suppresses"], ["a box that nothing suppresses"])
    assert judged(SCORES, [2, 0])[1] == ["two scores"]
    assert judged(SCORES, [0, 1, 2])[1] == ["an overlap"]
    assert judged(SCORES, [0, 2, 3])[1] == ["a score and its limit"]
    assert judged([0.9, 0.8, 0.71, 0.1], [0, 2])[1] == ["another score"]
    assert judged(SCORES, [0, 2], spare=torch.tensor([1.0, 1, -1, 1]))[1] == ["a size and its limit"]
    assert judged(SCORES, [0], most=1) == ([], [])
    # Within rounding: what has an overlap of 0.6, a score of 0.1, and a size.
    assert judged(SCORES, [0, 1, 2], nms_thresh=0.599995) == (["an overlap"], [])
    assert judged(SCORES, [0, 2], nms_thresh=0.600005) == (["a box that nothing suppresses"], [])
    assert judged(SCORES, [0, 2, 3], score_thresh=0.100005) == (["a score and its limit"], [])
    assert judged(SCORES, [0, 2], score_thresh=0.099995) == (["a box that nothing suppresses"], [])
    assert judged(SCORES, [0, 2], spare=torch.tensor([1.0, 1, -0.0005, 1])) == (["a size and its limit"], [])
