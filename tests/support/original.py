"""Numbers that the original code of Fast and Faster R-CNN gave, from `tests/detection/original`."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from tests.support.lazy import lazy_imports
from tests.support.paths import TESTS

with lazy_imports():
    import torch

FOLDER = TESTS / "detection" / "original"


@cache
def original(name: str) -> Any:
    """The cases of a file: inputs and outputs by name."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def floats(values: Any, columns: int | None = None) -> torch.Tensor:
    """The numbers as float32; with so many columns, which tells what an empty list is."""
    tensor = torch.tensor(values, dtype=torch.float32)
    return tensor if columns is None else tensor.reshape(-1, columns)
