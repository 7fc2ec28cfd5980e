"""The data of a spec's text: scalars, lists and mappings, each with its place in the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from netspec.errors import fail
from netspec.source import Source, Span
from netspec.spec.limits import MAX_DATA_DEPTH, MAX_INTEGER_DIGITS, MAX_TEXT_CHARACTERS


@dataclass(slots=True)
class Scalar:
    """A single value; `quoted` is True for text in quotes or in a block scalar, False for a bare word."""

    value: str | int | float | bool | None
    span: Span
    quoted: bool


@dataclass(slots=True)
class Seq:
    """A list; in block style its span is the first dash."""

    items: list[Data]
    span: Span


@dataclass(slots=True)
class Entry:
    """One key of a mapping and its value."""

    key: str
    key_span: Span
    value: Data


@dataclass(slots=True)
class Map:
    """A mapping, in the order of the text; in block style its span is the first key."""

    entries: dict[str, Entry]
    span: Span

    def section(self, key: str) -> dict[str, Entry]:
        """The entries of the mapping under a key; empty if the key is missing, or its value is no mapping."""
        entry = self.entries.get(key)
        return entry.value.entries if entry is not None and isinstance(entry.value, Map) else {}


Data = Scalar | Seq | Map


def plain_data(data: Data) -> Any:
    """The data as ordinary Python values."""
    if isinstance(data, Map):
        return {key: plain_data(entry.value) for key, entry in data.entries.items()}
    if isinstance(data, Seq):
        return [plain_data(item) for item in data.items]
    return data.value


def integer(digits: str, base: int, span: Span) -> int:
    """Parse an integer of bounded size: `int` takes quadratic time, and may refuse more than 4300 digits."""
    if base == 10 and (zeros := len(digits) - len(digits.lstrip("+-0"))):
        digits = ("-" if digits[0] == "-" else "") + (digits[zeros:] or "0")
    long = base == 10 and len(digits.lstrip("-")) > MAX_INTEGER_DIGITS
    value = 0 if long else int(digits, base)
    if long or value >= 10**MAX_INTEGER_DIGITS:
        message = f"an integer of more than {MAX_INTEGER_DIGITS} digits"
        fail("NS104", message, span, help="text of digits stands in quotes")
    return value


def check_size(source: Source) -> None:
    """Refuse a text that is too large, or blank."""
    size = len(source.text)
    if size > MAX_TEXT_CHARACTERS:
        fail("NS104", f"the text has {size:,} characters; a spec may have {MAX_TEXT_CHARACTERS:,}", Span(source, 0, 0))
    if not source.text or source.text.isspace():
        fail_empty(source)


def fail_empty(source: Source) -> NoReturn:
    """Raise the error for an empty spec."""
    help = "a spec starts with `netspec: 1` and has `name`, `inputs` and `network`"
    fail("NS101", "the spec is empty", Span(source, 0, 0), help=help)


def fail_deep(span: Span) -> NoReturn:
    """Raise the error for text that is nested too deeply."""
    fail("NS104", f"nested more than {MAX_DATA_DEPTH} levels deep", span)


def fail_duplicate(key: str, span: Span, first: Span) -> NoReturn:
    """Raise the error for a key that occurs twice in one mapping; `first` is the place of the first."""
    note = f"`{key}` stands first at {first.place}"
    fail("NS102", f"the key `{key}` stands twice in this mapping", span, notes=[note])
