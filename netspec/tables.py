"""Tables, which print as text, Markdown, HTML and CSV for every report."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from netspec.markdown import as_cell, as_line
from netspec.printable import display_width, printable
from netspec.table_layout import GAP, ColumnLayout, folded, layout, padded

Cell = str | int | float | None
TableLine = tuple[str, str]
"""The kind of a line of a table's text (title, head, rule, row, foot or note), and the line."""


@dataclass(slots=True)
class Table:
    """A table: rows under headings, with a title above and notes below. Numbers align right; None prints as a dash.

    `foot` are rows of totals. `spare` are the headings of columns that are left out first in a narrow terminal.
    """

    headings: Sequence[str]
    rows: list[Sequence[Cell]]
    title: Sequence[str] = ()
    foot: list[Sequence[Cell]] = field(default_factory=list[Sequence[Cell]])
    notes: Sequence[str] = ()
    spare: Sequence[str] = ()

    def to(self, format: str) -> str:
        """The table as `table` (text), `markdown` or `csv`."""
        return {"table": self.to_text, "markdown": self.to_markdown, "csv": self.to_csv}[format]()

    def to_text(self) -> str:
        """The table as text, with columns aligned by spaces."""
        return "\n".join([text for _, text in self.lines()])

    def lines(self, room: int | None = None) -> list[TableLine]:
        """The lines of the table as text, at most `room` characters wide; None is no limit."""
        lines = self._text_lines("title", self.title, room)
        notes = self.notes
        if self.rows or self.foot:
            cells = [[printable(_shown(c), "") for c in row] for row in (self.headings, *self.rows, *self.foot)]
            right = self._right()
            widths = [max(display_width(row[i]) for row in cells) for i in range(len(self.headings))]
            columns = layout(self.headings, widths, right, self._left_out_first(), room)
            head, *rest = [_row_lines(row, columns, right) for row in cells]
            rule: TableLine = ("rule", "-" * max(display_width(text) for text in chain(head, *rest)))
            if room is None:
                rule = ("rule", "-" * (sum(columns.widths) + GAP * (len(columns.widths) - 1)))
            lines += [("title", "")] if lines else []
            lines += [*(("head", text) for text in head), rule]
            lines += [("row", text) for row in rest[: len(self.rows)] for text in row]
            if self.foot:
                lines += [rule, *(("foot", text) for row in rest[len(self.rows) :] for text in row)]
            if columns.left_out:
                names = ", ".join(columns.left_out)
                notes = [*notes, f"Left out, to fit {room} columns: {names}. --format csv has all."]
            lines += [("note", "")] if notes else []
        return lines + self._text_lines("note", notes, room)

    def _left_out_first(self) -> list[str]:
        """The headings of columns that may be left out, in order: `spare` ones, then others without totals."""
        if not self.foot:
            return list(self.spare)
        first = self.headings[0]
        summed = {h for row in self.foot for h, c in zip(self.headings, row, strict=True) if isinstance(c, int | float)}
        kept = {"", first, *summed, *self.spare}
        return [*self.spare, *(heading for heading in reversed(self.headings) if heading not in kept)]

    def _text_lines(self, kind: str, texts: Sequence[str], room: int | None) -> list[TableLine]:
        """The lines of a title or of notes."""
        texts = [printable(text, "") for text in texts]
        return [(kind, line) for text in texts for line in ([text] if room is None else folded(text, max(room, 20)))]

    def to_markdown(self) -> str:
        """The table as Markdown, with its text escaped."""

        def row(cells: Sequence[str]) -> str:
            return "| " + " | ".join(cells) + " |"

        right = self._right()
        lines = [row([as_cell(h) for h in self.headings]), row(["---:" if r else "---" for r in right])]
        lines += [row([as_cell(_shown(c)).replace("  ", "&nbsp;&nbsp;") for c in cells]) for cells in self.rows]
        lines += [
            row([f"**{as_cell(_shown(c))}**" if c not in ("", None) else "" for c in cells]) for cells in self.foot
        ]
        title = [f"**{as_line(self.title[0])}**", *map(as_line, self.title[1:]), ""] if self.title else []
        return "\n".join([*title, *lines, *([""] if self.notes else []), *map(as_line, self.notes)])

    def to_html(self) -> str:
        """The table as HTML, for notebooks."""
        from html import escape as html_of  # which most commands never need

        def escape(text: str) -> str:
            return html_of(printable(text, ""))

        right = self._right()

        def row(cells: Sequence[str], tag: str) -> str:
            align = ["right" if to_right else "left" for to_right in right]
            items = [f'<{tag} style="text-align: {a}">{escape(c)}</{tag}>' for c, a in zip(cells, align, strict=True)]
            return f"<tr>{''.join(items)}</tr>"

        # Leading spaces indent a row, and HTML would collapse them.
        body = [row([_shown(c).replace("  ", "\u2003") for c in cells], "td") for cells in self.rows]
        foot = [row([_shown(c) for c in cells], "th") for cells in self.foot]
        title = [f"<strong>{escape(self.title[0])}</strong>", *map(escape, self.title[1:])] if self.title else []
        head = f"<thead>{row(list(self.headings), 'th')}</thead>" if self.rows or self.foot else ""
        table = f"<table>{head}<tbody>{''.join(body)}{''.join(foot)}</tbody></table>"
        return "\n".join([f"<p>{'<br>'.join(title)}</p>", table, f"<p>{'<br>'.join(map(escape, self.notes))}</p>"])

    def to_csv(self) -> str:
        """The headings and rows as comma-separated values, with exact numbers and without columns of bars.

        Text that a spreadsheet would take for a formula gets a `'` before it.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        kept = [number for number, heading in enumerate(self.headings) if heading]
        writer.writerow([self.headings[i] for i in kept])
        for row in self.rows:
            cells = [row[i] for i in kept]
            writer.writerow(["" if c is None else _quoted(c.strip()) if isinstance(c, str) else c for c in cells])
        return out.getvalue().rstrip("\n")

    def _right(self) -> list[bool]:
        """For each column, whether it has numbers and so aligns right."""
        return [
            any(isinstance(row[i], int | float) for row in (*self.rows, *self.foot)) for i in range(len(self.headings))
        ]


def _row_lines(row: Sequence[str], columns: ColumnLayout, right: Sequence[bool]) -> list[str]:
    """The lines of a row: one, or more if a cell is folded."""
    cells = [folded(row[i], width) for i, width in zip(columns.kept, columns.widths, strict=True)]
    aligned = [(width, right[i]) for i, width in zip(columns.kept, columns.widths, strict=True)]
    lines: list[str] = []
    for number in range(max(map(len, cells))):
        parts = [cell[number] if number < len(cell) else "" for cell in cells]
        padded_parts = [padded(part, width, to_right) for part, (width, to_right) in zip(parts, aligned, strict=True)]
        lines.append((" " * GAP).join(padded_parts).rstrip())
    return lines


_FORMULA = re.compile(r"[=@]|[-+](?!([\s\d.,]*|-[a-z][a-z-]*)$)")
"""Matches the beginning of a spreadsheet's formula; numbers such as `-2` and options such as `--set` are none."""


def _quoted(text: str) -> str:
    """The text of a cell, escaped if a spreadsheet would take it for a formula."""
    text = printable(text, "")
    return f"'{text}" if _FORMULA.match(text) else text


def _shown(cell: Cell) -> str:
    """A cell as text: `1,234`, `0.5`, or a dash."""
    if isinstance(cell, float):
        return f"{cell:,.1f}"
    return "-" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell


_BAR = 30
"""The length of the bar for a share of 1, in characters."""


def bar(share: float) -> str:
    """A share from 0 to 1 as a bar.

    >>> bar(0.1)
    '###'
    """
    return "#" * round(_BAR * share)


_UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K"))


def short(number: int) -> str:
    """A count, rounded to three digits with a unit.

    >>> short(19_632_062_464), short(999)
    ('19.6 G', '999')
    """
    for size, unit in _UNITS:
        if number >= size:
            value = number / size
            digits = 2 if value < 10 else 1 if value < 100 else 0
            return f"{value:.{digits}f} {unit}"
    return str(number)
