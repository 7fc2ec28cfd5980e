"""Proposals and detections against numbers that the original code gave, by PyTorch and by ONNX Runtime.

`tests/detection/original/README.md` says which code it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import netspec
from tests.support.lazy import lazy_imports
from tests.support.original import floats, original

with lazy_imports():
    import torch
    import torchvision
    from torch import Tensor

PROPOSALS = """
netspec: 1
name: proposing
inputs:
  objectness: [N, {anchors}, Y, X]
  deltas: [N, {deltas}, Y, X]
  image: [N, 3, H, W]
network:
  - {{proposals: {{{attributes}}}, from: [objectness, deltas, image], name: proposals}}
outputs: {{rois: proposals.rois, scores: proposals.scores}}
"""

DETECTIONS = """
netspec: 1
name: detecting
inputs:
  rois: [R, 5]
  class_scores: [R, {classes}]
  deltas: [R, {deltas}]
  image: [N, 3, H, W]
network:
  - {{detections: {{{attributes}}}, from: [rois, class_scores, deltas, image], name: detections}}
outputs: {{boxes: detections.boxes, scores: detections.scores, labels: detections.labels, images: detections.images}}
"""


def of_kinds(network: netspec.Network, train: bool, folder: Path, inputs: dict[str, Tensor]) -> list[list[Tensor]]:
    """The outputs of a network by PyTorch, and by ONNX Runtime too unless it trains."""
    module = network.compile().train(train)
    outputs: list[list[Tensor]] = [list(module(*inputs.values()))]
    if not train:
        path = folder / "model.onnx"
        network.to_onnx(path)
        arrays = netspec.Session(path).run({name: value.numpy() for name, value in inputs.items()})
        outputs.append([torch.from_numpy(array) for array in arrays.values()])
    return outputs


def attributes(case: dict[str, Any], *names: str) -> str:
    return ", ".join(f"{name}: {case[name]}" for name in names if name in case)


@pytest.mark.parametrize("case", original("proposals"), ids=["paper", "small", "train", "train_limits", "nothing"])
def test_proposals(case: dict[str, Any], tmp_path: Path) -> None:
    anchors = len(case["scales"]) * len(case["ratios"])
    limits = ("pre_nms_top_n", "post_nms_top_n", "pre_nms_top_n_train", "post_nms_top_n_train", "nms_thresh")
    text = attributes(case, "stride", "base_size", "scales", "ratios", "min_size", *limits)
    network = netspec.loads(PROPOSALS.format(anchors=anchors, deltas=4 * anchors, attributes=text))
    inputs = {name: floats(case[name]) for name in ("objectness", "deltas")}
    inputs["image"] = torch.zeros(1, 3, *case["image_size"])
    for rois, scores in of_kinds(network, case["train"], tmp_path, inputs):
        torch.testing.assert_close(rois, floats(case["rois"], 5), rtol=1e-5, atol=1e-4)
        assert torch.equal(scores, floats(case["scores"]))


def detections(case: dict[str, Any], images: int, folder: Path) -> list[list[Tensor]]:
    """The detections in the last of so many images, by PyTorch and by ONNX Runtime."""
    scores, deltas = floats(case["scores"]), floats(case["deltas"])
    text = attributes(case, "score_thresh", "detections_per_image")
    network = netspec.loads(DETECTIONS.format(classes=scores.shape[1], deltas=deltas.shape[1], attributes=text))
    rois = torch.nn.functional.pad(floats(case["rois"]), (1, 0), value=images - 1)
    image = torch.zeros(images, 3, *case["image_size"])
    return of_kinds(network, False, folder, {"rois": rois, "class_scores": scores, "deltas": deltas, "image": image})


CASES = {case["name"]: case for case in original("detections")}
TIES = CASES.pop("ties at the limit")


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_detections(case: dict[str, Any], images: int, tmp_path: Path) -> None:
    """By class, as the original lists them."""
    for boxes, scores, labels, numbers in detections(case, images, tmp_path):
        assert (numbers == images - 1).all()
        assert torch.equal(scores, scores.sort(descending=True).values)
        rows = torch.cat([boxes, scores[:, None]], 1)
        for label, expected in enumerate(case["by_class"], 1):
            torch.testing.assert_close(rows[labels == label], floats(expected, 5), rtol=1e-5, atol=1e-4)


def test_ties_at_the_limit(tmp_path: Path) -> None:
    """The original keeps all that are as good as the last one of the limit; ours keeps as many as the limit says."""
    theirs = floats(TIES["by_class"][0], 5)
    assert len(theirs) == TIES["detections_per_image"] + 1
    for boxes, scores, _, _ in detections(TIES, 1, tmp_path):
        rows = torch.cat([boxes, scores[:, None]], 1)
        assert len(rows) == TIES["detections_per_image"]
        assert torch.equal(rows[0], theirs[0])
        assert {*map(tuple, rows.tolist())} < {*map(tuple, theirs.tolist())}


@pytest.mark.parametrize("case", original("nms"), ids=["near", "overlaps that equal the limit", "one"])
def test_suppression(case: dict[str, Any]) -> None:
    """Both ops call torchvision's on float64 edges, one beyond the last pixels: the original's arithmetic."""
    boxes, scores = (floats(case[name]).double() for name in ("boxes", "scores"))
    edges = boxes + torch.tensor([0, 0, 1, 1])
    kept: Sequence[dict[str, Any]] = case["kept"]
    assert [torchvision.ops.nms(edges, scores, k["nms_thresh"]).tolist() for k in kept] == [k["keep"] for k in kept]
