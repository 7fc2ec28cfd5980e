"""The text of a spec, and places in it."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

from netspec.printable import display_width, printable

_MAX_LINE = 160
"""How many characters of a line are shown."""
_LINE_BREAK = re.compile(r"\r\n?|\n")


class Source:
    """The text of one spec and the name it is known by: a path, `<stdin>`, or what the caller says."""

    __slots__ = ("_starts", "name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._starts: list[int] | None = None

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column of a character, both counted from 1."""
        starts = self._line_starts()
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its line break."""
        starts = self._line_starts()
        end = starts[number] if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end].rstrip("\r\n")

    def _line_starts(self) -> list[int]:
        """The offsets at which lines start."""
        # Only errors and `explain` need them, so that a spec without errors is read in less time.
        if self._starts is None:
            self._starts = [0, *(match.end() for match in _LINE_BREAK.finditer(self.text))]
        return self._starts

    def __repr__(self) -> str:
        return f"Source({self.name!r}, {len(self.text)} characters)"


class Span(NamedTuple):
    """A piece of a source: characters `start` to `end`, the end not included."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def place(self) -> str:
        """`file:line:column`, as editors and terminals link it."""
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"

    @property
    def text(self) -> str:
        """The characters of the piece."""
        return self.source.text[self.start : self.end]

    def excerpt(self, label: str = "") -> list[str]:
        """The line of the span with carets below it and `label` beside them."""
        line, column = self.source.position(self.start)
        text = self.source.line(line)
        before, shown = _window(text, column - 1)
        marked = text[column - 1 : column - 1 + min(self.end - self.start, _MAX_LINE)]
        width = max(1, min(display_width(printable(marked, "\t")), display_width(shown) - display_width(before)))
        # A tab in the line is a tab above the carets too, so that they align whatever a tab's width is.
        lead = "".join("\t" if c == "\t" else " " * display_width(c) for c in before)
        number = f"{line:5d}"
        return [f"{number} | {shown}", f"{' ' * len(number)} | {lead}{'^' * width}{' ' + label if label else ''}"]


def _window(text: str, column: int, limit: int = _MAX_LINE) -> tuple[str, str]:
    """The text before a column, and the whole line: both cut where the line is too long to show."""
    if len(text) <= limit:
        return printable(text[:column], "\t"), printable(text, "\t")
    start = max(0, column - limit // 2)
    shown = text[start : start + limit]
    lead = "..." if start else ""
    tail = "..." if start + limit < len(text) else ""
    return lead + printable(text[start:column], "\t"), lead + printable(shown, "\t") + tail
