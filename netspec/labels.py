"""Labels: the names of the classes that an output scores, in their order."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

KnownLabels = Literal["imagenet"]
Labels = tuple[str, ...] | KnownLabels

KNOWN: Mapping[KnownLabels, int] = {"imagenet": 1000}
"""Lists of labels that specs name and do not repeat, and how long they are."""

_CATEGORIES: Mapping[KnownLabels, str] = {"imagenet": "_IMAGENET_CATEGORIES"}


def names_of(labels: Labels) -> tuple[str, ...] | None:
    """The names themselves; those of a list that only torchvision has are None where that is not installed.

    They are what the metadata of torchvision's weights has under `categories`. Its file is read and not imported, which
    would load torch.
    """
    if not isinstance(labels, str):
        return labels
    found = find_spec("torchvision")
    file = Path(found.origin).parent / "models" / "_meta.py" if found is not None and found.origin else None
    if file is None or not file.is_file():
        return None
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == _CATEGORIES[labels]:
            names = tuple(ast.literal_eval(statement.value))
            return names if len(names) == KNOWN[labels] else None
    return None
