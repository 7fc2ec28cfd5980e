"""R-CNN's warp of regions: the boxes and pixels of the original, zeros beyond the image, and no crash.

`warp_regions.json` holds what the arithmetic of rcnn_im_crop.m of rbgirshick/rcnn (commit 0743a72), executed in float64
with MATLAB's rounding and imresize (bilinear, no antialiasing), makes of boxes: here they count from 0.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.dims import symbol
from netspec.ops.base import RuleError
from netspec.types import Tensor
from tests.support.contract import OPSETS, named_op, written
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

    from tests.ops.onnx_models import graph_of, model_for, runtime

ORIGINAL: list[dict[str, Any]] = json.loads(Path(__file__).with_name("warp_regions.json").read_text())["cases"]
NAN, INF = float("nan"), float("inf")
SHIFT = 1000
"""Added to images of coordinates, so that no pixel of them is 0."""


def warped(image: torch.Tensor, rois: torch.Tensor, size: Any, context: int) -> np.ndarray[Any, Any]:
    op = named_op("warp_regions", size=size, context=context)
    (y,) = written(op, (Tensor(tuple(image.shape)), Tensor(tuple(rois.shape))))(image, rois)
    return y.numpy()


def by_runtime(
    image: torch.Tensor, rois: torch.Tensor, size: Any, context: int, folder: Path, opset: int = 21
) -> np.ndarray[Any, Any]:
    op = named_op("warp_regions", size=size, context=context)
    types = Tensor((symbol("N"), image.shape[1], symbol("H"), symbol("W"))), Tensor((symbol("R"), 5))
    return runtime(model_for(graph_of(op, types), {}, folder, opset))([image, rois])[0]


def positions(case: dict[str, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The position (x, y) that the original samples for each pixel of its result, and whether it is in the image."""
    size, axes = case["size"], []
    for axis in (0, 1):
        low, high = case["clipped"][axis], case["clipped"][axis + 2]
        first, count = case["pad"][axis], case["crop"][axis]
        place = np.arange(size)
        at = low + (place - first + 0.5) * (high - low + 1) / count - 0.5
        axes.append((np.clip(at, low, high), (place >= first) & (place < first + count)))
    (x, columns), (y, rows) = axes
    return np.stack(np.broadcast_arrays(x, y[:, None])), rows[:, None] & columns


def cut_off(case: dict[str, Any]) -> bool:
    return case["clipped"] != case["unclipped"]


@pytest.mark.parametrize("case", ORIGINAL, ids=lambda case: f"{case['box']}-{case['size']}")
def test_positions_are_the_originals(case: dict[str, Any]) -> None:
    """An image of coordinates shows what is sampled: the same within the box, and a pixel away where it is cut off."""
    height, width = case["image"]
    image = torch.stack(torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy")).float()[None] + SHIFT
    (y,) = warped(image, torch.tensor([[0.0, *case["box"]]]), case["size"], case["padding"])
    there, (at, inside) = (y > 0).all(0), positions(case)
    wide, high = (case["unclipped"][n + 2] - case["unclipped"][n] + 1 for n in (0, 1))
    pixel = np.array([wide, high]).reshape(2, 1, 1) / case["size"]
    # The original repeats the last pixels of its box, where this reads between them and those beside it.
    allowed = np.maximum(pixel, 0.5) if cut_off(case) else 0.5
    assert (np.abs(y - SHIFT - at) <= allowed + 1e-3)[:, there & inside].all()
    if not cut_off(case):
        low, high = np.array(case["clipped"]).reshape(2, 2, 1, 1)
        between = ((at > low) & (at < high)).all(0)
        np.testing.assert_allclose(y[:, between] - SHIFT, at[:, between], atol=1e-3)
    for axis in (0, 1):
        ours, theirs = there.any(axis).nonzero()[0], inside.any(axis).nonzero()[0]
        assert abs(ours[0] - theirs[0]) <= cut_off(case)
        assert abs(ours[-1] - theirs[-1]) <= cut_off(case)


WHOLE = [case for case in ORIGINAL if "output" in case and not cut_off(case)]


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: f"{case['box']}-{case['size']}")
def test_pixels_are_the_originals(case: dict[str, Any], tmp_path: Path) -> None:
    height, width = case["image"]
    image = (torch.arange(height * width) * 7919 % 101 - 50).reshape(1, 1, height, width).float()
    rois, size = torch.tensor([[0.0, *case["box"]]]), case["size"]
    at, _ = positions(case)
    low, high = np.array(case["clipped"]).reshape(2, 2, 1, 1)
    between = ((at > low) & (at < high)).all(0)
    assert between.mean() > 0.3
    expected = np.array(case["output"]).reshape(size, size)
    for y in (
        warped(image, rois, size, case["padding"]),
        by_runtime(image, rois, size, case["padding"], tmp_path),
    ):
        np.testing.assert_allclose(y[0, 0, between], expected[between], atol=2e-3)


