"""Train R-CNN on digits over photographs: each region warped, features, a linear SVM for each class, ridge regression.

The detector is the network `rcnn` of `regions.yaml`. Its features are fine-tuned to classify warped regions; then
scikit-learn fits linear SVMs with hard negatives to them, and boxes are regressed from the last map (Girshick et al.
2013, sections 2.3 and appendix C). Both become linear layers of the network.

    python examples/detection/rcnn.py --out detector
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset

import netspec
from classifier import pretrain
from draw import draw_curves
from netspec.detection import box_iou, encode_boxes
from regions import Searched, as_rois, describe, detect_in_regions, search_scenes
from reports import check_onnx, draw_detections, print_precisions
from scenes import CLASSES, Scene, Scenes
from svm import fit_svm
from training import Budget, Losses, Worker, train

SPEC = f"{Path(__file__).with_name('regions.yaml')}:rcnn"
DIGITS = len(CLASSES) - 1


class FineTuning(nn.Module):
    """The features with a last layer for the digits and the background, and the loss for regions of many scenes."""

    def __init__(self, features: nn.Module, width: int, images: Tensor) -> None:
        super().__init__()
        self.features = features
        self.last = nn.Linear(width, len(CLASSES))
        self.images = images

    def forward(self, rois: Tensor, labels: Tensor) -> Losses:
        """Take regions (R, 5), whose images are numbers of scenes, and their labels (R,)."""
        _, fc7 = self.features(self.images, rois)
        return {"classes": cross_entropy(self.last(fc7), labels)}


class RegionSamples(Dataset[tuple[Tensor, Tensor]]):
    """Regions of all scenes by chance: each fourth one is an object, which it overlaps by half or more.

    So a batch of 128 has 32 objects and 96 of background (section 2.3).
    """

    def __init__(self, data: Sequence[Searched], seed: int) -> None:
        regions, labels = zip(*(label_regions(*each, number) for number, each in enumerate(data)), strict=True)
        self.regions, self.labels = torch.cat(regions), torch.cat(labels)
        self.objects, self.background = (self.labels > 0).nonzero()[:, 0], (self.labels == 0).nonzero()[:, 0]
        self.random = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        indices = self.background if index % 4 else self.objects
        chosen = indices[torch.randint(len(indices), (), generator=self.random)]
        return self.regions[chosen], self.labels[chosen]


def label_regions(scene: Scene, regions: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """The regions of a scene and its objects' boxes as rows (number, x1, y1, x2, y2), with a label for each."""
    regions = torch.cat([scene.boxes, regions])
    overlap, nearest = box_iou(regions, scene.boxes).max(1)
    return as_rois(regions, number), scene.labels[nearest] * (overlap >= 0.5)


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
    results, seconds = detect_in_regions(detector, held_out, first_label=1)
    scenes = [scene for scene, _ in held_out]
    print_precisions(results, scenes, seconds, " after the search")

    options.out.mkdir(parents=True, exist_ok=True)
    torch.save(detector.state_dict(), options.out / "rcnn.pt")
    inputs = [{"image": scene.image[None], "rois": as_rois(regions)} for scene, regions in held_out[:20]]
    check_onnx(network, detector, inputs, options.out / "rcnn.onnx")
    draw_curves(losses).savefig(options.out / "rcnn_losses.png")
    draw_detections(scenes, results, options.out / "rcnn_detections.png", least=0)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Train R-CNN on digits over photographs.")
    parser.add_argument("--training-scenes", type=int, default=600, help="with regions (%(default)s)")
    parser.add_argument("--pretraining", type=int, default=1000, help="steps as a classifier (%(default)s)")
    parser.add_argument("--steps", type=int, default=600, help="of 128 warped regions (%(default)s)")
    parser.add_argument("--scenes", type=int, default=300, help="held-out scenes to evaluate on (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, scenes and samples (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("detector"), metavar="DIR", help="(%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a few steps and scenes, to see that it runs")
    options = parser.parse_args(arguments)
    if options.quick:
        options.training_scenes, options.pretraining, options.steps, options.scenes = 12, 3, 2, 4
    return options


def learn(
    network: netspec.Network, detector: nn.Module, options: argparse.Namespace, me: Worker
) -> list[dict[str, float]]:
    """Train a detector in place; the losses of each step of fine-tuning."""
    began = time.monotonic()
    features, side = detector.features, network.params["stride"] * network.params["pooled"]
    budget = Budget(me, options.pretraining)
    accuracy = pretrain(
        features.trunk, features.fc6, features.fc7, side=side, budget=budget, me=me, seed=options.seed + 1
    )
    print(f"a classifier after {time.monotonic() - began:.0f} s: accuracy {accuracy:.3f} on held-out digits")

    data = search_scenes(list(Scenes(options.training_scenes, seed=options.seed)))
    print(f"regions after {time.monotonic() - began:.0f} s: {describe(data)}")
    tuning = FineTuning(features, network.params["hidden"], torch.stack([scene.image for scene, _ in data]))
    losses = train(
        tuning, RegionSamples(data, options.seed), Budget(me, options.steps), me, batch=128, join=join_regions
    )
    print(f"fine-tuned after {time.monotonic() - began:.0f} s and {len(losses)} steps of 128 regions")

    fit_detector(detector, data)
    print(f"SVMs and boxes after {time.monotonic() - began:.0f} s")
    return losses


def join_regions(samples: Sequence[tuple[Tensor, Tensor]], device: torch.device) -> tuple[Tensor, Tensor]:
    """A batch of regions and labels."""
    regions, labels = zip(*samples, strict=True)
    return torch.stack(regions).to(device), torch.stack(labels).to(device)


@torch.inference_mode()
def fit_detector(detector: nn.Module, data: Sequence[Searched]) -> None:
    """Fit the SVMs and the regression of boxes to the features of scenes, and put them into the network."""
    features = detector.features.eval()
    objects, background, overlaps, labels = [], [], [], []
    pool5, moves, classes = [], [], []
    for scene, regions in data:
        image = scene.image[None]
        objects.append(features(image, as_rois(scene.boxes))[1])
        labels.append(scene.labels - 1)
        last_map, fc7 = features(image, as_rois(regions))
        overlap = box_iou(regions, scene.boxes)
        background.append(fc7)
        overlaps.append(overlap_by_class(overlap, scene.labels - 1))
        best, nearest = overlap.max(1)
        near = best > 0.6
        pool5.append(last_map[near])
        moves.append(encode_boxes(regions[near], scene.boxes[nearest[near]]))
        classes.append(scene.labels[nearest[near]] - 1)
    fit_svms(detector.svm, torch.cat(objects), torch.cat(labels), torch.cat(background), torch.cat(overlaps))
    fit_boxes(detector.deltas, torch.cat(pool5), torch.cat(moves), torch.cat(classes))


def overlap_by_class(overlap: Tensor, labels: Tensor) -> Tensor:
    """The largest overlap of each region with an object of each digit, (R, 10), of that with each object (R, n)."""
    largest = overlap.new_zeros(len(overlap), DIGITS)
    return largest.scatter_reduce_(1, labels.expand_as(overlap), overlap, "amax")


def fit_svms(layer: nn.Linear, objects: Tensor, labels: Tensor, regions: Tensor, overlaps: Tensor) -> None:
    """A linear SVM for each digit: its objects against the regions that overlap none of its kind by 0.3.

    Features are scaled to a mean norm of 20, as the authors have it, so that their C of 0.001 fits.
    """
    layer.weight.zero_()
    layer.bias.fill_(-10)  # of a digit that no scene has: below the score of any detection
    scale = 20 / regions.norm(dim=1).mean()
    for digit in sorted(set(labels.tolist())):
        positive = scale * objects[labels == digit]
        negative = scale * regions[overlaps[:, digit] < 0.3]
        weight, bias = fit_svm(positive.numpy(), negative.numpy())
        layer.weight[digit] = scale * torch.from_numpy(weight)
        layer.bias[digit] = bias


def fit_boxes(layer: nn.Linear, pool5: Tensor, moves: Tensor, classes: Tensor, penalty: float = 1000) -> None:
    """Ridge regression for each digit, from the last map (R, F) of regions that overlap an object by over 0.6.

    There are fewer regions than features, so it is solved in its dual form, for a weight of each region.
    """
    layer.weight.zero_()
    layer.bias.zero_()
    for digit in set(classes.tolist()):
        x, y = pool5[classes == digit].double(), moves[classes == digit].double()
        center, offset = x.mean(0), y.mean(0)
        x, y = x - center, y - offset
        weight = torch.linalg.solve(x @ x.T + penalty * torch.eye(len(x), dtype=x.dtype), y).T @ x
        rows = slice(4 * digit, 4 * digit + 4)
        layer.weight[rows] = weight.float()
        layer.bias[rows] = (offset - weight @ center).float()


if __name__ == "__main__":
    main()
