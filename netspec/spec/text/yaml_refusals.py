"""Refuses YAML that specs do not need, such as anchors, and YAML that does not mean what it seems to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import NoReturn

from netspec.errors import fail
from netspec.source import Source, Span
from netspec.spec.text.data import Data, Entry, Scalar, fail_duplicate
from netspec.spec.text.messages import notation_hint

QUOTE = "quote it: an expression with , [ ] { } stands in quotes inside {...} and [...]"
"""The help for an expression that YAML splits."""
_BLOCKS = "a block with `params` says once what is needed several times; text that starts with & or * stands in quotes"
_NO_SPACE = re.compile(r"([A-Za-z_]\w*)(:| ?= ?)([^\s:=].*)")


def check_document(source: Source, at: int, is_first: bool) -> None:
    """Refuse a document after the first, and directives before one; `at` is the offset of its start event."""
    if source.text[at : at + 1] == "%":
        refuse_yaml(Span(source, at, at + 1))
    if not is_first:
        help = "a file holds one spec; `networks:` holds several networks, `use:` brings in another file's blocks"
        fail("NS103", "a second document starts here", Span(source, at, at + 3), help=help)


def refuse_yaml(span: Span) -> NoReturn:
    """Raise the error for the anchor, alias, tag or directive at the start of a span."""
    source, start, _ = span
    word = re.compile(r"[^\s,\[\]{}]*").match(source.text, start)
    span = Span(source, start, max(start + 1, word.end() if word else 0))
    match span.text[0]:
        case "&":
            fail("NS103", "specs have no anchors", span, help=_BLOCKS)
        case "*":
            fail("NS103", "specs have no aliases", span, help=_BLOCKS)
        case "!":
            fail("NS103", "specs have no tags", span, help="put text that starts with ! in quotes; negation is `not`")
        case _:
            fail("NS103", "specs have no directives", span, help="take this line and the `---` after it out")


def refuse_key(word: str, span: Span) -> NoReturn:
    """Raise the error for an empty key, or `<<`."""
    if word:
        help = "a block with `params` says once what is needed several times; `defaults:` sets attributes for a file"
        fail("NS103", "specs have no merge keys", span, help=help)
    question = span.source.text[: span.start + 1].rfind("?")
    if question >= 0 and not span.source.text[question + 1 : span.start].strip(" ,") and not span.text.startswith(":"):
        help = "quote it; a size that is open is a symbol, such as `N`"
        fail("NS101", "a value can't start with `?`", Span(span.source, question, question + 1), help=help)
    fail("NS101", "a key is missing before the `:`", Span(span.source, span.start, span.start + 1))


def refuse_collection_as_key(start: Span, kind: str) -> NoReturn:
    """Raise the error for a mapping or a list as a key; `start` is its first character."""
    template = start.source.text.startswith("{{", start.start - 1)
    help = "specs have no templates: a parameter is written by its name alone" if template else ""
    fail("NS101", f"a key is a name, this one is a {kind}", start, help=help)


def refuse_duplicate(key: str, span: Span, entries: dict[str, Entry], flow: bool) -> NoReturn:
    """Raise the error for a key that occurs twice.

    YAML also splits expressions at commas: `{k: max(a, b, b)}` has several keys, and gets an error of its own.
    """
    if flow:
        _check_split(span, entries)
    fail_duplicate(key, span, entries[key].key_span)


def check_flow_key(key: str, span: Span, entries: dict[str, Entry]) -> None:
    """Refuse the end of an expression as a key: `{k: min(a, b)}` has a key `b)`."""
    if key.count(")") > key.count("("):
        _check_split(span, entries)
        fail("NS101", f"`{span.text}` is no key: its `)` closes nothing", span, help=QUOTE)


def check_flow_value(word: str, span: Span, before: list[Data] | dict[str, Entry], key: Span | None) -> None:
    """Refuse the end of an expression as a value, and `{a:1}`, which YAML reads as a key `a:1` without a value."""
    if word.count(")") > word.count("("):
        _check_split(span, before)
    if not word and key is not None:
        check_space(key)
        last = next(reversed(before.values()), None) if isinstance(before, dict) else None
        if last is not None and re.fullmatch(r"\d{3}", key.text) and isinstance(last.value, Scalar):
            number = Span(key.source, last.value.span.start, key.end)
            if help := notation_hint(number.text):
                fail("NS101", "YAML splits this number at its comma", number, help=help)


def _check_split(span: Span, before: list[Data] | dict[str, Entry]) -> None:
    """Refuse an expression that YAML splits at its commas and whose end is the span: `[min(a, b)]` has two items."""
    values: Iterable[Data] = (
        reversed(before) if isinstance(before, list) else (entry.value for entry in reversed(before.values()))
    )
    for value in islice(values, 16):
        word = value.value if isinstance(value, Scalar) and not value.quoted else None
        if isinstance(word, str) and word.count("(") > word.count(")"):
            split = Span(span.source, value.span.start, span.end)
            fail("NS101", "YAML splits this expression at its comma", split, help=notation_hint(split.text) or QUOTE)


def check_space(span: Span, lead: str = "") -> None:
    """Refuse `a:1` and `a=1`; `lead` is what the corrected line starts with, such as `- `."""
    if match := _NO_SPACE.match(span.text):
        key, sign, value = match.groups()
        message = f"a space is missing after `{key}:`" if sign == ":" else "a value stands after a `:`, not after a `=`"
        fail("NS101", message, span, help=f"write `{lead}{key}: {value}`")
