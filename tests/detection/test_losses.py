"""The losses against torch's smooth L1, against those of torchvision's Faster R-CNN, and on images without objects."""

from __future__ import annotations

import pytest

from netspec.errors import NetspecError
from tests.detection.scenes import random_scenes, regions_around
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch import Tensor
    from torch.nn.functional import smooth_l1_loss
    from torchvision.models.detection.roi_heads import fastrcnn_loss
    from torchvision.models.detection.rpn import RegionProposalNetwork

    from netspec.detection import (
        AnchorTargets,
        RoiTargets,
        anchor_targets,
        anchors_of_map,
        head_losses,
        roi_targets,
        rpn_losses,
        smooth_l1,
    )

SIZE = (96, 144)
OBJECTS = [[3, 1], [0, 2], [0, 0]]


def leaves(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def region_proposal_network() -> RegionProposalNetwork:
    """Torchvision's, which samples all anchors that have a label of 0 or 1."""
    return RegionProposalNetwork(None, None, 0.7, 0.3, 1000, 0.5, pre_nms_top_n={}, post_nms_top_n={}, nms_thresh=0.7)


def targets_of_anchors(counts: list[int]) -> AnchorTargets:
    boxes, _ = random_scenes(counts, *SIZE)
    anchors = anchors_of_map(6, 9, base_size=4)
    return anchor_targets(anchors, boxes, SIZE, per_image=64, generator=torch.Generator().manual_seed(1))


def targets_of_regions(counts: list[int]) -> RoiTargets:
    boxes, labels = random_scenes(counts, *SIZE)
    rois = regions_around(boxes, 12)
    return roi_targets(rois, boxes, labels, per_image=32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("sigma", [1.0, 3.0, 0.5])
def test_smooth_l1_is_that_of_torch(sigma: float) -> None:
    at_the_joints = torch.tensor([0.0, 1 / sigma**2, -1 / sigma**2])
    predicted = torch.cat([torch.linspace(-5, 5, 101), at_the_joints]).requires_grad_()
    losses = smooth_l1(predicted, torch.zeros_like(predicted), sigma=sigma)
    size = predicted.detach().abs()
    formula = torch.where(size < 1 / sigma**2, (sigma * size) ** 2 / 2, size - 0.5 / sigma**2)
    torch.testing.assert_close(losses.detach(), formula)
    losses.sum().backward()
    torch.testing.assert_close(predicted.grad, (sigma**2 * predicted.detach()).clamp(-1, 1))
    theirs = smooth_l1_loss(predicted, torch.zeros_like(predicted), reduction="sum", beta=1 / sigma**2)
    assert torch.equal(losses.sum(), theirs)


def test_a_sigma_of_zero_is_told() -> None:
    with pytest.raises(NetspecError, match="`sigma` takes a number above 0, not 0") as error:
        smooth_l1(torch.ones(2), torch.zeros(2), sigma=0)
    assert error.value.diagnostics[0].code == "NS503"


@pytest.mark.parametrize("counts", OBJECTS)
def test_losses_of_proposals_are_those_of_torchvision(counts: list[int]) -> None:
    """Its logit of an object is the difference of two of ours, and it counts all sampled anchors, too."""
    targets = targets_of_anchors(counts)
    logits, deltas = leaves((2, 18, 6, 9), (2, 36, 6, 9))
    losses = rpn_losses(logits, deltas, targets)
    rpn = region_proposal_network()
    objectness = (logits[:, 9:] - logits[:, :9]).permute(0, 2, 3, 1).flatten()
    moves = deltas.permute(0, 2, 3, 1).reshape(-1, 4)
    theirs = rpn.compute_loss(objectness, moves, [*targets.labels.float()], [*targets.deltas])
    torch.testing.assert_close(losses, theirs)
    gradients, expected = (torch.autograd.grad(sum(both), (logits, deltas)) for both in (losses, theirs))
    torch.testing.assert_close(gradients, expected)


@pytest.mark.parametrize("counts", OBJECTS)
def test_losses_of_the_head_are_those_of_torchvision(counts: list[int]) -> None:
    """Its network predicts deltas divided by the standard deviations, and its sigma is 3."""
    targets = targets_of_regions(counts)
    count = len(targets.labels)
    logits, deltas = leaves((count, 5), (count, 20))
    losses = head_losses(logits, deltas, targets, sigma=3)
    theirs = fastrcnn_loss(logits, deltas / targets.stds.repeat(5), [targets.labels], [targets.deltas])
    torch.testing.assert_close(losses, theirs)
    gradients, expected = (torch.autograd.grad(sum(both), (logits, deltas)) for both in (losses, theirs))
    torch.testing.assert_close(gradients, expected)


@pytest.mark.parametrize("counts", OBJECTS)
def test_only_deltas_of_objects_get_a_gradient(counts: list[int]) -> None:
    targets = targets_of_regions(counts)
    logits, deltas = leaves((len(targets.labels), 5), (len(targets.labels), 20))
    _, regression = head_losses(logits, deltas, targets)
    (gradient,) = torch.autograd.grad(regression, deltas)
    rows, columns = gradient.unflatten(1, (5, 4)).abs().sum(2).nonzero(as_tuple=True)
    assert torch.equal(targets.labels[rows], columns)
    assert len(rows) == (targets.labels > 0).sum()
    assert (regression == 0) == (sum(counts) == 0)


def test_losses_of_one_sample_are_its_own() -> None:
    anchors = AnchorTargets(torch.tensor([[-1, 1, -1, -1]]), torch.ones(1, 4, 4))
    logits, deltas = leaves((1, 2, 2, 2), (1, 4, 2, 2))
    expected = (-logits.log_softmax(1)[0, 1, 0, 1], smooth_l1(deltas[0, :, 0, 1], torch.ones(4), sigma=3).sum())
    torch.testing.assert_close(rpn_losses(logits, deltas, anchors), expected)
    regions = RoiTargets(torch.zeros(1, 5), torch.tensor([2]), torch.ones(1, 4), torch.ones(4))
    logits, deltas = leaves((1, 3), (1, 12))
    expected = (-logits.log_softmax(1)[0, 2], smooth_l1(deltas[0, 8:], torch.ones(4)).sum())
    torch.testing.assert_close(head_losses(logits, deltas, regions), expected)


def test_losses_without_samples_are_zero_and_have_gradients() -> None:
    nothing = anchor_targets(anchors_of_map(2, 2), [torch.zeros(0, 4)], (32, 32))
    assert (nothing.labels == -1).all(), "every anchor crosses the border of so small an image"
    empty = roi_targets(torch.zeros(0, 5), [torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.int64)])
    maps, rows = leaves((1, 18, 2, 2), (1, 36, 2, 2)), leaves((0, 5), (0, 20))
    for losses, inputs in ((rpn_losses(*maps, nothing), maps), (head_losses(*rows, empty), rows)):
        assert sum(losses) == 0
        assert all((gradient == 0).all() for gradient in torch.autograd.grad(sum(losses), inputs))


def test_half_precision_is_computed_in_the_floats_of_the_targets() -> None:
    anchors, regions = targets_of_anchors([3, 1]), targets_of_regions([3, 1])
    maps = [x.detach().half().requires_grad_() for x in leaves((2, 18, 6, 9), (2, 36, 6, 9))]
    rows = [x.detach().half().requires_grad_() for x in leaves((len(regions.labels), 5), (len(regions.labels), 20))]
    for half, single, inputs in (
        (rpn_losses(*maps, anchors), rpn_losses(*(x.float() for x in maps), anchors), maps),
        (head_losses(*rows, regions), head_losses(*(x.float() for x in rows), regions), rows),
    ):
        torch.testing.assert_close(half, single)
        assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(sum(half), inputs))


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ([(2, 18, 6, 9), (2, 36, 9, 9)], "`deltas` are (2, 4 * A, h, w), where A * h * w is 486"),
        ([(1, 18, 6, 9), (1, 36, 6, 9)], "`logits` are (2, 2 * A, h, w), where A * h * w is 486"),
        ([(2, 9, 6, 9), (2, 36, 6, 9)], "and were given as 2 x 9 x 6 x 9"),
        ([(2, 972), (2, 36, 6, 9)], "and were given as 2 x 972"),
        ([(2, 27, 4, 9), (2, 36, 6, 9)], "and were given as 2 x 27 x 4 x 9"),
        ([(2, 18, 9, 6), (2, 36, 6, 9)], "`logits` and `deltas` are maps of one size"),
    ],
)
def test_maps_of_other_sizes_are_told(shapes: list[tuple[int, ...]], words: str) -> None:
    with pytest.raises(NetspecError) as error:
        rpn_losses(*leaves(*shapes), targets_of_anchors([3, 1]))
    assert words in str(error.value)


@pytest.mark.parametrize(("missing", "classes", "columns"), [(1, 5, 20), (0, 5, 16), (0, 4, 20)])
def test_rows_of_other_sizes_are_told(missing: int, classes: int, columns: int) -> None:
    targets = targets_of_regions([3, 1])
    count = len(targets.labels)
    rows = leaves((count - missing, classes), (count - missing, columns))
    with pytest.raises(NetspecError, match=f"for {count} regions, `logits` are"):
        head_losses(*rows, targets)


def test_a_label_beyond_the_classes_is_told() -> None:
    targets = targets_of_regions([3, 1])
    count, greatest = len(targets.labels), int(targets.labels.max())
    with pytest.raises(NetspecError, match=f"label {greatest} is not one of {greatest} classes, from 0"):
        head_losses(*leaves((count, greatest), (count, 4 * greatest)), targets)
