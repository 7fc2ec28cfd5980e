"""The output of commands: to standard output, or to files, which are written whole or not at all.

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

from netspec.cli.provenance import is_our_report, is_our_weights
from netspec.cli.terminal import echo, echo_table
from netspec.files import is_input, reason_of, replacing

if TYPE_CHECKING:
    from netspec.report import Report

IsOurs = Callable[[Path], bool]
"""A function that tells whether netspec wrote a file, which may then be overwritten."""

_SUFFIXES = {".json": "json", ".csv": "csv", ".md": "markdown", ".txt": "table", "": "table"}
_STDOUT = ("-", "/dev/stdout")
"""These names mean standard output: to open a file behind one would cut off what stands there."""


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file that a command writes, with the rule by which it may overwrite another."""

    path: Path
    is_ours: IsOurs
    force: bool

    def check(self) -> None:
        """Refuse a place where no file can be, and, unless forced, a file that must stay.

        A file must stay if netspec did not write it, if the command reads it, or if it is write-protected.
        """
        with writing(self.path):
            if self.path.is_dir():
                raise click.ClickException(f"{self.path} can't be written: is a directory")
            if not self.path.parent.is_dir():
                raise click.ClickException(f"{self.path} can't be written: there is no such folder")
            if not self.force and self.path.is_file():
                self._check_replaceable()

    def _check_replaceable(self) -> None:
        state = self.path.stat()
        if is_input(self.path):
            what = "is an input of this command, and stays as it is"
        elif state.st_size and not self.is_ours(self.path):
            what = "exists and was not written by netspec"
        elif not state.st_mode & 0o222:
            what = "is write-protected"
        else:
            return
        raise click.ClickException(f"{self.path} {what}; --force overwrites it")

    @contextmanager
    def opened(self) -> Generator[Path]:
        """Yield a new file beside the target, which replaces the target if the `with` block succeeds."""
        self.check()
        with writing(self.path), replacing(self.path) as file:
            yield file
            # Files that were read meanwhile must not be replaced either.
            self.check()

    def write(self, data: str | bytes) -> None:
        """Write the file completely or not at all. A file that has this content already is not written."""
        content = data.encode() if isinstance(data, str) else data

        def loses_nothing(file: Path) -> bool:
            return _holds(file, content) or self.is_ours(file)

        with OutputFile(self.path, loses_nothing, self.force).opened() as file:
            file.write_bytes(content)

    def weights(self) -> OutputFile:
        """The file of weights beside this file. Raises an error if it would replace the weights of another file."""
        path = self.path.with_suffix(".safetensors")
        if is_input(path):
            raise click.ClickException(f"{path} is the file of weights, and would be overwritten: choose another -o")
        target = OutputFile(path, lambda file: is_our_weights(file, self.path.name), self.force)
        target.check()
        return target

    def write_with_weights(self, text: str, save: Callable[[Path], None]) -> Path:
        """Write the file, and by `save` its weights beside it: both or neither. Returns the path of the weights.

        The text goes into its place while the weights are written and not yet in theirs: if the disk has no room for
        one of them, neither stays.
        """
        weights = self.weights()
        with weights.opened() as file:
            save(file)
            self.write(text)
        return weights.path


@dataclass(frozen=True, slots=True)
class FileOptions:
    """The values of `-o` and `--force`; `file` is None if the command chooses the name."""

    file: str | None
    force: bool

    @property
    def is_stdout(self) -> bool:
        """Whether `-o` names standard output."""
        return self.file in _STDOUT

    @property
    def suffix(self) -> str:
        """The suffix of the file in lower case, such as `.py`; "" if there is none."""
        return Path(self.file or "").suffix.lower()

    def target(self, is_ours: IsOurs, default: str = "") -> OutputFile:
        """The file to write: that of `-o`, else `default`. Raises an error for a folder or a file that must stay."""
        name = default if self.file is None else self.file
        check_names_a_file(name)
        target = OutputFile(Path(name), is_ours, self.force)
        target.check()
        return target

    def emit(self, text: str, is_ours: IsOurs) -> None:
        """Print a text, or write it to the file. Refuses a name that can only be a folder's."""
        if self.file is None or self.is_stdout:
            echo(text)
        else:
            check_names_a_file(self.file)
            OutputFile(Path(self.file), is_ours, self.force).write(text if text.endswith("\n") else f"{text}\n")
            echo(f"wrote {self.file}", err=True)


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """The values of `--format`, `-o` and `--force` for a report; without a file it is printed."""

    format: str
    file: str | None
    force: bool

    @classmethod
    def of(cls, format_: str | None, file: str | None, force: bool) -> ReportOptions:
        """Check that `--format`, or else the suffix of the file, says the format."""
        if file is None or file in _STDOUT:
            return cls(format_ or "table", None, force)
        check_names_a_file(file)
        form = format_ or _SUFFIXES.get(Path(file).suffix.lower())
        if form is None:
            way = "or anything with --format"
            suffixes = ".json, .csv, .md, .txt or nothing"
            raise click.UsageError(f"-o takes a file that ends in {suffixes}, {way}, not `{file}`")
        return cls(form, file, force)

    def write(self, report: Report) -> None:
        """Print a report, or write it to the file."""
        if self.file is None and self.format == "table":
            echo_table(report.table())
        else:
            FileOptions(self.file, self.force).emit(report.to(self.format), lambda path: is_our_report(path, report))


def check_names_a_file(file: str) -> None:
    """Raise an error for a name that can only be a folder's."""
    if not file or file.endswith(("/", os.sep)):
        raise click.UsageError(f"-o takes a file, not `{file}`" + (", a folder" if file else ""))


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Turn an OSError, raised while a file is written, into an error message without a traceback."""
    try:
        yield
    except OSError as error:
        reason = "there is no such folder" if not path.parent.exists() else reason_of(error)
        raise click.ClickException(f"{path} can't be written: {reason}") from None


def _holds(path: Path, content: bytes) -> bool:
    return path.stat().st_size == len(content) and path.read_bytes() == content
