"""YAML text -> data with spans: the dialect of YAML 1.2 that specs are written in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, NoReturn, cast

import yaml
from yaml.reader import ReaderError

from netspec.errors import fail
from netspec.source import Source, Span
from netspec.spec import json
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

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser, where PyYAML was built with it

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGERS = ((re.compile(r"[-+]?[0-9]+"), 10), (re.compile(r"0o[0-7]+"), 8), (re.compile(r"0x[0-9a-fA-F]+"), 16))
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BRACKETS = re.compile(r"""(?<![^\s,:\[{])(?:"(?:[^"\\]|\\.)*+"|'(?:[^']|'')*+')|(?<!\S)\#[^\n]*|[\[\]{}]""", re.DOTALL)
_NO_SPACE = re.compile(r"([A-Za-z_]\w*):([^\s:].*)")

_QUOTE = "quote it: an expression with , [ ] { } stands in quotes inside {...} and [...]"
_BLOCKS = "a block with `params` says once what is needed several times; text that starts with & or * stands in quotes"

# An open collection: its items or its entries, the key that waits for its value, where it starts, if it is in a flow.
_Frame = tuple["list[Data] | None", "dict[str, Entry] | None", "str | None", Span, int, bool]


def read(source: Source) -> Data:
    """The data of a spec's text: JSON by its name or its looks, else YAML."""
    if source.text.startswith("\ufeff"):
        # Editors count no byte order mark, so our columns can't either.
        source = Source(source.name, source.text.lstrip("\ufeff"))
    if source.name.lower().endswith(".json") or (re.match(r"\s*\{", source.text) and json.is_json(source)):
        return json.parse(source)
    return parse(source)


def parse(source: Source) -> Data:
    """The one document of a YAML text."""
    check_size(source)
    text = source.text
    # One pass over the events with a stack of our own: composing recurses in C, and dies of deep nesting. The
    # innermost collection lives in local variables, and a span is made without its class: this runs once per word.
    new: Callable[..., Span] = cast(Any, tuple).__new__
    known: dict[str, str | int | float | bool | None] = dict(_WORDS)  # words repeat: each is read, and kept, once
    stack: list[_Frame] = []
    items: list[Data] | None = None
    entries: dict[str, Entry] | None = None
    key: str | None = None
    key_span = span = Span(source, 0, 0)
    start, flow = 0, False
    root: Data | None = None
    try:
        next_event = _LOADER(text).get_event
        while True:
            event = next_event()
            kind = event.__class__
            if kind is yaml.ScalarEvent:
                word: str = event.value
                span = new(Span, (source, event.start_mark.index, event.end_mark.index))
                if event.tag is not None or event.anchor is not None:
                    _refuse(span)
                bare = not event.style
                if flow and bare and ")" in word and word.count(")") > word.count("("):
                    _check_split(span, items, entries, is_key=entries is not None and key is None)
                if key is None and entries is not None:
                    if bare and (not word or word == "<<"):
                        _refuse_key(word, span)
                    if word in entries:
                        if flow:
                            _check_split(span, items, entries)
                        fail_duplicate(word, span, entries[word].key_span)
                    key, key_span = word, span
                    continue
                if not bare:
                    node = Scalar(word, span, True)
                elif word in known:
                    if flow and not word and key:
                        _check_space(key_span)
                    node = Scalar(known[word], span, False)
                else:
                    known[word] = value = _number(word, span) if word[0] in "0123456789+-." else word
                    node = Scalar(value, span, False)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                at: int = event.start_mark.index
                if event.tag is not None or event.anchor is not None:
                    _refuse(Span(source, at, at + 1))
                if entries is not None and key is None:
                    _refuse_collection(source, at, "mapping" if kind is yaml.MappingStartEvent else "list")
                if len(stack) == MAX_DEPTH:
                    fail_deep(Span(source, at, at + 1))
                stack.append((items, entries, key, key_span, start, flow))
                start, flow, key = at, bool(event.flow_style), None
                if kind is yaml.MappingStartEvent:
                    items, entries = None, {}
                else:
                    items, entries = [], None
                continue
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                if flow:
                    whole: Span = new(Span, (source, start, event.end_mark.index))
                elif entries is not None:
                    whole = next(iter(entries.values())).key_span
                else:
                    whole = new(Span, (source, start, start + 1))
                node = Seq(items or [], whole) if entries is None else Map(entries, whole)
                items, entries, key, key_span, start, flow = stack.pop()
            elif kind is yaml.StreamEndEvent:
                break
            else:
                _check_document(source, event, root)
                continue
            if key is not None and entries is not None:
                entries[key] = Entry(key, key_span, node)
                key = None
            elif items is not None:
                items.append(node)
            else:
                root = node
    except (ReaderError, UnicodeEncodeError):
        # Their positions are bytes or characters, as the parser is C or Python: the place is looked up anew.
        found = _UNPRINTABLE.search(text)
        at = found.start() if found else 0
        message = f"the character U+{ord(text[at]):04X} can't stand in a spec"
        fail("NS101", message, Span(source, at, at + 1), help="take it out, or write its escape in double quotes")
    except yaml.MarkedYAMLError as error:
        brackets = [f[4] for f in stack if f[5]] + [start] * flow
        _explain(source, error, next((b for b in reversed(brackets) if text[b] in "[{"), None), span)
    if root is None or (isinstance(root, Scalar) and root.value is None):
        fail_empty(source)
    return root


