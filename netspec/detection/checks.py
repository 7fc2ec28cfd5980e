"""Errors for tensors of the wrong form, in words of the caller."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from netspec.errors import fail
from netspec.shape_text import shape_text


def need_last_axis(name: str, value: Tensor, size: int, *, rank: int | None = None) -> None:
    """Raise NetspecError NS503 unless the last axis has this size, and the tensor this rank."""
    if value.ndim == 0 or value.shape[-1] != size or (rank is not None and value.ndim != rank):
        needed = f"(..., {size})" if rank is None else f"(count, {size})"
        fail("NS503", f"`{name}` are {needed}, and were given as {shape_text(tuple(value.shape))}")


def need_objects(boxes: Sequence[Tensor], inclusive: bool) -> None:
    """Raise NetspecError NS503 unless the boxes of each image are (count, 4), finite, and have an area."""
    for index, of_image in enumerate(boxes):
        need_last_axis(f"boxes[{index}]", of_image, 4, rank=2)
        sizes = of_image[:, 2:] - of_image[:, :2] + int(inclusive)
        if not bool(((sizes > 0).all() & of_image.isfinite().all()).item()):
            width = "x2 - x1 + 1" if inclusive else "x2 - x1"
            fail(
                "NS503",
                f"`boxes[{index}]` has a box without an area",
                help=f"a box is (x1, y1, x2, y2), finite, with {width} above 0",
            )


def need_labels(boxes: Sequence[Tensor], labels: Sequence[Tensor]) -> None:
    """Raise NetspecError NS503 unless each image has one label above 0 for each of its boxes."""
    if len(boxes) != len(labels):
        fail("NS503", f"there are boxes of {len(boxes)} images, and labels of {len(labels)}")
    for index, (of_image, classes) in enumerate(zip(boxes, labels, strict=True)):
        if classes.shape != (len(of_image),) or (classes.dtype.is_floating_point and len(classes)):
            given = f"{classes.dtype} {shape_text(tuple(classes.shape))}"
            fail("NS503", f"`labels[{index}]` are whole numbers ({len(of_image)},), and were given as {given}")
        if bool((classes < 1).any().item()):
            fail("NS503", f"`labels[{index}]` has a label below 1", help="0 is background: classes begin with 1")


def need_images(rois: Tensor, count: int) -> None:
    """Raise NetspecError NS503 unless the regions (R, 5) begin with the number of one of `count` images."""
    need_last_axis("rois", rois, 5, rank=2)
    images = rois[:, 0]
    if bool(((images < 0) | (images >= count) | (images != images.round())).any().item()):
        fail("NS503", f"`rois` begin with the number of an image, and there are {count} images, from 0")


def need_sample(count: int, fraction: float) -> None:
    """Raise NetspecError NS503 unless a part of a sample can be this fraction of it."""
    if count < 1 or not 0 <= fraction <= 1:
        fail("NS503", f"a sample is at least 1, and its part from 0 to 1: these are {count} and {fraction}")


def need_positive(name: str, *values: float, count: int = 1) -> None:
    """Raise NetspecError NS503 unless there are this many values, and all are above 0."""
    if len(values) != count or not all(value > 0 for value in values):
        numbers = "a number" if count == 1 else f"{count} numbers"
        fail("NS503", f"`{name}` takes {numbers} above 0, not {', '.join(map(str, values)) or 'none'}")
