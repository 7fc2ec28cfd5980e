"""Fits a table into the width of a terminal: text is folded, then columns are left out."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from netspec.printable import display_width

GAP = 2
"""The number of spaces between two columns."""
_MIN_FIRST, _MIN_TEXT = 24, 14
"""The least widths to which the first column, and other columns of text, are folded."""
_MIN_ROOM = 40
"""The least width of a table; a narrower terminal breaks its lines."""


@dataclass(frozen=True, slots=True)
class ColumnLayout:
    """The columns that are kept, their widths, and the headings of those left out."""

    kept: Sequence[int]
    widths: Sequence[int]
    left_out: Sequence[str] = ()


def layout(
    headings: Sequence[str], widths: Sequence[int], right: Sequence[bool], spare: Sequence[str], room: int | None
) -> ColumnLayout:
    """Fit columns into a terminal that is `room` characters wide; None is no limit.

    `widths` are the widths that the columns need. Bars (columns without a heading) are left out first, then `spare`
    columns, then others from the last on. Columns of numbers (`right`) are never folded, and the first column stays.
    """
    kept = list(range(len(headings)))
    if room is None or _total(widths) <= room:
        return ColumnLayout(kept, widths)
    room = max(room, _MIN_ROOM)
    least = [
        w if r else min(w, _MIN_TEXT if i else _MIN_FIRST) for i, (w, r) in enumerate(zip(widths, right, strict=True))
    ]
    droppable = [i for i in kept if i and not headings[i]]
    droppable += [headings.index(name) for name in spare]
    droppable += [i for i in reversed(kept) if i and i not in droppable]
    for number in droppable:
        if not headings[number] or _total([least[i] for i in kept]) > room:
            kept.remove(number)
    folded_widths = {i: widths[i] for i in kept}
    while _total(list(folded_widths.values())) > room:
        foldable = [i for i in kept if folded_widths[i] > least[i]]
        if not foldable:
            break
        widest = max(foldable, key=lambda i: folded_widths[i])
        folded_widths[widest] -= 1
    left_out = [headings[i] for i in range(len(headings)) if i not in kept and headings[i]]
    return ColumnLayout(kept, list(folded_widths.values()), left_out)


def _total(widths: Sequence[int]) -> int:
    """The width of a row with gaps between its columns."""
    return sum(widths) + GAP * (len(widths) - 1)


def folded(text: str, width: int) -> list[str]:
    """The lines of a cell folded to a width, all with the indentation of the first."""
    if display_width(text) <= width:
        return [text]
    lead = text[: len(text) - len(text.lstrip(" "))][: width // 2]
    lines: list[str] = []
    for part in textwrap.wrap(text.strip(), width - len(lead), break_long_words=False, break_on_hyphens=False) or [""]:
        lines += [f"{lead}{piece}" for piece in _cut(part, width - len(lead))]
    return lines


def _cut(text: str, width: int) -> list[str]:
    """A long word in pieces that fit a width, cut after dots if it is a path."""
    pieces: list[str] = []
    piece = ""
    for c in text:
        if display_width(piece + c) > width:
            end = piece.rfind(".") + 1 or len(piece)
            pieces.append(piece[:end])
            piece = piece[end:]
        piece += c
    return [*pieces, piece]


def padded(text: str, width: int, right: bool) -> str:
    """A cell with spaces up to its column's width."""
    space = " " * (width - display_width(text))
    return f"{space}{text}" if right else f"{text}{space}"
