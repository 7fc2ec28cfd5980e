"""Boxes and anchors against torchvision's, with both meanings of a width, and in words of errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netspec.errors import NetspecError
from tests.detection.scenes import random_boxes
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    import torchvision
    from torch import Tensor
    from torchvision.models.detection._utils import BoxCoder

    import netspec
    from netspec.detection import anchors_of_map, box_iou, clip_boxes, decode_boxes, encode_boxes


def two_sets(count: int = 30) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return random_boxes(count, 96, 144, generator), random_boxes(count, 96, 144, generator)


def test_continuous_boxes_are_those_of_torchvision() -> None:
    boxes, others = two_sets()
    coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
    deltas = encode_boxes(boxes, others, inclusive=False)
    torch.testing.assert_close(deltas, coder.encode_single(others, boxes))
    decoded = decode_boxes(boxes, deltas, inclusive=False)
    torch.testing.assert_close(decoded, coder.decode_single(deltas, boxes))
    torch.testing.assert_close(decoded, others)
    torch.testing.assert_close(box_iou(boxes, others, inclusive=False), torchvision.ops.box_iou(boxes, others))
    moved = boxes + 60 * torch.randn(boxes.shape, generator=torch.Generator().manual_seed(1))
    clipped = clip_boxes(moved, (96, 144), inclusive=False)
    assert torch.equal(clipped, torchvision.ops.clip_boxes_to_image(moved, (96, 144)))


def test_inclusive_boxes_are_continuous_ones_with_an_edge_behind_their_last_pixel() -> None:
    boxes, others = two_sets()
    edge = torch.tensor([0, 0, 1, 1])
    torch.testing.assert_close(encode_boxes(boxes, others), encode_boxes(boxes + edge, others + edge, inclusive=False))
    torch.testing.assert_close(box_iou(boxes, others), box_iou(boxes + edge, others + edge, inclusive=False))
    # The original decodes to the edge, and does not take it back.
    torch.testing.assert_close(decode_boxes(boxes, encode_boxes(boxes, others)), others + edge, rtol=1e-5, atol=1e-4)


def test_deltas_of_each_class_broadcast() -> None:
    boxes, _ = two_sets(5)
    deltas = torch.randn(5, 12, generator=torch.Generator().manual_seed(2)) / 4
    together = decode_boxes(boxes[:, None], deltas.unflatten(1, (-1, 4)))
    assert together.shape == (5, 3, 4)
    for label in range(3):
        assert torch.equal(together[:, label], decode_boxes(boxes, deltas[:, 4 * label : 4 * label + 4]))


def test_boxes_without_an_area_overlap_nothing() -> None:
    point, box = torch.tensor([[5.0, 5, 5, 5]]), torch.tensor([[0.0, 0, 10, 10]])
    assert box_iou(point, point, inclusive=False).item() == 0
    assert box_iou(point, box, inclusive=False).item() == 0
    assert box_iou(point, point).item() == 1, "one pixel, if x2 is the last"
    assert box_iou(torch.zeros(0, 4), box).shape == (0, 1)


def test_overlaps_of_integers_and_of_half_precision() -> None:
    boxes = torch.tensor([[0, 0, 999, 599], [100, 0, 999, 599]])
    expected = torch.tensor([[1, 0.9], [0.9, 1]])
    for dtype in (torch.int64, torch.int16, torch.float16, torch.float32):
        torch.testing.assert_close(box_iou(boxes.to(dtype), boxes.to(dtype)), expected)


@pytest.mark.parametrize("inclusive", [True, False])
def test_anchors_are_those_of_the_op(inclusive: bool) -> None:
    """With deltas of 0 and no limit, `proposals` gives its anchors, clipped and by score."""
    spec = f"""
netspec: 1
name: anchors
inputs: {{objectness: [1, 6, 3, 4], deltas: [1, 24, 3, 4], image: [1, 3, 400, 500]}}
network:
  - proposals:
      scales: [1, 3]
      base_size: 9
      stride: 11
      nms_thresh: 1
      min_size: 0
      inclusive: {str(inclusive).lower()}
    from: [objectness, deltas, image]
    name: proposals
outputs: {{rois: proposals}}
"""
    falling = torch.arange(72.0, 0, -1).reshape(1, 3, 4, 6).permute(0, 3, 1, 2)
    module = netspec.loads(spec).compile().eval()
    rois = module(falling, torch.zeros(1, 24, 3, 4), torch.zeros(1, 3, 400, 500))
    anchors = anchors_of_map(3, 4, stride=11, base_size=9, scales=[1, 3], inclusive=inclusive)
    decoded = decode_boxes(anchors, torch.zeros(72, 4), inclusive=inclusive)
    torch.testing.assert_close(rois[:, 1:], clip_boxes(decoded, (400, 500), inclusive=inclusive))


def test_anchors_are_in_the_order_of_a_map() -> None:
    """Rows, columns, anchors of a position: as the values of a map (1, A, h, w) with its channels last."""
    anchors = anchors_of_map(3, 4, stride=10, ratios=[1], scales=[1, 2])
    at = anchors.reshape(3, 4, 2, 4)
    base = at[0, 0]
    for row in range(3):
        for column in range(4):
            assert torch.equal(at[row, column], base + 10 * torch.tensor([column, row, column, row]))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: encode_boxes(torch.zeros(3, 5), torch.zeros(3, 4)), "`boxes` are (..., 4), and were given as 3 x 5"),
        (lambda: encode_boxes(torch.zeros(3, 4), torch.tensor(1.0)), "`targets` are (..., 4)"),
        (lambda: decode_boxes(torch.zeros(3, 4), torch.zeros(3, 8)), "`deltas` are (..., 4), and were given as 3 x 8"),
        (lambda: clip_boxes(torch.zeros(3), (5, 5)), "`boxes` are (..., 4), and were given as 3"),
        (lambda: box_iou(torch.zeros(4), torch.zeros(1, 4)), "`boxes` are (count, 4), and were given as 4"),
        (lambda: anchors_of_map(2, 2, ratios=[0]), "ratios and scales above 0"),
        (lambda: anchors_of_map(2, 2, ratios=[]), "ratios and scales above 0"),
        (lambda: anchors_of_map(2, 2, scales=[float("nan")]), "ratios and scales above 0"),
        (lambda: anchors_of_map(-1, 2), "anchors need a map of a size"),
    ],
)
def test_errors(call: Callable[[], object], words: str) -> None:
    with pytest.raises(NetspecError) as error:
        call()
    assert words in str(error.value)
