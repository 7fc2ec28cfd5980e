"""Proposals and detections on hostile boxes: PyTorch and ONNX Runtime choose the same, or nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.dims import symbol
from netspec.ops.base import RuleError
from netspec.ops.boxes import anchor_boxes
from netspec.types import Tensor
from tests.support.contract import inferred, named_op, written
from tests.support.lazy import lazy_imports

with lazy_imports():
    import numpy as np
    import torch
    import torchvision

    from tests.ops.onnx_models import graph_of, model_for, runtime

pytestmark = pytest.mark.usefixtures("one_thread")


SHAPES = ((0.5, 1.0, 2.0), (8.0, 16.0, 32.0))
"""The ratios and scales of the paper."""


def open_sizes(values: list[torch.Tensor], batch: int | str) -> tuple[Tensor, ...]:
    """Types with open sizes; those of maps and images have this batch, and regions a number of their own."""
    first = symbol(batch) if isinstance(batch, str) else batch
    types: list[Tensor] = []
    for number, value in enumerate(values):
        spatial = [symbol(f"H{number // 2}"), symbol(f"W{number // 2}")] if value.ndim == 4 else []
        types.append(Tensor((first if value.ndim == 4 else symbol("R"), value.shape[1], *spatial)))
    return tuple(types)


def both(op: Any, values: list[torch.Tensor], folder: Path) -> tuple[torch.Tensor, ...]:
    """PyTorch's outputs, after ONNX Runtime has given the same, with an open batch and, if that is 1, with a fixed."""
    images = next(len(value) for value in reversed(values) if value.ndim == 4)
    outputs = written(op, open_sizes(values, images))(*values)
    for batch in {"N", "N" if images > 1 else 1}:
        graph = graph_of(op, open_sizes(values, batch))
        found = runtime(model_for(graph, {}, folder, 20))(values)
        for y, right in zip(found, outputs, strict=True):
            assert y.shape == right.shape
            np.testing.assert_allclose(y, right.numpy(), atol=1e-3, rtol=1e-6)
    return outputs


def maps(images: int, anchors: int, height: int, width: int, seed: int = 0) -> list[torch.Tensor]:
    """Objectness, deltas and an image of a stride of 16."""
    torch.manual_seed(seed)
    objectness = torch.rand(images, anchors, height, width)
    deltas = 0.3 * torch.randn(images, 4 * anchors, height, width)
    return [objectness, deltas, torch.zeros(images, 3, 16 * height - 5, 16 * width - 3)]


def found(images: int, regions: int, classes: int, seed: int = 0) -> list[torch.Tensor]:
    """Regions in any order of images, scores, deltas, and images of 90 x 120."""
    torch.manual_seed(seed)
    corner, size = 100 * torch.rand(regions, 2), 60 * torch.rand(regions, 2)
    rois = torch.cat([torch.randint(images, (regions, 1)), corner, corner + size], 1)
    scores = torch.rand(regions, classes).softmax(1)
    return [rois, scores, 0.2 * torch.randn(regions, 4 * classes), torch.zeros(images, 3, 90, 120)]


# Proposals.


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("inclusive", [True, False])
def test_proposals_are_the_same_in_both(images: int, inclusive: bool, tmp_path: Path) -> None:
    op = named_op("proposals", inclusive=inclusive, post_nms_top_n=40)
    rois, scores = both(op, maps(images, 9, 7, 9), tmp_path)
    assert rois[:, 0].unique().tolist() == list(range(images))
    assert (rois[:, 0].diff() >= 0).all()
    for number in range(images):
        assert (scores[rois[:, 0] == number].diff() <= 0).all()
        assert 0 < (rois[:, 0] == number).sum() <= 40
    assert (rois[:, 1:] >= 0).all()
    assert (rois[:, 3] <= 16 * 9 - 3 - inclusive).all()
    assert (rois[:, 3:] - rois[:, 1:3] + inclusive >= 16).all()


def test_training_has_limits_of_its_own() -> None:
    op = named_op("proposals", post_nms_top_n=3, post_nms_top_n_train=7, pre_nms_top_n=3, min_size=0)
    values = maps(2, 9, 7, 9)
    module = netspec.compile(graph_of(op, open_sizes(values, "N")))
    assert len(module.train()(*values)[0]) == 14
    assert len(module.eval()(*values)[0]) <= 6


def test_equal_scores_keep_the_order_of_anchors(tmp_path: Path) -> None:
    objectness, deltas, image = maps(2, 9, 5, 6)
    op = named_op("proposals", nms_thresh=1.0, pre_nms_top_n=50, min_size=0)
    rois, _ = both(op, [torch.full_like(objectness, 0.5), torch.zeros_like(deltas), image], tmp_path)
    # In the authors' code a box that is not moved ends a pixel later: its centre plus half of x2 - x1 + 1.
    ends = [(x1, y1, x2 + 1, y2 + 1) for x1, y1, x2, y2 in anchor_boxes(16, *SHAPES, 1)]
    first = [[max(0.0, min(pair)) for pair in zip(box, (92, 74, 92, 74), strict=True)] for box in ends]
    assert rois[:9, 1:].tolist() == first


