"""Arguments of a layer as the op gives them: what is no number, text or tuple is written word for word."""

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
    """A value by its Python source, which nothing makes shorter: of a list `[7, 7]` no 7, and no tuple."""

    text: str
    kind: str
    """Its type, as a type hint calls it."""

    def __repr__(self) -> str:
        return self.text


def exactly(node: Node, printed: Printed) -> Printed:
    """How a node is written, its arguments as source can hold them; NS401 for one that it can't."""
    if not isinstance(printed, Layer | Call):
        return printed
    found: dict[str, Any] = {}
    for name, value in printed.arguments.items():
        try:
            held = _held(value)
        except TypeError:
            what = f"the argument `{name}` of `{node.op.opname}` is {value}, which PyTorch source can't say"
            help = "an argument is a number, text, or a list of these; a size has to be known (`--input`)"
            fail("NS401", what, node.span, node.path if node.span else "", help=help)
        # That one number stands for two is so of the attributes that torch has, and of no other argument.
        if isinstance(held, tuple) and getattr(node.op, name, None) != held:
            held = Exact(python_literal(held), _kind(cast("tuple[Any, ...]", held)))
        found[name] = held
    return replace(printed, arguments=found)


def _kind(value: tuple[Any, ...]) -> str:
    items = [v.kind if isinstance(v, Exact) else "None" if v is None else type(v).__name__ for v in value]
    return f"tuple[{', '.join(items) or '()'}]"


def _held(value: Any) -> Any:
    """A value as expressions hold it; TypeError for what has no literal, such as a size that is open."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else Exact(f'float("{value}")', "float")
    if isinstance(value, tuple):
        return tuple([_held(item) for item in cast("tuple[Any, ...]", value)])
    if isinstance(value, list):
        items = [python_literal(_held(item)) for item in cast("list[Any]", value)]
        return Exact(f"[{', '.join(items)}]", "list")
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return Exact(f"{{{', '.join(f'{python_literal(k)}: {python_literal(_held(v))}' for k, v in pairs)}}}", "dict")
    raise TypeError(value)
