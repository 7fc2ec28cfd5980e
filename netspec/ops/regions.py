"""The type of regions, which ops of detection take: rows (image, x1, y1, x2, y2)."""

from __future__ import annotations

from netspec.ops.base import Op, RuleError, known_int, need_floats
from netspec.types import Tensor


def need_regions(op: Op, rois: Tensor) -> None:
    """Refuse a tensor that is not (R, 5), floats: the number of an image and two corners."""
    if rois.rank != 2 or known_int(rois.shape[1], "the number of columns of regions") != 5:
        help = "a row is the number of an image and two corners: image, x1, y1, x2, y2"
        raise RuleError(f"`{op.opname}` takes regions (R, 5), and these are {rois}", code="NS302", help=help)
    need_floats(op, rois)
