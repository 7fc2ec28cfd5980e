"""Escapes text for Markdown, so that no part of it becomes a table, a link, an image or HTML."""

from __future__ import annotations

import re

from netspec.printable import printable

_MARKUP = re.compile(r"[\\`*\[\]<>|~]|&(?=[\w#])|(?<![^\W_])_|_(?![^\W_])|(?<=:)//|(?<=www)\.|(?<=\w)@(?=\w)")
"""Matches characters with a meaning in Markdown; `_` within a word has none, and is not escaped."""
_LINE_STARTS = re.compile(r"\s*(?:#|[-+=](?=\s|[-+=]|$)|\d+[.)](?=\s|$))")
"""Matches beginnings that would turn a line into a heading, a rule or a list."""
_CODE = re.compile(r"(`[^`]+`)")


def as_cell(text: str) -> str:
    """Text for a cell of a table; backticks are escaped too."""
    return _MARKUP.sub(r"\\\g<0>", printable(text, ""))


def as_line(text: str) -> str:
    """Text for a separate line; code between backticks stays code."""
    text = printable(text, "")
    coded = text.count("`") % 2 == 0 and "``" not in text
    parts = _CODE.split(text) if coded else [text]
    line = "".join([part if number % 2 else as_cell(part) for number, part in enumerate(parts)])
    if (start := _LINE_STARTS.match(line)) is not None:
        line = f"{line[: start.end() - 1]}\\{line[start.end() - 1 :]}"
    return line
