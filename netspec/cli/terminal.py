"""What netspec prints: all of it goes through `echo`, so that no text of a spec or a file can drive a terminal."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING, TextIO

from netspec.printable import printable

if TYPE_CHECKING:
    from netspec.tables import Table

BOLD, DIM, RED, YELLOW, GREEN = "1", "2", "1;31", "1;33", "1;32"
_STYLES = {"head": BOLD, "foot": BOLD, "rule": DIM}
"""How lines of a table look; others as they are."""


def prepare_streams() -> None:
    """Make standard streams such that all text can be written: UTF-8 for files and pipes, whatever the locale.

    A terminal that knows few characters gets the others as `\\xe9`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    if not sys.stdin:
        # Closed (`<&-`): an empty one.
        sys.stdin = io.TextIOWrapper(io.BytesIO())


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print text, with what a terminal would obey as escapes; to standard error with `err`."""
    _write(printable(text) + ("\n" if nl else ""), err)


def echo_error(text: str) -> None:
    """Print errors and warnings to standard error, in colours where it is a terminal."""
    text = printable(text)
    if _has_colours(sys.stderr):
        text = "\n".join(map(_coloured, text.split("\n")))
    _write(f"{text}\n", err=True)


def echo_table(table: Table) -> None:
    """Print a table to standard output: within the width of a terminal, and in colours where it has them."""
    lines = table.lines(shutil.get_terminal_size().columns if _is_terminal(sys.stdout) else None)
    coloured = _has_colours(sys.stdout)
    made: list[str] = []
    for number, (kind, text) in enumerate(lines):
        style = BOLD if kind == "title" and not number else _STYLES.get(kind, "")
        made.append(_styled(printable(text), style) if coloured and style and text else printable(text))
    _write("\n".join(made) + "\n", err=False)


def drop_output(stream: TextIO | None = None) -> None:
    """Send what is still buffered nowhere: at exit Python would try to write it again, and complain."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, (stream or sys.stdout).fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):  # no descriptor to speak of
        pass


def _write(text: str, err: bool) -> None:
    stream = sys.stderr if err else sys.stdout
    if stream is None:  # pyright: ignore[reportUnnecessaryComparison]
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        if not err:
            raise
        # Nobody reads what is told beside the result, and there is nowhere to tell that.
        drop_output(stream)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _has_colours(stream: TextIO | None) -> bool:
    """Whether to colour: https://no-color.org and https://force-color.org, else on terminals that are not dumb."""
    environment = os.environ
    if environment.get("NO_COLOR"):
        return False
    if any(environment.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return _is_terminal(stream) and environment.get("TERM") != "dumb"


def _styled(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m"


_SEVERITY = re.compile(r"\b(error|warning)( NS\d{3})?: |^Error: ")
_CARETS = re.compile(r"^( +\| [ \t]*)(\^+)")
_WORD = re.compile(r"^ +(note|help): ")


def _coloured(line: str) -> str:
    """A line of a diagnostic: what it is in red or yellow, where it is in bold, carets as what it is."""
    if (carets := _CARETS.match(line)) is not None:
        return carets[1] + _styled(carets[2], RED) + line[carets.end() :]
    if (word := _WORD.match(line)) is not None:
        return _styled(line[: word.end() - 1], GREEN if word[1] == "help" else BOLD) + line[word.end() - 1 :]
    if (severity := _SEVERITY.search(line)) is not None:
        start, end = severity.start(), severity.end() - 2
        place = _styled(line[:start], BOLD) if start else ""
        return place + _styled(line[start:end], YELLOW if severity[1] == "warning" else RED) + line[end:]
    return line
