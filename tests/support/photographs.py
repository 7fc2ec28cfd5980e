"""Photographs for the tests of images, from scikit-learn."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_sample_images

Array = np.ndarray[Any, Any]


@cache
def photographs() -> list[Array]:
    """Two photographs, of 640 by 427 pixels."""
    return load_sample_images().images


@cache
def images() -> dict[str, Array]:
    """The photographs, one that is higher than wide and of odd sizes, and a small one."""
    china, flower = photographs()
    portrait = np.ascontiguousarray(flower.transpose(1, 0, 2)[:501, :333])
    return {"china": china, "flower": flower, "portrait": portrait, "small": china[:90, :61]}
