"""Box coding, anchors, targets and losses against numbers that the original code gave (`original/README.md`)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.lazy import lazy_imports
from tests.support.original import floats, original

with lazy_imports():
    import torch
    from torch import Tensor

    from netspec.detection import (
        AnchorTargets,
        RoiTargets,
        anchor_targets,
        anchors_of_map,
        box_iou,
        clip_boxes,
        decode_boxes,
        encode_boxes,
        head_losses,
        roi_targets,
        rpn_losses,
        smooth_l1,
    )

EVERYTHING = 100000
"""More samples than there are: nothing is left to chance."""


def each_case(name: str) -> Any:
    return pytest.mark.parametrize("case", original(name), ids=[case["name"] for case in original(name)])


def test_anchors() -> None:
    for case in original("anchors"):
        settings = {name: case[name] for name in ("base_size", "ratios", "scales")}
        assert anchors_of_map(1, 1, **settings).tolist() == case["anchors"], settings


@pytest.mark.parametrize("double", [True, False])
def test_boxes(double: bool) -> None:
    case = original("boxes")
    boxes, targets, deltas = (floats(case[name]) for name in ("boxes", "targets", "deltas"))
    tolerance = {"rtol": 1e-5, "atol": 1e-5}
    if double:
        boxes, targets, deltas = boxes.double(), targets.double(), deltas.double()
        tolerance = {"rtol": 1e-8, "atol": 1e-8}
    for ours, theirs in (
        (encode_boxes(boxes, targets), "encoded"),
        (box_iou(boxes, targets), "overlaps"),
        (decode_boxes(boxes[:, None], deltas.unflatten(1, (-1, 4))).flatten(1), "decoded"),
    ):
        torch.testing.assert_close(ours, torch.tensor(case[theirs], dtype=ours.dtype), **tolerance)


def test_clipping() -> None:
    case = original("boxes")
    clipped = clip_boxes(floats(case["unclipped"], 4), tuple(case["image_size"]))
    assert torch.equal(clipped, floats(case["clipped"], 4))


def anchors_of(case: dict[str, Any]) -> Tensor:
    settings = {name: case[name] for name in ("height", "width", "stride", "base_size", "ratios", "scales")}
    return anchors_of_map(**settings)


def labels_of(case: dict[str, Any], count: int) -> Tensor:
    labels = torch.full((1, count), -1)
    labels[0, case["positive"]] = 1
    labels[0, case["negative"]] = 0
    return labels


@each_case("anchor_targets")
def test_anchor_targets(case: dict[str, Any]) -> None:
    anchors, image_size = anchors_of(case), tuple(case["image_size"])
    boxes = [floats(case["boxes"], 4)]
    labels, deltas = anchor_targets(anchors, boxes, image_size, per_image=case["per_image"])
    counts = [int((labels == kind).sum()) for kind in (1, 0)]
    assert counts == [len(case["positive"]), len(case["negative"])]
    if case["per_image"] == EVERYTHING:
        assert torch.equal(labels, labels_of(case, len(anchors)))
        torch.testing.assert_close(deltas[labels == 1], floats(case["deltas"], 4), rtol=1e-5, atol=1e-6)
    else:
        unsampled, _ = anchor_targets(anchors, boxes, image_size, per_image=EVERYTHING)
        assert torch.equal(unsampled[labels >= 0], labels[labels >= 0])
    assert (deltas[labels != 1] == 0).all()


def test_an_object_that_no_anchor_overlaps_has_no_anchor() -> None:
    """In the original all anchors become its best ones, since each overlaps it as little as the others."""
    (case,) = original("anchor_targets_quirk")
    assert len(case["positive"]) == 12
    boxes = floats(case["boxes"], 4)
    both, _ = anchor_targets(anchors_of(case), [boxes], tuple(case["image_size"]))
    near, _ = anchor_targets(anchors_of(case), [boxes[1:]], tuple(case["image_size"]))
    assert torch.equal(both, near)
    assert 0 < (both == 1).sum() < 12


@pytest.mark.parametrize("case", [case for case in original("anchor_targets") if "loss" in case])
def test_losses_of_proposals(case: dict[str, Any]) -> None:
    """Its weights: "inside" are 1 for objects and 0 for others, "outside" one over the number of samples."""
    count = len(anchors_of(case))
    labels = labels_of(case, count)
    deltas = torch.zeros(1, count, 4)
    deltas[labels == 1] = floats(case["deltas"], 4)
    predicted = floats(case["predicted"]).requires_grad_()
    classification, regression = rpn_losses(floats(case["logits"]), predicted, AnchorTargets(labels, deltas))
    torch.testing.assert_close(classification.item(), case["classification"], rtol=1e-6, atol=0)
    torch.testing.assert_close(regression.item(), case["loss"], rtol=1e-6, atol=0)
    (gradient,) = torch.autograd.grad(regression, predicted)
    torch.testing.assert_close(gradient, floats(case["gradient"]), rtol=1e-5, atol=1e-7)


@each_case("roi_targets")
def test_roi_targets(case: dict[str, Any]) -> None:
    rois = torch.nn.functional.pad(floats(case["rois"], 4), (1, 0))
    boxes, classes = [floats(case["boxes"], 4)], [torch.tensor(case["labels"], dtype=torch.int64)]
    options = {name: case[name] for name in ("per_image", "add_ground_truth")}
    options["background"] = tuple(case["background"])
    targets = roi_targets(rois, boxes, classes, **options)
    chosen, labels = floats(case["chosen"], 4), torch.tensor(case["chosen_labels"])
    if case["per_image"] == EVERYTHING:
        assert torch.equal(targets.rois[:, 1:], chosen)
        assert torch.equal(targets.labels, labels)
        torch.testing.assert_close(targets.deltas, floats(case["deltas"], 4), rtol=1e-5, atol=1e-5)
    else:
        assert len(targets.labels) == len(labels)
        assert (targets.labels > 0).sum() == (labels > 0).sum()
    assert (targets.rois[:, 0] == 0).all()


def test_losses_of_the_head() -> None:
    """The original's network predicts deltas in standard deviations; ours predicts them raw."""
    (case,) = [case for case in original("roi_targets") if "loss" in case]
    labels, stds = torch.tensor(case["chosen_labels"]), torch.tensor([0.1, 0.1, 0.2, 0.2])
    targets = RoiTargets(floats(case["chosen"], 4), labels, floats(case["deltas"], 4), stds)
    normalized = floats(case["normalized"])
    raw = (normalized * stds.repeat(5)).requires_grad_()
    classification, regression = head_losses(floats(case["logits"]), raw, targets)
    torch.testing.assert_close(classification.item(), case["classification"], rtol=1e-6, atol=0)
    torch.testing.assert_close(regression.item(), case["loss"], rtol=1e-6, atol=0)
    (gradient,) = torch.autograd.grad(regression, raw)
    torch.testing.assert_close(gradient * stds.repeat(5), floats(case["gradient"]), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("case", original("smooth_l1"), ids=["sigma 1", "sigma 3"])
def test_smooth_l1(case: dict[str, Any]) -> None:
    predicted, target, inside, outside = (
        torch.tensor(case[name], dtype=torch.float64) for name in ("predicted", "target", "inside", "outside")
    )
    predicted.requires_grad_()
    loss = (outside * smooth_l1(inside * predicted, inside * target, sigma=case["sigma"])).sum()
    torch.testing.assert_close(loss.item(), case["loss"], rtol=1e-8, atol=0)
    (gradient,) = torch.autograd.grad(loss, predicted)
    torch.testing.assert_close(gradient, torch.tensor(case["gradient"], dtype=torch.float64), rtol=1e-8, atol=1e-9)
