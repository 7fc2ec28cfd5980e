"""Text as Markdown that reads as it is: no part of it is a table's rule, a link, an image or HTML."""

from __future__ import annotations

import re

from netspec.printable import printable

_SIGNS = re.compile(r"[\\`*\[\]<>|~]|&(?=[\w#])|(?<![^\W_])_|_(?![^\W_])|(?<=:)//|(?<=www)\.|(?<=\w)@(?=\w)")
"""What means something in Markdown; `_` within a word does not, and stays readable."""
_BEGINS = re.compile(r"\s*(?:#|[-+=](?=\s|[-+=]|$)|\d+[.)](?=\s|$))")
"""What at the beginning of a line makes a heading, a rule or a list of it."""
_CODE = re.compile(r"(`[^`]+`)")


def as_cell(text: str) -> str:
    """Text within a cell of a table."""
    return _SIGNS.sub(r"\\\g<0>", printable(text, ""))


def as_line(text: str) -> str:
    """A line of text; what stands in it between two backticks stays code."""
    text = printable(text, "")
    coded = text.count("`") % 2 == 0 and "``" not in text
    parts = _CODE.split(text) if coded else [text]
    made = "".join([part if number % 2 else as_cell(part) for number, part in enumerate(parts)])
    if (begins := _BEGINS.match(made)) is not None:
        made = f"{made[: begins.end() - 1]}\\{made[begins.end() - 1 :]}"
    return made
