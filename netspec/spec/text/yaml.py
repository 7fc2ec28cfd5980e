"""Parses YAML text into data with places: the subset of YAML 1.2 that specs are written in."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn, cast

import yaml
from yaml import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from netspec.source import Source, Span
from netspec.spec.limits import MAX_DATA_DEPTH
from netspec.spec.text.data import Data, Entry, Map, Scalar, Seq, check_size, fail_deep, fail_empty, integer
from netspec.spec.text.yaml_errors import fail_unprintable, raise_yaml_error
from netspec.spec.text.yaml_refusals import (
    check_document,
    check_flow_key,
    check_flow_value,
    refuse_collection_as_key,
    refuse_duplicate,
    refuse_key,
    refuse_yaml,
)

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser, where PyYAML was built with it

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGERS = ((re.compile(r"[-+]?[0-9]+"), 10), (re.compile(r"0o[0-7]+"), 8), (re.compile(r"0x[0-9a-fA-F]+"), 16))
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE_OR_NAN = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

# Creates a span without calling its class, which takes twice as long: every word has one.
_span: Callable[[type[Span], tuple[Source, int, int]], Span] = cast(Any, tuple).__new__


def parse_yaml(source: Source) -> Data:
    """Parse the only document of a YAML text."""
    check_size(source)
    reader = _Reader(source)
    try:
        root = reader.document()
    except (ReaderError, UnicodeEncodeError):
        fail_unprintable(source)
    except yaml.MarkedYAMLError as error:
        raise_yaml_error(
            source, error, reader.bracket(), reader.last, [event.start_mark.index for event in reader.opened]
        )
    if root is None or (isinstance(root, Scalar) and root.value is None):
        fail_empty(source)
    return root


class _Reader:
    """Turns the parser's events into data, in one pass.

    It recurses and bounds the depth, since PyYAML's composer recurses in C and crashes on deeply nested text.
    """

    __slots__ = ("last", "next_event", "opened", "source", "words")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.next_event: Callable[[], Any]
        self.words: dict[str, str | int | float | bool | None] = dict(_WORDS)
        """A cache of the values of bare words, since words repeat."""
        self.opened: list[Any] = []
        """The start events of the collections that are open, outermost first."""
        self.last = Span(source, 0, 0)
        """The last word that was read."""

    def bracket(self) -> int | None:
        """The offset of the innermost open bracket; None in block style.

        A mapping in flow style may have no bracket, such as `b: 1` in `[a, b: 1]`.
        """
        starts = (event.start_mark.index for event in reversed(self.opened) if event.flow_style)
        return next((start for start in starts if self.source.text[start] in "[{"), None)

    def document(self) -> Data | None:
        """The data of the only document; None for a text without one."""
        # Creating the loader may fail: it checks for characters that YAML does not allow.
        self.next_event = _LOADER(self.source.text).get_event
        root: Data | None = None
        while not isinstance(event := self.next_event(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                check_document(self.source, event.start_mark.index, is_first=root is None)
                root = self.node(self.next_event(), [])
        return root

    def node(self, event: Any, before: list[Data] | dict[str, Entry], key: Span | None = None) -> Data:
        """The scalar of an event, or the collection that starts with it.

        `before` are the items or entries before it in the collection around it, and `key` is its key in a mapping.
        """
        kind = event.__class__
        if kind is MappingStartEvent:
            return self.mapping(event)
        if kind is SequenceStartEvent:
            return self.sequence(event)
        self.last = span = _span(Span, (self.source, event.start_mark.index, event.end_mark.index))
        if kind is AliasEvent or event.tag is not None or event.anchor is not None:
            refuse_yaml(span)
        word: str = event.value
        if event.style:
            return Scalar(word, span, True)
        words = self.words
        if word not in words:
            if not word or ")" in word:
                return self.odd_word(word, span, before, key)
            words[word] = _number(word, span) if word[0] in "0123456789+-." else word
        return Scalar(words[word], span, False)

    def odd_word(self, word: str, span: Span, before: list[Data] | dict[str, Entry], key: Span | None) -> Scalar:
        """The scalar of an empty word, or of one with a `)`: in flow style, either may be a mistake."""
        if self.opened and self.opened[-1].flow_style:
            check_flow_value(word, span, before, key)
        return Scalar(word or None, span, False)

    def mapping(self, start: Any) -> Map:
        """The mapping that starts with an event."""
        if start.tag is not None or start.anchor is not None or len(self.opened) == MAX_DATA_DEPTH:
            self.refuse_start(start)
        self.opened.append(start)
        source, next_event, flow = self.source, self.next_event, start.flow_style
        entries: dict[str, Entry] = {}
        while (event := next_event()).__class__ is not MappingEndEvent:
            if event.__class__ is not ScalarEvent:
                self.refuse_as_key(event)
            key: str = event.value
            self.last = span = _span(Span, (source, event.start_mark.index, event.end_mark.index))
            if event.tag is not None or event.anchor is not None:
                refuse_yaml(span)
            bare = not event.style
            if flow and bare and ")" in key:
                check_flow_key(key, span, entries)
            if bare and (not key or key == "<<"):
                refuse_key(key, span)
            if key in entries:
                refuse_duplicate(key, span, entries, flow)
            entries[key] = Entry(key, span, self.node(next_event(), entries, span))
        self.opened.pop()
        if flow:
            return Map(entries, _span(Span, (source, start.start_mark.index, event.end_mark.index)))
        return Map(entries, next(iter(entries.values())).key_span)

    def sequence(self, start: Any) -> Seq:
        """The list that starts with an event."""
        if start.tag is not None or start.anchor is not None or len(self.opened) == MAX_DATA_DEPTH:
            self.refuse_start(start)
        self.opened.append(start)
        next_event = self.next_event
        items: list[Data] = []
        while (event := next_event()).__class__ is not SequenceEndEvent:
            items.append(self.node(event, items))
        self.opened.pop()
        at: int = start.start_mark.index
        return Seq(items, _span(Span, (self.source, at, event.end_mark.index if start.flow_style else at + 1)))

    def refuse_start(self, start: Any) -> NoReturn:
        """Raise the error for a collection that has a tag or an anchor, or is nested too deeply."""
        if start.tag is not None or start.anchor is not None:
            refuse_yaml(self.first_character(start))
        fail_deep(self.first_character(start))

    def first_character(self, event: Any) -> Span:
        at: int = event.start_mark.index
        return Span(self.source, at, at + 1)

    def refuse_as_key(self, event: Any) -> NoReturn:
        """Raise the error for a key that is no scalar."""
        if isinstance(event, AliasEvent) or event.tag is not None or event.anchor is not None:
            refuse_yaml(self.first_character(event))
        kind = "mapping" if isinstance(event, MappingStartEvent) else "list"
        refuse_collection_as_key(self.first_character(event), kind)


def _number(word: str, span: Span) -> str | int | float:
    """Convert a bare word to a number by the core schema of YAML 1.2; return other words unchanged."""
    for pattern, base in _INTEGERS:
        if pattern.fullmatch(word):
            return integer(word, base, span)
    if _FLOAT.fullmatch(word):
        return float(word)
    return float(word.replace(".", "")) if _INFINITE_OR_NAN.fullmatch(word) else word
