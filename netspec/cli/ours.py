"""Files that are there already: those that netspec wrote are overwritten, others are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click


def refuse_to_lose(path: Path, ours: Callable[[Path], bool]) -> None:
    """Refuse to overwrite a file that netspec did not write."""
    if path.is_file() and path.stat().st_size and not ours(path):
        raise click.ClickException(f"{path} exists and was not written by netspec; --force overwrites it")


def is_our_source(path: Path) -> bool:
    """Whether a file is Python source that netspec wrote."""
    from netspec.backends.pytorch.source import MARK

    start = _start(path)
    # The docstring has the mark, perhaps wrapped over two lines.
    return start.startswith('"""') and MARK in " ".join(start.split('"""')[1].split())


def is_our_spec(path: Path) -> bool:
    """Whether a file is a spec that netspec wrote from a graph."""
    from netspec.backends.spec.write import MARK

    return MARK in _start(path).split("\n")[0]


def weights_beside(path: Path, weights: str, force: bool) -> Path:
    """The file beside another that takes its weights, which are made from those in a file."""
    from netspec.backends.marks import written_for

    beside = path.with_suffix(".safetensors")
    if beside.exists() and beside.samefile(weights):
        raise click.ClickException(f"{beside} is the file of weights, and would be overwritten: choose another -o")
    if not force:
        refuse_to_lose(beside, lambda file: written_for(file) is not None)
    return beside


def _start(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(4096).decode("utf-8", "replace")
