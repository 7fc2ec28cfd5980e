"""What the three detectors print and write alike: precisions, a model that is checked, and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

import netspec
from draw import draw_boxes, tile
from evaluate import Detections, average_precisions
from netspec.backends.onnx.session import Session
from scenes import Scene


def print_precisions(results: Sequence[Detections], scenes: Sequence[Scene], seconds: float, note: str = "") -> None:
    """Print the mean average precision, the seconds for an image, and the precision of each class."""
    precisions = average_precisions(results, scenes)
    print(f"mAP@0.5 on {len(scenes)} held-out scenes: {precisions['mean']:.3f}; {seconds:.3f} s per image{note}")
    print(", ".join(f"{name}: {value:.2f}" for name, value in precisions.items() if name != "mean"))


@torch.inference_mode()
def check_onnx(
    network: netspec.Network, detector: nn.Module, inputs: Sequence[Mapping[str, Tensor]], model: Path
) -> None:
    """Write a model for ONNX Runtime, and print for how many inputs it finds what the detector does."""
    network.to_onnx(model, detector)
    session = Session(model, "cpu")
    detector = detector.cpu().eval()
    same = 0
    for tensors in inputs:
        expected = detector(**tensors)
        outputs = session.run({name: tensor.numpy() for name, tensor in tensors.items()})
        labels, boxes = (torch.from_numpy(outputs[name]) for name in ("labels", "boxes"))
        same += torch.equal(labels, expected.labels) and torch.allclose(boxes, expected.boxes, rtol=0, atol=0.01)
    print(f"ONNX Runtime finds the same in {same} of {len(inputs)} scenes: labels, order, and boxes to 0.01 pixels")
    print(f"wrote {model}")


def draw_detections(scenes: Sequence[Scene], results: Sequence[Detections], picture: Path, least: float = 0.5) -> None:
    """Draw what is found in the first twelve scenes, with a score of at least `least`."""
    pictures = []
    for scene, each in zip(scenes[:12], results, strict=False):
        sure = each["scores"] >= least
        pictures.append(draw_boxes(scene.image, each["boxes"][sure], each["labels"][sure], each["scores"][sure]))
    tile(pictures, 4).save(picture)
    print(f"wrote {picture}")
