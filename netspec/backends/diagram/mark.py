"""The mark in diagrams, by which netspec knows a file that it drew; it is seen in none of them."""

from __future__ import annotations

import re
import struct
import zlib

DIAGRAM_MARK = b"drawn by netspec"
_PNG_HEAD = 8 + 25
"""The signature of a PNG, and the chunk that comes first in all of them."""


def marked(data: bytes, format: str) -> bytes:
    """A diagram's file with the mark: a comment, or in PNG a chunk of text."""
    if format == "dot":
        return data + b"// " + DIAGRAM_MARK + b"\n"
    if format == "svg":
        return re.sub(rb"(?=<svg\b)", lambda _: b"<!-- " + DIAGRAM_MARK + b" -->\n", data, count=1)
    if format == "png":
        chunk = b"tEXtSoftware\0" + DIAGRAM_MARK
        chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        return data[:_PNG_HEAD] + chunk + data[_PNG_HEAD:]
    # Readers of PDF look for its end in its last kilobyte.
    return data.rstrip(b"\n") + b"\n% " + DIAGRAM_MARK + b"\n"
