"""Puts differences into words: of two ops, layers or types."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from netspec.analysis.diff.model import NodePair
from netspec.dims import symbol
from netspec.expression import show
from netspec.graph.model import Node
from netspec.shape_text import shape_text, without_batch
from netspec.types import Tensor

_COPIES = re.compile(r"(.*?)(?: \(x (\d+)\))?")
_MAX_VALUES = 60
"""The length, in characters, of lists of values that a line still names."""


def op_words(pair: NodePair) -> str:
    """The difference between two nodes in words, or the op that only one side has.

    Examples: `kernel_size 3 -> 1, padding 1 -> 0`, `relu -> gelu`, `+ dropout`, `conv2d: reads b -> a`.
    """
    x, y = pair.a, pair.b
    if x is None or y is None:
        return f"{'-' if y is None else '+'} {pair.node.op.label()}"
    if x.op.opname != y.op.opname:
        differences = [f"{x.op.label()} -> {y.op.label()}"]
    else:
        differences = [f"{name} {_value_text(a)} -> {_value_text(b)}" for name, (a, b) in pair.attributes.items()]
    if pair.inputs_differ:
        differences.append(_inputs_words(x, y))
    if pair.weights_differ:
        differences.append(f"weights {_owner(x)} -> {_owner(y)}")
    if pair.types_read:
        differences.append(f"input {_types_words(*pair.types_read)}")
    words = ", ".join(differences)
    return words if x.name.startswith(x.op.opname) or x.op.opname != y.op.opname else f"{x.op.opname}: {words}"


def _inputs_words(x: Node, y: Node) -> str:
    """The difference between the values that two nodes read, with their names if they are short enough."""
    a, b = ", ".join(x.inputs), ", ".join(y.inputs)
    if a == b or len(a) + len(b) > _MAX_VALUES:
        return "reads other values" if sorted(x.inputs) != sorted(y.inputs) else "reads them in another order"
    return f"reads {a} -> {b}"


def _owner(node: Node) -> str:
    return "its own" if node.weights_of == node.path else f"of {node.weights_of}"


def _value_text(value: Any) -> str:
    """The value of an attribute as text; a list of equal items, such as a kernel of [3, 3], is written as `3`."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return show(items[0]) if items and all(item == items[0] for item in items) else show(value)


def layers_words(a: str, b: str) -> str:
    """The labels of both sides of a layer as one text, with common parts written once.

    >>> layers_words("conv 256 (x 3)", "conv 256 (x 4)")
    'conv 256 (x 3->4)'
    >>> layers_words("basic 64 (x 3)", "bottleneck 64 (x 3)")
    'basic 64 -> bottleneck 64 (x 3)'
    """
    parts_a, parts_b = _COPIES.fullmatch(a), _COPIES.fullmatch(b)
    if a == b:
        return a
    if parts_a is None or parts_b is None:
        return f"{a} -> {b}"
    if parts_a[1] == parts_b[1]:
        return f"{parts_a[1]} (x {parts_a[2] or 1}->{parts_b[2] or 1})"
    return f"{parts_a[1]} -> {b}" if parts_a[2] == parts_b[2] else f"{a} -> {b}"


def shapes_words(x: Node | None, y: Node | None) -> str:
    """The output shapes of two nodes as one text, without the batch."""
    types = [node.type for node in (x, y) if node]
    return _types_words(types[0], types[-1]) if types else ""


def _types_words(a: Tensor, b: Tensor) -> str:
    """The shapes of two types as one text, without the batch: a number, or `N`."""
    sizes_a, sizes_b = (
        without_batch(type.shape, type.shape[0] if isinstance(type.shape[0], int) else symbol("N")) if type.rank else ()
        for type in (a, b)
    )
    return sizes_words(sizes_a, sizes_b)


def sizes_words(a: Sequence[object], b: Sequence[object]) -> str:
    """Two shapes as one text.

    >>> sizes_words([64, 56, 56], [256, 56, 56])
    '64->256 x 56 x 56'
    """
    if len(a) != len(b):
        return f"{shape_text(a)} -> {shape_text(b)}"
    return shape_text(x if x == y else f"{x}->{y}" for x, y in zip(a, b, strict=True))
