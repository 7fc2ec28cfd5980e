"""Boxes (x1, y1, x2, y2): their overlaps, how one is coded as a change of another, and clipping to an image.

With `inclusive`, x2 is the last column of pixels of a box, and its width is x2 - x1 + 1, as in the code of R-CNN, Fast
R-CNN and Faster R-CNN; otherwise coordinates are continuous, and the width is x2 - x1, as in torchvision.
"""

from __future__ import annotations

import torch
from torch import Tensor

from netspec.detection.checks import need_last_axis


def encode_boxes(boxes: Tensor, targets: Tensor, *, inclusive: bool = True) -> Tensor:
    """The deltas (dx, dy, dw, dh) that turn each of `boxes` (..., 4) into the one of `targets` (..., 4).

    dx and dy are how far the centre moves, in widths and heights of the box; dw and dh are logarithms of how the width
    and the height grow (Girshick et al. 2014, appendix C).

    >>> encode_boxes(torch.tensor([0.0, 0.0, 9.0, 9.0]), torch.tensor([5.0, 0.0, 14.0, 9.0]))
    tensor([0.5000, 0.0000, 0.0000, 0.0000])
    """
    for name, value in (("boxes", boxes), ("targets", targets)):
        need_last_axis(name, value, 4)
    centers, sizes = _centers_and_sizes(boxes, inclusive)
    target_centers, target_sizes = _centers_and_sizes(targets, inclusive)
    return torch.cat([(target_centers - centers) / sizes, (target_sizes / sizes).log()], -1)


def decode_boxes(boxes: Tensor, deltas: Tensor, *, inclusive: bool = True) -> Tensor:
    """The boxes that `boxes` (..., 4) become by `deltas` (..., 4); leading axes broadcast.

    Regions (R, 4) with deltas for each class (R, 4 * classes) are
    `decode_boxes(regions[:, None], deltas.unflatten(1, (-1, 4)))`.

    With `inclusive`, x2 is x1 plus the width, as the original code has it: one more than the last column, so that
    decoded targets are one pixel larger than the targets to the right and below.

    >>> decode_boxes(torch.tensor([0.0, 0.0, 9.0, 9.0]), torch.zeros(4))
    tensor([ 0.,  0., 10., 10.])
    """
    for name, value in (("boxes", boxes), ("deltas", deltas)):
        need_last_axis(name, value, 4)
    centers, sizes = _centers_and_sizes(boxes, inclusive)
    centers = centers + deltas[..., :2] * sizes
    halves = deltas[..., 2:].exp() * sizes / 2
    return torch.cat([centers - halves, centers + halves], -1)


def clip_boxes(boxes: Tensor, image_size: tuple[int, int], *, inclusive: bool = True) -> Tensor:
    """The parts of `boxes` (..., 4) that lie in an image of (height, width).

    >>> clip_boxes(torch.tensor([-5.0, 3.0, 70.0, 20.0]), (48, 64))
    tensor([ 0.,  3., 63., 20.])
    """
    need_last_axis("boxes", boxes, 4)
    height, width = (size - inclusive for size in image_size)
    return boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))


def box_iou(boxes: Tensor, others: Tensor, *, inclusive: bool = True) -> Tensor:
    """Intersection over union of each of `boxes` (N, 4) with each of `others` (M, 4), as (N, M).

    >>> box_iou(torch.tensor([[0.0, 0.0, 9.0, 9.0]]), torch.tensor([[5.0, 0.0, 14.0, 9.0]]))
    tensor([[0.3333]])
    """
    for name, value in (("boxes", boxes), ("others", others)):
        need_last_axis(name, value, 4, rank=2)
    boxes, others = in_float32(boxes), in_float32(others)
    lows = torch.maximum(boxes[:, None, :2], others[:, :2])
    highs = torch.minimum(boxes[:, None, 2:], others[:, 2:])
    intersections = (highs - lows + int(inclusive)).clamp(min=0).prod(-1)
    areas, other_areas = _sizes(boxes, inclusive).prod(-1), _sizes(others, inclusive).prod(-1)
    unions = areas[:, None] + other_areas - intersections
    # Boxes without an area, which only continuous coordinates have, overlap nothing.
    return torch.where(unions == 0, 0, intersections / unions)


def in_float32(values: Tensor) -> Tensor:
    """The values as float32, or float64 if they are: float16 has no areas of images, and integers have no halves."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _sizes(boxes: Tensor, inclusive: bool) -> Tensor:
    return boxes[..., 2:] - boxes[..., :2] + int(inclusive)


def _centers_and_sizes(boxes: Tensor, inclusive: bool) -> tuple[Tensor, Tensor]:
    sizes = _sizes(boxes, inclusive)
    return boxes[..., :2] + sizes / 2, sizes
