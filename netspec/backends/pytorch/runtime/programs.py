"""Saves programs of `torch.export` to files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import torch


class _ErrorKeeper(io.FileIO):
    """A file that keeps the first OSError of a write, and does not raise it: torch's writer would abort the process."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        content = memoryview(data).cast("B")
        rest = content
        while self.error is None and rest:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.error = error
        return len(content)


def save_program(program: Any, path: Path, notes: dict[str, str]) -> None:
    """Save a program, with `notes` as extra files in its archive. Raises OSError, for example on a full disk."""
    with _ErrorKeeper(path, "w") as file:
        torch.export.save(program, cast("Any", file), extra_files=dict[str, Any](notes))
    if file.error is not None:
        raise file.error
