"""YAML's syntax errors in words: the parser's own are about its grammar; these are about what people do.

What went wrong is read from the text and from where the parser stopped, never from its words: those change from one
release to the next. A function that starts with `_check` raises if it knows what went wrong, and returns if it does
not; so their order counts. One that starts with `_fail` always raises.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import NoReturn

import yaml
from yaml.scanner import ScannerError

from netspec.errors import fail
from netspec.source import Source, Span
from netspec.spec.text.data import MAX_DATA_DEPTH, fail_deep
from netspec.spec.text.yaml_refusals import QUOTE, check_space, refuse_key, refuse_yaml

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CODE = re.compile(r"\\(?:x\w{0,2}|u\w{0,4}|U\w{0,8})")
_QUOTED = re.compile(r"""\"(?:[^"\\]|\\.)*+"|'(?:[^']|'')*+'""", re.DOTALL)
_BRACKETS = re.compile(rf"(?<![^\s,:\[{{])(?:{_QUOTED.pattern})|(?<!\S)\#[^\n]*|[\[\]{{}}]", re.DOTALL)


def fail_unprintable(source: Source) -> NoReturn:
    """Raise the error for a text with a character that YAML does not allow."""
    # The parser's positions are bytes or characters, as it is C or Python: the place is looked up anew.
    found = _UNPRINTABLE.search(source.text)
    at = found.start() if found else 0
    message = f"the character U+{ord(source.text[at]):04X} can't stand in a spec"
    fail("NS101", message, Span(source, at, at + 1), help="take it out, or write its escape in double quotes")


