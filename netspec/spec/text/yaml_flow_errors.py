"""YAML's syntax errors in flow style, {...} and [...], in words."""

from __future__ import annotations

import re
from typing import NoReturn

from netspec.errors import fail
from netspec.source import Span
from netspec.spec.text.parser_stop import BRACKETS, ParserStop
from netspec.spec.text.yaml_refusals import QUOTE, refuse_key


def fail_in_flow(stop: ParserStop, bracket: int) -> NoReturn:
    """Raise the error for a stop in the list or mapping whose bracket is at the offset `bracket`."""
    source, char, here = stop.source, stop.char, stop.here
    opening = source.text[bracket]
    closing = "]" if opening == "[" else "}"
    start = Span(source, bracket, bracket + 1)
    if _matching(source.text, bracket) is None:
        fail("NS101", f"`{opening}` is never closed", start, help=f"end it with `{closing}`")
    if char and char in "]}" and char != closing:
        note = f"`{opening}` is open since {start.place}"
        fail("NS101", f"`{char}` can't close `{opening}`", here, notes=[note], help=f"write `{closing}`")
    before = source.text[: stop.at].rstrip()[-1:]
    # Whether a bare word ends here; `"" in "'\""` is True, so a missing word counts as quoted.
    after_word = stop.between is not None and not stop.between.strip() and stop.last.text[:1] not in "'\""
    if char == ":":
        _check_colon_in_flow(stop, before, after_word)
    else:
        _check_expression_in_flow(stop, before, after_word)
    if char == "," or char == closing:
        fail("NS101", f"nothing stands before this `{char}`", here)
    help = "a comma is missing before this, or quotes around the value"
    fail("NS101", f"expected `,` or `{closing}`", here, help=help)


def _check_colon_in_flow(stop: ParserStop, before: str, after_word: bool) -> None:
    """Refuse a `:` that has no space after it, no key before it, or is within a value.

    `before` is the last character before the stop; `after_word` is True if a bare word ends there.
    """
    source, last, colon = stop.source, stop.last, stop.here
    if stop.after in ("[", "{"):
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


def _check_expression_in_flow(stop: ParserStop, before: str, after_word: bool) -> None:
    """Refuse an expression that YAML ends at a bracket: `{k: stages[0] + 1}`."""
    source, at, char, last = stop.source, stop.at, stop.char, stop.last
    if char == "{" and after_word and re.fullmatch(r"[A-Za-z_]\w*", last.text):
        fail("NS101", f"`{last.text}` and `{{` with no `:` between", last, help=f"write `{last.text}: {{...}}`")
    if char in "[{" and (after_word or not source.text[at - 1].isspace()):
        inner = _matching(source.text, at)
        value = Span(source, last.start if after_word else at, at + 1 if inner is None else inner + 1)
        fail("NS101", f"YAML ends the value before `{char}`", value, help=QUOTE)
    if char in "+-*/%<>=!)." and before in ("]", "}"):
        fail("NS101", f"YAML ends the value before `{char}`", stop.here, help=QUOTE)


def _matching(text: str, at: int) -> int | None:
    """The offset at which the bracket at `at` is closed, by a bracket of either kind; None if it never is."""
    depth = 0
    for match in BRACKETS.finditer(text, at):
        bracket = match.group()
        if bracket in "[{":
            depth += 1
        elif bracket in "]}":
            depth -= 1
            if depth == 0:
                return match.start()
    return None
