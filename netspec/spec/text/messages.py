"""Data in error messages: its kind, its text, and the place of an error in an expression."""

from __future__ import annotations

import re

from netspec.expression import ExpressionError, show
from netspec.source import Span
from netspec.spec.text.data import Data, Map, Scalar, Seq

DOLLAR = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
"""`$name`: a parameter, in an argument whose bare words are text."""


def error_span(data: Scalar, error: ExpressionError) -> Span:
    """The place of an error in an expression; that of the whole scalar if escapes or line folds moved characters."""
    span = data.span
    value = str(data.value)
    offset = 1 if data.quoted else 0
    if error.at is None or span.source.text[span.start + offset : span.start + offset + len(value)] != value:
        return span
    start = span.start + offset + error.at + (1 if DOLLAR.fullmatch(value) else 0)
    return Span(span.source, start, max(start + error.length, start + 1))


def notation_hint(text: str) -> str:
    """A hint for a number or list in another notation, `3x5`, `(3, 5)`, `50%`, `1_000`, `64 px`; "" for other text."""
    if len(text) > 100:
        return ""
    numbers = re.findall(r"\d+(?:\.\d+)?", text)
    if re.fullmatch(r"\d+(?: ?[x\u00d7] ?\d+)+", text):
        return f"a {'pair' if len(numbers) == 2 else 'list'} is written [{', '.join(numbers)}]"
    if re.fullmatch(r"\([^()]*,[^()]*\)", text):
        return f"a list is written [{text[1:-1].strip(' ,')}]"
    if re.fullmatch(r"[\d.]+ ?%", text):
        return f"write {float(numbers[0]) / 100:g}"
    if re.fullmatch(r"\d+(?:[_,]\d+)+", text):
        return f"write {''.join(numbers)}"
    if re.fullmatch(r"\d+(?:\.\d+)? ?[KMGkm]", text):
        power = "kmg".index(text[-1].lower()) + 1
        return f"write {float(numbers[0]) * 1000**power:.0f}"
    if re.fullmatch(r"\d+(?:\.\d+)? ?[A-Za-z]{2,}", text):
        return f"a number has no unit: write {numbers[0]}"
    return ""


def data_text(data: Data) -> str:
    """A piece of data as it is written, on one line."""
    if isinstance(data, Map):
        return "{" + ", ".join(f"{key}: {data_text(entry.value)}" for key, entry in data.entries.items()) + "}"
    if isinstance(data, Seq):
        return f"[{', '.join(map(data_text, data.items))}]"
    return " ".join(data.span.text.split())


def data_kind(data: Data) -> str:
    """A piece of data in the words of errors: `a mapping`, `a list`, or the scalar itself."""
    if isinstance(data, Map):
        return "a mapping"
    if isinstance(data, Seq):
        return "a list"
    return show(data.value)
