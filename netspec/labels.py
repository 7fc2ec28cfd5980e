"""Labels: the names of classes, in the order of the scores of an output, or by the values of an output of integers."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

KnownLabels = Literal["imagenet", "voc"]
Labels = tuple[str, ...] | KnownLabels

KNOWN: Mapping[KnownLabels, int] = {"imagenet": 1000, "voc": 21}
"""The lists of labels that a spec can refer to by name, with their lengths."""

_VOC = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""The classes of PASCAL VOC since 2007, by the names in its annotations, after the background (Everingham et al. 2010).
"""


def names_of(labels: Labels) -> tuple[str, ...] | None:
    """The names of the classes; None for a list that torchvision has, if it is not installed."""
    if not isinstance(labels, str):
        return labels
    return _VOC if labels == "voc" else _imagenet()


def _imagenet() -> tuple[str, ...] | None:
    """The names of ImageNet's classes, which are `categories` in the metadata of torchvision's weights.

    The file is parsed, not imported, since importing it would load torch.
    """
    module = find_spec("torchvision")
    file = Path(module.origin).parent / "models" / "_meta.py" if module is not None and module.origin else None
    if file is None or not file.is_file():
        return None
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "_IMAGENET_CATEGORIES":
            names = tuple(ast.literal_eval(statement.value))
            return names if len(names) == KNOWN["imagenet"] else None
    return None