def hostile() -> Iterator[Any]:
    for name, value in (("nan", math.nan), ("inf", math.inf), ("minus_inf", -math.inf), ("large", 1e30)):
        for what in ("objectness", "deltas", "some_deltas", "some_objectness"):
            yield pytest.param(what, value, id=f"{name}-{what}")


@pytest.mark.parametrize(("what", "value"), list(hostile()))
def test_no_numbers_propose_nothing(what: str, value: float, tmp_path: Path) -> None:
    objectness, deltas, image = maps(2, 9, 5, 6)
    target = objectness if "objectness" in what else deltas
    target[:, :, 1 : 3 if what.startswith("some") else 5] = value
    target[:, :, 0] = target[:, :, 0] if what.startswith("some") else value
    rois, scores = both(named_op("proposals"), [objectness, deltas, image], tmp_path)
    assert torch.isfinite(rois).all()
    assert not scores.isnan().any()
    if not what.startswith("some") and (math.isnan(value) or value == -math.inf):
        assert len(rois) == 0


def test_small_boxes_are_left_out_in_every_image(tmp_path: Path) -> None:
    objectness, deltas, image = maps(3, 9, 4, 4)
    deltas.unflatten(1, (9, 4))[1, :, 2:] = -20.0  # all boxes of the second image shrink to a point
    rois, _ = both(named_op("proposals"), [objectness, deltas, image], tmp_path)
    assert set(rois[:, 0].tolist()) == {0.0, 2.0}
    rois, scores = both(named_op("proposals", min_size=1000), [objectness, deltas, image], tmp_path)
    assert (rois.shape, scores.shape) == ((0, 5), (0,))


def test_maps_of_no_size_propose_nothing(tmp_path: Path) -> None:
    values = [torch.zeros(1, 9, 0, 4), torch.zeros(1, 36, 0, 4), torch.zeros(1, 3, 10, 64)]
    rois, _ = both(named_op("proposals"), values, tmp_path)
    assert rois.shape == (0, 5)


# Detections.


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("inclusive", [True, False])
def test_detections_are_the_same_in_both(images: int, background: bool, inclusive: bool, tmp_path: Path) -> None:
    op = named_op("detections", background=background, inclusive=inclusive, detections_per_image=12, score_thresh=0.2)
    boxes, scores, labels, numbers = both(op, found(images, 50, 5), tmp_path)
    assert labels.min() == background
    assert numbers.unique().tolist() == list(range(images))
    assert (numbers.diff() >= 0).all()
    for number in range(images):
        assert 0 < (numbers == number).sum() <= 12
        assert (scores[numbers == number].diff() <= 0).all()
    assert boxes[:, 2].max() <= 120 - inclusive


def test_images_and_classes_do_not_suppress_each_other(tmp_path: Path) -> None:
    """One box, of two classes in each of two images: four are found."""
    rois = torch.tensor([[0, 10, 10, 50, 50], [1, 10, 10, 50, 50], [0, 11, 10, 50, 50]]).float()
    scores = torch.tensor([[0.0, 0.9, 0.8], [0.0, 0.7, 0.6], [0.0, 0.5, 0.4]])
    values = [rois, scores, torch.zeros(3, 12), torch.zeros(2, 3, 90, 120)]
    _, scores, labels, images = both(named_op("detections"), values, tmp_path)
    assert (labels.tolist(), images.tolist()) == ([1, 2, 1, 2], [0, 0, 1, 1])
    assert scores.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])


def test_equal_scores_go_by_class_and_region(tmp_path: Path) -> None:
    rois = torch.tensor([[0, x, 0, x + 10, 10] for x in (60, 0, 30)]).float()
    values = [rois, torch.full((3, 3), 0.5), torch.zeros(3, 12), torch.zeros(1, 3, 90, 120)]
    boxes, _, labels, _ = both(named_op("detections", detections_per_image=5), values, tmp_path)
    assert labels.tolist() == [1, 1, 1, 2, 2]
    assert boxes[:3, 0].round().tolist() == [60, 0, 30]


