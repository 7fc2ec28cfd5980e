"""Fast R-CNN (VGG-16) in PyTorch, compiled by netspec from `fast_rcnn`."""

import math
from typing import NamedTuple

import torch
import torchvision.ops
from torch import Tensor, nn


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
    )


def suppress(boxes: Tensor, scores: Tensor, nms_thresh: float) -> Tensor:
    """The indices of the boxes that non-maximum suppression keeps, by score.

    Boxes are in float64, where an overlap that equals the limit is not above it.
    """
    # Compiled code takes it that two boxes or more are kept: two empty ones are.
    padded = nn.functional.pad(boxes, (0, 0, 0, 2))
    order = nn.functional.pad(scores.double(), (0, 2), value=-math.inf)
    kept = torchvision.ops.nms(padded, order, nms_thresh)
    return kept[kept < boxes.shape[0]]


@torch.no_grad()
def detections(
    rois: Tensor,
    scores: Tensor,
    deltas: Tensor,
    image: Tensor,
    score_thresh: float = 0.05,
    nms_thresh: float = 0.3,
    detections_per_image: int = 100,
    background: bool = True,
    inclusive: bool = True,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The boxes (D, 4), scores, labels and images of what is found, by image and score.

    Take regions (R, 5), scores (R, classes), deltas (R, 4 classes), and images of a
    size.
    """
    offset = int(inclusive)
    above = scores > score_thresh
    if background:
        above[:, 0] = False
    labels, regions = above.T.nonzero(as_tuple=True)
    deltas = deltas.unflatten(1, (-1, 4))[regions, labels]
    boxes = decode_boxes(rois[regions, 1:], deltas, image.shape[-2:], offset)
    valid = (boxes[:, 2:] >= boxes[:, :2]).all(1)  # not of NaN
    boxes, labels, regions = boxes[valid], labels[valid], regions[valid]
    scores, images = scores[regions, labels], rois[regions, 0].long()
    # The classes of all images are moved apart, so that boxes of one alone overlap;
    # in float64, where that costs no digits.
    group = images * above.shape[1] + labels
    apart = boxes.double() + group[:, None] * (max(image.shape[-2:]) + 1)
    apart[:, 2:] += offset
    kept = suppress(apart, scores, nms_thresh)
    by_image = [kept[images[kept] == number] for number in range(len(image))]
    kept = torch.cat([each[:detections_per_image] for each in by_image])
    return boxes[kept], scores[kept], labels[kept], images[kept]


def init_weights(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)


class Conv(nn.Module):
    """Maps (N, in_channels, H, W) to (N, width, H, W)."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(in_channels, width, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv2d(x))


class VggD(nn.Module):
    """Maps (N, 3, H, W) to (N, 512, H_out, W_out)."""

    def __init__(self, ceil_mode: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(Conv(3, 64), Conv(64, 64))
        self.pool1 = nn.MaxPool2d(2, ceil_mode=ceil_mode)
        self.conv2 = nn.Sequential(Conv(64, 128), Conv(128, 128))
        self.pool2 = nn.MaxPool2d(2, ceil_mode=ceil_mode)
        self.conv3 = nn.Sequential(Conv(128, 256), *(Conv(256, 256) for _ in range(2)))
        self.pool3 = nn.MaxPool2d(2, ceil_mode=ceil_mode)
        self.conv4 = nn.Sequential(Conv(256, 512), *(Conv(512, 512) for _ in range(2)))
        self.pool4 = nn.MaxPool2d(2, ceil_mode=ceil_mode)
        self.conv5 = nn.Sequential(*(Conv(512, 512) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = self.pool1(x)
        x = self.conv2(x)
        x = self.pool2(x)
        x = self.conv3(x)
        x = self.pool3(x)
        x = self.conv4(x)
        x = self.pool4(x)
        return self.conv5(x)


class Trunk(nn.Module):
    """Maps (N, 3, H, W) to (N, 512, H_out, W_out)."""

    def __init__(self) -> None:
        super().__init__()
        self.vgg = VggD(ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.vgg(x)


class FullyConnected(nn.Module):
    """Maps (R, in_channels) to (R, width)."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, width)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout()

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.relu(self.linear(x)))


class Head(nn.Module):
    """Maps features (N, 512, H, W) and rois (R, 5) to scores (R, classes), logits
    (R, classes) and deltas (R, 4 * classes).
    """

    def __init__(
        self, classes: int = 21, stride: int = 16, pooled: int = 7, hidden: int = 4096
    ) -> None:
        super().__init__()
        self.pool = torchvision.ops.RoIPool(pooled, 1 / stride)
        self.flatten = nn.Flatten()
        self.fc6 = FullyConnected(25088, hidden)
        self.fc7 = FullyConnected(hidden, hidden)
        self.logits = nn.Linear(hidden, classes)
        self.deltas = nn.Linear(hidden, 4 * classes)
        self.scores = nn.Softmax(1)

    def forward(self, features: Tensor, rois: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.pool(features, rois)
        x = self.flatten(x)
        x = self.fc6(x)
        x = self.fc7(x)
        logits = self.logits(x)
        deltas = self.deltas(x)
        scores = self.scores(logits)
        return scores, logits, deltas


class FastRcnnOutput(NamedTuple):
    """The outputs of Fast R-CNN (VGG-16)."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    images: Tensor
    logits: Tensor | None = None
    deltas: Tensor | None = None


class FastRcnn(nn.Module):
    """Fast R-CNN (VGG-16).

    Girshick 2015, arXiv:1504.08083; rbgirshick/fast-rcnn, VGG16

    image (N, 3, H, W), rois (R, 5) -> boxes (D, 4), scores (D), labels (D),
    images (D), logits (R, 21) in training, deltas (R, 84) in training
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.head = Head()
        self.apply(init_weights)
        nn.init.normal_(self.head.deltas.weight, std=0.001)

    def forward(self, image: Tensor, rois: Tensor) -> FastRcnnOutput:
        x = self.trunk(image)
        scores, logits, deltas = self.head(x, rois)
        boxes, scores, labels, images = detections(rois, scores, deltas, image)
        if self.training:
            return FastRcnnOutput(boxes, scores, labels, images, logits, deltas)
        return FastRcnnOutput(boxes, scores, labels, images)
