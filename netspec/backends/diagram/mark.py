"""Marks files of diagrams invisibly, so that netspec recognises those that it drew."""

from __future__ import annotations

import re
import struct
import zlib

DIAGRAM_MARK = b"drawn by netspec"
_PNG_HEAD = 8 + 25
"""The size in bytes of a PNG's signature and first chunk."""


def marked(data: bytes, format: str) -> bytes:
    """The content of a diagram's file with the mark added: a comment, or in PNG a text chunk."""
    if format == "dot":
        return data + b"// " + DIAGRAM_MARK + b"\n"
    if format == "svg":
        return re.sub(rb"(?=<svg\b)", lambda _: b"<!-- " + DIAGRAM_MARK + b" -->\n", data, count=1)
    if format == "png":
        chunk = b"tEXtSoftware\0" + DIAGRAM_MARK
        chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        return data[:_PNG_HEAD] + chunk + data[_PNG_HEAD:]
    # PDF readers search the end marker in the last kilobyte, so a comment after it is fine.
    return data.rstrip(b"\n") + b"\n% " + DIAGRAM_MARK + b"\n"
