"""The place where YAML's parser stopped, and the text around it, from which the cause of an error is found."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml
from yaml.scanner import ScannerError

from netspec.source import Source, Span

_QUOTED = re.compile(r"""\"(?:[^"\\]|\\.)*+"|'(?:[^']|'')*+'""", re.DOTALL)
BRACKETS = re.compile(rf"(?<![^\s,:\[{{])(?:{_QUOTED.pattern})|(?<!\S)\#[^\n]*|[\[\]{{}}]", re.DOTALL)
"""Matches brackets, and the quoted text and comments whose brackets open nothing."""


@dataclass(frozen=True, slots=True)
class ParserStop:
    """The offset at which the parser stopped, what it was reading, and the last word before."""

    source: Source
    scanning: bool
    """True if it stopped within a word, in the scanner; False if two words do not fit together."""
    at: int
    context_at: int
    """The start of what it was reading; equal to `at` if the parser does not tell."""
    has_context: bool
    last: Span
    """The last word that was read completely."""

    @classmethod
    def of(cls, source: Source, error: yaml.MarkedYAMLError, last: Span) -> ParserStop:
        end = len(source.text)
        at = min(error.problem_mark.index if error.problem_mark else end, end)
        context_at = min(error.context_mark.index if error.context_mark else at, end)
        return cls(source, isinstance(error, ScannerError), at, context_at, error.context_mark is not None, last)

    @property
    def here(self) -> Span:
        return Span(self.source, self.at, self.at + 1)

    @property
    def char(self) -> str:
        return self.here.text

    @property
    def after(self) -> str:
        """The character after the one at which it stopped."""
        return self.source.text[self.at + 1 : self.at + 2]

    @property
    def begins(self) -> str:
        """The first character of what it was reading; "" if the parser does not tell."""
        return self.source.text[self.context_at : self.context_at + 1] if self.has_context else ""

    @property
    def reading(self) -> bool:
        """True if it stopped inside what it was reading, False if at the start of that."""
        return self.has_context and self.context_at < self.at

    @property
    def is_last(self) -> bool:
        """True if it stopped at the end of the text, within a plain word."""
        return not self.char and self.begins not in ("&", "*", "|", ">")

    @property
    def in_quotes(self) -> bool:
        """True if it stopped within quoted text."""
        quoted = _QUOTED.match(self.source.text, self.context_at)
        return self.scanning and self.begins in ("'", '"') and (quoted is None or quoted.end() > self.at)

    @property
    def line_start(self) -> int:
        return line_start_of(self.source.text, self.at)

    @property
    def lead(self) -> str:
        """The text before the stop on its line."""
        return self.source.text[self.line_start : self.at]

    @property
    def between(self) -> str | None:
        """The text between the last word and the stop; None if the word ends after the stop."""
        return self.source.text[self.last.end : self.at] if self.last.end <= self.at else None


def line_start_of(text: str, at: int) -> int:
    """The offset of the start of the line of the character at `at`."""
    return text.rfind("\n", 0, at) + 1


def is_after_dash(text: str, at: int) -> bool:
    """Return whether the character at `at` follows the `-` of a list item on its line."""
    return text[line_start_of(text, at) : at].rstrip(" ").endswith("-")
