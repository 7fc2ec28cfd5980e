"""Texts as the labels of DOT: lines of several sizes, one below the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap

from netspec.backends.diagram.theme import Palette
from netspec.printable import printable

_MAX_WORD = 36
"""In characters: a word that is written in full."""
LINE_WIDTH = 36
"""In characters: a line of a box."""
_LINE_HEIGHT = 1.25
"""How high a line is, by the size of its letters."""


@dataclass(frozen=True, slots=True)
class LabelLine:
    """A line of a label: markup in one cell or several side by side, its size in points, and how many characters."""

    cells: Sequence[str]
    size: int
    length: int = 0


def escaped(text: str) -> str:
    """Text within a label: no character of it is markup, and none that a page can't hold is left."""
    words = " ".join(map(_fit, text.split(" ")))
    return printable(words, "").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _fit(word: str) -> str:
    """A word without its middle, if it is too long for a box."""
    return word if len(word) <= _MAX_WORD else f"{word[: _MAX_WORD // 2]}…{word[-_MAX_WORD // 3 :]}"


def wrapped(text: str, width: int = LINE_WIDTH) -> list[str]:
    """A text in lines, cut between words."""
    return wrap(text, width, break_long_words=False, break_on_hyphens=False)


def parts(text: str, width: int) -> list[str]:
    """A text of parts with ` · ` between them in lines, cut between the parts where that is enough."""
    lines: list[str] = []
    for part in text.split(" · "):
        if lines and len(lines[-1]) + len(part) + 3 <= width:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return [line for long in lines for line in wrapped(long, width)]


def stacked(lines: Sequence[LabelLine], align: str = "CENTER", width: int = 0) -> str:
    """BoxEdges as a label, of a width in points or more.

    Rows of a table keep descenders off the line below, which line breaks do not.
    """
    if len(lines) == 1 and len(lines[0].cells) == 1 and not width:
        return f"<{lines[0].cells[0]}>"
    least = f' WIDTH="{width}"' if width else ""
    return f"<<TABLE{_BARE}{least}>{''.join(_row(line, align) for line in lines)}</TABLE>>"


_BARE = ' BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"'


def _row(line: LabelLine, align: str) -> str:
    # Between cells, a space of another size is a text of its own.
    text = '<FONT POINT-SIZE="9"> &#160;</FONT>'.join(line.cells)
    return f'<TR><TD ALIGN="{align}" HEIGHT="{round(line.size * _LINE_HEIGHT)}">{text}</TD></TR>'


def breadth(lines: Iterable[LabelLine]) -> int:
    """About how wide lines are, in points."""
    return round(max(line.size * line.length for line in lines) / 2)


def text_line(text: str, size: int) -> LabelLine:
    """A line of text."""
    return LabelLine([escaped(text)], size, len(text))


def small(palette: Palette, texts: Iterable[str], size: int) -> list[LabelLine]:
    """Faint lines, of the texts that say something."""
    return [
        LabelLine([f'<FONT POINT-SIZE="{size}" COLOR="{palette.faint}">{escaped(text)}</FONT>'], size, len(text))
        for text in texts
        if text
    ]
