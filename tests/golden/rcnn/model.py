"""R-CNN (CaffeNet) in PyTorch, compiled by netspec from `rcnn`."""

import math
from typing import NamedTuple

import torch
import torchvision.ops
from torch import Tensor, nn


def warp_regions(
    image: Tensor, rois: Tensor, size: tuple[int, int], context: int
) -> Tensor:
    """Each region (image, x1, y1, x2, y2) at one size, with `context` pixels around.

    What lies beyond the image is zero.
    """
    height, width = size
    rois = rois.detach()
    number, low, high = rois[:, :1], rois[:, 1:3], rois[:, 3:] + 1
    if context > 0:
        pixels = rois.new_tensor([width, height])
        radius = (high - low) / 2
        center, radius = low + radius, radius * (pixels / (pixels - 2 * context))
        low = (center - radius + 0.5).floor()
        high = (center + radius + 0.5).floor() + 1
    length = high - low
    # Regions that are empty, not finite, or of no image become points at a corner.
    is_image = (number >= 0) & (number < image.shape[0])
    is_region = is_image & (length > 0) & (length < math.inf)
    boxes = torch.cat([number, low, high], 1)
    boxes = boxes.masked_fill(~is_region.all(1, keepdim=True), 0)
    warped = torchvision.ops.roi_align(
        image, boxes, size, sampling_ratio=1, aligned=True
    )
    # RoIAlign repeats the border of the image.
    x1, y1, x2, y2 = boxes[:, 1:].split(1, 1)
    x = x1 + (x2 - x1) * (torch.arange(width, device=x1.device) + 0.5) / width
    y = y1 + (y2 - y1) * (torch.arange(height, device=y1.device) + 0.5) / height
    columns = (x > 0) & (x < image.shape[3])
    rows = (y > 0) & (y < image.shape[2])
    inside = rows[:, None, :, None] & columns[:, None, None, :]
    return warped.masked_fill_(~inside, 0)


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
        nn.init.normal_(module.weight, std=0.01)
        nn.init.ones_(module.bias)


def init_weights_2(module: nn.Module) -> None:
    """Initialize the weights of a layer."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.005)
        nn.init.ones_(module.bias)


class Caffenet(nn.Module):
    """Maps image (R, 3, H, W) to flat5 (R, 9216) and relu7 (R, 4096)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4)
        self.relu = nn.ReLU()
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.local_response_norm = nn.LocalResponseNorm(5)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.relu_2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.local_response_norm_2 = nn.LocalResponseNorm(5)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.relu_3 = nn.ReLU()
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.relu_4 = nn.ReLU()
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.relu_5 = nn.ReLU()
        self.pool5 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.flat5 = nn.Flatten()
        self.fc6 = nn.Linear(9216, 4096)
        self.relu6 = nn.ReLU()
        self.dropout = nn.Dropout()
        self.fc7 = nn.Linear(4096, 4096)
        self.relu7 = nn.ReLU()
        self.apply(init_weights_2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv1(x)
        x = self.relu(x)
        x = self.pool1(x)
        x = self.local_response_norm(x)
        x = self.conv2(x)
        x = self.relu_2(x)
        x = self.pool2(x)
        x = self.local_response_norm_2(x)
        x = self.conv3(x)
        x = self.relu_3(x)
        x = self.conv4(x)
        x = self.relu_4(x)
        x = self.conv5(x)
        x = self.relu_5(x)
        x = self.pool5(x)
        flat5 = self.flat5(x)
        x = self.fc6(flat5)
        x = self.relu6(x)
        x = self.dropout(x)
        x = self.fc7(x)
        relu7 = self.relu7(x)
        return flat5, relu7


class Cnn(nn.Module):
    """Maps (R, 3, H, W) to (R, 9216) and (R, 4096)."""

    def __init__(self) -> None:
        super().__init__()
        self.caffenet = Caffenet()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        flat5, relu7 = self.caffenet(x)
        return flat5, relu7


class RcnnOutput(NamedTuple):
    """The outputs of R-CNN (CaffeNet)."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    images: Tensor


class Rcnn(nn.Module):
    """R-CNN (CaffeNet).

    Girshick, Donahue, Darrell & Malik 2013, arXiv:1311.2524; rbgirshick/rcnn

    image (N, 3, H, W), rois (R, 5) -> boxes (D, 4), scores (D), labels (D),
    images (D)
    """

    def __init__(self, classes: int = 20) -> None:
        super().__init__()
        self.cnn = Cnn()
        self.svm = nn.Linear(4096, classes)
        self.deltas = nn.Linear(9216, 4 * classes)
        self.apply(init_weights)
        for layer in (self.cnn.caffenet.conv1, self.cnn.caffenet.conv3):
            nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor, rois: Tensor) -> RcnnOutput:
        x = warp_regions(image, rois, (227, 227), 16)
        pool5, fc7 = self.cnn(x)
        boxes, scores, labels, images = detections(
            rois,
            self.svm(fc7),
            self.deltas(pool5),
            image,
            score_thresh=-1.0,
            background=False,
        )
        return RcnnOutput(boxes, scores, labels, images)
