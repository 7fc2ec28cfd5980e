"""Anchors: boxes of several sizes and forms at each position of a feature map (Ren et al. 2015, section 3.1.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from netspec.errors import fail
from netspec.ops.boxes import anchor_boxes


def anchors_of_map(
    height: int,
    width: int,
    *,
    stride: int = 16,
    base_size: int = 16,
    ratios: Sequence[float] = (0.5, 1.0, 2.0),
    scales: Sequence[float] = (8.0, 16.0, 32.0),
    inclusive: bool = True,
    device: torch.device | str | None = None,
) -> Tensor:
    """The anchors of a map of `height` x `width` positions, `stride` pixels apart, as the op `proposals` has them.

    Each position has one for each ratio (height over width) and scale, around a window of `base_size` pixels: A in all.
    They are (height * width * A, 4), in the order of rows, columns, and anchors of a position: that of
    `deltas.permute(0, 2, 3, 1).reshape(N, -1, 4)` for deltas (N, 4 * A, height, width).

    >>> anchors_of_map(1, 2, ratios=[1], scales=[8])
    tensor([[-56., -56.,  71.,  71.],
            [-40., -56.,  87.,  71.]])
    """
    positive = all(value > 0 for value in (stride, base_size, *ratios, *scales))
    if min(height, width) < 0 or not positive or not len(ratios) or not len(scales):
        fail("NS503", "anchors need a map of a size, and a stride, base size, ratios and scales above 0")
    boxes = torch.tensor(anchor_boxes(base_size, ratios, scales, int(inclusive)), device=device)
    rows, columns = (stride * torch.arange(size, device=device) for size in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return (torch.stack([x, y, x, y], -1)[:, :, None] + boxes).flatten(0, 2)