def raise_yaml_error(
    source: Source, error: yaml.MarkedYAMLError, bracket: int | None, last: Span, opened: Collection[int]
) -> NoReturn:
    """Raise the error for a text that the parser gave up on.

    That was in the flow that starts at `bracket`, after `last`, in the collections that start at `opened`.
    """
    failure = _Failure.of(source, error, last)
    _check_depth(failure, opened)
    if failure.in_quotes:
        _fail_in_quotes(failure)
    if failure.begins == "!" or (failure.begins == "%" and failure.context_at == _line_start(source.text, failure.at)):
        refuse_yaml(Span(source, failure.context_at, failure.at))
    if bracket is not None:
        _fail_in_flow(failure, bracket)
    _check_start(failure)
    _check_colon(failure)
    _check_word_above(failure)
    _check_after_quote(failure)
    if failure.char and failure.char in "]},":
        what = f"`{failure.char}` closes nothing" if failure.char != "," else "nothing stands before this `,`"
        fail("NS101", what, failure.here)
    if not failure.scanning and failure.context_at in opened:
        _fail_in_block(failure)
    if not failure.scanning and not failure.has_context:
        help = "check the indentation and the brackets above"
        fail("NS101", "the spec has ended before this", failure.here, help=help)
    _fail_anyhow(failure)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Where the parser gave up."""

    source: Source
    scanning: bool
    """Whether it could not tell the words, and not how they belong together."""
    at: int
    context_at: int
    """Where what it was reading starts; where it gave up, if it does not say."""
    has_context: bool
    last: Span
    """The word before, of those that were read to their end."""

    @classmethod
    def of(cls, source: Source, error: yaml.MarkedYAMLError, last: Span) -> _Failure:
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
        """The first character of what it was reading, if it says what that is."""
        return self.source.text[self.context_at : self.context_at + 1] if self.has_context else ""

    @property
    def reading(self) -> bool:
        """Whether it was within something, and not at its start."""
        return self.has_context and self.context_at < self.at

    @property
    def is_last(self) -> bool:
        """Whether a word is meant that the text ends with."""
        return not self.char and self.begins not in ("&", "*", "|", ">")

    @property
    def in_quotes(self) -> bool:
        """Whether it was reading a quoted text that does not end before here."""
        quoted = _QUOTED.match(self.source.text, self.context_at)
        return self.scanning and self.begins in ("'", '"') and (quoted is None or quoted.end() > self.at)

    @property
    def line_start(self) -> int:
        return _line_start(self.source.text, self.at)

    @property
    def lead(self) -> str:
        """What stands before it on its line."""
        return self.source.text[self.line_start : self.at]

    @property
    def between(self) -> str | None:
        """What stands between the last word and here, if the word ends before here."""
        return self.source.text[self.last.end : self.at] if self.last.end <= self.at else None


def _check_depth(failure: _Failure, opened: Collection[int]) -> None:
    """A text that is nested too deep: a parser that reads ahead may have a limit of its own, and meet it first."""
    source, depth = failure.source, len(opened)
    start = max([failure.last.end, *(at + 1 for at in opened)])
    for found in _BRACKETS.finditer(source.text, start, max(failure.at, start)):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found.group(), 0)
        if depth > MAX_DATA_DEPTH:
            fail_deep(Span(source, found.start(), found.end()))


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _dash_before(text: str, at: int) -> bool:
    return text[_line_start(text, at) : at].rstrip(" ").endswith("-")


# Quotes.


def _fail_in_quotes(failure: _Failure) -> NoReturn:
    source, start = failure.source, failure.context_at
    at = source.text.rfind("\\", start, failure.at + 1)
    code = _CODE.match(source.text, at)
    escape = Span(source, at, code.end() if code else at + 2)
    if failure.begins == '"' and at >= 0 and failure.at <= escape.end < len(source.text):
        help = "write the character itself" if code else "text with backslashes stands in single quotes"
        fail("NS101", f"`{escape.text}` is no escape", escape, help=help)
    fail("NS101", f"the quote {failure.begins} is never closed", Span(source, start, start + 1))


def _check_after_quote(failure: _Failure) -> None:
    """Text behind a closing quote, which may have been meant to close elsewhere."""
    source, last = failure.source, failure.last
    mark = last.text[:1]
    if mark not in ("'", '"') or failure.between is None or failure.between.strip(" \t"):
        return
    if "\n" in last.text:
        note = f"it ends at {Span(source, last.end - 1, last.end).place}, and more text follows"
        fail("NS101", f"the quote {mark} is closed too late", Span(source, last.start, last.start + 1), notes=[note])
    inside = "inside '...' a quote is written ''" if mark == "'" else 'inside "..." a quote is written \\"'
    fail("NS101", "text after the closing quote", failure.here, help=f"quote the whole value; {inside}")


# Block style.


def _check_start(failure: _Failure) -> None:
    """What a line or a value can't start with."""
    source, here = failure.source, failure.here
    indent = re.compile(r"[ \t]*").match(source.text, failure.line_start)
    margin = indent.group() if indent else ""
    if "\t" in margin:
        tab = Span(source, failure.line_start + margin.index("\t"), failure.line_start + len(margin))
        fail("NS101", "a tab can't indent in YAML", tab, help="use spaces")
    if not failure.scanning:
        return
    if failure.reading and ("\n" in source.text[failure.context_at : failure.at] or failure.is_last):
        _fail_without_colon(failure)
    if failure.begins in ("&", "*"):
        name = f"`{failure.begins}`"
        start = Span(source, failure.context_at, failure.at)
        fail("NS101", f"a value can't start with {name}", start, help="put it in quotes")
    if failure.char == "\t":
        fail("NS101", "a tab can't indent in YAML", here, help="use spaces")
    if failure.reading:
        return
    if failure.char and failure.char in "`@%|>":
        help = "a parameter is written by its name alone; text that starts with this stands in quotes"
        if source.text[failure.at - 1 : failure.at + 1] == "{%":
            help = "specs have no templates: `repeat`, `when` and blocks with `params` do what they are for"
        what = "a backtick" if failure.char == "`" else f"`{failure.char}`"
        fail("NS101", f"a value can't start with {what}", here, help=help)
    if re.match(r"-(\s|$)", source.text[failure.at : failure.at + 2]):
        fail("NS101", "a list can't start on the line of its key", here, help="start it on the next line, or use [...]")


def _fail_without_colon(failure: _Failure) -> NoReturn:
    """A line among the keys of a mapping that has no `:`."""
    source, start = failure.source, failure.context_at
    line = Span(source, start, start + len(source.text[start:].split("\n", 1)[0].rstrip()))
    check_space(line)
    words = line.text.split()
    help = f"write `{line.text}:`, or `- {line.text}` in a list" if len(words) == 1 else "a comment starts with `#`"
    if len(words) == 2:
        help = f"write `{words[0]}: {words[1]}`"
    fail("NS101", "a key without its `:`", line, help=help)


