"""Makes untrusted text safe to show: nothing in it moves the cursor, hides characters or reverses a line."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from functools import partial

_NOT_PLAIN = re.compile(r"[^ -~]")
"""Matches characters that may need an escape: all but printable ASCII."""


def printable(text: str, keep: str = "\t\n") -> str:
    r"""Text with its control and format characters as escapes (`\x1b`, `\u202e`), except those to `keep`.

    These are the characters that a terminal obeys (C0, C1, DEL) and invisible ones: marks of direction, zero-width
    characters, line separators. Undecodable bytes of file names (surrogate escapes) are first read as UTF-8.

    >>> print(printable("a\x1b[1mb"))
    a\x1b[1mb
    """
    if text.isascii() and text.isprintable():
        return text
    with suppress(UnicodeEncodeError):
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return _NOT_PLAIN.sub(partial(_escaped, keep), text)


def _escaped(keep: str, match: re.Match[str]) -> str:
    """A character, or its escape if it is not printable."""
    c = match[0]
    if c in keep or c.isprintable() or unicodedata.category(c) == "Zs":
        return c
    return c.encode("unicode_escape").decode("ascii")


def display_width(text: str) -> int:
    """The width of a text in a terminal: wide East Asian characters count 2, and combining ones 0."""
    if text.isascii():
        return len(text)
    return sum(_columns(c) for c in text)


def _columns(c: str) -> int:
    if unicodedata.category(c) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1
