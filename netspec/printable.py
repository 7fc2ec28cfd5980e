"""Untrusted text made safe to show: nothing in it moves a cursor, hides a character or turns a line round."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from functools import partial

_NOT_PLAIN = re.compile(r"[^ -~]")
"""Characters that may have to be escaped: all but the printable ones of ASCII."""


def printable(text: str, keep: str = "\t\n") -> str:
    r"""Text with its control and format characters as escapes (`\x1b`, `\u202e`), except those to `keep`.

    Escaped are the characters that a terminal obeys (C0, C1, DEL) and those that no reader sees: marks of direction,
    characters of no width, line separators. Bytes of a file's name that this system can't decode are read as UTF-8
    first.

    >>> print(printable("a\x1b[1mb"))
    a\x1b[1mb
    """
    if text.isascii() and text.isprintable():
        return text
    with suppress(UnicodeEncodeError):
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return _NOT_PLAIN.sub(partial(_escaped, keep), text)


def _escaped(keep: str, match: re.Match[str]) -> str:
    """A character as it is shown: itself, or its escape."""
    c = match[0]
    if c in keep or c.isprintable() or unicodedata.category(c) == "Zs":
        return c
    return c.encode("unicode_escape").decode("ascii")


def display_width(text: str) -> int:
    """The columns of a terminal that a printable text takes: East Asian characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_columns(c) for c in text)


def _columns(c: str) -> int:
    if unicodedata.category(c) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1
