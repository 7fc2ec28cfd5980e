"""Targets against torchvision's assignment, what sampling keeps to, images without objects, and errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import netspec
from netspec.errors import NetspecError
from tests.detection.scenes import random_scenes, regions_around
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch import Tensor
    from torchvision.models.detection.roi_heads import RoIHeads
    from torchvision.models.detection.rpn import RegionProposalNetwork

    from netspec.detection import (
        anchor_targets,
        anchors_of_map,
        box_iou,
        encode_boxes,
        roi_targets,
    )

SIZE = (96, 144)
EVERYTHING = 100000


def within(anchors: Tensor, inclusive: bool) -> Tensor:
    """The anchors in an image, of which torchvision leaves none out."""
    return anchors[((anchors[:, :2] >= 0) & (anchors[:, 2:] <= torch.tensor([144, 96]) - int(inclusive))).all(1)]


@pytest.mark.parametrize("seed", range(4))
def test_anchors_have_the_labels_that_torchvision_gives_them(seed: int) -> None:
    boxes, _ = random_scenes([3, 0, 6], *SIZE, seed=seed)
    anchors = within(anchors_of_map(12, 18, stride=8, base_size=4, inclusive=False), inclusive=False)
    labels, deltas = anchor_targets(anchors, boxes, SIZE, per_image=EVERYTHING, inclusive=False)
    rpn = RegionProposalNetwork(None, None, 0.7, 0.3, 256, 0.5, pre_nms_top_n={}, post_nms_top_n={}, nms_thresh=0.7)
    theirs, matched = rpn.assign_targets_to_anchors([anchors] * 3, [{"boxes": objects} for objects in boxes])
    assert {*labels.unique().tolist()} == {-1, 0, 1}
    for index in range(3):
        assert torch.equal(labels[index], theirs[index].long())
        chosen = labels[index] == 1
        expected = rpn.box_coder.encode_single(matched[index][chosen], anchors[chosen])
        torch.testing.assert_close(deltas[index, chosen], expected)


@pytest.mark.parametrize("seed", range(4))
def test_regions_have_the_labels_that_torchvision_gives_them(seed: int) -> None:
    boxes, classes = random_scenes([3, 0, 6], *SIZE, seed=seed)
    rois = regions_around(boxes, 8, seed)
    targets = roi_targets(rois, boxes, classes, per_image=EVERYTHING, background=(0, 0.5), inclusive=False)
    heads = RoIHeads(None, None, None, 0.5, 0.5, EVERYTHING, 0.25, (10.0, 10.0, 5.0, 5.0), 0.05, 0.5, 100)
    proposals = heads.add_gt_proposals([rois[rois[:, 0] == index, 1:] for index in range(3)], boxes)
    matched, theirs = heads.assign_targets_to_proposals(proposals, boxes, classes)
    for index in range(3):
        ours = targets.rois[:, 0] == index
        assert ours.sum() == len(proposals[index]), "every region is an object or background"
        # For each image, objects come first.
        order = (theirs[index] == 0).sort(stable=True).indices
        assert torch.equal(targets.rois[ours, 1:], proposals[index][order])
        assert torch.equal(targets.labels[ours], theirs[index][order])
        objects = order[theirs[index][order] > 0]
        if len(objects):
            nearest = boxes[index][matched[index][objects]]
            expected = heads.box_coder.encode_single(nearest, proposals[index][objects])
            torch.testing.assert_close(targets.deltas[ours][: len(objects)], expected)
        assert (targets.deltas[ours][len(objects) :] == 0).all()


def test_samples_of_anchors_keep_to_their_limits() -> None:
    boxes, _ = random_scenes([8, 1, 0], *SIZE)
    anchors = anchors_of_map(12, 18, stride=8, base_size=4)
    everything, _ = anchor_targets(anchors, boxes, SIZE, per_image=EVERYTHING)
    labels, deltas = anchor_targets(anchors, boxes, SIZE, per_image=16, positive_fraction=0.25)
    for index in range(3):
        positives = min(int((everything[index] == 1).sum()), 4)
        assert int((labels[index] == 1).sum()) == positives
        assert int((labels[index] == 0).sum()) == 16 - positives
        assert torch.equal(everything[index][labels[index] >= 0], labels[index][labels[index] >= 0])
    assert (deltas[labels != 1] == 0).all()


def test_samples_of_regions_keep_to_their_limits() -> None:
    boxes, classes = random_scenes([4, 0], *SIZE)
    rois = regions_around(boxes, 20)
    targets = roi_targets(rois, boxes, classes, per_image=24, background=(0.1, 0.5))
    overlaps = [box_iou(targets.rois[targets.rois[:, 0] == index, 1:], boxes[index]) for index in range(2)]
    labels = [targets.labels[targets.rois[:, 0] == index] for index in range(2)]
    assert len(labels[0]) == 24
    assert (labels[0] > 0).tolist() == [True] * 6 + [False] * 18
    assert (overlaps[0][:6].amax(1) >= 0.5).all()
    assert torch.equal(labels[0][:6], classes[0][overlaps[0][:6].argmax(1)])
    assert ((overlaps[0][6:].amax(1) >= 0.1) & (overlaps[0][6:].amax(1) < 0.5)).all()
    assert len(labels[1]) == 5, "all of them, if there are not as many"
    assert (labels[1] == 0).all(), "an image without objects is background"


def test_anchors_may_touch_the_border() -> None:
    """With the original's widths an anchor ends before the size of the image, and continuous ones end at it."""
    ends = torch.tensor([[63.0, 47], [63.5, 47.5], [64, 47], [63, 48], [65, 49]])
    anchors = torch.cat([torch.zeros(5, 2), ends], 1)
    for inclusive, inside in ((True, [0, 1]), (False, [0, 1, 2, 3])):
        labels, _ = anchor_targets(anchors, [torch.zeros(0, 4)], (48, 64), inclusive=inclusive)
        assert (labels[0] == 0).nonzero().flatten().tolist() == inside
    labels, _ = anchor_targets(anchors - torch.tensor([1, 0, 0, 0]), [torch.zeros(0, 4)], (48, 64))
    assert (labels == -1).all()


