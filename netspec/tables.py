"""Tables as text, Markdown and CSV: one renderer for every report."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

Cell = str | int | float | None


@dataclass(slots=True)
class Table:
    """Rows under headings, with lines of text above and below; numbers align right, None is a dash."""

    headings: Sequence[str]
    rows: list[Sequence[Cell]]
    title: Sequence[str] = ()
    foot: list[Sequence[Cell]] = field(default_factory=list[Sequence[Cell]])
    notes: Sequence[str] = ()

    def to(self, format: str) -> str:
        """The table as `table` (text), `markdown` or `csv`."""
        return {"table": self.to_text, "markdown": self.to_markdown, "csv": self.to_csv}[format]()

    def to_text(self) -> str:
        """Columns side by side, as in the table of a paper."""
        if not self.rows and not self.foot:
            return "\n".join([*self.title, *self.notes])
        lines = [*self.title, ""] if self.title else []
        cells = [[_shown(c) for c in row] for row in (*self.rows, *self.foot)]
        right = self._right()
        widths = [max(len(r[i]) for r in (list(self.headings), *cells)) for i in range(len(self.headings))]

        def line(row: Sequence[str]) -> str:
            padded = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)]
            return "  ".join(padded).rstrip()

        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        body = cells[: len(self.rows)]
        lines += [line(list(self.headings)), rule, *map(line, body)]
        if self.foot:
            lines += [rule, *map(line, cells[len(self.rows) :])]
        if self.notes:
            lines += ["", *self.notes]
        return "\n".join(lines)

    def to_markdown(self) -> str:
        """A Markdown table."""

        def line(row: Sequence[str]) -> str:
            return "| " + " | ".join(c.replace("|", "\\|") for c in row) + " |"

        right = self._right()
        lines = [line(list(self.headings)), line(["---:" if r else "---" for r in right])]
        lines += [line([_shown(c).replace("  ", "&nbsp;&nbsp;") for c in row]) for row in self.rows]
        lines += [line([f"**{_shown(c)}**" if c not in ("", None) else "" for c in row]) for row in self.foot]
        title = [f"**{self.title[0]}**", *self.title[1:], ""] if self.title else []
        return "\n".join([*title, *lines, *([""] if self.notes else []), *self.notes])

    def to_html(self) -> str:
        """An HTML table, for notebooks."""
        from html import escape  # which most commands never need

        right = self._right()

        def row(cells: Sequence[str], tag: str) -> str:
            aligned = zip(cells, right, strict=True)
            made = [f'<{tag} style="text-align: {"right" if r else "left"}">{escape(c)}</{tag}>' for c, r in aligned]
            return f"<tr>{''.join(made)}</tr>"

        # Leading spaces say how deep a row stands, and a page would drop them.
        body = [row([_shown(c).replace("  ", "\u2003") for c in cells], "td") for cells in self.rows]
        foot = [row([_shown(c) for c in cells], "th") for cells in self.foot]
        title = [f"<strong>{escape(self.title[0])}</strong>", *map(escape, self.title[1:])] if self.title else []
        head = f"<thead>{row(list(self.headings), 'th')}</thead>" if self.rows or self.foot else ""
        table = f"<table>{head}<tbody>{''.join(body)}{''.join(foot)}</tbody></table>"
        return "\n".join([f"<p>{'<br>'.join(title)}</p>", table, f"<p>{'<br>'.join(map(escape, self.notes))}</p>"])

    def to_csv(self) -> str:
        """Comma-separated values: the headings and the rows, numbers as they are, without columns of bars."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        kept = [number for number, heading in enumerate(self.headings) if heading]
        writer.writerow([self.headings[i] for i in kept])
        for row in self.rows:
            cells = [row[i] for i in kept]
            writer.writerow(["" if c is None else c.strip() if isinstance(c, str) else c for c in cells])
        return out.getvalue().rstrip("\n")

    def _right(self) -> list[bool]:
        return [
            any(isinstance(row[i], int | float) for row in (*self.rows, *self.foot)) for i in range(len(self.headings))
        ]


def _shown(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:,.1f}"
    return "-" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell


BAR = 30
"""How long a whole bar is."""


def bar(share: float) -> str:
    """A share, 0 to 1, as a bar of that length."""
    return "#" * round(BAR * share)


_UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K"))


def short(number: int) -> str:
    """A count with three digits and a unit: `19.6 G`."""
    for size, unit in _UNITS:
        if number >= size:
            value = number / size
            digits = 2 if value < 10 else 1 if value < 100 else 0
            return f"{value:.{digits}f} {unit}"
    return str(number)