def _check_colon(failure: _Failure) -> None:
    """A `:` without a key before it, or one that the word before it can't have."""
    if failure.char != ":":
        return
    if failure.lead.strip() in ("", "-", "?"):
        refuse_key("", failure.here)
    if failure.last.text and failure.between is not None and not failure.between.strip():
        _fail_at_colon(failure)


def _fail_at_colon(failure: _Failure) -> NoReturn:
    """A `:` after a word that is a value; it may be of several lines, the last of which was meant as a key."""
    source, last = failure.source, failure.last
    first, *rest = last.text.split("\n")
    first = first.rstrip()
    if not rest:
        help = "quote a value that has `: ` in it, or put the second key on a line of its own"
        fail("NS101", "a second `: ` on one line", failure.here, help=help)
    key = rest[-1].strip()
    if first.startswith("-") and key.startswith("-"):
        dash = Span(source, last.start, last.start + 1)
        fail("NS101", "a space is missing after this `-`", dash, help=f"write `- {first[1:]}`")
    word = Span(source, last.start, last.start + len(first))
    check_space(word, "- " if _dash_before(source.text, last.start) else "")
    if not re.fullmatch(r"[\w.]+", key):
        note = f"the value before it starts at {last.place}"
        help = "check the quotes and the indentation above"
        fail("NS101", "a `: ` can't stand here", failure.here, notes=[note], help=help)
    before = source.text[_line_start(source.text, last.start) : last.start].rstrip()
    if before.endswith(":"):
        above = before[:-1].lstrip(" -").rstrip()
        below = Span(source, last.end - len(key), last.end)
        help = f"start `{key}` in the same column as `{above}`, or put the value of `{above}` below it too"
        fail("NS101", f"`{key}:` is indented under `{above}`, which has a value already", below, help=help)
    _fail_word_above(word, key)


def _check_word_above(failure: _Failure) -> None:
    """A word of a list, alone on its line, and a key below it: `- conv2d` and then `kernel_size: 3`."""
    # A comment ended the word; without one, the next line's key is part of it (see _fail_at_colon).
    text, last, lead = failure.source.text, failure.last, failure.lead
    if lead.strip() or failure.between is None or last.text[:1] in "'\"|>" or not _dash_before(text, last.start):
        return
    key = re.compile(r"([A-Za-z_]\w*)\s*:").match(text, failure.at)
    if key and len(lead) == last.start - _line_start(text, last.start):
        _fail_word_above(last, key[1])


def _fail_word_above(word: Span, key: str) -> NoReturn:
    dash = "- " if _dash_before(word.source.text, word.start) else ""
    message = f"mapping values are not allowed under `{word.text}`: `{key}:` stands below, and it has no `:` itself"
    fail("NS101", message, word, help=f"write `{dash}{word.text}:`")


def _fail_in_block(failure: _Failure) -> NoReturn:
    """Text that is no part of the mapping or list above it."""
    text, here, lead = failure.source.text, failure.here, failure.lead
    if lead.strip() or not failure.char:
        help = "a comma, a bracket or the `#` of a comment may be missing"
        fail("NS101", "nothing more can stand on this line", here, help=help)
    if len(lead) == failure.context_at - _line_start(text, failure.context_at):
        item = text.startswith("- ", failure.at)
        message = "a list item among the keys of a mapping" if item else "a key among the items of a list"
        help = "indent it, to be part of what stands above"
        if item and _dash_before(text, failure.context_at):
            help = "begin it in the column of the dash above, to be an item of the same list"
        fail("NS101", message, here, help=help)
    message = f"this line is indented by {len(lead)}, and nothing above it is open there"
    fail("NS101", message, here, help="indent it as much as the line it belongs with")


