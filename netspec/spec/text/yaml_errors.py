"""YAML's syntax errors in words: the parser's messages are about its grammar, these about common mistakes.

The cause is found from the text and the place where the parser stopped, never from its messages, which change between
releases. A function `_check...` raises if it recognises the mistake and returns if it does not, so the order of the
calls matters. A function `_fail...` always raises.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NoReturn

import yaml

from netspec.errors import fail
from netspec.source import Source, Span
from netspec.spec.limits import MAX_DATA_DEPTH
from netspec.spec.text.data import fail_deep
from netspec.spec.text.parser_stop import BRACKETS, ParserStop, is_after_dash, line_start_of
from netspec.spec.text.yaml_flow_errors import fail_in_flow
from netspec.spec.text.yaml_refusals import check_space, refuse_key, refuse_yaml

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CODE = re.compile(r"\\(?:x\w{0,2}|u\w{0,4}|U\w{0,8})")


def fail_unprintable(source: Source) -> NoReturn:
    """Raise the error for a text with a character that YAML does not allow."""
    # The C parser tells the place in bytes, the Python one in characters, so it is searched for here.
    match = _UNPRINTABLE.search(source.text)
    at = match.start() if match else 0
    message = f"the character U+{ord(source.text[at]):04X} can't stand in a spec"
    fail("NS101", message, Span(source, at, at + 1), help="take it out, or write its escape in double quotes")


def raise_yaml_error(
    source: Source, error: yaml.MarkedYAMLError, bracket: int | None, last: Span, opened: Collection[int]
) -> NoReturn:
    """Raise the error for a text that the parser can't read.

    `bracket` is the offset of the innermost open bracket, None in block style; `last` is the last word that was read;
    `opened` are the offsets at which the open collections start.
    """
    stop = ParserStop.of(source, error, last)
    _check_depth(stop, opened)
    if stop.in_quotes:
        _fail_in_quotes(stop)
    if stop.begins == "!" or (stop.begins == "%" and stop.context_at == line_start_of(source.text, stop.at)):
        refuse_yaml(Span(source, stop.context_at, stop.at))
    if bracket is not None:
        fail_in_flow(stop, bracket)
    _check_start(stop)
    _check_colon(stop)
    _check_word_above(stop)
    _check_after_quote(stop)
    if stop.char and stop.char in "]},":
        what = f"`{stop.char}` closes nothing" if stop.char != "," else "nothing stands before this `,`"
        fail("NS101", what, stop.here)
    if not stop.scanning and stop.context_at in opened:
        _fail_in_block(stop)
    if not stop.scanning and not stop.has_context:
        help = "check the indentation and the brackets above"
        fail("NS101", "the spec has ended before this", stop.here, help=help)
    _fail_anyhow(stop)


def _check_depth(stop: ParserStop, opened: Collection[int]) -> None:
    """Refuse text that is nested too deeply: a parser that reads ahead may reach its own limit before ours."""
    source, depth = stop.source, len(opened)
    start = max([stop.last.end, *(at + 1 for at in opened)])
    for match in BRACKETS.finditer(source.text, start, max(stop.at, start)):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match.group(), 0)
        if depth > MAX_DATA_DEPTH:
            fail_deep(Span(source, match.start(), match.end()))


# Quotes.


def _fail_in_quotes(stop: ParserStop) -> NoReturn:
    """Raise the error for an invalid escape, or for a quote that is never closed."""
    source, start = stop.source, stop.context_at
    at = source.text.rfind("\\", start, stop.at + 1)
    code = _CODE.match(source.text, at)
    escape = Span(source, at, code.end() if code else at + 2)
    if stop.begins == '"' and at >= 0 and stop.at <= escape.end < len(source.text):
        help = "write the character itself" if code else "text with backslashes stands in single quotes"
        fail("NS101", f"`{escape.text}` is no escape", escape, help=help)
    fail("NS101", f"the quote {stop.begins} is never closed", Span(source, start, start + 1))


def _check_after_quote(stop: ParserStop) -> None:
    """Refuse text after a closing quote, which may be meant to close elsewhere."""
    source, last = stop.source, stop.last
    mark = last.text[:1]
    if mark not in ("'", '"') or stop.between is None or stop.between.strip(" \t"):
        return
    if "\n" in last.text:
        note = f"it ends at {Span(source, last.end - 1, last.end).place}, and more text follows"
        fail("NS101", f"the quote {mark} is closed too late", Span(source, last.start, last.start + 1), notes=[note])
    inside = "inside '...' a quote is written ''" if mark == "'" else 'inside "..." a quote is written \\"'
    fail("NS101", "text after the closing quote", stop.here, help=f"quote the whole value; {inside}")


# Block style.


def _check_start(stop: ParserStop) -> None:
    """Refuse what a line or a value can't start with."""
    source, here = stop.source, stop.here
    indent = re.compile(r"[ \t]*").match(source.text, stop.line_start)
    margin = indent.group() if indent else ""
    if "\t" in margin:
        tab = Span(source, stop.line_start + margin.index("\t"), stop.line_start + len(margin))
        fail("NS101", "a tab can't indent in YAML", tab, help="use spaces")
    if not stop.scanning:
        return
    if stop.reading and ("\n" in source.text[stop.context_at : stop.at] or stop.is_last):
        _fail_without_colon(stop)
    if stop.begins in ("&", "*"):
        name = f"`{stop.begins}`"
        start = Span(source, stop.context_at, stop.at)
        fail("NS101", f"a value can't start with {name}", start, help="put it in quotes")
    if stop.char == "\t":
        fail("NS101", "a tab can't indent in YAML", here, help="use spaces")
    if stop.reading:
        return
    if stop.char and stop.char in "`@%|>":
        help = "a parameter is written by its name alone; text that starts with this stands in quotes"
        if source.text[stop.at - 1 : stop.at + 1] == "{%":
            help = "specs have no templates: `repeat`, `when` and blocks with `params` do what they are for"
        what = "a backtick" if stop.char == "`" else f"`{stop.char}`"
        fail("NS101", f"a value can't start with {what}", here, help=help)
    if re.match(r"-(\s|$)", source.text[stop.at : stop.at + 2]):
        fail("NS101", "a list can't start on the line of its key", here, help="start it on the next line, or use [...]")


