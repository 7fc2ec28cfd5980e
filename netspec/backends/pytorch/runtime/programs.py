"""Programs of torch.export, written to files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import torch


class _ErrorKeeper(io.FileIO):
    """A file that remembers what the system says against it: torch's writer, told at once, ends the process."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        whole = memoryview(data).cast("B")
        rest = whole
        while self.error is None and rest:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.error = error
        return len(whole)


def save_program(program: Any, path: Path, notes: dict[str, str]) -> None:
    """Write a program with notes beside it. Raises OSError where the system has no room, say."""
    with _ErrorKeeper(path, "w") as file:
        torch.export.save(program, cast("Any", file), extra_files=dict[str, Any](notes))
    if file.error is not None:
        raise file.error
