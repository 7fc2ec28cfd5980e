"""Writes labels in DOT's markup: lines of text in several sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap

from netspec.backends.diagram.theme import Palette
from netspec.printable import printable

_MAX_WORD = 36
"""The length in characters of the longest word that is written in full."""
LINE_WIDTH = 36
"""The length of a line of a box, in characters."""
_LINE_HEIGHT = 1.25
"""The height of a line relative to its font size."""


@dataclass(frozen=True, slots=True)
class LabelLine:
    """A line of a label: cells of markup, the font size in points, and the length in characters."""

    cells: Sequence[str]
    size: int
    length: int = 0


def escaped(text: str) -> str:
    """Text for a label, with markup escaped, long words shortened, and unprintable characters replaced."""
    words = " ".join(map(_shortened, text.split(" ")))
    return printable(words, "").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _shortened(word: str) -> str:
    """A word, with its middle cut out if it is too long for a box."""
    return word if len(word) <= _MAX_WORD else f"{word[: _MAX_WORD // 2]}…{word[-_MAX_WORD // 3 :]}"


def wrapped(text: str, width: int = LINE_WIDTH) -> list[str]:
    """The lines of a text, broken between words."""
    return wrap(text, width, break_long_words=False, break_on_hyphens=False)


def wrapped_parts(text: str, width: int) -> list[str]:
    """The lines of a text with parts joined by ` · `, broken between parts if these are short enough."""
    lines: list[str] = []
    for part in text.split(" · "):
        if lines and len(lines[-1]) + len(part) + 3 <= width:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return [line for long in lines for line in wrapped(long, width)]


def stacked(lines: Sequence[LabelLine], align: str = "CENTER", width: int = 0) -> str:
    """A label of several lines that is at least `width` points wide.

    The lines are rows of a table, since line breaks would let descenders touch the line below.
    """
    if len(lines) == 1 and len(lines[0].cells) == 1 and not width:
        return f"<{lines[0].cells[0]}>"
    at_least = f' WIDTH="{width}"' if width else ""
    return f"<<TABLE{_BARE}{at_least}>{''.join(_row(line, align) for line in lines)}</TABLE>>"


_BARE = ' BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"'


def _row(line: LabelLine, align: str) -> str:
    # The space between cells has a fixed size, and so is a separate text.
    text = '<FONT POINT-SIZE="9"> &#160;</FONT>'.join(line.cells)
    return f'<TR><TD ALIGN="{align}" HEIGHT="{round(line.size * _LINE_HEIGHT)}">{text}</TD></TR>'


def text_width(lines: Iterable[LabelLine]) -> int:
    """The estimated width of lines, in points."""
    return round(max(line.size * line.length for line in lines) / 2)


def text_line(text: str, size: int) -> LabelLine:
    """A line of text."""
    return LabelLine([escaped(text)], size, len(text))


def faint_lines(palette: Palette, texts: Iterable[str], size: int) -> list[LabelLine]:
    """A line in the faint colour for each text that is not empty."""
    return [
        LabelLine([f'<FONT POINT-SIZE="{size}" COLOR="{palette.faint}">{escaped(text)}</FONT>'], size, len(text))
        for text in texts
        if text
    ]