def test_without_context_a_box_is_the_picture() -> None:
    """A box as large as `size` is its own pixels."""
    image = torch.randn(2, 3, 9, 8)
    y = warped(image, torch.tensor([[1.0, 2, 3, 6, 8]]), [6, 5], 0)
    np.testing.assert_allclose(y[0], image[1, :, 3:9, 2:7], atol=1e-6)


def hostile_regions(count: int) -> torch.Tensor:
    """Regions of three images of 37 x 53: of any order, inverted, beyond the image, huge, and of images that are not
    there."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randint(-1, 5, (count, 1), generator=generator)
    corners = torch.rand((count, 4), generator=generator) * torch.tensor([80, 60, 80, 60]) - 15
    corners[::3] = corners[::3].round()
    corners[1::3] = corners[1::3].mul(2).round() / 2
    corners[5] = torch.tensor([-1e6, -1e6, 1e6, 1e6])
    corners[8] = torch.tensor([-3e38, -3e38, 3e38, 3e38])
    return torch.cat([numbers, corners], 1)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(("size", "context"), [([11, 8], 2), ([7, 7], 0), ([227, 227], 16)])
def test_hostile_regions(size: list[int], context: int, opset: int, tmp_path: Path) -> None:
    image, rois = torch.randn(3, 2, 37, 53) + 10, hostile_regions(30)
    by_torch = warped(image, rois, size, context)
    np.testing.assert_allclose(by_runtime(image, rois, size, context, tmp_path, opset), by_torch, rtol=1e-5, atol=1e-4)
    assert np.isfinite(by_torch).all()
    missing = ((rois[:, 0] < 0) | (rois[:, 0] > 2)).numpy()
    assert not by_torch[missing].any()
    assert by_torch[~missing].any()


EMPTY = [
    [0, NAN, 1, 5, 5],
    [0, *[NAN] * 4],
    [NAN, 1, 1, 5, 5],
    [0, -INF, 1, INF, 5],
    [0, 1, 1, 5, INF],
    [0, 30, 30, 20, 20],
    [0, 5, 5, 3, 9],
    [0, 200, 200, 210, 210],
    [0, -90, -90, -80, -80],
    [2, 1, 1, 5, 5],
    [-1, 1, 1, 5, 5],
    [1e9, 1, 1, 5, 5],
]


@pytest.mark.parametrize("context", [0, 1])
def test_no_picture_is_zeros(context: int, tmp_path: Path) -> None:
    """Not one pixel of these is in an image."""
    image, rois = torch.ones(2, 3, 12, 10), torch.tensor(EMPTY)
    assert not warped(image, rois, 9, context).any()
    assert not by_runtime(image, rois, 9, context, tmp_path).any()


def test_no_regions(tmp_path: Path) -> None:
    image, rois = torch.ones(2, 3, 12, 10), torch.zeros(0, 5)
    assert warped(image, rois, [4, 5], 1).shape == by_runtime(image, rois, [4, 5], 1, tmp_path).shape == (0, 3, 4, 5)


def test_what_is_beyond_the_image_is_zeros() -> None:
    """Up to the border, which RoIAlign repeats for a pixel, and for an image that is no number too."""
    y = warped(torch.full((1, 1, 4, 4), NAN), torch.tensor([[0.0, -4, 0, 3, 3]]), 16, 0)[0, 0]
    assert (y[:, :8] == 0).all()
    assert np.isnan(y[:, 8:]).all()


def test_gradients_are_of_the_image_alone() -> None:
    op = named_op("warp_regions", size=5, context=1)
    image = torch.randn(2, 1, 6, 7, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[1.0, -1, 1, 3, 4], [0, 2, 2, 9, 3]], dtype=torch.float64, requires_grad=True)
    function = written(op, (Tensor((2, 1, 6, 7), "float64"), Tensor((2, 5), "float64")))
    assert torch.autograd.gradcheck(lambda x: function(x, rois)[0], image)
    function(image, rois)[0].sum().backward()
    assert rois.grad is None


@pytest.mark.parametrize(("size", "context"), [(32, 16), ([9, 227], 5), (1, 1)])
def test_context_leaves_something(size: Any, context: int) -> None:
    with pytest.raises(RuleError, match="leave nothing of") as caught:
        named_op("warp_regions", size=size, context=context).infer(Tensor((1, 3, 8, 8)), Tensor((2, 5)))
    assert caught.value.at == "context"
