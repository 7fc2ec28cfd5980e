"""Seconds of detection, against torchvision's own steps and a detector written by hand.

    python tests/benchmarks/detection.py [--rounds 9] [--detector]

Proposals and detections are those of one image of 600 x 1000 with 21 classes: `proposals` against torchvision's
AnchorGenerator, BoxCoder and RegionProposalNetwork.filter_proposals with the same limits, `detections` against
RoIHeads.postprocess_detections. With `--detector`, Faster R-CNN (VGG-16): the compiled module against one that is
written by hand with torchvision.ops, and ONNX Runtime against eager PyTorch, on the CPU.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch
from timing import interleaved, show
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers
from torchvision.ops import nms, roi_pool

import netspec

HEIGHT, WIDTH, MAP = 600, 1000, (38, 63)


def alone(name: str, *shapes: tuple[int, ...]) -> nn.Module:
    """One op, compiled."""
    builder = netspec.Builder(f"{name}_alone")
    builder.add(name, *[builder.input(f"x{n}", shape) for n, shape in enumerate(shapes)], name="op")
    for number, (value, _) in enumerate(builder.nodes[-1].values()):
        builder.output(f"y{number}", value)
    return netspec.compile(builder.build()).eval()


def proposals(rounds: int) -> None:
    torch.manual_seed(0)
    image = torch.zeros(1, 3, HEIGHT, WIDTH)
    logits, deltas = torch.randn(1, 9, *MAP), 0.2 * torch.randn(1, 36, *MAP)
    objectness = logits.sigmoid()
    ours = alone("proposals", logits.shape, deltas.shape, image.shape)
    generator = AnchorGenerator(((128, 256, 512),), ((0.5, 1.0, 2.0),))
    limits = {"training": 2000, "testing": 6000}, {"training": 2000, "testing": 300}
    rpn = RegionProposalNetwork(generator, nn.Identity(), 0.7, 0.3, 256, 0.5, *limits, 0.7).eval()
    rpn.min_size = 16
    images, features = ImageList(image, [(HEIGHT, WIDTH)]), torch.zeros(1, 1, *MAP)

    def theirs() -> Any:
        anchors = generator(images, [features])
        flat_logits, flat_deltas = concat_box_prediction_layers([logits], [deltas])
        boxes = rpn.box_coder.decode(flat_deltas, anchors).view(1, -1, 4)
        return rpn.filter_proposals(boxes, flat_logits, images.image_sizes, [anchors[0].shape[0]])

    with torch.no_grad():
        times = interleaved(rounds, netspec=lambda: ours(objectness, deltas, image), torchvision=theirs)
    show("proposals of 600 x 1000: 6000 before NMS, 300 after", times, "netspec")


def detections(rounds: int, background: float) -> None:
    torch.manual_seed(0)
    image = torch.zeros(1, 3, HEIGHT, WIDTH)
    corner, size = torch.rand(300, 2) * torch.tensor([800, 500]), 32 + 200 * torch.rand(300, 2)
    boxes = torch.cat([corner, corner + size], 1)
    rois = nn.functional.pad(boxes, (1, 0))
    logits, deltas = 2 * torch.randn(300, 21), 0.2 * torch.randn(300, 84)
    logits[:, 0] += background
    count = int((logits.softmax(1)[:, 1:] > 0.05).sum())
    ours = alone("detections", rois.shape, logits.shape, deltas.shape, image.shape)
    nothing: Any = nn.Identity()
    weights = (1.0, 1.0, 1.0, 1.0)
    heads = RoIHeads(nothing, nothing, nothing, 0.5, 0.5, 128, 0.25, weights, 0.05, 0.3, 100).eval()
    with torch.no_grad():
        times = interleaved(
            rounds,
            netspec=lambda: ours(rois, logits.softmax(1), deltas, image),
            torchvision=lambda: heads.postprocess_detections(logits, deltas, [boxes], [(HEIGHT, WIDTH)]),
        )
    show(f"detections of 300 regions, 21 classes, {count} scores above the threshold", times, "netspec")


class ByHand(nn.Module):
    """Faster R-CNN as one would write it with torchvision.ops, on the layers of a compiled one."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.trunk, self.rpn, self.head = model.trunk, model.rpn, model.head

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.trunk(image)
        hidden = self.rpn.conv(features).relu()
        deltas, logits = self.rpn.deltas(hidden), self.rpn.logits(hidden)
        objectness = logits.unflatten(1, (2, -1)).softmax(1)[:, 1]
        scores = objectness.permute(0, 2, 3, 1).flatten()
        y, x = (16 * torch.arange(size) for size in features.shape[-2:])
        shifts = torch.cartesian_prod(y, x).flip(1).repeat(1, 2)
        anchors = (shifts[:, None] + self.rpn.proposals.anchors).flatten(0, 1)
        boxes = decode(anchors, deltas.permute(0, 2, 3, 1).reshape(-1, 4), image)
        large = ((boxes[:, 2:] - boxes[:, :2] + 1) >= 16).all(1)
        boxes, scores = boxes[large], scores[large]
        scores, order = scores.topk(min(6000, len(scores)))
        boxes = boxes[order]
        pixel = boxes.new_tensor([0, 0, 1, 1])
        boxes = boxes[nms(boxes + pixel, scores, 0.7)[:300]]
        pooled = roi_pool(features, [boxes], 7, 1 / 16).flatten(1)
        hidden = self.head.fc7(self.head.fc6(pooled))
        scores, deltas = self.head.logits(hidden).softmax(1), self.head.deltas(hidden)
        boxes = decode(boxes[:, None], deltas.unflatten(1, (-1, 4)), image)
        results = []
        for label in range(1, scores.shape[1]):
            chosen = scores[:, label] > 0.05
            own, own_scores = boxes[chosen, label], scores[chosen, label]
            kept = nms(own + pixel, own_scores, 0.3)
            results.append((own[kept], own_scores[kept], torch.full((len(kept),), label)))
        found, found_scores, labels = map(torch.cat, zip(*results, strict=True))
        best = found_scores.argsort(descending=True)[:100]
        return found[best], found_scores[best], labels[best]


