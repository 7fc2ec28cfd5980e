"""Prints all output: `echo` escapes control characters, so that text from files can't control the terminal."""

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

_BOLD, _DIM, _RED, _YELLOW, _GREEN = "1", "2", "1;31", "1;33", "1;32"
_STYLES = {"head": _BOLD, "foot": _BOLD, "rule": _DIM}
"""The styles of lines of a table, by their kind; other kinds are plain."""


def prepare_streams() -> None:
    """Set up the standard streams so that they accept any text: files and pipes get UTF-8 in every locale.

    A terminal gets characters that its encoding lacks as `\\xe9`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    if not sys.stdin:
        # The stream was closed (`<&-`) and is replaced by an empty one.
        sys.stdin = io.TextIOWrapper(io.BytesIO())


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print text with its control characters escaped, to standard error if `err`."""
    _write(printable(text) + ("\n" if nl else ""), err)


def echo_error(text: str) -> None:
    """Print errors and warnings to standard error, in colours if it is a terminal."""
    text = printable(text)
    if _has_colours(sys.stderr):
        text = "\n".join(map(_coloured, text.split("\n")))
    _write(f"{text}\n", err=True)


def echo_table(table: Table) -> None:
    """Print a table to standard output; on a terminal, it fits the width and is in colours."""
    lines = table.lines(shutil.get_terminal_size().columns if _is_terminal(sys.stdout) else None)
    coloured = _has_colours(sys.stdout)
    printed: list[str] = []
    for number, (kind, text) in enumerate(lines):
        style = _BOLD if kind == "title" and not number else _STYLES.get(kind, "")
        printed.append(_styled(printable(text), style) if coloured and style and text else printable(text))
    _write("\n".join(printed) + "\n", err=False)


def drop_output(stream: TextIO | None = None) -> None:
    """Discard buffered output, which Python would try to write again at exit, and complain."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, (stream or sys.stdout).fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):  # the stream has no descriptor
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
        # Standard error is closed, so this can't be reported.
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
    """A line of a diagnostic in colours: severity and carets in red or yellow, the place in bold, `help` in green."""
    if (carets := _CARETS.match(line)) is not None:
        return carets[1] + _styled(carets[2], _RED) + line[carets.end() :]
    if (word := _WORD.match(line)) is not None:
        return _styled(line[: word.end() - 1], _GREEN if word[1] == "help" else _BOLD) + line[word.end() - 1 :]
    if (severity := _SEVERITY.search(line)) is not None:
        start, end = severity.start(), severity.end() - 2
        place = _styled(line[:start], _BOLD) if start else ""
        return place + _styled(line[start:end], _YELLOW if severity[1] == "warning" else _RED) + line[end:]
    return line
