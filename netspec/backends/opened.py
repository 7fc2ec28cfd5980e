"""Files of weights, opened: they must be there, and stay as they are while they are read."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from typing import NoReturn

from netspec.errors import NetspecError, choices, fail
from netspec.files import no_file, reason_of

WEIGHTS_SUFFIXES = (".safetensors", ".index.json", ".pth", ".pt", ".bin", ".ckpt")
"""What files of weights mostly end in: those in a folder are named where a folder was given."""
FileState = tuple[int, int, int]
"""What tells that a file is as it was: its number, its size, and when it was last written."""


@contextmanager
def opened(name: str, as_it_was: FileState | None = None) -> Generator[BufferedReader]:
    """A file of weights, open to be read.

    Raises NetspecError NS501 where it can't be read, and where it changes meanwhile, or is not `as_it_was`.
    """
    with _open(name) as file:
        before = as_it_was or state_of(file)
        try:
            yield file
        except OSError as error:
            fail("NS501", f"{name} can't be read: {reason_of(error)}")
        except NetspecError:
            if state_of(file) != before:
                _changed(name)
            raise
        if state_of(file) != before:
            _changed(name)


def state_of(file: BufferedReader) -> FileState:
    """What changes with an open file."""
    stat = os.fstat(file.fileno())
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def unreadable(name: str, why: str, said: Exception | str = "", help: str = "") -> NoReturn:
    """Raise NetspecError NS501 for a file that holds no weights: why, and what a library said of it."""
    lines: Sequence[str] = str(said).strip().splitlines()
    fail("NS501", f"{name} can't be read as weights: {why}", notes=[lines[0][:200]] if lines else (), help=help)


def _open(name: str) -> BufferedReader:
    if os.path.isdir(name):
        inside = (
            sorted(file for file in os.listdir(name) if file.endswith(WEIGHTS_SUFFIXES))
            if os.access(name, os.R_OK)
            else []
        )
        help = f"it holds {choices((os.path.join(name, file) for file in inside), 4)}" if inside else ""
        fail("NS501", f"{name} is a folder, and no file of weights", help=help)
    if not os.path.isfile(name):
        what = no_file(name)
        fail("NS501", f"{name} is no file: it is {what}" if what else f"there is no file {name}")
    try:
        return open(name, "rb")
    except OSError as error:
        fail("NS501", f"{name} can't be read: {reason_of(error)}")


def _changed(name: str) -> NoReturn:
    fail("NS501", f"{name} changed while it was read", help="read it when whoever writes it has done so")