def decode(boxes: Tensor, deltas: Tensor, image: Tensor) -> Tensor:
    size = boxes[..., 2:] - boxes[..., :2] + 1
    center = boxes[..., :2] + size / 2 + deltas[..., :2] * size
    half = deltas[..., 2:].exp() * size / 2
    limit = torch.tensor([image.shape[-1] - 1, image.shape[-2] - 1])
    return torch.cat([center - half, center + half], -1).clamp(min=0).minimum(limit.repeat(2))


def detector(rounds: int) -> None:
    net = netspec.load("faster_rcnn")
    torch.manual_seed(0)
    ours: Any = net.compile().eval()
    for layer in (ours.rpn.logits, ours.rpn.deltas, ours.head.logits):
        nn.init.normal_(layer.weight, std=0.1)  # so that scores differ, and some are above the threshold
    by_hand = ByHand(ours).eval()
    image = 40 * torch.randn(1, 3, HEIGHT, WIDTH)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "faster_rcnn.onnx"
        netspec.to_onnx(net, path, weights=ours.state_dict())
        session = netspec.Session(path, "cpu")
        found, theirs = ours(image), by_hand(image)
        equal = len(found.labels) > 0 and torch.equal(found.labels, theirs[2])
        print(f"{len(found.labels)} detections, {'the same' if equal else 'NOT the same'} by hand")
        times = interleaved(
            rounds,
            netspec=lambda: ours(image),
            by_hand=lambda: by_hand(image),
            onnx_runtime=lambda: session.run(image=image.numpy()),
        )
    show("Faster R-CNN (VGG-16), 600 x 1000, random weights", times, "netspec")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--detector", action="store_true", help="also whole detectors, which takes minutes")
    arguments = parser.parse_args()
    proposals(arguments.rounds)
    for background in (6, 0):  # as a trained detector has it, and as a random one has
        detections(arguments.rounds, background)
    if arguments.detector:
        detector(max(arguments.rounds // 2, 1))


if __name__ == "__main__":
    main()