def _fail_without_colon(stop: ParserStop) -> NoReturn:
    """Raise the error for a line among the keys of a mapping that has no `:`."""
    source, start = stop.source, stop.context_at
    line = Span(source, start, start + len(source.text[start:].split("\n", 1)[0].rstrip()))
    check_space(line)
    words = line.text.split()
    help = f"write `{line.text}:`, or `- {line.text}` in a list" if len(words) == 1 else "a comment starts with `#`"
    if len(words) == 2:
        help = f"write `{words[0]}: {words[1]}`"
    fail("NS101", "a key without its `:`", line, help=help)


def _check_colon(stop: ParserStop) -> None:
    """Refuse a `:` without a key before it, or after a word that can't be a key."""
    if stop.char != ":":
        return
    if stop.lead.strip() in ("", "-", "?"):
        refuse_key("", stop.here)
    if stop.last.text and stop.between is not None and not stop.between.strip():
        _fail_at_colon(stop)


def _fail_at_colon(stop: ParserStop) -> NoReturn:
    """Raise the error for a `:` after a value; if the value has several lines, the last may be meant as a key."""
    source, last = stop.source, stop.last
    first, *rest = last.text.split("\n")
    first = first.rstrip()
    if not rest:
        help = "quote a value that has `: ` in it, or put the second key on a line of its own"
        fail("NS101", "a second `: ` on one line", stop.here, help=help)
    key = rest[-1].strip()
    if first.startswith("-") and key.startswith("-"):
        dash = Span(source, last.start, last.start + 1)
        fail("NS101", "a space is missing after this `-`", dash, help=f"write `- {first[1:]}`")
    word = Span(source, last.start, last.start + len(first))
    check_space(word, "- " if is_after_dash(source.text, last.start) else "")
    if not re.fullmatch(r"[\w.]+", key):
        note = f"the value before it starts at {last.place}"
        help = "check the quotes and the indentation above"
        fail("NS101", "a `: ` can't stand here", stop.here, notes=[note], help=help)
    before = source.text[line_start_of(source.text, last.start) : last.start].rstrip()
    if before.endswith(":"):
        above = before[:-1].lstrip(" -").rstrip()
        below = Span(source, last.end - len(key), last.end)
        help = f"start `{key}` in the same column as `{above}`, or put the value of `{above}` below it too"
        fail("NS101", f"`{key}:` is indented under `{above}`, which has a value already", below, help=help)
    _fail_word_above(word, key)


