"""Selects the part of a graph that a diagram draws, and the scopes that are opened in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NoReturn

from netspec.errors import choices, closest, fail
from netspec.graph.model import Graph, Mode, Node
from netspec.graph.paths import is_below
from netspec.graph.walk import live_nodes

DEEPEST = 64
"""A depth at which all blocks of any spec are open."""


@dataclass(frozen=True, slots=True)
class View:
    """The settings of a diagram: blocks are opened down to `depth`.

    `expand` are the paths of repeats whose copies are all drawn, or "all". `part` is the path of the scope that is
    drawn, "" for the whole graph.
    """

    depth: int = 1
    expand: frozenset[str] = frozenset()
    part: str = ""
    mode: Mode = "inference"


def part_of(graph: Graph, name: str, mode: Mode = "inference") -> str:
    """The path of a part, whose name is a path itself, or the name of a block, which means its first use.

    Uses that are live in the mode come first. Raises NetspecError NS209 where the name is neither.
    """
    if not name or name in graph.scopes:
        return name
    uses = uses_of(graph, name)
    if not uses:
        _refuse(graph, name)
    live = {path for node in live_nodes(graph, mode) for path in scopes_around(graph, node)}
    return next((path for path in uses if path in live), uses[0])


def uses_of(graph: Graph, block: str) -> list[str]:
    """The paths of the uses of a block, in the order in which they run."""
    paths = {path: None for node in graph.nodes for path in scopes_around(graph, node)}
    return [path for path in paths if (used := graph.scopes[path].block) is not None and used.name == block]


def check_expanded(graph: Graph, names: Collection[str]) -> None:
    """Raise NetspecError NS209 for a name that is neither the path of a scope nor `all`."""
    for name in names:
        if name not in graph.scopes and name != "all":
            _refuse(graph, name)


def nodes_of(graph: Graph, part: str, mode: Mode) -> list[Node]:
    """The nodes at or below a part that a mode needs, in order; if it needs none, all nodes of the part."""
    if not part:
        return live_nodes(graph, mode)

    def below(nodes: Iterable[Node]) -> list[Node]:
        return [node for node in nodes if is_below(node.path, part) or node.path == part]

    return below(live_nodes(graph, mode)) or below(live_nodes(graph, "train")) or below(graph.nodes)


def scopes_around(graph: Graph, node: Node) -> list[str]:
    """The paths of the scopes around a node, outermost first."""
    paths: list[str] = []
    path = node.scope
    while path:
        paths.append(path)
        path = graph.scopes[path].parent
    return paths[::-1]


def _refuse(graph: Graph, name: str) -> NoReturn:
    """Raise NetspecError NS209 for an unknown name, with a suggestion."""
    blocks = list(dict.fromkeys(scope.block.name for scope in graph.scopes.values() if scope.block is not None))
    if name in graph.by_path:
        node = graph.by_path[name]
        inside = f", in `{node.scope}`" if node.scope else ""
        help = f"it is a single `{node.op.opname}`{inside}: `netspec explain` says all of it"
    elif name in blocks:
        help = f"it is a block: name one of its uses, such as `{uses_of(graph, name)[0]}`"
    else:
        top = [scope.path for scope in graph.scopes.values() if not scope.parent]
        help = closest(name, (*graph.scopes, *blocks)) or (f"there are {choices(top)}" if top else "it has no parts")
    fail("NS209", f"`{graph.name}` has no block, branch or repeat `{name}`", help=help)
