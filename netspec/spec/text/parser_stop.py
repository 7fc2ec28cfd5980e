"""The place where YAML's parser stopped, with the text around it: the facts from which errors are told apart."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml
from yaml.scanner import ScannerError

from netspec.source import Source, Span

_QUOTED = re.compile(r"""\"(?:[^"\\]|\\.)*+"|'(?:[^']|'')*+'""", re.DOTALL)
BRACKETS = re.compile(rf"(?<![^\s,:\[{{])(?:{_QUOTED.pattern})|(?<!\S)\#[^\n]*|[\[\]{{}}]", re.DOTALL)
"""Brackets, and what may hold others that open nothing: quoted text and comments."""


@dataclass(frozen=True, slots=True)
class ParserStop:
    """Where the parser gave up, what it was reading, and the last word before."""

    source: Source
    scanning: bool
    """Whether it stopped within a word (in the scanner), and not between words that do not fit together."""
    at: int
    context_at: int
    """The start of what it was reading; where it gave up, if the parser does not say."""
    has_context: bool
    last: Span
    """The last word that was read to its end."""

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
        """The character after it."""
        return self.source.text[self.at + 1 : self.at + 2]

    @property
    def begins(self) -> str:
        """The first character of what it was reading; "" where the parser does not say."""
        return self.source.text[self.context_at : self.context_at + 1] if self.has_context else ""

    @property
    def reading(self) -> bool:
        """Whether it stopped within something, and not at its start."""
        return self.has_context and self.context_at < self.at

    @property
    def is_last(self) -> bool:
        """Whether it stopped at the end of the text, within a plain word."""
        return not self.char and self.begins not in ("&", "*", "|", ">")

    @property
    def in_quotes(self) -> bool:
        """Whether it stopped within quoted text."""
        quoted = _QUOTED.match(self.source.text, self.context_at)
        return self.scanning and self.begins in ("'", '"') and (quoted is None or quoted.end() > self.at)

    @property
    def line_start(self) -> int:
        return line_start_of(self.source.text, self.at)

    @property
    def lead(self) -> str:
        """The text before it on its line."""
        return self.source.text[self.line_start : self.at]

    @property
    def between(self) -> str | None:
        """The text between the last word and here; None where the word does not end before here."""
        return self.source.text[self.last.end : self.at] if self.last.end <= self.at else None


def line_start_of(text: str, at: int) -> int:
    """The offset at which the line of a character starts."""
    return text.rfind("\n", 0, at) + 1


def is_after_dash(text: str, at: int) -> bool:
    """Whether a `-`, the mark of a list's item, stands before a character on its line."""
    return text[line_start_of(text, at) : at].rstrip(" ").endswith("-")
