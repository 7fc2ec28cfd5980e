"""Argument values without a literal in the spec's expressions, such as `float("inf")`, which are printed as is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, cast

from netspec.errors import fail
from netspec.expression import python_literal
from netspec.graph.model import Node
from netspec.types import Call, Layer, Printed


@dataclass(frozen=True, slots=True, repr=False)
class Exact:
    """A value as Python source, which is printed unchanged: the list `[7, 7]` is not shortened to `7`."""

    text: str
    annotation: str
    """Its type as a type hint."""

    def __repr__(self) -> str:
        return self.text


def exactly(node: Node, printed: Printed) -> Printed:
    """The printed form of a node with arguments that are literals or `Exact`. Raises NS401 for any other argument."""
    if not isinstance(printed, Layer | Call):
        return printed
    arguments: dict[str, Any] = {}
    for name, value in printed.arguments.items():
        try:
            printable = _printable(value)
        except TypeError:
            what = f"the argument `{name}` of `{node.op.opname}` is {value}, which PyTorch source can't say"
            help = "an argument is a number, text, or a list of these; a size has to be known (`--input`)"
            fail("NS401", what, node.span, node.path if node.span else "", help=help)
        # Only an attribute of the op may be shortened from `(3, 3)` to `3`; any other tuple is printed in full.
        if isinstance(printable, tuple) and getattr(node.op, name, None) != printable:
            printable = Exact(python_literal(printable), _annotation(cast("tuple[Any, ...]", printable)))
        arguments[name] = printable
    return replace(printed, arguments=arguments)


def _annotation(value: tuple[Any, ...]) -> str:
    """The type hint for a tuple."""
    items = [v.annotation if isinstance(v, Exact) else "None" if v is None else type(v).__name__ for v in value]
    return f"tuple[{', '.join(items) or '()'}]"


def _printable(value: Any) -> Any:
    """A value as a literal or an `Exact`. Raises TypeError for any other value, such as a symbolic size."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else Exact(f'float("{value}")', "float")
    if isinstance(value, tuple):
        return tuple([_printable(item) for item in cast("tuple[Any, ...]", value)])
    if isinstance(value, list):
        items = [python_literal(_printable(item)) for item in cast("list[Any]", value)]
        return Exact(f"[{', '.join(items)}]", "list")
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return Exact(
            f"{{{', '.join(f'{python_literal(k)}: {python_literal(_printable(v))}' for k, v in pairs)}}}", "dict"
        )
    raise TypeError(value)
