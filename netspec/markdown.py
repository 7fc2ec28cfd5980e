"""Text escaped for Markdown: no part of it becomes a table's rule, a link, an image or HTML."""

from __future__ import annotations

import re

from netspec.printable import printable

_MARKUP = re.compile(r"[\\`*\[\]<>|~]|&(?=[\w#])|(?<![^\W_])_|_(?![^\W_])|(?<=:)//|(?<=www)\.|(?<=\w)@(?=\w)")
"""Characters with a meaning in Markdown; `_` within a word has none, and stays readable."""
_LINE_STARTS = re.compile(r"\s*(?:#|[-+=](?=\s|[-+=]|$)|\d+[.)](?=\s|$))")
"""Beginnings that make a heading, a rule or a list of a line."""
_CODE = re.compile(r"(`[^`]+`)")


def as_cell(text: str) -> str:
    """Text for a cell of a table, where code has no meaning either."""
    return _MARKUP.sub(r"\\\g<0>", printable(text, ""))


def as_line(text: str) -> str:
    """Text for a line of its own; code between two backticks stays code."""
    text = printable(text, "")
    coded = text.count("`") % 2 == 0 and "``" not in text
    parts = _CODE.split(text) if coded else [text]
    line = "".join([part if number % 2 else as_cell(part) for number, part in enumerate(parts)])
    if (start := _LINE_STARTS.match(line)) is not None:
        line = f"{line[: start.end() - 1]}\\{line[start.end() - 1 :]}"
    return line
