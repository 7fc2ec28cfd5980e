"""The bundled specs, which come with netspec: their names, and the text of each."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

from netspec.source import Source
from netspec.spec.sources.aliases import resolve_alias
from netspec.spec.sources.spec_file import looks_like_path, read_file


@lru_cache(maxsize=1)
def bundled_folder() -> Path:
    """The folder of the bundled specs: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[2]
    inside = package / "specs"
    return inside if inside.is_dir() else package.parent / "specs"


def bundled_names() -> list[str]:
    """The names of the bundled specs in natural order, `resnet50` before `resnet101`."""
    folder = bundled_folder()
    files = os.listdir(folder) if folder.is_dir() else []
    return sorted([name.removesuffix(".yaml") for name in files if name.endswith(".yaml")], key=_natural_order)


def _natural_order(name: str) -> tuple[str, str, int]:
    """The sort key of a name: its first word, then the text after the number, then the number.

    So `resnet50` and `resnet101` come before `resnet50_cifar`.
    """
    word, number, kind = re.findall(r"^(\D*)(\d*)(.*)$", name)[0]
    return word, kind, int(number or 0)


def is_bundled(name: str) -> bool:
    """Return whether a name or alias means a bundled spec."""
    return not looks_like_path(name) and resolve_alias(name, bundled_names()) is not None


def bundled_source(name: str) -> Source | None:
    """The text of a bundled spec; None where no bundled spec has this name."""
    if name not in bundled_names():
        return None
    path = bundled_folder() / f"{name}.yaml"
    return read_file(path, _shown(path))


def _shown(path: Path) -> str:
    """The path as errors show it: relative to the current folder if it is below that."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
