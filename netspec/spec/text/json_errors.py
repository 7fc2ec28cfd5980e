"""JSON's syntax errors in words: the cause is found from the text and the place where the decoder stopped.

The decoder's messages are not used, since they change between versions of Python.
"""

from __future__ import annotations

import re
from typing import NoReturn

from netspec.errors import fail
from netspec.source import Source, Span
from netspec.spec.text.data import fail_empty

# Possessive quantifiers keep a match's memory constant for strings of any length.
STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+'
_LEXEMES = re.compile(rf'{STRING}"?|[\[\]{{}},:]|[^\s,:\[\]{{}}"]+', re.DOTALL)
_CLOSED = re.compile(rf'{STRING}"', re.DOTALL)
_FOREIGN = {"True": "true", "False": "false", "None": "null", "NaN": "a number", "Infinity": "a number"}
_LINE_BREAK = "a line break in text is written `\\n`"
_WORD = re.compile(r"[-+]?[\w.]+")
_NUMBER_BEFORE = re.compile(r"(?<![\w.\"])-?[0-9]+(?:\.[0-9]+)?$")
_KEY, _VALUE, _COLON = "a key in double quotes is due here", "a value is due here", "a `:` is due here"
_COMMA, _END = "a `,` or a closing bracket is due here", "text after the end of the spec"


def raise_json_error(source: Source, at: int, opened: list[int]) -> NoReturn:
    """Raise the error for a text at whose offset `at` the decoder stopped; `opened` are offsets of open brackets."""
    text = source.text
    if not text.strip():
        fail_empty(source)
    if trailing := re.compile(r",\s*(?=[\]}])").match(text, at):
        # Some decoders stop at the comma, others after it.
        at = trailing.end()
    before, due, start = _state(text, at)
    if start is not None:
        _fail_in_text(source, start, at)
    if at >= len(text.rstrip()) and opened:
        bracket = text[opened[-1]]
        closing = "]" if bracket == "[" else "}"
        place = Span(source, opened[-1], opened[-1] + 1)
        fail("NS101", f"`{bracket}` is never closed", place, help=f"end it with `{closing}`")
    number = _NUMBER_BEFORE.search(text, max(0, at - 40), at)
    if number and re.match(r"[\w.]", text[at:]):
        # The decoder takes `01` for a 0 and a stray 1.
        at = number.start()
        span = Span(source, at, _word_end(text, at))
        help = "numbers are decimal, without a zero before other digits, and with digits on both sides of a point"
        fail("NS101", f"not valid JSON: `{span.text}` is no number", span, help=help)
    span = Span(source, at, max(at + 1, _word_end(text, at)))
    fail("NS101", f"not valid JSON: {due}", span, help=_way_out(span, before, due))


def refuse_word(source: Source, at: int) -> NoReturn:
    """Raise the error for a literal that JSON lacks, such as `NaN`."""
    word = Span(source, at, max(at + 1, _word_end(source.text, at)))
    name = word.text.lstrip("-")
    fail("NS101", f"not valid JSON: `{word.text}` is not part of JSON", word, help=f"write {_FOREIGN[name]}")


def _state(text: str, at: int) -> tuple[str, str, int | None]:
    """The state of a parser at an offset: the lexeme before it, what is due, and the start of a broken string.

    The last is None unless the offset is inside a string, or at the start of an unclosed one.
    """
    opened: list[str] = []
    before, is_key, start = "", False, None
    for lexeme in _LEXEMES.finditer(text):
        word = lexeme.group()
        if lexeme.start() >= at or (word[0] == '"' and lexeme.end() > at):
            sound = lexeme.start() == at and _CLOSED.fullmatch(word)
            start = lexeme.start() if word[0] == '"' and not sound else None
            break
        if word in ("[", "{"):
            opened.append(word)
        elif word in ("]", "}") and opened:
            opened.pop()
        is_key = before in ("{", ",") and opened[-1:] == ["{"]
        before = word
    if before in ("", ":", "["):
        return before, _VALUE, start
    if before in ("{", ","):
        return before, _KEY if opened[-1:] == ["{"] else _VALUE, start
    due = (_COLON if is_key else _COMMA) if opened else _END
    # No text in quotes may start here, closed or not.
    return before, due, start if start is not None and start < at else None


def _fail_in_text(source: Source, start: int, at: int) -> NoReturn:
    """Raise the error for a string that starts at one offset and is invalid at another."""
    text = source.text
    if at == start or at >= len(text) or text[at] in "\r\n":
        fail("NS101", "this quote is not closed on its line", Span(source, start, start + 1), help=_LINE_BREAK)
    if text[at] < " ":
        help = "a tab is written `\\t`" if text[at] == "\t" else ""
        span = Span(source, at, max(at + 1, _word_end(text, at)))
        fail("NS101", "not valid JSON: a control character in text", span, help=help)
    at = text.rfind("\\", start, at + 1)
    span = Span(source, at, at + 1)
    if text[at + 1 : at + 2] == "u":
        fail("NS101", "not valid JSON: four digits are due after `\\u`", span)
    fail("NS101", "not valid JSON: a backslash that escapes nothing", span, help="a backslash is written `\\\\`")


def _way_out(span: Span, before: str, due: str) -> str:
    """A hint for the word at which the decoder stopped; "" without one.

    `before` is the lexeme before it, and `due` says what should stand there.
    """
    text, at = span.source.text, span.start
    word = span.text.lstrip("-")
    if word in _FOREIGN:
        return f"write {_FOREIGN[word]}"
    if span.text == "'":
        return 'JSON text stands in double quotes: "..."'
    if span.text in ("/", "#"):
        return "JSON has no comments; a spec with comments is YAML"
    if span.text in ("]", "}", ",") and before == ",":
        return "take out the comma"
    if at == len(text) - len(text.lstrip()):
        return "a spec in YAML is in a file that ends in `.yaml`"
    if due == _COMMA:
        return "a comma is missing before this, or a bracket after it"
    if due == _END:
        return "a file holds one spec"
    return f'put it in double quotes: "{word}"' if word.isidentifier() else ""


def _word_end(text: str, at: int) -> int:
    word = _WORD.match(text, at)
    return word.end() if word else at
