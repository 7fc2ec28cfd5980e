"""Faster R-CNN (VGG-16) in PyTorch, compiled by netspec from `faster_rcnn`."""

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
    return torch.cat([center - half, center + half], 1)


def suppress(boxes: Tensor, scores: Tensor, nms_thresh: float) -> Tensor:
    """The indices of the boxes that non-maximum suppression keeps, by score.

    Boxes are in float64, where an overlap that equals the limit is not above it.
    """
    # Compiled code takes it that two boxes or more are kept: two empty ones are.
    padded = nn.functional.pad(boxes, (0, 0, 0, 2))
    order = nn.functional.pad(scores.double(), (0, 2), value=-math.inf)
    kept = torchvision.ops.nms(padded, order, nms_thresh)
    return kept[kept < boxes.shape[0]]


class Proposals(nn.Module):
    """The regions (R, 5) that an RPN proposes, and their scores, by image and score.

    Anchors are moved and scaled by the RPN's deltas. Of those with the highest
    objectness, the ones that non-maximum suppression leaves are proposed.
    """

    anchors: Tensor

    def __init__(
        self,
        scales: tuple[float, ...] = (8, 16, 32),
        ratios: tuple[float, ...] = (0.5, 1, 2),
        base_size: int = 16,
        stride: int = 16,
        pre_nms_top_n: int = 6000,
        post_nms_top_n: int = 300,
        pre_nms_top_n_train: int = 12000,
        post_nms_top_n_train: int = 2000,
        nms_thresh: float = 0.7,
        min_size: float = 16,
        inclusive: bool = True,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.top_n = (pre_nms_top_n, post_nms_top_n)
        self.top_n_train = (pre_nms_top_n_train, post_nms_top_n_train)
        self.nms_thresh = nms_thresh
        self.min_size = min_size
        self.offset = int(inclusive)
        anchors = anchor_boxes(base_size, ratios, scales, self.offset)
        self.register_buffer("anchors", anchors, persistent=False)

    @torch.no_grad()
    def forward(
        self, objectness: Tensor, deltas: Tensor, image: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Take objectness (N, A, h, w), deltas (N, 4 A, h, w) and images of a size."""
        scores = objectness.permute(0, 2, 3, 1).flatten(1)
        anchors = self.anchors_of_map(*deltas.shape[-2:])
        deltas = deltas.unflatten(1, (-1, 4)).permute(0, 3, 4, 1, 2)
        boxes = decode_boxes(
            anchors, deltas.flatten(1, 3), image.shape[-2:], self.offset
        )
        rois, roi_scores = [], []
        for number in range(len(boxes)):
            best, best_scores = self.best(boxes[number], scores[number])
            rois.append(nn.functional.pad(best, (1, 0), value=number))
            roi_scores.append(best_scores)
        return torch.cat(rois), torch.cat(roi_scores)

    def anchors_of_map(self, height: int, width: int) -> Tensor:
        """The anchors (height * width * A, 4) of all positions of a map."""
        y, x = torch.meshgrid(
            self.stride * torch.arange(height, device=self.anchors.device),
            self.stride * torch.arange(width, device=self.anchors.device),
            indexing="ij",
        )
        corners = torch.stack([x, y, x, y], -1)
        return (corners[:, :, None] + self.anchors).flatten(0, 2)

    def best(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """The boxes of one image that are proposed, and their scores."""
        pre_nms, post_nms = self.top_n_train if self.training else self.top_n
        size = boxes[:, 2:] - boxes[:, :2] + self.offset
        valid = (size >= self.min_size).all(1) & (scores > -math.inf)  # not of NaN
        scores = scores.where(valid, -math.inf)
        scores, order = scores.sort(descending=True, stable=True)
        scores, order = scores[:pre_nms], order[:pre_nms]
        left = scores > -math.inf
        boxes, scores = boxes[order[left]], scores[left]
        edges = boxes.double()
        edges[:, 2:] += self.offset
        # The best boxes decide: where a few of them leave enough, more change nothing.
        few = pre_nms if torch.compiler.is_compiling() else 4 * post_nms
        kept = suppress(edges[:few], scores[:few], self.nms_thresh)
        if few < pre_nms and few < len(edges) and len(kept) < post_nms:
            kept = suppress(edges, scores, self.nms_thresh)
        kept = kept[:post_nms]
        return boxes[kept], scores[kept]


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


class Rpn(nn.Module):
    """Maps features (N, 512, H, W) and image (N, 3, H2, W2) to rois (R, 5), logits
    (N, 18, H, W) and deltas (N, 36, H, W).
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(512, 512, 3, padding=1)
        self.hidden = nn.ReLU()
        self.logits = nn.Conv2d(512, 18, 1)
        self.deltas = nn.Conv2d(512, 36, 1)
        self.unflatten = nn.Unflatten(1, (2, 9))
        self.softmax = nn.Softmax(1)
        self.proposals = Proposals()

    def forward(self, features: Tensor, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.conv(features)
        x = self.hidden(x)
        logits = self.logits(x)
        deltas = self.deltas(x)
        x = self.unflatten(logits)
        x = self.softmax(x)[:, 1]
        rois, _ = self.proposals(x, deltas, image)
        return rois, logits, deltas


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
    """Maps features (N, 512, H, W) and rois (R, 5) to scores (R, 21), logits (R, 21)
    and deltas (R, 84).
    """

    def __init__(self) -> None:
        super().__init__()
        self.pool = torchvision.ops.RoIPool(7, 0.0625)
        self.flatten = nn.Flatten()
        self.fc6 = FullyConnected(25088, 4096)
        self.fc7 = FullyConnected(4096, 4096)
        self.logits = nn.Linear(4096, 21)
        self.deltas = nn.Linear(4096, 84)
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


class FasterRcnnOutput(NamedTuple):
    """The outputs of Faster R-CNN (VGG-16)."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    images: Tensor
    rois: Tensor | None = None
    rpn_logits: Tensor | None = None
    rpn_deltas: Tensor | None = None
    logits: Tensor | None = None
    deltas: Tensor | None = None


class FasterRcnn(nn.Module):
    """Faster R-CNN (VGG-16).

    Ren, He, Girshick & Sun 2015, arXiv:1506.01497; rbgirshick/py-faster-rcnn,
    pascal_voc/VGG16/faster_rcnn_end2end

    image (N, 3, H, W) -> boxes (D, 4), scores (D), labels (D), images (D), rois
    (R, 5) in training, rpn_logits (N, 18, (H + 15)//16, (W + 15)//16) in
    training, rpn_deltas (N, 36, (H + 15)//16, (W + 15)//16) in training, logits
    (R, 21) in training, deltas (R, 84) in training
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.rpn = Rpn()
        self.head = Head()
        self.apply(init_weights)
        for layer in (self.rpn.conv, self.rpn.logits, self.rpn.deltas):
            nn.init.normal_(layer.weight, std=0.01)
        nn.init.normal_(self.head.deltas.weight, std=0.001)

    def forward(self, image: Tensor) -> FasterRcnnOutput:
        trunk = self.trunk(image)
        rois, logits, deltas = self.rpn(trunk, image)
        scores, logits_2, deltas_2 = self.head(trunk, rois)
        boxes, scores, labels, images = detections(rois, scores, deltas_2, image)
        if self.training:
            return FasterRcnnOutput(
                boxes, scores, labels, images, rois, logits, deltas, logits_2, deltas_2
            )
        return FasterRcnnOutput(boxes, scores, labels, images)
