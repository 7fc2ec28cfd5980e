"""What the detectors on regions print and write: precisions, a model that is checked, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

import netspec
from draw import draw_boxes, tile
from evaluate import Detections
from netspec.backends.onnx.session import Session
from regions import Searched, as_rois


def print_precisions(precisions: dict[str, float], scenes: int, seconds: float) -> None:
    """Print the mean average precision, the time for an image, and the precision of each class."""
    print(f"mAP@0.5 on {scenes} held-out scenes: {precisions['mean']:.3f}; {seconds:.3f} s per image after the search")
    print(", ".join(f"{name}: {value:.2f}" for name, value in precisions.items() if name != "mean"))


@torch.inference_mode()
def check_onnx(network: netspec.Network, detector: nn.Module, searched: Sequence[Searched], model: Path) -> None:
    """Write a model for ONNX Runtime; print whether it finds the same in some scenes."""
    network.to_onnx(model, detector)
    session = Session(model, "cpu")
    same = 0
    for scene, regions in searched:
        image, rois = scene.image[None], as_rois(regions)
        boxes, _, labels, _ = session.run(image=image.numpy(), rois=rois.numpy()).values()
        expected = detector.eval()(image, rois)
        found = torch.equal(torch.from_numpy(labels), expected.labels)
        same += found and torch.allclose(torch.from_numpy(boxes), expected.boxes, rtol=0, atol=0.01)
    print(f"ONNX Runtime finds the same in {same} of {len(searched)} scenes: labels, order, and boxes to 0.01 pixels")
    print(f"wrote {model}")


def draw_detections(
    searched: Sequence[Searched], results: Sequence[Detections], picture: Path, least: float = 0.5
) -> None:
    """Draw what is found in the first twelve scenes, with a score of at least `least`."""
    pictures = []
    for (scene, _), each in zip(searched[:12], results, strict=False):
        sure = each["scores"] >= least
        pictures.append(draw_boxes(scene.image, each["boxes"][sure], each["labels"][sure], each["scores"][sure]))
    tile(pictures, 4).save(picture)
    print(f"wrote {picture}")
