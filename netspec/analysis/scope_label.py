"""Labels of scopes in tables, such as `bottleneck 128 (x 4)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.expression import show
from netspec.graph.model import Node, Scope
from netspec.graph.tree import Group

MINOR = ("activation", "normalization", "regularization")
"""Families of ops that are added to the row of the layer before them in a folded table."""


def scope_label(group: Group, scope: Scope) -> str:
    """The label of a scope: a block with its arguments; for a repeat, the common arguments and `(x 4)`."""
    if scope.kind == "repeat":
        copies = len(group.items)
        return f"{_copies_label(group)} (x {copies})" if copies > 1 else _copies_label(group)
    if scope.block is None:
        return scope.kind
    return _use_label(scope, scope.params)


def _copies_label(group: Group) -> str:
    """The label for all copies of a repeat, without their number."""
    first = group.items[0]
    if isinstance(first, Node):
        return first.op.label()
    if first.scope is None or first.scope.block is None:
        return first.scope.kind if first.scope else ""
    copies = [item.scope for item in group.items if isinstance(item, Group) and item.scope]
    params = first.scope.params
    common = {name: value for name, value in params.items() if all(copy.params.get(name) == value for copy in copies)}
    # The sizes show that the first copy of a stage has another stride; any other varying argument is named.
    varying = [f"{name} varies" for name in params if name not in common and name != "stride"]
    return ", ".join([_use_label(first.scope, common), *varying])


def _use_label(scope: Scope, params: Mapping[str, Any]) -> str:
    """A block's name with its arguments, without defaults; required ones have no names: `bottleneck 128, stride 2`."""
    assert scope.block is not None
    arguments = [
        show(params[p.name]) if p.required else f"{p.name} {show(params[p.name])}"
        for p in scope.block.parameters
        if p.name in params and (p.required or params[p.name] != p.default)
    ]
    return " ".join([scope.block.name, ", ".join(arguments)]) if arguments else scope.block.name