def _check_word_above(stop: ParserStop) -> None:
    """Refuse a list item without a `:` that has a key below it: `- conv2d`, and on the next line `kernel_size: 3`."""
    # A comment ended the word; without one, the next line's key is part of it (see _fail_at_colon).
    text, last, lead = stop.source.text, stop.last, stop.lead
    if lead.strip() or stop.between is None or last.text[:1] in "'\"|>" or not is_after_dash(text, last.start):
        return
    key = re.compile(r"([A-Za-z_]\w*)\s*:").match(text, stop.at)
    if key and len(lead) == last.start - line_start_of(text, last.start):
        _fail_word_above(last, key[1])


def _fail_word_above(word: Span, key: str) -> NoReturn:
    dash = "- " if is_after_dash(word.source.text, word.start) else ""
    message = f"mapping values are not allowed under `{word.text}`: `{key}:` stands below, and it has no `:` itself"
    fail("NS101", message, word, help=f"write `{dash}{word.text}:`")


def _fail_in_block(stop: ParserStop) -> NoReturn:
    """Raise the error for text that does not belong to the mapping or list above it."""
    text, here, lead = stop.source.text, stop.here, stop.lead
    if lead.strip() or not stop.char:
        help = "a comma, a bracket or the `#` of a comment may be missing"
        fail("NS101", "nothing more can stand on this line", here, help=help)
    if len(lead) == stop.context_at - line_start_of(text, stop.context_at):
        item = text.startswith("- ", stop.at)
        message = "a list item among the keys of a mapping" if item else "a key among the items of a list"
        help = "indent it, to be part of what stands above"
        if item and is_after_dash(text, stop.context_at):
            help = "begin it in the column of the dash above, to be an item of the same list"
        fail("NS101", message, here, help=help)
    message = f"this line is indented by {len(lead)}, and nothing above it is open there"
    fail("NS101", message, here, help="indent it as much as the line it belongs with")


def _fail_anyhow(stop: ParserStop) -> NoReturn:
    """Raise the error of the remaining, rare mistakes, by the character at which the parser stopped."""
    if stop.begins in ("|", ">") and stop.scanning:
        start = Span(stop.source, stop.context_at, stop.context_at + 1)
        help = "quote a value that starts with it; text of several lines starts on the line below"
        fail("NS101", f"nothing more can stand on the line of this `{stop.begins}`", start, help=help)
    if stop.char == ":" and stop.after in ("[", "{"):
        fail("NS101", "a space is missing after this `:`", stop.here)
    if stop.char and stop.char in ":?":
        help = "quote a value that has `: ` in it" if stop.char == ":" else "quote a value that starts with it"
        fail("NS101", f"a `{stop.char}` can't stand here", stop.here, help=help)
    if re.match(r"(\.\.\.|---)\s", stop.source.text[stop.at :]):
        fail("NS101", "the spec ends before anything stands in it", stop.here, help="take this line out")
    help = "check the quotes, the brackets and the indentation above"
    fail("NS101", "YAML can't be read from here on", stop.here, help=help)
