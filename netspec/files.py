"""Files: writing one whole or not at all, and which files are inputs, so that no output replaces them."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import time
import zlib
from collections.abc import Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

FilePath = str | os.PathLike[str]

_inputs: ContextVar[set[tuple[int, int]] | None] = ContextVar("_inputs", default=None)
"""The files that a command has read, by device and number, so that links and spellings make no difference."""
_temporaries: set[Path] = set()
"""The temporary files of this process that are there now."""
_TEMPORARY = re.compile(r"\.netspec-(?P<host>[0-9a-f]{8})-(?P<process>\d+)-")
_DAY = 24 * 60 * 60


@contextmanager
def keeping_inputs() -> Generator[None]:
    """Record which files are read in this context, for `is_input`."""
    token = _inputs.set(set())
    try:
        yield
    finally:
        _inputs.reset(token)


def note_input(path: FilePath) -> None:
    """Record that a file is read."""
    inputs = _inputs.get()
    if inputs is not None:
        with suppress(OSError, ValueError):
            status = os.stat(path)
            inputs.add((status.st_dev, status.st_ino))


def is_input(path: FilePath) -> bool:
    """Whether the running command has read this file, under this name or another."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return False
    return (status.st_dev, status.st_ino) in (_inputs.get() or ())


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """A temporary file beside `path`, which replaces it at the end; after an exception `path` stays as it was.

    Temporary files of processes that were killed are removed from the folder first.
    """
    if path.exists() and not path.is_file():
        # /dev/null and pipes are written to, never replaced; a folder says what it is.
        yield path
        return
    target = Path(os.path.realpath(path))
    _sweep(target.parent)
    # The name says which process it belongs to; some writers need the suffix.
    prefix = f".netspec-{_host()}-{os.getpid()}-"
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=prefix, suffix=target.suffix[:16])
    temporary = Path(name)
    _temporaries.add(temporary)
    try:
        os.close(handle)
        yield temporary
        temporary.chmod(_mode(target))
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
        _temporaries.discard(temporary)


def remove_temporaries() -> None:
    """Remove the files that this process has not finished: it is about to end."""
    for temporary in list(_temporaries):
        with suppress(OSError):
            temporary.unlink()


def _sweep(folder: Path) -> None:
    """Remove the temporary files of processes that are no more; those of other machines when a day old."""
    with suppress(OSError):
        for path in folder.iterdir():
            match = _TEMPORARY.match(path.name)
            if match is not None and _is_left_behind(path, match):
                with suppress(OSError):
                    path.unlink()


def _is_left_behind(path: Path, name: re.Match[str]) -> bool:
    """Whether the process that made a temporary file has ended; of another machine's, whether it is a day old."""
    if os.name == "posix" and name["host"] == _host():
        try:
            os.kill(int(name["process"]), 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            return False
        return False
    try:
        return time.time() - path.stat().st_mtime > _DAY
    except OSError:
        return False


def _host() -> str:
    """Eight digits for this machine: process numbers say nothing of others that share a folder."""
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return f"{zlib.crc32(name.encode('utf-8', 'replace')):08x}"


_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def no_file(path: str | os.PathLike[str]) -> str:
    """The kind of thing at a path that is no file, in words: `a directory`; "" for a file, and where nothing is.

    To open a pipe or a device may block, and to read one may never end.
    """
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):
        return ""
    return "" if kind == stat.S_IFREG else _KINDS.get(kind, "no file")


def reason_of(error: OSError) -> str:
    """The operating system's reason for an error, without the path: `no such file or directory`."""
    return (error.strerror or str(error)).lower()


def _mode(path: Path) -> int:
    """The permissions of a file, or those of a new one where there is none: mkstemp's are private."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
