"""The measure of PASCAL VOC and of the three papers: mean average precision at an overlap of 0.5."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torchmetrics.detection import MeanAveragePrecision

from netspec.detection import box_iou
from scenes import CLASSES, Scene

Detections = dict[str, Tensor]
"""`boxes` (D, 4), `scores` (D,) and `labels` (D,) of one image, as torchvision's detectors give them."""


def average_precisions(detections: Iterable[Detections], scenes: Iterable[Scene]) -> dict[str, float]:
    """The average precision at IoU 0.5 of each class that the scenes have, and their mean as `mean`.

    Detections and scenes are in the same order. The boxes of scenes hold their last pixels, and those that a detector
    decodes end behind them (see `netspec.detection.decode_boxes`), which is what torchmetrics takes.
    """
    # Of several processes one evaluates: `sync_on_compute` would wait for the others.
    metric = MeanAveragePrecision(iou_thresholds=[0.5], class_metrics=True, sync_on_compute=False)
    for found, scene in zip(detections, scenes, strict=True):
        boxes = scene.boxes + scene.boxes.new_tensor([0, 0, 1, 1])
        metric.update([found], [{"boxes": boxes, "labels": scene.labels}])
    values = metric.compute()
    # torchmetrics gives a number instead of a list where there is one class.
    classes, precisions = (values[name].reshape(-1).tolist() for name in ("classes", "map_per_class"))
    # A class of which there are detections, and no object, has -1.
    each = {CLASSES[label]: value for label, value in zip(classes, precisions, strict=True) if value >= 0}
    return {"mean": values["map"].item(), **each}


def object_recall(regions: Iterable[Tensor], scenes: Iterable[Scene]) -> float:
    """The part of all objects that a region (R, 4) of their scene overlaps by half or more: no other can be found."""
    # A scene may have no regions, and then the greatest overlap is 0.
    overlaps = [pad(box_iou(scene.boxes, each), (1, 0)).amax(1) for each, scene in zip(regions, scenes, strict=True)]
    return (torch.cat(overlaps) >= 0.5).float().mean().item()


@torch.inference_mode()
def detect(detector: nn.Module, scenes: Sequence[Scene], device: torch.device) -> tuple[list[Detections], float]:
    """The detections in each scene, and the seconds that one takes: the median over scenes."""
    detector.eval()
    results: list[Detections] = []
    seconds: list[float] = []
    for scene in scenes:
        image = scene.image[None].to(device)
        began = time.perf_counter()
        outputs = detector(image)
        results.append({name: getattr(outputs, name).cpu() for name in ("boxes", "scores", "labels")})
        seconds.append(time.perf_counter() - began)
    return results, median(seconds)
