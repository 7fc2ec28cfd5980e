"""Targets of a detector's losses: which anchors and regions are objects, which are background, and deltas to learn.

Images come as in torchvision's detection references: `boxes` has a tensor (objects, 4) for each image, `labels` a
tensor (objects,) of classes from 1; 0 is background. An image may have no objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from netspec.detection.boxes import box_iou, encode_boxes, in_float32
from netspec.detection.checks import need_images, need_labels, need_last_axis, need_objects, need_positive, need_sample


class AnchorTargets(NamedTuple):
    """The targets of a region proposal network for N images, in the order of `anchors_of_map`."""

    labels: Tensor
    """(N, anchors), int64: 1 for an object, 0 for background, -1 for an anchor that does not count."""
    deltas: Tensor
    """(N, anchors, 4): from each anchor to the object that it overlaps most; 0 where the label is not 1."""


class RoiTargets(NamedTuple):
    """The regions that a detector's head learns from, of all images, with their targets."""

    rois: Tensor
    """(S, 5): image, x1, y1, x2, y2; for each image its objects come first."""
    labels: Tensor
    """(S,), int64: the class of each region, 0 for background."""
    deltas: Tensor
    """(S, 4): from each region to its object, divided by `stds`; 0 for background."""
    stds: Tensor
    """(4,): the standard deviations of deltas, by which `head_losses` divides what a network predicts, too."""


@torch.no_grad()
def anchor_targets(
    anchors: Tensor,
    boxes: Sequence[Tensor],
    image_size: tuple[int, int],
    *,
    positive: float = 0.7,
    negative: float = 0.3,
    per_image: int = 256,
    positive_fraction: float = 0.5,
    generator: torch.Generator | None = None,
    inclusive: bool = True,
) -> AnchorTargets:
    """Choose anchors (A, 4) of each image as objects and as background (Ren et al. 2015, section 3.1.2).

    An anchor is an object if its overlap with one is at least `positive`, or if no other overlaps that object more (all
    of them, if several do equally); it is background if its overlap with each object is below `negative`. Anchors that
    reach beyond the image of `image_size`, (height, width), do not count. Of the rest, `per_image` are drawn by
    `generator`: objects up to the fraction `positive_fraction`, and background.

    Raises NetspecError NS503 for boxes of another shape, or without an area.
    """
    need_last_axis("anchors", anchors, 4, rank=2)
    need_objects(boxes, inclusive)
    need_sample(per_image, positive_fraction)
    anchors = in_float32(anchors)
    inside = _inside(anchors, image_size, inclusive)
    labels = torch.full((len(boxes), len(anchors)), -1, device=anchors.device)
    deltas = anchors.new_zeros(len(boxes), len(anchors), 4)
    for index, objects in enumerate(boxes):
        objects = objects.to(anchors)
        overlaps = box_iou(anchors[inside], objects, inclusive=inclusive)
        classes = _labels_of_anchors(overlaps, positive, negative)
        positives = _drawn(classes == 1, int(positive_fraction * per_image), generator)
        negatives = _drawn(classes == 0, per_image - len(positives), generator)
        labels[index, inside[positives]] = 1
        labels[index, inside[negatives]] = 0
        chosen, nearest = anchors[inside[positives]], objects[_greatest(overlaps)[1][positives]]
        deltas[index, inside[positives]] = encode_boxes(chosen, nearest, inclusive=inclusive)
    return AnchorTargets(labels, deltas)


def _inside(anchors: Tensor, image_size: tuple[int, int], inclusive: bool) -> Tensor:
    """The indices of anchors that do not cross the border of the image."""
    limits = anchors.new_tensor(image_size[::-1])
    below = anchors[:, 2:] < limits if inclusive else anchors[:, 2:] <= limits
    return ((anchors[:, :2] >= 0) & below).all(1).nonzero().squeeze(1)


