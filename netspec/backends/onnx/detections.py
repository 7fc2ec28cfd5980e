"""Detections: the objects that a detector finds in images, from the outputs of its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from netspec.backends.onnx.narrow import Array
from netspec.errors import fail
from netspec.graph.model import Graph
from netspec.shape_text import shape_text

if TYPE_CHECKING:
    from netspec.backends.images import PreparedImage

ROLES = ("boxes", "scores", "labels", "images")
"""The outputs of an op that detects objects."""


@dataclass(frozen=True, slots=True)
class Detection:
    """An object in an image: its class's label ("" if the model has no labels) and index, its score, and its box.

    The box is x1, y1, x2, y2 in pixels of the image, from its upper left corner.
    """

    label: str
    index: int
    score: float
    box: tuple[float, float, float, float]


def detection_outputs(graph: Graph) -> dict[str, str]:
    """The names of the outputs that are detections, by the roles above; empty if an op's outputs are not all there."""
    names = {o.value: o.name for o in graph.outputs}
    for node in graph.nodes:
        values = [value for value, _ in node.values()]
        if names.keys() >= {*values} and node.op.detects(*graph.input_types(node)) is not None:
            return dict(zip(node.op.named_outputs, [names[value] for value in values], strict=True))
    return {}


def read_detections(
    outputs: Mapping[str, Array], names: Mapping[str, str], images: Sequence[PreparedImage], labels: Sequence[str]
) -> list[list[Detection]]:
    """The detections in each image of a batch, in descending order of their scores.

    `names` are the outputs by roles, and `labels` the names of the classes, or empty. Raises NetspecError NS503 for
    outputs that are no detections.
    """
    boxes, scores, classes, numbers = (outputs[names[role]] for role in ROLES)
    _check(boxes, scores, classes, numbers, names, len(images))
    detections: list[list[Detection]] = []
    for number, image in enumerate(images):
        own = np.flatnonzero(numbers == number)
        own = own[np.argsort(-scores[own], kind="stable")]
        detections.append([])
        for row, (x1, y1, x2, y2) in zip(own, image.boxes_in_image(boxes[own]).tolist(), strict=True):
            index = int(classes[row])
            label = labels[index] if 0 <= index < len(labels) else ""
            detections[-1].append(Detection(label, index, float(scores[row]), (x1, y1, x2, y2)))
    return detections


def _check(boxes: Array, scores: Array, classes: Array, numbers: Array, names: Mapping[str, str], images: int) -> None:
    """Refuse outputs whose shapes, dtypes or values are not those of detections in so many images."""
    for role, array in zip(ROLES, (boxes, scores, classes, numbers), strict=True):
        shape = (scores.size, 4) if role == "boxes" else (scores.size,)
        if array.shape != shape or array.dtype.kind != ("f" if role in ("boxes", "scores") else "i"):
            what = f"{shape_text(array.shape, scalar='a scalar')}, {array.dtype}"
            fail("NS503", f"`{names[role]}` is {what}, and tells no {role} of detections")
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        fail("NS503", f"`{names['boxes']}` and `{names['scores']}` are not finite, and detect nothing")
    if not np.isin(numbers, range(images)).all():
        fail("NS503", f"`{names['images']}` has numbers of other images than 0 to {images - 1}")
