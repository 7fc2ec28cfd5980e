"""Python text laid out as `ruff format` would: what fits stands on one line, else brackets open.

Only the forms that generated modules need: calls, lists, generators, joined operands, conditions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 88
INDENT = 4


@dataclass(frozen=True, slots=True)
class Bracket:
    """`head(items)tail`: a call, a list, a keyword argument's call."""

    head: str
    items: Sequence[Doc]
    tail: str = ")"


@dataclass(frozen=True, slots=True)
class Generator:
    """`*(each for _ in range(count))`."""

    each: Doc
    count: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Operands with an operator between them, put in brackets where they do not fit."""

    operator: str
    items: Sequence[Doc]


@dataclass(frozen=True, slots=True)
class Choice:
    """`then if condition else otherwise`, put in brackets where it does not fit."""

    then: Doc
    condition: str
    otherwise: str


Doc = str | Bracket | Generator | Joined | Choice


def flat(doc: Doc) -> str:
    """A doc on one line."""
    match doc:
        case str():
            return doc
        case Bracket(head, items, tail):
            return f"{head}{', '.join(flat(i) for i in items)}{tail}"
        case Generator(each, count):
            return f"*({flat(each)} for _ in range({count}))"
        case Joined(operator, items):
            return f" {operator} ".join(flat(i) for i in items)
        case Choice(then, condition, otherwise):
            return f"{flat(then)} if {condition} else {otherwise}"


def statement(prefix: str, doc: Doc, indent: int, suffix: str = "") -> list[str]:
    """The lines of `prefix doc suffix` at an indentation: an assignment, a return, an `if`."""
    lead = " " * indent
    one = f"{lead}{prefix}{flat(doc)}{suffix}"
    if len(one) <= WIDTH:
        return [one]
    match doc:
        case str():
            return [one]
        case Bracket():
            return _open(f"{lead}{prefix}", doc, indent, suffix)
        case _:
            inner = _inside(doc, indent + INDENT)
            return [f"{lead}{prefix}(", *inner, f"{lead}){suffix}"]


def _open(start: str, doc: Bracket, indent: int, suffix: str) -> list[str]:
    """A bracket whose items do not fit beside it: on one line below, else on one line each."""
    lead = " " * indent
    inner = " " * (indent + INDENT)
    together = inner + ", ".join(flat(item) for item in doc.items)
    if len(together) <= WIDTH:
        return [f"{start}{doc.head}", together, f"{lead}{doc.tail}{suffix}"]
    lines = [f"{start}{doc.head}"]
    # A single argument keeps no comma behind it, unless it is unpacked or named by itself.
    comma = "," if len(doc.items) > 1 else ""
    for item in doc.items:
        lines += _item(item, indent + INDENT, comma)
    return [*lines, f"{lead}{doc.tail}{suffix}"]


def _item(doc: Doc, indent: int, comma: str) -> list[str]:
    lead = " " * indent
    one = f"{lead}{flat(doc)}{comma}"
    if len(one) <= WIDTH:
        return [one]
    match doc:
        case Bracket():
            return _open(lead, doc, indent, comma)
        case Generator(each, count):
            inner = " " * (indent + INDENT)
            together = f"{inner}{flat(each)} for _ in range({count})"
            if len(together) <= WIDTH:
                return [f"{lead}*(", together, f"{lead}){comma}"]
            return [f"{lead}*(", *_item(each, indent + INDENT, ""), f"{inner}for _ in range({count})", f"{lead}){comma}"]
        case Joined() | Choice():
            return [*_inside(doc, indent)[:-1], _inside(doc, indent)[-1] + comma]
        case str():
            return [one]


def _inside(doc: Doc, indent: int) -> list[str]:
    lead = " " * indent
    one = f"{lead}{flat(doc)}"
    if len(one) <= WIDTH:
        return [one]
    match doc:
        case Joined(operator, items):
            lines: list[str] = []
            for number, item in enumerate(items):
                start = f"{operator} " if number else ""
                lines += [*statement(start, item, indent)]
            return lines
        case Choice(then, condition, otherwise):
            return [*statement("", then, indent), f"{lead}if {condition}", f"{lead}else {otherwise}"]
        case Bracket():
            return _open(lead, doc, indent, "")
        case _:
            return [one]
