"""Where commands write: to standard output, or to files, whole or not at all.

One rule holds for all of them: a file that netspec did not write, and one that the command reads, stays as it is
unless `--force` is given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netspec.cli.overwrite import is_our_report, is_our_weights, weights_beside
from netspec.cli.terminal import echo, echo_table
from netspec.files import is_input, reason_of, replacing

if TYPE_CHECKING:
    from netspec.report import Report

_SUFFIXES = {".json": "json", ".csv": "csv", ".md": "markdown", ".txt": "table", "": "table"}
_STDOUT = ("-", "/dev/stdout")
"""What is named so is printed: to open a file behind it would cut off what stands there."""

Ours = Callable[[Path], bool]
"""Tells whether netspec wrote a file, so that it may write it again."""


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What `-o`, `--format` and `--force` say of a report."""

    format: str
    file: str | None
    force: bool

    def write(self, report: Report) -> None:
        """Print a report, or write it to the file."""
        if self.file is None and self.format == "table":
            echo_table(report.table())
        else:
            emit(report.to(self.format), self.file, self.force, lambda path: is_our_report(path, report))


def output_of(format_: str | None, file: str | None, force: bool) -> OutputOptions:
    """Check the options of a report: `--format` says the format, else the suffix does, and none is left to guess."""
    if file is None or is_stdout(file):
        return OutputOptions(format_ or "table", None, force)
    check_names_a_file(file)
    known = format_ or _SUFFIXES.get(Path(file).suffix.lower())
    if known is None:
        way = "or anything with --format"
        raise click.UsageError(f"-o takes a file that ends in .json, .csv, .md, .txt or nothing, {way}, not `{file}`")
    return OutputOptions(known, file, force)


def is_stdout(file: str | None) -> bool:
    """Whether `-o`, or its absence, means standard output."""
    return file is None or file in _STDOUT


def check_names_a_file(file: str) -> None:
    """Refuse what can only be a folder."""
    if not file or file.endswith(("/", os.sep)):
        raise click.UsageError(f"-o takes a file, not `{file}`" + (", a folder" if file else ""))


def check_overwrite(path: Path, ours: Ours, force: bool = False) -> None:
    """Refuse to write where no file can be, and, unless forced, over what is not ours, is an input, or is protected."""
    with writing(path):
        if path.is_dir():
            raise click.ClickException(f"{path} can't be written: is a directory")
        if not path.parent.is_dir():
            raise click.ClickException(f"{path} can't be written: there is no such folder")
        if force or not path.is_file():
            return
        found = path.stat()
        if is_input(path):
            raise click.ClickException(f"{path} is an input of this command, and stays as it is; --force overwrites it")
        if found.st_size and not ours(path):
            raise click.ClickException(f"{path} exists and was not written by netspec; --force overwrites it")
        if not found.st_mode & 0o222:
            raise click.ClickException(f"{path} is write-protected; --force overwrites it")


@contextmanager
def in_place_of(path: Path, ours: Ours, force: bool) -> Generator[Path]:
    """A new file beside `path` that takes its place when all has gone well; else `path` stays as it was."""
    check_overwrite(path, ours, force)
    with writing(path), replacing(path) as file:
        yield file
        # What was read meanwhile is an input too.
        check_overwrite(path, ours, force)


@contextmanager
def writing(path: Path) -> Generator[None]:
    """While a file is written: what the system says against it in words, and no traceback."""
    try:
        yield
    except OSError as error:
        reason = "there is no such folder" if not path.parent.exists() else reason_of(error)
        raise click.ClickException(f"{path} can't be written: {reason}") from None


def write_file(path: Path, data: str | bytes, ours: Ours, force: bool) -> None:
    """Write a file whole or not at all; one that has this content already loses nothing."""
    content = data.encode() if isinstance(data, str) else data
    with in_place_of(path, lambda file: _holds(file, content) or ours(file), force) as place:
        if isinstance(data, str):
            place.write_text(data, encoding="utf-8", newline="\n")
        else:
            place.write_bytes(data)


def write_with_weights(path: Path, text: str, ours: Ours, save: Callable[[Path], None], force: bool) -> Path:
    """Write a file, and by `save` its weights beside it: both or neither. The file of weights is returned.

    The text goes into its place while the weights are written and not yet in theirs: what a disk has no room for is
    then known of both.
    """
    beside = weights_beside(path, force)
    with in_place_of(beside, lambda file: is_our_weights(file, path.name), force) as file:
        save(file)
        write_file(path, text, ours, force)
    return beside


def _holds(path: Path, content: bytes) -> bool:
    return path.stat().st_size == len(content) and path.read_bytes() == content


def emit(text: str, output: str | None, force: bool, ours: Ours) -> None:
    """Print, or write to the file that `-o` names."""
    if output is None or is_stdout(output):
        echo(text)
    else:
        write_file(Path(output), text if text.endswith("\n") else f"{text}\n", ours, force)
        echo(f"wrote {output}", err=True)
