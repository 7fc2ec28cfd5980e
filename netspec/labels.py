"""Labels: the names of the classes that an output scores, in the order of the scores."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

KnownLabels = Literal["imagenet"]
Labels = tuple[str, ...] | KnownLabels

KNOWN: Mapping[KnownLabels, int] = {"imagenet": 1000}
"""The lists of labels that a spec can refer to by name, with their lengths."""

_VARIABLES: Mapping[KnownLabels, str] = {"imagenet": "_IMAGENET_CATEGORIES"}
"""The variables in torchvision's `models/_meta.py` that hold these lists."""


def names_of(labels: Labels) -> tuple[str, ...] | None:
    """The names of the classes; None for a known list if torchvision, which has it, is not installed.

    The names of `imagenet` are `categories` in the metadata of torchvision's weights. The file is parsed, not imported,
    since importing it would load torch.
    """
    if not isinstance(labels, str):
        return labels
    module = find_spec("torchvision")
    file = Path(module.origin).parent / "models" / "_meta.py" if module is not None and module.origin else None
    if file is None or not file.is_file():
        return None
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == _VARIABLES[labels]:
            names = tuple(ast.literal_eval(statement.value))
            return names if len(names) == KNOWN[labels] else None
    return None
