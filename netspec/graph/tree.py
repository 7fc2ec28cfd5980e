"""The nesting of a graph as in its spec: scopes with their nodes and inner scopes, in the order of execution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from netspec.errors import choices
from netspec.graph.model import Graph, Node, Scope


@dataclass(slots=True)
class Group:
    """A scope (None for the network itself) and the nodes and scopes directly in it."""

    scope: Scope | None
    items: list[Group | Node] = field(default_factory=lambda: list["Group | Node"]())

    @property
    def path(self) -> str:
        return self.scope.path if self.scope else ""

    def nodes(self) -> Iterator[Node]:
        """All nodes in the group and in its inner groups."""
        todo: list[Group | Node] = list(reversed(self.items))
        while todo:
            item = todo.pop()
            if isinstance(item, Node):
                yield item
            else:
                todo.extend(reversed(item.items))


def tree(graph: Graph, nodes: Iterable[Node] | None = None) -> Group:
    """The nesting of a graph, or of some of its nodes; scopes without any of those are left out."""
    root = Group(None)
    groups: dict[str, Group] = {"": root}
    for node in graph.nodes if nodes is None else nodes:
        group = groups.get(node.scope)
        if group is None:
            group = _open(graph, node.scope, groups)
        group.items.append(node)
    return root


def uses_hint(graph: Graph, name: str) -> str:
    """The help of an error where `name` is not a path: if it is a block or an op, the paths of its uses; else ""."""
    blocks = [path for path, scope in graph.scopes.items() if scope.block is not None and scope.block.name == name]
    if blocks:
        return f"it is a block, used as {choices(blocks, 4)}"
    nodes = [node.path for node in graph.nodes if node.op.opname == name]
    return f"it is an op, of {choices(nodes, 4)}" if nodes else ""


def _open(graph: Graph, path: str, groups: dict[str, Group]) -> Group:
    """The group of a scope; it and the groups around it are created if they are missing."""
    missing: list[str] = []
    while path not in groups:
        missing.append(path)
        path = graph.scopes[path].parent
    for inner in reversed(missing):
        group = groups[inner] = Group(graph.scopes[inner])
        groups[path].items.append(group)
        path = inner
    return groups[path]