def test_defaults_are_those_of_the_original() -> None:
    """`lib/fast_rcnn/config.py`."""
    names = ("anchor_targets", "roi_targets", "rpn_losses", "head_losses")
    anchors, regions, rpn, head = (inspect.signature(getattr(netspec.detection, name)).parameters for name in names)
    published = {"positive": 0.7, "negative": 0.3, "per_image": 256, "positive_fraction": 0.5, "inclusive": True}
    assert {name: anchors[name].default for name in published} == published
    published = {"per_image": 128, "foreground_fraction": 0.25, "foreground": 0.5, "background": (0.1, 0.5)}
    published |= {"add_ground_truth": True, "stds": (0.1, 0.1, 0.2, 0.2), "inclusive": True}
    assert {name: regions[name].default for name in published} == published
    assert (rpn["sigma"].default, head["sigma"].default) == (3, 1), "of the layers rpn_loss_bbox and loss_bbox"


def test_a_generator_makes_a_sample_again() -> None:
    boxes, classes = random_scenes([8, 5], *SIZE)
    anchors, rois = anchors_of_map(12, 18, stride=8, base_size=4), regions_around(boxes, 20)

    def draw(seed: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        labels, deltas = anchor_targets(anchors, boxes, SIZE, per_image=16, generator=generator)
        return [labels, deltas, *roi_targets(rois, boxes, classes, per_image=24, generator=generator)]

    assert all(map(torch.equal, draw(1), draw(1)))
    assert not torch.equal(draw(1)[0], draw(2)[0])
    assert not torch.equal(draw(1)[2], draw(2)[2])


def test_each_anchor_is_drawn_as_often_as_another() -> None:
    anchors = anchors_of_map(3, 4, stride=24, base_size=16, ratios=[1], scales=[1])
    counts = torch.zeros(12)
    generator = torch.Generator().manual_seed(0)
    for _ in range(600):
        counts += anchor_targets(anchors, [torch.zeros(0, 4)], SIZE, per_image=4, generator=generator).labels[0] == 0
    assert counts.sum() == 4 * 600
    assert (counts - 200).abs().max() < 58, "five standard deviations of a binomial of 600 and a third are 58"


def test_targets_have_no_gradient() -> None:
    boxes, classes = random_scenes([3], *SIZE)
    rois = regions_around(boxes, 8).requires_grad_()
    targets = roi_targets(rois, boxes, classes)
    assert not any(value.requires_grad for value in targets)


def test_regions_of_integers_and_of_half_precision() -> None:
    """Those of selective search are integers, and those of a network in half precision are not exact."""
    boxes, classes = random_scenes([3, 2], *SIZE)
    boxes = [objects.round() for objects in boxes]
    rois = regions_around(boxes, 12).round()
    expected = roi_targets(rois, boxes, classes, per_image=EVERYTHING)
    for dtype in (torch.int64, torch.float16):
        targets = roi_targets(rois.to(dtype), [objects.long() for objects in boxes], classes, per_image=EVERYTHING)
        assert all(map(torch.equal, targets, expected))


def test_regions_that_are_not_finite_are_left_out() -> None:
    nothing = [torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.int64)]
    rois = torch.tensor([[0, 1, 1, 5, 5], [0, float("nan"), 1, 5, 5], [0, 1, 1, float("inf"), 5]])
    assert torch.equal(roi_targets(rois, *nothing).rois, rois[:1])


