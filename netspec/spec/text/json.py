"""Parses JSON text into data with places."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from netspec.errors import NetspecError, fail
from netspec.source import Source, Span
from netspec.spec.limits import MAX_DATA_DEPTH
from netspec.spec.text.data import Data, Entry, Map, Scalar, Seq, check_size, fail_deep, fail_duplicate, integer
from netspec.spec.text.json_errors import STRING, raise_json_error, refuse_word

_BRACKETS = re.compile(rf'{STRING}"?|[\[\]{{}}]', re.DOTALL)
_TOKENS = re.compile(rf'{STRING}"|[\[\]{{}}]|[^\s,:\[\]{{}}"]+', re.DOTALL)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def parse_json(source: Source) -> Data:
    """Parse a JSON text."""
    check_size(source)
    opened = _brackets(source)
    try:
        _validate(source)
    except json.JSONDecodeError as error:
        raise_json_error(source, error.pos, opened)
    return _build(source)


def is_json(source: Source) -> bool:
    """Return whether a text that starts with `{` is valid JSON; else it may be YAML in flow style."""
    try:
        _brackets(source)
        _validate(source)
    except (NetspecError, json.JSONDecodeError):
        return False
    return True


def _validate(source: Source) -> None:
    """Raise json.JSONDecodeError for invalid JSON, and NetspecError NS101 for `NaN` and `Infinity`."""

    def refuse(literal: str) -> NoReturn:
        # The decoder does not tell the place: it is that of the first token that starts with the literal.
        at = next(m.start() for m in _TOKENS.finditer(source.text) if m.group().startswith(literal))
        refuse_word(source, at)

    # Numbers are not parsed here, but with bounds in `_build`, which knows their places.
    json.loads(source.text, parse_int=str, parse_float=str, parse_constant=refuse)


def _brackets(source: Source) -> list[int]:
    """The offsets of the brackets that are never closed; text that is nested too deeply is refused.

    The check has to come first, since the decoder recurses.
    """
    opened: list[int] = []
    for match in _BRACKETS.finditer(source.text):
        bracket = match.group()
        if bracket in ("[", "{"):
            opened.append(match.start())
            if len(opened) > MAX_DATA_DEPTH:
                fail_deep(Span(source, match.start(), match.end()))
        elif bracket in ("]", "}") and opened:
            opened.pop()
    return opened


def _build(source: Source) -> Data:
    """The data of valid JSON text."""
    # In valid text, commas and colons carry no information, and the depth is bounded.
    tokens = _TOKENS.finditer(source.text)

    def value(token: re.Match[str]) -> Data:
        """The value that starts with a token."""
        text, start = token.group(), token.start()
        if text == "{":
            entries: dict[str, Entry] = {}
            while (token := next(tokens)).group() != "}":
                key_span = Span(source, *token.span())
                key = string(token.group(), key_span)
                if key in entries:
                    fail_duplicate(key, key_span, entries[key].key_span)
                entries[key] = Entry(key, key_span, value(next(tokens)))
            return Map(entries, Span(source, start, token.end()))
        if text == "[":
            items: list[Data] = []
            while (token := next(tokens)).group() != "]":
                items.append(value(token))
            return Seq(items, Span(source, start, token.end()))
        span = Span(source, start, token.end())
        if text[0] == '"':
            return Scalar(string(text, span), span, True)
        if text in _WORDS:
            return Scalar(_WORDS[text], span, False)
        return Scalar(integer(text, 10, span) if text.lstrip("-").isdigit() else float(text), span, False)

    def string(token: str, span: Span) -> str:
        """The text of a token in quotes."""
        if "\\" not in token:
            return token[1:-1]
        text: str = json.loads(token)
        if _SURROGATE.search(text):
            fail("NS101", "an escape that is half a character", span, help="write the character itself")
        return text

    return value(next(tokens))
