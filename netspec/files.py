"""Files: writes a file completely or not at all, and records input files, so that no output replaces them."""

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
"""The files that a command has read, by device and inode, which do not depend on links and spellings."""
_temporaries: set[Path] = set()
"""The temporary files of this process that exist now."""
_TEMPORARY = re.compile(r"\.netspec-(?P<host>[0-9a-f]{8})-(?P<process>\d+)-")
_DAY = 24 * 60 * 60


@contextmanager
def keeping_inputs() -> Generator[None]:
    """Record the files that are read in this context, for `is_input`."""
    token = _inputs.set(set())
    try:
        yield
    finally:
        _inputs.reset(token)


def note_input(path: FilePath) -> None:
    """Record a file that is read."""
    inputs = _inputs.get()
    if inputs is not None:
        with suppress(OSError, ValueError):
            status = os.stat(path)
            inputs.add((status.st_dev, status.st_ino))


def is_input(path: FilePath) -> bool:
    """Return whether the running command has read this file, under this name or another."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return False
    return (status.st_dev, status.st_ino) in (_inputs.get() or ())


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Yield a temporary file beside `path`, which replaces it at the end; after an exception `path` is unchanged.

    Temporary files of killed processes are removed from the folder first.
    """
    if path.exists() and not path.is_file():
        # /dev/null and pipes are written to, never replaced; for a folder, opening it raises the right error.
        yield path
        return
    target = Path(os.path.realpath(path))
    _sweep(target.parent)
    # The name tells the process that it belongs to; some writers need the suffix.
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
    """Remove the unfinished files of this process, which is about to end."""
    for temporary in list(_temporaries):
        with suppress(OSError):
            temporary.unlink()


def _sweep(folder: Path) -> None:
    """Remove the temporary files of processes that have ended; those of other machines after a day."""
    with suppress(OSError):
        for path in folder.iterdir():
            match = _TEMPORARY.match(path.name)
            if match is not None and _is_left_behind(path, match):
                with suppress(OSError):
                    path.unlink()


def _is_left_behind(path: Path, name: re.Match[str]) -> bool:
    """Return whether the process of a temporary file has ended; for another machine's file, whether it is a day old."""
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
    """Eight digits for this machine: several machines may share a folder, and their process numbers may be equal."""
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
    """The kind of a path that is no regular file, in words: `a directory`; "" for a file or a missing one.

    Opening a pipe or a device may block, and reading it may never end.
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
    """The permissions of a file, or those of a new file if it does not exist; those of mkstemp are private."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