def _fail_anyhow(failure: _Failure) -> NoReturn:
    """What is left: rare, and told by the character alone."""
    if failure.begins in ("|", ">") and failure.scanning:
        start = Span(failure.source, failure.context_at, failure.context_at + 1)
        help = "quote a value that starts with it; text of several lines starts on the line below"
        fail("NS101", f"nothing more can stand on the line of this `{failure.begins}`", start, help=help)
    if failure.char == ":" and failure.after in ("[", "{"):
        fail("NS101", "a space is missing after this `:`", failure.here)
    if failure.char and failure.char in ":?":
        help = "quote a value that has `: ` in it" if failure.char == ":" else "quote a value that starts with it"
        fail("NS101", f"a `{failure.char}` can't stand here", failure.here, help=help)
    if re.match(r"(\.\.\.|---)\s", failure.source.text[failure.at :]):
        fail("NS101", "the spec ends before anything stands in it", failure.here, help="take this line out")
    help = "check the quotes, the brackets and the indentation above"
    fail("NS101", "YAML can't be read from here on", failure.here, help=help)


# Flow style: {...} and [...].


def _fail_in_flow(failure: _Failure, bracket: int) -> NoReturn:
    source, char, here = failure.source, failure.char, failure.here
    opening = source.text[bracket]
    closing = "]" if opening == "[" else "}"
    start = Span(source, bracket, bracket + 1)
    if _matching(source.text, bracket) is None:
        fail("NS101", f"`{opening}` is never closed", start, help=f"end it with `{closing}`")
    if char and char in "]}" and char != closing:
        note = f"`{opening}` is open since {start.place}"
        fail("NS101", f"`{char}` can't close `{opening}`", here, notes=[note], help=f"write `{closing}`")
    before = source.text[: failure.at].rstrip()[-1:]
    # A bare word (an empty text is part of any) that ends here.
    after_word = failure.between is not None and not failure.between.strip() and failure.last.text[:1] not in "'\""
    if char == ":":
        _check_colon_in_flow(failure, before, after_word)
    else:
        _check_expression_in_flow(failure, before, after_word)
    if char == "," or char == closing:
        fail("NS101", f"nothing stands before this `{char}`", here)
    help = "a comma is missing before this, or quotes around the value"
    fail("NS101", f"expected `,` or `{closing}`", here, help=help)


def _check_colon_in_flow(failure: _Failure, before: str, after_word: bool) -> None:
    source, last, colon = failure.source, failure.last, failure.here
    if failure.after in ("[", "{"):
        fail("NS101", "a space is missing after this `:`", colon)
    if after_word:
        words = last.text.split()
        if len(words) == 1:
            help = "nest it as {...}, or quote a value that has `: ` in it"
            fail("NS101", "a second `: ` without a comma between", colon, help=help)
        key = Span(source, last.end - len(words[-1]), last.end)
        fail("NS101", f"a comma is missing before `{key.text}`", key)
    if before in "{[,":
        refuse_key("", colon)


def _check_expression_in_flow(failure: _Failure, before: str, after_word: bool) -> None:
    """An expression that ends for YAML where a bracket opens, or behind one: `{k: stages[0] + 1}`."""
    source, at, char, last = failure.source, failure.at, failure.char, failure.last
    if char == "{" and after_word and re.fullmatch(r"[A-Za-z_]\w*", last.text):
        fail("NS101", f"`{last.text}` and `{{` with no `:` between", last, help=f"write `{last.text}: {{...}}`")
    if char in "[{" and (after_word or not source.text[at - 1].isspace()):
        inner = _matching(source.text, at)
        whole = Span(source, last.start if after_word else at, at + 1 if inner is None else inner + 1)
        fail("NS101", f"YAML ends the value before `{char}`", whole, help=QUOTE)
    if char in "+-*/%<>=!)." and before in ("]", "}"):
        fail("NS101", f"YAML ends the value before `{char}`", failure.here, help=QUOTE)


def _matching(text: str, at: int) -> int | None:
    """Where the bracket that opens at a place is closed, by a bracket of whichever kind."""
    depth = 0
    for found in _BRACKETS.finditer(text, at):
        bracket = found.group()
        if bracket in "[{":
            depth += 1
        elif bracket in "]}":
            depth -= 1
            if depth == 0:
                return found.start()
    return None
