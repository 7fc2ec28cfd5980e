"""Lays out Python source as `ruff format` does: on one line if it fits, else with brackets opened.

Only the forms that generated modules need exist: calls, lists, generators, joined operands, conditions.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

LINE_LENGTH = 88
"""The length of a line by default of `ruff format`."""
INDENT = 4


@dataclass(frozen=True, slots=True)
class Bracket:
    """Items between brackets, as `head` + items + `tail`: `nn.ReLU(`, ..., `)`, or `[`, ..., `]`."""

    head: str
    items: Sequence[Doc]
    tail: str = ")"


@dataclass(frozen=True, slots=True)
class Generator:
    """`*(each for variable in iterable)`, such as `*(nn.ReLU() for _ in range(3))`.

    Not `starred`, it is the only argument of a call: `nn.ModuleList(nn.ReLU() for _ in range(3))`.
    """

    each: Doc
    iterable: str
    variable: str = "_"
    starred: bool = True

    @property
    def clause(self) -> str:
        return f"for {self.variable} in {self.iterable}"


@dataclass(frozen=True, slots=True)
class Joined:
    """Operands, each with the operator before it ("" for the first); in brackets if they do not fit on a line."""

    items: Sequence[tuple[str, Doc]]


@dataclass(frozen=True, slots=True)
class Choice:
    """`then if condition else otherwise`; in brackets if it does not fit on a line."""

    then: Doc
    condition: Doc
    otherwise: Doc


Doc = str | Bracket | Generator | Joined | Choice
"""Source that knows where it may be broken into lines; plain text is never broken."""


def flat(doc: Doc) -> str:
    """A doc on one line."""
    match doc:
        case str():
            return doc
        case Bracket(head, items, tail):
            return f"{head}{', '.join(flat(i) for i in items)}{tail}"
        case Generator(each):
            return f"*({flat(each)} {doc.clause})" if doc.starred else f"{flat(each)} {doc.clause}"
        case Joined(items):
            return " ".join(f"{operator} {flat(item)}" if operator else flat(item) for operator, item in items)
        case Choice(then, condition, otherwise):
            return f"{flat(then)} if {flat(condition)} else {flat(otherwise)}"


def prefixed(prefix: str, doc: Doc) -> Doc:
    """A doc with text before its first character: `bias=a + b`."""
    match doc:
        case str():
            return prefix + doc
        case Bracket(head, items, tail):
            return Bracket(prefix + head, items, tail)
        case Joined(items):
            return Joined([("", prefixed(prefix, items[0][1])), *items[1:]])
        case Choice(then, condition, otherwise):
            return Choice(prefixed(prefix, then), condition, otherwise)
        case Generator():
            return prefix + flat(doc)


def statement(prefix: str, doc: Doc, indent: int, suffix: str = "") -> list[str]:
    """The lines of `prefix` + `doc` + `suffix` at an indentation: an assignment, a return, an `if`."""
    lead = " " * indent
    one = f"{lead}{prefix}{flat(doc)}{suffix}"
    if len(one) <= LINE_LENGTH:
        return [one]
    match doc:
        case str():
            return [one]
        case Bracket(head, items):
            # If not even the head fits after its target, all of it is put into brackets, if it fits on a line there.
            beside = len(f"{lead}{prefix}{head}") <= LINE_LENGTH
            below = (
                prefix.endswith("= ") and max(len(f"{lead}{prefix}("), indent + INDENT + len(flat(doc))) <= LINE_LENGTH
            )
            if beside or not below:
                return _open(f"{lead}{prefix}", doc, indent, suffix) if items else [one]
            return [f"{lead}{prefix}(", *_lines_inside(doc, indent + INDENT), f"{lead}){suffix}"]
        case Joined(items=[first, (operator, Bracket(head, [_, *_]) as last)]) if (
            len(start := f"{lead}{prefix}{flat(first[1])} {operator} ") + len(head) <= LINE_LENGTH
        ):
            # `a + f(...)`, which ends in a bracket: only that bracket opens.
            return _open(start, last, indent, suffix)
        case _:
            inner = _lines_inside(doc, indent + INDENT)
            return [f"{lead}{prefix}(", *inner, f"{lead}){suffix}"]


def side_by_side(prefix: str, docs: Sequence[Doc], indent: int) -> list[str]:
    """The lines of `prefix` + `a, b`, such as `return a, b`; in brackets, one on each line, if they do not fit."""
    lead = " " * indent
    one = f"{lead}{prefix}{', '.join(map(flat, docs))}"
    if len(one) <= LINE_LENGTH:
        return [one]
    return [f"{lead}{prefix}(", *_one_a_line(docs, indent + INDENT), f"{lead})"]


def unpacked(targets: Sequence[Doc], doc: Doc, indent: int) -> list[str]:
    """The lines of an assignment `a, b = doc`."""
    prefix = f"{', '.join(map(flat, targets))} = "
    if len(targets) == 1 or indent + len(prefix) < LINE_LENGTH:
        return statement(prefix, doc, indent)
    return [f"{' ' * indent}(", *_one_a_line(targets, indent + INDENT), *statement(") = ", doc, indent)]


def nested(targets: str) -> list[Doc]:
    """The targets of an assignment, from text such as `a, (b, c)`; unused ones in one bracket become one `_`.

    >>> nested("output, (_, _)")
    ['output', '_']
    """
    tree = ast.parse(targets, mode="eval").body
    return [_target(each) for each in tree.elts] if isinstance(tree, ast.Tuple) else [_target(tree)]


def _target(tree: ast.expr) -> Doc:
    if not isinstance(tree, ast.Tuple):
        return ast.unparse(tree)
    docs = [_target(each) for each in tree.elts]
    return "_" if all(doc == "_" for doc in docs) else Bracket("(", docs)


def _one_a_line(docs: Sequence[Doc], indent: int) -> list[str]:
    """The lines of the items in an open bracket, each with a comma after it."""
    return [line for doc in docs for line in _item(doc, indent, ",")]


def _open(start: str, doc: Bracket, indent: int, suffix: str) -> list[str]:
    """The lines of an open bracket: its items are on the line below if they fit, else one on each line."""
    lead = " " * indent
    inner = " " * (indent + INDENT)
    together = inner + ", ".join(flat(item) for item in doc.items)
    if len(together) <= LINE_LENGTH:
        return [f"{start}{doc.head}", together, f"{lead}{doc.tail}{suffix}"]
    lines = [f"{start}{doc.head}"]
    # A single argument has no comma after it.
    comma = "," if len(doc.items) > 1 else ""
    for item in doc.items:
        lines += _item(item, indent + INDENT, comma)
    return [*lines, f"{lead}{doc.tail}{suffix}"]


def _item(doc: Doc, indent: int, comma: str) -> list[str]:
    """The lines of an item of an open bracket."""
    lead = " " * indent
    one = f"{lead}{flat(doc)}{comma}"
    if len(one) <= LINE_LENGTH:
        return [one]
    match doc:
        case Bracket(items=items):
            return _open(lead, doc, indent, comma) if items else [one]
        case Generator(each, starred=False):
            return [*_item(each, indent, ""), f"{lead}{doc.clause}{comma}"]
        case Generator(each):
            inner = " " * (indent + INDENT)
            together = f"{inner}{flat(each)} {doc.clause}"
            if len(together) <= LINE_LENGTH:
                return [f"{lead}*(", together, f"{lead}){comma}"]
            return [f"{lead}*(", *_item(each, indent + INDENT, ""), f"{inner}{doc.clause}", f"{lead}){comma}"]
        case Joined() | Choice():
            *lines, last = _lines_inside(doc, indent)
            return [*lines, last + comma]
        case str():
            return [one]


def _lines_inside(doc: Doc, indent: int) -> list[str]:
    """The lines of a doc that is between brackets already."""
    lead = " " * indent
    one = f"{lead}{flat(doc)}"
    if len(one) <= LINE_LENGTH:
        return [one]
    match doc:
        case Joined(items):
            return [line for operator, item in items for line in _led_by(operator, item, indent)]
        case Choice(then, condition, otherwise):
            return [
                *_led_by("", then, indent),
                *_led_by("if", condition, indent),
                *_led_by("else", otherwise, indent),
            ]
        case Bracket(items=items):
            return _open(lead, doc, indent, "") if items else [one]
        case _:
            return [one]


def _led_by(word: str, doc: Doc, indent: int) -> list[str]:
    """The lines of a doc with an operator or a keyword before it."""
    return _lines_inside(prefixed(f"{word} ", doc) if word else doc, indent)


def named_sequential(names: Sequence[str], docs: Sequence[Doc]) -> Doc:
    """`nn.Sequential` of named modules; names that are 0, 1, ... are left out, since it numbers modules so itself."""
    if list(names) == [str(n) for n in range(len(docs))]:
        return Bracket("nn.Sequential(", docs)
    if all(name.isidentifier() for name in names):
        pairs: list[Doc] = [prefixed(f"{name}=", doc) for name, doc in zip(names, docs, strict=True)]
        return Bracket("nn.Sequential(", [Bracket("OrderedDict(", pairs)])
    pairs = [prefixed(f'"{name}": ', doc) for name, doc in zip(names, docs, strict=True)]
    return Bracket("nn.Sequential(", [Bracket("OrderedDict(", [Bracket("{", pairs, "}")])])