def _number(word: str, span: Span) -> str | int | float:
    for pattern, base in _INTEGERS:
        if pattern.fullmatch(word):
            return integer(word, base, span)
    if _FLOAT.fullmatch(word):
        return float(word)
    return float(word.replace(".", "")) if _SPECIAL.fullmatch(word) else word


# What YAML has and specs do without.


def _check_document(source: Source, event: Any, root: Data | None) -> None:
    if isinstance(event, yaml.AliasEvent):
        _refuse(Span(source, event.start_mark.index, event.end_mark.index))
    if isinstance(event, yaml.DocumentStartEvent):
        at: int = event.start_mark.index
        if source.text[at : at + 1] == "%":
            _refuse(Span(source, at, at + 1))
        if root is not None:
            help = "a file holds one spec; `networks:` holds several networks, `use:` brings in another file's blocks"
            fail("NS103", "a second document starts here", Span(source, at, at + 3), help=help)


def _refuse(span: Span) -> NoReturn:
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


def _refuse_key(word: str, span: Span) -> NoReturn:
    if word:
        help = "a block with `params` says once what is needed several times; `defaults:` sets attributes for a file"
        fail("NS103", "specs have no merge keys", span, help=help)
    fail("NS101", "a key is missing before the `:`", Span(span.source, span.start, span.start + 1))


def _refuse_collection(source: Source, at: int, kind: str) -> NoReturn:
    template = source.text.startswith("{{", at - 1)
    help = "specs have no templates: a parameter is written by its name alone" if template else ""
    fail("NS101", f"a key is a name, this one is a {kind}", Span(source, at, at + 1), help=help)


# What loads, and surely means something else.


def _check_split(span: Span, items: list[Data] | None, entries: dict[str, Entry] | None, is_key: bool = False) -> None:
    """Refuse an expression that its commas split: `{k: min(a, b)}` has a key `b)`, `[min(a, b)]` two items."""
    values: Iterable[Data] = reversed(items or ()) if entries is None else (e.value for e in reversed(entries.values()))
    for value in islice(values, 16):
        word = value.value if isinstance(value, Scalar) and not value.quoted else None
        if isinstance(word, str) and word.count("(") > word.count(")"):
            whole = Span(span.source, value.span.start, span.end)
            fail("NS101", "YAML splits this expression at its comma", whole, help=_QUOTE)
    if is_key:
        fail("NS101", f"`{span.text}` is no key: its `)` closes nothing", span, help=_QUOTE)


def _check_space(key: Span) -> None:
    """Refuse `{a:1}`, which YAML reads as a key `a:1` without a value."""
    if found := _NO_SPACE.fullmatch(key.text):
        _fail_space(key, found)


def _fail_space(span: Span, found: re.Match[str], lead: str = "") -> NoReturn:
    help = f"write `{lead}{found[1]}: {found[2]}`"
    fail("NS101", f"a space is missing after `{found[1]}:`", span, help=help)


# Syntax errors. The parser's own words are about its grammar; these are about what people do.


