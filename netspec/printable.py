"""Text that others wrote, as it may be shown: nothing in it moves a cursor, hides a character or turns a line round."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from functools import partial

_PERHAPS = re.compile(r"[^ -~]")
"""What is looked at more closely: all but the printable characters of ASCII."""


def printable(text: str, keep: str = "\t\n") -> str:
    r"""Text with its control and format characters as escapes (`\x1b`, `\u202e`), but for those to `keep`.

    These are what a terminal obeys (C0, C1, DEL) and what no reader sees: marks of direction, characters of no width,
    line separators. Bytes of a file's name that this system can't decode are read as UTF-8 first.
    """
    if text.isascii() and text.isprintable():
        return text
    with suppress(UnicodeEncodeError):
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return _PERHAPS.sub(partial(_shown, keep), text)


def _shown(keep: str, match: re.Match[str]) -> str:
    c = match[0]
    if c in keep or c.isprintable() or unicodedata.category(c) == "Zs":
        return c
    return c.encode("unicode_escape").decode("ascii")


def display_width(text: str) -> int:
    """How many columns of a terminal a printable text takes: East Asian characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_columns(c) for c in text)


def _columns(c: str) -> int:
    if unicodedata.category(c) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1
