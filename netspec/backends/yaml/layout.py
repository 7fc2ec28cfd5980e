"""Lays out steps as YAML: on one line if they fit, else on several indented ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from netspec.expression import show

YAML_WIDTH = 104

_NOT_PLAIN_TEXT = re.compile(
    r"(?:[-+]?[\d.]|null\b|~|true\b|false\b|[-?:](?:\s|$)|[!&*|>@`%\"'#{}\[\],]|\$)"
    r"|.*(?::(?:\s|$)|\s#)|\s|.*\s$|$",
    re.I,
)
"""Matches text that YAML, or netspec's dialect, does not read as that text, such as `1e3`, `on: x` or `a #b`."""

_NOT_PLAIN_EXPRESSION = re.compile(r"[!&*|>@%\"'#{}\[\],]|[-?](?:\s|$)|.*(?::(?:\s|$)|\s#)")
"""Matches expressions that YAML does not read as one scalar, such as `[1, 2] if a else b`."""


@dataclass(slots=True)
class Expr:
    """The text of an expression, or of a value as expressions write it, such as `'same'`."""

    text: str


@dataclass(slots=True)
class WrittenStep:
    """A step as YAML: the op or block as its key, the argument, the branches, and sibling keys such as `name`."""

    key: str
    argument: Any = None
    branches: dict[str, list[WrittenStep]] | None = None
    beside: dict[str, Any] = field(default_factory=dict[str, Any])


def scalar(value: Any, flow: bool) -> str:
    """A scalar as YAML; in flow style, text with brackets or commas is quoted."""
    if isinstance(value, Expr):
        ends = _NOT_PLAIN_EXPRESSION.match(value.text) or (flow and re.search(r"[,\[\]{}]", value.text))
        return quoted(value.text) if ends else value.text
    if isinstance(value, str):
        return text(value, flow)
    return show(value)


def text(value: str, flow: bool = False) -> str:
    """Text as a YAML scalar, in double quotes if YAML would not read it as this text."""
    if not _NOT_PLAIN_TEXT.match(value) and not (flow and re.search(r"[,\[\]{}]", value)) and value.isprintable():
        return value
    return quoted(value)


def quoted(value: str) -> str:
    """Text as a YAML scalar in double quotes."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else _escape(c) for c in escaped) + '"'


def _escape(character: str) -> str:
    """The escape sequence of an unprintable character, such as `\\x1b`."""
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"


def flow(value: Any) -> str:
    """A value in flow style, on one line: `{kernel_size: 3}`."""
    if isinstance(value, WrittenStep):
        return flow_step(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {flow(v)}" for k, v in value.items()) + "}"  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(v) for v in value) + "]"  # pyright: ignore[reportUnknownVariableType]
    return scalar(value, True)


def inline(value: Any) -> str:
    """A value on one line, after a key in block style: brackets and commas in text need no quotes."""
    return flow(value) if isinstance(value, Mapping | list | tuple) else scalar(value, False)


def flow_step(step: WrittenStep) -> str:
    """A step in flow style, as an item of a list on one line."""
    argument = step.argument if step.branches is None else {**_mapping(step.argument), "branches": step.branches}
    head = text(step.key, True) if argument is None else f"{step.key}: {flow(argument)}"
    if not step.beside:
        return head
    return "{" + ", ".join([head, *(f"{key}: {flow(value)}" for key, value in step.beside.items())]) + "}"


def lines(step: WrittenStep) -> list[str]:
    """The lines of a step in block style, beginning with its dash."""
    argument = step.argument
    if step.branches is None:
        one = f"- {flow_step(step) if step.beside else _headed(step.key, argument)}"
        if _fits(one):
            return [one]
    rows = [f"- {_headed(step.key, argument)}"]
    if step.branches is not None or (isinstance(argument, Mapping) and not _fits(rows[0])):
        rows = [f"- {step.key}:", *(f"    {key}: {inline(value)}" for key, value in _mapping(argument).items())]
    if step.branches is not None:
        rows.append("    branches:")
        rows += [f"      {line}" for name, body in step.branches.items() for line in _branch(name, body)]
    if argument is None and step.branches is None:
        rows = [f"- {step.key}:"]
    return [*rows, *(f"  {key}: {inline(value)}" for key, value in step.beside.items())]


def _branch(name: str, body: list[WrittenStep]) -> list[str]:
    """The lines of a branch: one line for at most two steps, if they fit on it."""
    one = f"{name}: {flow(body)}"
    if len(body) <= 2 and all(step.branches is None for step in body) and _fits(one):
        return [one]
    return [f"{name}:", *(f"  {line}" for line in block(body))]


def _headed(key: str, argument: Any) -> str:
    """A key, with its argument unless that is None: `conv2d: {kernel_size: 3}`."""
    return text(key) if argument is None else f"{key}: {inline(argument)}"


def _fits(line: str) -> bool:
    """Whether a line is short enough and has no quotes: quoted text is easier to read on several lines."""
    return len(line) <= YAML_WIDTH and '"' not in line


def block(body: Iterable[WrittenStep]) -> list[str]:
    """The lines of a list of steps in block style."""
    return [line for step in body for line in lines(step)]


def _mapping(argument: Any) -> Mapping[str, Any]:
    """The argument if it is a mapping, else an empty mapping."""
    return argument if isinstance(argument, Mapping) else {}  # pyright: ignore[reportUnknownVariableType]