def _explain(source: Source, error: yaml.MarkedYAMLError, bracket: int | None, last: Span) -> NoReturn:
    """Raise the error for a text that the parser gave up on, in the flow that starts at `bracket`, after `last`."""
    text = source.text
    problem, context = error.problem or "", error.context or ""
    at = min(error.problem_mark.index if error.problem_mark else len(text), len(text))
    context_at = min(error.context_mark.index if error.context_mark else at, len(text))
    char = text[at : at + 1]
    here = Span(source, at, at + 1)
    if "quoted scalar" in context:
        _explain_quoted(source, problem, Span(source, _opening_quote(text, context_at, last), 0), here)
    if "directive" in context or context.endswith(" a tag"):
        _refuse(Span(source, context_at, at))
    if bracket is not None:
        _explain_flow(source, bracket, at, last)

    line_start = text.rfind("\n", 0, at) + 1
    lead = text[line_start:at]
    indent = re.compile(r"[ \t]*").match(text, line_start)
    margin = indent.group() if indent else ""
    if "\t" in margin:
        tab = line_start + margin.index("\t")
        fail("NS101", "a tab can't indent in YAML", Span(source, tab, line_start + len(margin)), help="use spaces")
    if "anchor" in context or "alias" in context:
        name = f"`{text[context_at]}`"
        fail("NS101", f"a value can't start with {name}", Span(source, context_at, at), help="put it in quotes")
    if "cannot start any token" in problem:
        fail("NS101", f"a value can't start with `{char}`", here, help="put it in quotes")
    if "sequence entries are not allowed" in problem:
        fail("NS101", "a list can't start on the line of its key", here, help="start it on the next line, or use [...]")
    if "simple key" in context:
        line = Span(source, context_at, context_at + len(text[context_at:].split("\n", 1)[0].rstrip()))
        if found := _NO_SPACE.fullmatch(line.text):
            _fail_space(line, found)
        words = line.text.split()
        help = f"write `{line.text}:`, or `- {line.text}` in a list" if len(words) == 1 else "a comment starts with `#`"
        if len(words) == 2:
            help = f"write `{words[0]}: {words[1]}`"
        fail("NS101", "a key without its `:`", line, help=help)

    fresh = not lead.strip()  # the problem is the first word of its line
    before = text[last.end : at]
    if char == ":" and lead.strip() in ("", "-", "?"):
        _refuse_key("", here)
    if char == ":" and last.text and last.end <= at and not before.strip():
        _explain_colon(source, here, last)
    if fresh and last.end <= at and last.text[:1] not in "'\"|>" and _dash_before(text, last.start):
        # A comment ended the word before; without one, the next line's key is part of it (see _explain_colon).
        below = re.compile(r"([A-Za-z_]\w*)\s*:").match(text, at)
        if below and len(lead) == last.start - (text.rfind("\n", 0, last.start) + 1):
            _fail_word(last, below[1])
    if last.text[:1] in ("'", '"') and last.end <= at and not before.strip(" \t"):
        _explain_after_quote(source, here, last)
    if char and char in "]},":
        fail("NS101", f"`{char}` closes nothing" if char != "," else "nothing stands before this `,`", here)
    if fresh and char and ("block mapping" in context or "block collection" in context):
        outer = context_at - (text.rfind("\n", 0, context_at) + 1)
        if outer == len(lead):
            item = text.startswith("- ", at)
            message = "a list item among the keys of a mapping" if item else "a key among the items of a list"
            fail("NS101", message, here, help="indent it, to be part of what stands above")
        message = f"this line is indented by {len(lead)}, and nothing above it is open there"
        fail("NS101", message, here, help="indent it as much as the line it belongs with")
    if "block mapping" in context or "block collection" in context:
        help = "a comma, a bracket or the `#` of a comment may be missing"
        fail("NS101", "nothing more can stand on this line", here, help=help)
    if "document start" in problem:
        fail("NS101", "the spec has ended before this", here, help="check the indentation and the brackets above")
    fail("NS101", f"the YAML goes wrong here: {problem}{', ' * bool(context)}{context}", here)


def _opening_quote(text: str, at: int, last: Span) -> int:
    return at if text[at : at + 1] in ("'", '"') else last.start


def _explain_quoted(source: Source, problem: str, quote: Span, here: Span) -> NoReturn:
    mark = source.text[quote.start]
    if "unexpected" in problem:
        fail("NS101", f"the quote {mark} is never closed", Span(source, quote.start, quote.start + 1))
    if "escape" in problem:
        at = source.text.rfind("\\", 0, here.start + 1)
        escape = Span(source, at, at + 2)
        help = "text with backslashes stands in single quotes"
        fail("NS101", f"`{escape.text}` is no escape", escape, help=help)
    fail("NS101", f"the quoted text goes wrong here: {problem}", here)


