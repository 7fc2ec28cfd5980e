"""JSON text -> data with spans."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from netspec.errors import NetspecError, fail
from netspec.source import Source, Span
from netspec.spec.data import (
    MAX_DEPTH,
    Data,
    Entry,
    Map,
    Scalar,
    Seq,
    check_size,
    fail_deep,
    fail_duplicate,
    fail_empty,
    integer,
)

# The possessive loops keep the memory of a match flat, however long the string is.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+'
_BRACKETS = re.compile(rf'{_STRING}"?|[\[\]{{}}]', re.DOTALL)
_TOKENS = re.compile(rf'{_STRING}"|[\[\]{{}}]|[^\s,:\[\]{{}}"]+', re.DOTALL)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_FOREIGN = {"True": "true", "False": "false", "None": "null", "NaN": "a number", "Infinity": "a number"}


def parse(source: Source) -> Data:
    """The value of a JSON text."""
    check_size(source)
    opened = _brackets(source)
    try:
        _validate(source.text)
    except json.JSONDecodeError as error:
        _explain(source, error, opened)
    return _build(source)


def is_json(source: Source) -> bool:
    """Whether a text that starts with `{` is JSON to the last character."""
    try:
        _brackets(source)
        _validate(source.text)
    except (NetspecError, json.JSONDecodeError):
        return False
    return True


def _validate(text: str) -> None:
    def refuse(literal: str) -> NoReturn:
        # The decoder does not say where; no token before it starts so.
        at = next(m.start() for m in _TOKENS.finditer(text) if m.group().startswith(literal))
        raise json.JSONDecodeError(f"`{literal}` is not part of JSON", text, at)

    # Numbers stay text here: they are read, within bounds, where their place is known.
    json.loads(text, parse_int=str, parse_float=str, parse_constant=refuse)


def _brackets(source: Source) -> list[int]:
    """The places of the brackets that stay open; the decoder recurses, so the depth is bounded here."""
    opened: list[int] = []
    for match in _BRACKETS.finditer(source.text):
        bracket = match.group()
        if bracket in ("[", "{"):
            opened.append(match.start())
            if len(opened) > MAX_DEPTH:
                fail_deep(Span(source, match.start(), match.end()))
        elif bracket in ("]", "}") and opened:
            opened.pop()
    return opened


def _build(source: Source) -> Data:
    # The text is known to be JSON, so commas and colons carry nothing, and the recursion is bounded.
    tokens = _TOKENS.finditer(source.text)

    def value(token: re.Match[str]) -> Data:
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
        if "\\" not in token:
            return token[1:-1]
        text: str = json.loads(token)
        if _SURROGATE.search(text):
            fail("NS101", "an escape that is half a character", span, help="write the character itself")
        return text

    return value(next(tokens))


def _explain(source: Source, error: json.JSONDecodeError, opened: list[int]) -> NoReturn:
    text, at = source.text, error.pos
    breaks = error.msg.startswith("Invalid control") and text[at] in "\r\n"
    if breaks or error.msg.startswith("Unterminated string"):
        at = text.rindex('"', 0, at + 1)
        fail("NS101", "this quote is not closed on its line", Span(source, at, at + 1), help=_LINE_BREAK)
    if at >= len(text.rstrip()) and opened:
        bracket = text[opened[-1]]
        closing = "]" if bracket == "[" else "}"
        start = Span(source, opened[-1], opened[-1] + 1)
        fail("NS101", f"`{bracket}` is never closed", start, help=f"end it with `{closing}`")
    if not text.strip():
        fail_empty(source)
    number = _NUMBER_BEFORE.search(text, max(0, at - 40), at)
    if number and re.match(r"[\w.]", text[at:]):
        # The decoder takes `01` for a 0 and a stray 1.
        at = number.start()
        span = Span(source, at, _word_end(text, at))
        help = "numbers are decimal, without a zero before other digits, and with digits on both sides of a point"
        fail("NS101", f"not valid JSON: `{span.text}` is no number", span, help=help)
    span = Span(source, at, max(at + 1, _word_end(text, at)))
    before = text[:at].rstrip()[-1:]
    message = _IN_WORDS.get(error.msg.removesuffix(" starting at").removesuffix(" at"), error.msg)
    fail("NS101", f"not valid JSON: {message}", span, help=_way_out(source, error, span, before))


def _way_out(source: Source, error: json.JSONDecodeError, span: Span, before: str) -> str:
    text, at = source.text, span.start
    word = span.text.lstrip("-")
    if word in _FOREIGN:
        return f"write {_FOREIGN[word]}"
    if span.text == "'":
        return 'JSON text stands in double quotes: "..."'
    if span.text in ("/", "#"):
        return "JSON has no comments; a spec with comments is YAML"
    if (span.text in ("]", "}", ",") and before == ",") or re.compile(r",\s*[\]}]").match(text, at):
        return "take out the comma"
    if at == len(text) - len(text.lstrip()):
        return "a spec in YAML is in a file that ends in `.yaml`"
    if error.msg.startswith("Expecting ','"):
        return "a comma is missing before this, or a bracket after it"
    if error.msg.startswith("Extra data"):
        return "a file holds one spec"
    if error.msg.startswith("Invalid control"):
        return "a tab is written `\\t`"
    if error.msg.startswith("Invalid \\escape"):
        return "a backslash is written `\\\\`"
    return f'put it in double quotes: "{word}"' if word.isidentifier() else ""


def _word_end(text: str, at: int) -> int:
    word = _WORD.match(text, at)
    return word.end() if word else at


_LINE_BREAK = "a line break in text is written `\\n`"
_WORD = re.compile(r"[-+]?[\w.]+")
_NUMBER_BEFORE = re.compile(r"(?<![\w.\"])-?[0-9]+(?:\.[0-9]+)?$")
_IN_WORDS = {
    "Expecting property name enclosed in double quotes": "a key in double quotes is due here",
    "Illegal trailing comma before end of object": "a key in double quotes is due here",
    "Illegal trailing comma before end of array": "a value is due here",
    "Expecting value": "a value is due here",
    "Expecting ',' delimiter": "a `,` or a closing bracket is due here",
    "Expecting ':' delimiter": "a `:` is due here",
    "Extra data": "text after the end of the spec",
    "Invalid control character": "a control character in text",
    "Invalid \\escape": "a backslash that escapes nothing",
    "Invalid \\uXXXX escape": "four digits are due after `\\u`",
}
"""What the decoder says, in plain words."""
