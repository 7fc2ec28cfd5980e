"""What messages say of a piece of data: what it is, and where in it an expression is wrong."""

from __future__ import annotations

import re

from netspec.expression import ExpressionError, show
from netspec.source import Span
from netspec.spec.data import Data, Map, Scalar, Seq

DOLLAR = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
"""`$name`: a parameter, also where a bare word would be text."""


def at(data: Scalar, error: ExpressionError) -> Span:
    """The place of an expression's mistake: the characters themselves where the text stands as it is written."""
    span = data.span
    value = str(data.value)
    offset = 1 if data.quoted else 0
    if error.at is None or span.source.text[span.start + offset : span.start + offset + len(value)] != value:
        return span
    start = span.start + offset + error.at + (1 if DOLLAR.fullmatch(value) else 0)
    return Span(span.source, start, max(start + error.length, start + 1))


def kind_of(data: Data) -> str:
    """What a piece of data is, in words."""
    if isinstance(data, Map):
        return "a mapping"
    if isinstance(data, Seq):
        return "a list"
    return show(data.value)