def _explain_after_quote(source: Source, here: Span, last: Span) -> NoReturn:
    mark = source.text[last.start]
    if "\n" in last.text:
        note = f"it ends at {Span(source, last.end - 1, last.end).place}, and more text follows"
        fail("NS101", f"the quote {mark} is closed too late", Span(source, last.start, last.start + 1), notes=[note])
    inside = "inside '...' a quote is written ''" if mark == "'" else 'inside "..." a quote is written \\"'
    fail("NS101", "text after the closing quote", here, help=f"quote the whole value; {inside}")


def _explain_colon(source: Source, colon: Span, last: Span) -> NoReturn:
    first, *rest = last.text.split("\n")
    first = first.rstrip()
    if not rest:
        help = "quote a value that has `: ` in it, or put the second key on a line of its own"
        fail("NS101", "a second `: ` on one line", colon, help=help)
    key = rest[-1].strip()
    word = Span(source, last.start, last.start + len(first))
    dash = "- " if _dash_before(source.text, last.start) else ""
    if found := _NO_SPACE.fullmatch(first):
        _fail_space(word, found, dash)
    before = source.text[source.text.rfind("\n", 0, last.start) + 1 : last.start].rstrip()
    above = before[:-1].lstrip(" -").rstrip()
    if not re.fullmatch(r"[\w.]+", key):
        note = f"the value before it starts at {last.place}"
        fail("NS101", "a `: ` can't stand here", colon, notes=[note], help="check the quotes and the indentation above")
    if before.endswith(":"):
        below = Span(source, last.end - len(key), last.end)
        help = f"start `{key}` in the same column as `{above}`, or put the value of `{above}` below it too"
        fail("NS101", f"`{key}:` is indented under `{above}`, which has a value already", below, help=help)
    _fail_word(word, key)


def _dash_before(text: str, at: int) -> bool:
    return text[text.rfind("\n", 0, at) + 1 : at].rstrip(" ").endswith("-")


def _fail_word(word: Span, key: str) -> NoReturn:
    dash = "- " if _dash_before(word.source.text, word.start) else ""
    message = f"mapping values are not allowed under `{word.text}`: `{key}:` stands below, and it has no `:` itself"
    fail("NS101", message, word, help=f"write `{dash}{word.text}:`")


def _explain_flow(source: Source, bracket: int, at: int, last: Span) -> NoReturn:
    text = source.text
    opening, char = text[bracket], text[at : at + 1]
    closing = "]" if opening == "[" else "}"
    here = Span(source, at, at + 1)
    end = _matching(text, bracket)
    if end is None:
        fail(
            "NS101", f"`{opening}` is never closed", Span(source, bracket, bracket + 1), help=f"end it with `{closing}`"
        )
    if char and char in "]}" and char != closing:
        note = f"`{opening}` is open since {Span(source, bracket, bracket + 1).place}"
        fail("NS101", f"`{char}` can't close `{opening}`", here, notes=[note], help=f"write `{closing}`")
    before = text[:at].rstrip()[-1:]
    # A bare word (an empty text is part of any) that ends here.
    after_word = last.end <= at and not text[last.end : at].strip() and last.text[:1] not in "'\""
    if char == ":" and text[at + 1 : at + 2] in ("[", "{"):
        fail("NS101", "a space is missing after this `:`", here)
    if char == "{" and after_word and re.fullmatch(r"[A-Za-z_]\w*", last.text):
        fail("NS101", f"`{last.text}` and `{{` with no `:` between", last, help=f"write `{last.text}: {{...}}`")
    if char in "[{" and (after_word or not text[at - 1].isspace()):
        inner = _matching(text, at)
        whole = Span(source, last.start if after_word else at, at + 1 if inner is None else inner + 1)
        fail("NS101", f"YAML ends the value before `{char}`", whole, help=_QUOTE)
    if char in "+-*/%<>=!)." and before in ("]", "}"):
        fail("NS101", f"YAML ends the value before `{char}`", here, help=_QUOTE)
    if char == ":" and after_word:
        words = last.text.split()
        if len(words) == 1:
            help = "nest it as {...}, or quote a value that has `: ` in it"
            fail("NS101", "a second `: ` without a comma between", here, help=help)
        key = Span(source, last.end - len(words[-1]), last.end)
        fail("NS101", f"a comma is missing before `{key.text}`", key)
    if char == ":" and before in "{[,":
        _refuse_key("", here)
    if char == "," or char == closing:
        fail("NS101", f"nothing stands before this `{char}`", here)
    help = "a comma is missing before this, or quotes around the value"
    fail("NS101", f"expected `,` or `{closing}`", here, help=help)


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
