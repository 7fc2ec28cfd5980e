"""Arithmetic on boxes (x1, y1, x2, y2), which ops of detection share: as printed functions, and as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from netspec.ops.writing import FLOAT32
from netspec.types import Helper, OnnxWriter

DECODE_BOXES = Helper(
    '''\
def decode_boxes(
    boxes: Tensor, deltas: Tensor, image_size: tuple[int, int], offset: int
) -> Tensor:
    """Move and scale boxes (..., 4) by deltas (dx, dy, dw, dh), clipped to an image.

    A box is x2 - x1 + offset wide: offset is 1 if x2 is its last pixel, and 0 if x2
    is its edge.
    """
    size = boxes[..., 2:] - boxes[..., :2] + offset
    center = boxes[..., :2] + size / 2 + deltas[..., :2] * size
    half = deltas[..., 2:].exp() * size / 2
    height, width = image_size
    return torchvision.ops.clip_boxes_to_image(
        torch.cat([center - half, center + half], -1), (height - offset, width - offset)
    )''',
    imports=("torchvision.ops",),
)

SUPPRESS = Helper(
    '''\
def suppress(boxes: Tensor, scores: Tensor, nms_thresh: float) -> Tensor:
    """The indices of the boxes that non-maximum suppression keeps, by score.

    Boxes are in float64, where an overlap that equals the limit is not above it.
    """
    # Compiled code takes it that two boxes or more are kept: two empty ones are.
    padded = nn.functional.pad(boxes, (0, 0, 0, 2))
    order = nn.functional.pad(scores.double(), (0, 2), value=-math.inf)
    kept = torchvision.ops.nms(padded, order, nms_thresh)
    return kept[kept < boxes.shape[0]]''',
    imports=("torchvision.ops",),
)

ANCHOR_BOXES = Helper(
    '''\
def anchor_boxes(
    base_size: int, ratios: tuple[float, ...], scales: tuple[float, ...], offset: int
) -> Tensor:
    """The boxes (A, 4) of all ratios (height / width) and scales around one window.

    The window has `base_size` pixels a side and begins at 0.
    """
    sizes = []
    for ratio in ratios:
        width = round(math.sqrt(base_size**2 / ratio))
        height = round(width * ratio)
        sizes += [(width * scale, height * scale) for scale in scales]
    center, half = (base_size - offset) / 2, (torch.tensor(sizes) - offset) / 2
    return torch.cat([center - half, center + half], 1)''',
)


def anchor_boxes(
    base_size: int, ratios: Sequence[float], scales: Sequence[float], offset: int
) -> list[tuple[float, float, float, float]]:
    """The boxes of all ratios and scales around one window, as the printed `anchor_boxes` has them.

    >>> anchor_boxes(16, [0.5], [8.0], offset=1)
    [(-84.0, -40.0, 99.0, 55.0)]
    """
    boxes: list[tuple[float, float, float, float]] = []
    center = (base_size - offset) / 2
    for ratio in ratios:
        width = round(math.sqrt(base_size**2 / ratio))
        for scale in scales:
            x, y = ((side * scale - offset) / 2 for side in (width, round(width * ratio)))
            boxes.append((center - x, center - y, center + x, center + y))
    return boxes


def decoded(g: OnnxWriter, boxes: str, deltas: str, image: str, offset: int) -> tuple[str, str]:
    """The two corners (..., 2) of boxes (..., 4) after the printed `decode_boxes`, as ONNX nodes."""
    low, high = g.Split(boxes, outputs=2, num_outputs=2, axis=-1)
    move, scale = g.Split(deltas, outputs=2, num_outputs=2, axis=-1)
    two = g.constant(2.0, "float32")
    size = widths(g, low, high, offset)
    center = g.Add(g.Add(low, g.Div(size, two)), g.Mul(move, size))
    half = g.Div(g.Mul(g.Exp(scale), size), two)
    zero, limit = g.constant(0.0, "float32"), _limit(g, image, offset)
    corners = [g.Min(g.Max(corner, zero), limit) for corner in (g.Sub(center, half), g.Add(center, half))]
    return corners[0], corners[1]


def widths(g: OnnxWriter, low: str, high: str, offset: int) -> str:
    """Widths and heights (..., 2) of boxes by their corners, as ONNX nodes."""
    size = g.Sub(high, low)
    return g.Add(size, g.constant(float(offset), "float32")) if offset else size


def with_edges(g: OnnxWriter, boxes: str, offset: int) -> str:
    """Boxes (..., 4) whose second corner is an edge, as NonMaxSuppression takes them, as ONNX nodes."""
    return g.Add(boxes, g.constant([0.0, 0.0, float(offset), float(offset)], "float32")) if offset else boxes


def _limit(g: OnnxWriter, image: str, offset: int) -> str:
    """The largest x and y of a box in an image (N, C, H, W), as ONNX nodes."""
    width_and_height = g.Gather(g.Shape(image), g.constant([3, 2]))
    limit = g.Sub(width_and_height, g.constant(offset)) if offset else width_and_height
    return g.Cast(limit, to=FLOAT32)