def test_a_region_that_overlaps_an_object_by_both_limits_is_the_object() -> None:
    box = torch.tensor([[0.0, 0, 9, 9]])
    rois = torch.tensor([[0.0, 0, 0, 9, 9], [0, 0, 0, 9, 4]])
    targets = roi_targets(rois, [box], [torch.tensor([3])], foreground=0.5, background=(0.1, 1), add_ground_truth=False)
    assert targets.labels.tolist() == [3, 3]


def test_deltas_are_divided_by_the_standard_deviations() -> None:
    boxes, classes = random_scenes([3], *SIZE)
    rois = regions_around(boxes, 8)
    stds = (0.5, 0.25, 2.0, 1.0)
    targets = roi_targets(rois, boxes, classes, per_image=EVERYTHING, stds=stds)
    assert targets.stds.tolist() == [*stds]
    objects = targets.labels > 0
    regions = targets.rois[objects, 1:]
    nearest = boxes[0][box_iou(regions, boxes[0]).argmax(1)]
    torch.testing.assert_close(targets.deltas[objects] * torch.tensor(stds), encode_boxes(regions, nearest))


def anchors_for(boxes: Any, **options: Any) -> Callable[[], object]:
    return lambda: anchor_targets(anchors_of_map(2, 2), boxes, (32, 32), **options)


def regions_for(rois: list[list[float]], boxes: list[Any], labels: list[Any], **options: Any) -> Callable[[], object]:
    def call() -> object:
        tensors = [torch.tensor(b).reshape(-1, 4) for b in boxes], [torch.tensor(c) for c in labels]
        return roi_targets(torch.tensor(rois), *tensors, **options)

    return call


ROI, BOX = [0.0, 0, 0, 9, 9], [[0.0, 0, 9, 9]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: anchors_for([torch.zeros(4)])(), "`boxes[0]` are (count, 4), and were given as 4"),
        (lambda: anchors_for([torch.zeros(0, 4), torch.zeros(2, 5)])(), "`boxes[1]` are (count, 4)"),
        (lambda: anchors_for([torch.tensor([[9.0, 0, 4, 4]])])(), "`boxes[0]` has a box without an area"),
        (lambda: anchors_for([torch.tensor([[4.0, 0, 4, 4]])], inclusive=False)(), "with x2 - x1 above 0"),
        (lambda: anchors_for([torch.tensor([[float("nan"), 0, 4, 4]])])(), "`boxes[0]` has a box without an area"),
        (lambda: anchors_for([torch.zeros(0, 4)], per_image=0)(), "a sample is at least 1"),
        (lambda: anchors_for([torch.zeros(0, 4)], positive_fraction=1.5)(), "its part from 0 to 1"),
        (lambda: anchor_targets(torch.zeros(3, 5), [], (32, 32)), "`anchors` are (count, 4), and were given as 3 x 5"),
        (regions_for([ROI[1:]], [BOX], [[1]]), "`rois` are (count, 5), and were given as 1 x 4"),
        (regions_for([[1.0, *ROI[1:]]], [BOX], [[1]]), "there are 1 images, from 0"),
        (regions_for([[0.5, *ROI[1:]]], [BOX], [[1]]), "`rois` begin with the number of an image"),
        (regions_for([ROI], [BOX], [[1]], stds=(0.1, 0.1)), "`stds` takes 4 numbers above 0, not 0.1, 0.1"),
        (regions_for([ROI], [BOX], [[1]], stds=(0, 1, 1, 1)), "`stds` takes 4 numbers above 0, not 0, 1, 1, 1"),
        (regions_for([ROI], [BOX], [[0]]), "`labels[0]` has a label below 1"),
        (regions_for([ROI], [BOX], [[1, 2]]), "`labels[0]` are whole numbers (1,), and were given as torch.int64 2"),
        (regions_for([ROI], [BOX], [[1.0]]), "were given as torch.float32 1"),
        (regions_for([ROI], [BOX, BOX], [[1]]), "boxes of 2 images, and labels of 1"),
        (regions_for([ROI], [BOX], [[1]], foreground_fraction=-0.1), "its part from 0 to 1"),
    ],
)
def test_errors(call: Callable[[], object], words: str) -> None:
    with pytest.raises(NetspecError) as error:
        call()
    assert words in str(error.value)