def _labels_of_anchors(overlaps: Tensor, positive: float, negative: float) -> Tensor:
    """1, 0 or -1 for each anchor, from its overlaps with the objects, (anchors, objects)."""
    labels = torch.full((len(overlaps),), -1, device=overlaps.device)
    if not overlaps.numel():
        return labels.fill_(0)
    greatest = overlaps.amax(1)
    labels[greatest < negative] = 0
    # An object that no anchor overlaps has no best anchor.
    best = overlaps.amax(0)
    labels[((overlaps == best) & (best > 0)).any(1)] = 1
    labels[greatest >= positive] = 1
    return labels


@torch.no_grad()
def roi_targets(
    rois: Tensor,
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    *,
    per_image: int = 128,
    foreground_fraction: float = 0.25,
    foreground: float = 0.5,
    background: tuple[float, float] = (0.1, 0.5),
    add_ground_truth: bool = True,
    stds: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2),
    generator: torch.Generator | None = None,
    inclusive: bool = True,
) -> RoiTargets:
    """Draw the regions that a head learns from, out of `rois` (R, 5) of all images (Girshick 2015, section 2.3).

    A region has the class of the object that it overlaps most if this overlap is at least `foreground`, and is
    background if it lies in `background`, from the first number to below the second. Of each image `per_image` are
    drawn by `generator`, or fewer if there are not as many: up to the fraction `foreground_fraction` of them objects.
    Boxes of objects are regions, too, with `add_ground_truth`.

    Fast R-CNN leaves out background below 0.1, as the easiest; Faster R-CNN, trained end to end, takes (0, 0.5). In an
    image without objects, all regions are background.

    Raises NetspecError NS503 for boxes, labels or regions that do not fit together.
    """
    need_images(rois, len(boxes))
    need_objects(boxes, inclusive)
    need_labels(boxes, labels)
    need_sample(per_image, foreground_fraction)
    need_positive("stds", *stds, count=4)
    rois = in_float32(rois)
    deviations = rois.new_tensor(stds)
    chosen_rois, chosen_labels, chosen_deltas = [rois[:0]], [rois[:0, 0].long()], [rois[:0, 1:]]
    for index, (objects, classes) in enumerate(zip(boxes, labels, strict=True)):
        objects, classes = objects.to(rois), classes.to(rois.device, torch.int64)
        regions = rois[(rois[:, 0] == index) & rois.isfinite().all(1), 1:]
        if add_ground_truth:
            regions = torch.cat([regions, objects])
        overlap, nearest = _greatest(box_iou(regions, objects, inclusive=inclusive))
        is_object = (overlap >= foreground) & (overlap > 0)
        is_background = (overlap >= background[0]) & (overlap < background[1]) if len(objects) else ~is_object
        positives = _drawn(is_object, round(foreground_fraction * per_image), generator)
        negatives = _drawn(is_background & ~is_object, per_image - len(positives), generator)
        targets = encode_boxes(regions[positives], objects[nearest[positives]], inclusive=inclusive) / deviations
        chosen_rois.append(pad(regions[torch.cat([positives, negatives])], (1, 0), value=index))
        chosen_labels.append(pad(classes[nearest[positives]], (0, len(negatives))))
        chosen_deltas.append(pad(targets, (0, 0, 0, len(negatives))))
    return RoiTargets(torch.cat(chosen_rois), torch.cat(chosen_labels), torch.cat(chosen_deltas), deviations)


def _greatest(overlaps: Tensor) -> tuple[Tensor, Tensor]:
    """The greatest overlap of each row, and the object that has it; both are 0 if there are no objects."""
    if not overlaps.shape[1]:
        return overlaps.new_zeros(len(overlaps)), torch.zeros(len(overlaps), dtype=torch.int64, device=overlaps.device)
    return overlaps.max(1)


def _drawn(mask: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """The indices where a mask is true, or `count` of them by chance if there are more."""
    indices = mask.nonzero().squeeze(1)
    if len(indices) <= count:
        return indices
    device = mask.device if generator is None else generator.device
    order = torch.randperm(len(indices), generator=generator, device=device)
    return indices[order[:count].to(indices.device)]
