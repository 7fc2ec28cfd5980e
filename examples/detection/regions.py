"""Regions that may be objects, by selective search (Uijlings et al. 2013), as R-CNN and Fast R-CNN use them.

It is OpenCV's, in its fast mode. Regions of many scenes are searched once, in a thread for each core.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from evaluate import Detections, object_recall
from scenes import Scene

SMALLEST = 6
"""The least number of pixels of a region's sides."""


class Searched(NamedTuple):
    """A scene and its regions."""

    scene: Scene
    regions: Tensor
    """(R, 4): x1, y1, x2, y2, the first and the last column and row."""


def selective_search(image: Tensor) -> Tensor:
    """The regions (R, 4) of an image (3, H, W) of numbers from 0 to 1; R is about 200 for 160 x 160 pixels."""
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    pixels = (255 * image.flip(0)).round().byte().permute(1, 2, 0)  # blue, green, red
    search.setBaseImage(np.ascontiguousarray(pixels.numpy()))
    search.switchToSelectiveSearchFast()
    left, top, width, height = np.unique(search.process(), axis=0).T
    boxes = np.stack([left, top, left + width - 1, top + height - 1], 1)
    return torch.from_numpy(boxes[np.minimum(width, height) >= SMALLEST]).float()


def search_scenes(scenes: Sequence[Scene]) -> list[Searched]:
    """Scenes with their regions."""
    cv2.setNumThreads(1)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        regions = list(pool.map(selective_search, [scene.image for scene in scenes]))
    return [Searched(scene, boxes) for scene, boxes in zip(scenes, regions, strict=True)]


def describe(searched: Sequence[Searched]) -> str:
    """How many regions there are in a scene, and how many of the objects they overlap by half or more."""
    count = sum(len(regions) for _, regions in searched) / len(searched)
    return f"{count:.0f} regions in a scene, which overlap {recall(searched):.1%} of the digits by half or more"


def recall(searched: Sequence[Searched]) -> float:
    """The part of the objects that a region overlaps by half or more."""
    return object_recall((regions for _, regions in searched), (scene for scene, _ in searched))


def as_rois(regions: Tensor, image: int = 0) -> Tensor:
    """Regions (R, 4) of an image as rows (image, x1, y1, x2, y2)."""
    return pad(regions, (1, 0), value=image)


@torch.inference_mode()
def detect_in_regions(
    detector: nn.Module, searched: Sequence[Searched], first_label: int = 0
) -> tuple[list[Detections], float]:
    """What a detector finds in each scene, and the seconds that it takes for one, of the second half of them.

    The search is not counted. `first_label` is the label of the detector's first class.
    """
    detector.eval()
    results: list[Detections] = []
    seconds: list[float] = []
    for scene, regions in searched:
        began = time.perf_counter()
        boxes, scores, labels, _ = detector(scene.image[None], as_rois(regions))
        seconds.append(time.perf_counter() - began)
        results.append({"boxes": boxes, "scores": scores, "labels": labels + first_label})
    measured = seconds[len(seconds) // 2 :]
    return results, sum(measured) / len(measured)
