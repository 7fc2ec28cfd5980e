"""Train Fast R-CNN on digits over photographs: regions of selective search, and one pass of the trunk for an image.

The detector is the network `fast_rcnn` of `regions.yaml`, with the trunk and the head of `digits.yaml`. Both learn to
classify single digits first, and then to classify and refine regions, two images and 64 regions of each in a step
(Girshick 2015, section 2.3).

    python examples/detection/fast_rcnn.py --out detector
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

import netspec
from classifier import pretrain
from draw import draw_curves
from netspec.detection import head_losses, roi_targets
from regions import Searched, as_rois, describe, detect_in_regions, search_scenes
from reports import check_onnx, draw_detections, print_precisions
from scenes import Scenes
from training import Budget, Losses, Worker, collate, train

SPEC = f"{Path(__file__).with_name('regions.yaml')}:fast_rcnn"


class RegionTraining(nn.Module):
    """The two losses of Fast R-CNN for a batch."""

    def __init__(self, detector: nn.Module, per_image: int = 64) -> None:
        super().__init__()
        self.detector = detector
        self.per_image = per_image

    def forward(self, images: Tensor, boxes: list[Tensor], labels: list[Tensor], rois: Tensor) -> Losses:
        """Take images (N, 3, H, W), for each the boxes (n, 4) and labels (n,) of its objects, and regions (R, 5)."""
        # A quarter objects, which regions overlap by half or more; the rest is background that overlaps one by a tenth
        # to a half, as other background is easy.
        sample = roi_targets(rois, boxes, labels, per_image=self.per_image)
        _, logits, deltas = self.detector.head(self.detector.trunk(images), sample.rois)
        classes, refined = head_losses(logits, deltas, sample)
        return {"classes": classes, "boxes": refined}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the example."""
    options = parse(arguments)
    me = Worker(0, 1, torch.device("cpu"))
    torch.manual_seed(options.seed)
    network = netspec.load(SPEC)
    detector = network.compile()
    print(f"{network.title}: {sum(weight.numel() for weight in detector.parameters()):,} parameters")
    losses = learn(network, detector, options, me)

    held_out = search_scenes(list(Scenes(options.scenes, held_out=True)))
    print(f"held out: {describe(held_out)}")
    results, seconds = detect_in_regions(detector, held_out)
    scenes = [scene for scene, _ in held_out]
    print_precisions(results, scenes, seconds, " after the search")

    options.out.mkdir(parents=True, exist_ok=True)
    torch.save(detector.state_dict(), options.out / "fast_rcnn.pt")
    inputs = [{"image": scene.image[None], "rois": as_rois(regions)} for scene, regions in held_out[:50]]
    check_onnx(network, detector, inputs, options.out / "fast_rcnn.onnx")
    draw_curves(losses).savefig(options.out / "fast_rcnn_losses.png")
    draw_detections(scenes, results, options.out / "fast_rcnn_detections.png")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Train Fast R-CNN on digits over photographs.")
    parser.add_argument("--training-scenes", type=int, default=1000, help="with regions (%(default)s)")
    parser.add_argument("--pretraining", type=int, default=1000, help="steps as a classifier (%(default)s)")
    parser.add_argument("--steps", type=int, default=3000, help="as a detector (%(default)s)")
    parser.add_argument("--scenes", type=int, default=300, help="held-out scenes to evaluate on (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, scenes and samples (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("detector"), metavar="DIR", help="(%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a few steps and scenes, to see that it runs")
    options = parser.parse_args(arguments)
    if options.quick:
        options.training_scenes, options.pretraining, options.steps, options.scenes = 6, 3, 4, 6
    return options


def learn(
    network: netspec.Network, detector: nn.Module, options: argparse.Namespace, me: Worker
) -> list[dict[str, float]]:
    """Train a detector in place, as a classifier first; the losses of each step on regions."""
    began = time.monotonic()
    side = network.params["stride"] * network.params["pooled"]
    hidden = (detector.head.fc6, detector.head.fc7)
    first = Budget(me, options.pretraining)
    accuracy = pretrain(detector.trunk, *hidden, side=side, budget=first, me=me, seed=options.seed + 1)
    print(f"a classifier after {time.monotonic() - began:.0f} s: accuracy {accuracy:.3f} on held-out digits")

    data = search_scenes(list(Scenes(options.training_scenes, seed=options.seed)))
    print(f"regions after {time.monotonic() - began:.0f} s: {describe(data)}")
    budget = Budget(me, options.steps)
    losses = train(RegionTraining(detector), data, budget, me, batch=2, join=join)
    print(f"a detector after {time.monotonic() - began:.0f} s and {len(losses)} steps of two scenes")
    return losses


def join(samples: Sequence[Searched], device: torch.device) -> tuple[Tensor, list[Tensor], list[Tensor], Tensor]:
    """A batch of scenes and their regions, as arguments of `RegionTraining`."""
    images, boxes, labels = collate([scene for scene, _ in samples], device)
    rois = torch.cat([as_rois(regions, image) for image, (_, regions) in enumerate(samples)])
    return images, boxes, labels, rois.to(device)


if __name__ == "__main__":
    main()
