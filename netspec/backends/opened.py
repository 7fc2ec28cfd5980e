"""Opens files of weights, and notices if they change while they are read."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from typing import NoReturn

from netspec.errors import NetspecError, choices, fail
from netspec.files import no_file, reason_of

_WEIGHTS_SUFFIXES = (".safetensors", ".index.json", ".pth", ".pt", ".bin", ".ckpt")
"""Common suffixes of files of weights: the error for a folder lists such files in it."""
_FileState = tuple[int, int, int]
"""The inode, size and modification time of a file, which are equal as long as it has not changed."""


@contextmanager
def opened(name: str, expected: _FileState | None = None) -> Generator[BufferedReader]:
    """Open a file of weights to read it.

    Raises NetspecError NS501 if it can't be read, if it changes meanwhile, or if its state is not `expected`.
    """
    with _open(name) as file:
        before = expected or state_of(file)
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


def state_of(file: BufferedReader) -> _FileState:
    """The state of an open file, which differs after a change."""
    stat = os.fstat(file.fileno())
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def unreadable(name: str, why: str, message: Exception | str = "", help: str = "") -> NoReturn:
    """Raise NetspecError NS501: `why` says why a file holds no weights, and `message` is a library's, if any."""
    lines: Sequence[str] = str(message).strip().splitlines()
    fail("NS501", f"{name} can't be read as weights: {why}", notes=[lines[0][:200]] if lines else (), help=help)


def _open(name: str) -> BufferedReader:
    if os.path.isdir(name):
        inside = (
            sorted(file for file in os.listdir(name) if file.endswith(_WEIGHTS_SUFFIXES))
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