@pytest.mark.parametrize("limit", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
def test_overlaps_that_equal_the_limit_are_kept_in_both(limit: float, tmp_path: Path) -> None:
    """A box of 10 x 10, and one inside of it that is a share of it."""
    rois = torch.tensor([[0, 0, 0, 10, 10], [0, 0, 0, 10, round(10 * limit)]]).float()
    values = [rois, torch.tensor([[0, 0.9], [0, 0.8]]), torch.zeros(2, 8), torch.zeros(1, 3, 90, 120)]
    op = named_op("detections", nms_thresh=limit, inclusive=False)
    assert len(both(op, values, tmp_path)[0]) == 2
    assert len(both(named_op("detections", nms_thresh=limit - 1e-5, inclusive=False), values, tmp_path)[0]) == 1


@pytest.mark.parametrize("regions", [0, 1])
@pytest.mark.parametrize("images", [1, 2])
def test_few_regions_and_none(regions: int, images: int, tmp_path: Path) -> None:
    outputs = both(named_op("detections", score_thresh=0.9), found(images, regions, 4), tmp_path)
    assert [tuple(y.shape) for y in outputs] == [(0, 4), (0,), (0,), (0,)]


@pytest.mark.parametrize("place", ["rois", "scores", "deltas"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, -1e30])
def test_no_numbers_are_not_found(place: str, value: float, tmp_path: Path) -> None:
    values = found(2, 30, 4)
    values[("rois", "scores", "deltas").index(place)][3:9, 1:] = value
    boxes, *_ = both(named_op("detections"), values, tmp_path)
    assert len(boxes)
    assert torch.isfinite(boxes).all()


def test_regions_of_other_images_and_turned_ones_are_left_out(tmp_path: Path) -> None:
    values = found(2, 30, 4)
    values[0][:6, 0] = torch.tensor([-1.0, 2, 7, -3, 1e6, 2])
    values[0][6:9, 1:] = values[0][6:9, 1:].flip(1)
    values[2].zero_()
    boxes, _, _, images = both(named_op("detections", nms_thresh=1.0), values, tmp_path)
    assert set(images.tolist()) == {0, 1}
    assert len(boxes) == 3 * (30 - 9)


def test_detections_are_those_of_batched_nms() -> None:
    """Torchvision's, class by class, on boxes decoded by its own BoxCoder: their widths are x2 - x1."""
    rois, scores, deltas, image = found(1, 80, 6)
    op = named_op("detections", inclusive=False, score_thresh=0.17, nms_thresh=0.4, detections_per_image=1000)
    boxes, kept_scores, labels, _ = written(op, open_sizes([rois, scores, deltas, image], 1))(
        rois, scores, deltas, image
    )
    coder = torchvision.models.detection._utils.BoxCoder((1.0, 1.0, 1.0, 1.0), bbox_xform_clip=math.inf)
    decoded = coder.decode(deltas, [rois[:, 1:]])
    decoded = torchvision.ops.clip_boxes_to_image(decoded, (90, 120))
    region, label = (scores[:, 1:] > 0.17).nonzero(as_tuple=True)
    candidates, candidate_scores = decoded[region, label + 1], scores[region, label + 1]
    right = torchvision.ops.batched_nms(candidates, candidate_scores, label, 0.4)
    assert len(right) > 20
    torch.testing.assert_close(boxes, candidates[right])
    torch.testing.assert_close(kept_scores, candidate_scores[right])
    assert labels.tolist() == (label[right] + 1).tolist()


# Misuse.


@pytest.mark.parametrize(
    ("name", "shapes", "message"),
    [
        ("proposals", [(1, 8, 4, 5), (1, 36, 4, 5), (1, 3, 64, 80)], "one for each anchor, and deltas 36"),
        ("proposals", [(1, 9, 4, 5), (1, 9, 4, 5), (1, 3, 64, 80)], "these have 9 and 9"),
        ("proposals", [(1, 9, 4, 5), (1, 36, 5, 4), (1, 3, 64, 80)], "one batch and size"),
        ("proposals", [(1, 9, 4, 5), (1, 36, 4, 5), (2, 3, 64, 80)], "map and image need one batch"),
        ("proposals", [(1, 9, 4), (1, 36, 4), (1, 3, 64, 80)], r"\(N, C, H, W\)"),
        ("proposals", [(1, 9, 4, 5), (1, 36, 4, 5), (64, 80)], r"an image \(N, C, H, W\)"),
        ("detections", [(6, 4), (6, 4), (6, 16), (1, 3, 64, 80)], r"takes regions \(R, 5\)"),
        ("detections", [(6, 5), (7, 4), (7, 16), (1, 3, 64, 80)], "one number"),
        ("detections", [(6, 5), (6, 4), (6, 4), (1, 3, 64, 80)], "4 classes have 16 deltas"),
        ("detections", [(6, 5), (6, 1), (6, 4), (1, 3, 64, 80)], "the only class is the background"),
        ("detections", [(6, 5), (6, 4, 1), (6, 16), (1, 3, 64, 80)], r"scores \(R, classes\)"),
    ],
)
def test_misuse_is_told(name: str, shapes: list[tuple[int, ...]], message: str) -> None:
    error = inferred(named_op(name), tuple(map(Tensor, shapes)))
    assert isinstance(error, RuleError)
    with pytest.raises(RuleError, match=message):
        raise error
