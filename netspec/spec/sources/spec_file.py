"""Reads the files of specs: which paths are allowed, and their text."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from netspec.errors import closest, fail
from netspec.files import note_input, reason_of
from netspec.source import Source, Span
from netspec.spec.limits import MAX_FILE_BYTES, MAX_PATH_LENGTH

SPEC_SUFFIXES = (".yaml", ".yml", ".json")
_STDIN = "`-` is standard input"


def looks_like_path(name: str) -> bool:
    """Return whether a name is a path rather than the name of a bundled spec."""
    return name.endswith(SPEC_SUFFIXES) or "/" in name or os.sep in name


def check_path(name: str, span: Span | None = None) -> None:
    """Refuse a path that is too long, or a URL."""
    if len(name) > MAX_PATH_LENGTH:
        fail("NS105", f"a path has at most {MAX_PATH_LENGTH:,} characters, and this one {len(name):,}", span)
    if re.match(r"[a-z][a-z0-9+.-]+://", name, re.IGNORECASE):
        fail("NS213", f"`{name}` is an address, and specs are read from files", span, help="download it first")


def read_file(path: Path, shown: str, span: Span | None = None) -> Source:
    """Read a spec file, which has to be a regular file of UTF-8 text of limited size.

    `shown` is the path as errors show it, and `span` the place where another spec names the file. Raises NetspecError
    NS104, NS105 or NS213.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            fail("NS105", f"{shown} is a folder", span, help="give a spec file in it")
        if not stat.S_ISREG(mode):
            help = _STDIN if "/fd/" in shown or "stdin" in shown else ""
            fail("NS105", f"{shown} is not an ordinary file", span, help=help)
        note_input(path)
        with open(path, "rb", opener=_open) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        names = [file.name for file in path.parent.glob("*") if file.suffix in SPEC_SUFFIXES and os.path.isfile(file)]
        fail("NS213", f"there is no file {shown}", span, help=closest(path.name, names))
    except OSError as error:
        fail("NS105", f"{shown} can't be read: {reason_of(error)}", span)
    except ValueError:  # a null byte, or a lone surrogate
        fail("NS105", f"{shown} is no path of a file", span)
    return Source(shown, decode(data, shown, span))


def _open(path: str, flags: int) -> int:
    # Otherwise a file that was replaced by a pipe since `stat` would block.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def decode(data: bytes, shown: str, span: Span | None = None) -> str:
    """Decode the bytes of a spec; refuse them if they are too many, or not UTF-8."""
    if len(data) > MAX_FILE_BYTES:
        fail("NS104", f"{shown} is larger than {MAX_FILE_BYTES >> 20} MiB", span)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or re.match(rb"\0[\t-~]|[\t-~]\0", data):
        fail("NS105", f"{shown} is UTF-16 text", span, help="save it as UTF-8")
    if 0 in data:
        fail("NS105", f"{shown} is no text: its byte {data.index(0)} is 0", span, help="a spec is UTF-8 text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fail("NS105", f"{shown} is not UTF-8 text (byte {error.start})", span, help="save it as UTF-8")
