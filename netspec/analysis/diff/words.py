"""What differs between two ops, in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from netspec.analysis.diff.diff import NodePair
from netspec.dims import Dim
from netspec.expression import show
from netspec.graph.model import Node
from netspec.shape_text import shape_text
from netspec.types import Tensor

_COPIES = re.compile(r"(.*?)(?: \(x (\d+)\))?")
LONGEST = 60
"""How long a list of values may be that a line still names."""


def op_words(pair: NodePair) -> str:
    """What differs between two nodes: attributes, inputs, sizes; or the op that only one side has."""
    x, y = pair.a, pair.b
    if x is None or y is None:
        return f"{'-' if y is None else '+'} {pair.node.op.label()}"
    if x.op.opname != y.op.opname:
        words = [f"{x.op.label()} -> {y.op.label()}"]
    else:
        words = [f"{name} {_shown(mine)} -> {_shown(theirs)}" for name, (mine, theirs) in pair.attributes.items()]
    if pair.inputs:
        words.append(reads(x, y))
    if pair.weights:
        words.append(f"weights {_owner(x)} -> {_owner(y)}")
    if pair.read:
        words.append(f"input {types_words(*pair.read)}")
    said = ", ".join(words)
    return said if x.name.startswith(x.op.opname) or x.op.opname != y.op.opname else f"{x.op.opname}: {said}"


def reads(x: Node, y: Node) -> str:
    """Which values two nodes read, as far as a line can name them."""
    mine, theirs = ", ".join(x.inputs), ", ".join(y.inputs)
    if mine == theirs or len(mine) + len(theirs) > LONGEST:
        return "reads other values" if sorted(x.inputs) != sorted(y.inputs) else "reads them in another order"
    return f"reads {mine} -> {theirs}"


def _owner(node: Node) -> str:
    return "its own" if node.weights_of == node.path else f"of {node.weights_of}"


def _shown(value: Any) -> str:
    """A value as tables write it: pairs of equals as one."""
    if isinstance(value, list) and value and all(item == value[0] for item in value):  # pyright: ignore
        return show(value[0])  # pyright: ignore
    return show(value)


def reworded(mine: str, theirs: str) -> str:
    """Two texts as one where they are equal, else with an arrow between them."""
    return mine if mine == theirs or not theirs else theirs if not mine else f"{mine} -> {theirs}"


def layers_words(mine: str, theirs: str) -> str:
    """What stands on both sides of a layer, with what they have in common once: `conv 256 (x 3->4)`."""
    a, b = _COPIES.fullmatch(mine), _COPIES.fullmatch(theirs)
    if a is None or b is None or mine == theirs:
        return reworded(mine, theirs)
    if a[1] == b[1]:
        return f"{a[1]} (x {a[2] or 1}->{b[2] or 1})"
    return f"{a[1]} -> {theirs}" if a[2] == b[2] else reworded(mine, theirs)


def shapes_words(x: Node | None, y: Node | None) -> str:
    """The shapes of two nodes' outputs, without the batch."""
    types = [node.type for node in (x, y) if node]
    return types_words(types[0], types[-1]) if types else ""


def types_words(mine: Tensor, theirs: Tensor) -> str:
    """Two types as one, without the batch."""
    return sizes_words(_sizes(mine), _sizes(theirs))


def sizes_words(mine: Sequence[object], theirs: Sequence[object]) -> str:
    """Two shapes as one: `64->256 x 56 x 56`."""
    if len(mine) != len(theirs):
        return " -> ".join(shape_text(sizes) for sizes in (mine, theirs))
    return shape_text(a if a == b else f"{a}->{b}" for a, b in zip(mine, theirs, strict=True))


def _sizes(type: Tensor) -> tuple[Dim, ...]:
    return type.shape[1:] if type.rank > 1 else type.shape
