"""Which part of a graph a diagram draws, and what of it is opened."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from netspec.errors import choices, closest, fail
from netspec.graph.model import Graph, Mode, Node, Scope
from netspec.graph.walk import live_nodes

DEEPEST = 64
"""As deep as blocks may stand in each other."""


@dataclass(frozen=True, slots=True)
class View:
    """What is opened: blocks down to `depth`, and the copies of the repeats in `expand` (`all`: of all)."""

    depth: int = 1
    expand: frozenset[str] = frozenset()
    part: str = ""
    mode: Mode = "inference"


def part_of(graph: Graph, name: str, mode: Mode = "inference") -> str:
    """The path of the part that a name means: a path itself, or that of the first use of a block.

    Uses that the mode has come first. Raises NetspecError NS209 where there is neither.
    """
    if not name or name in graph.scopes:
        return name
    uses = uses_of(graph, name)
    if not uses:
        _refuse(graph, name)
    live = {path for node in live_nodes(graph, mode) for path in _around(graph, node)}
    return next((path for path in uses if path in live), uses[0])


def uses_of(graph: Graph, block: str) -> list[str]:
    """The paths at which a block is used, in the order in which they run."""
    paths = {path: None for node in graph.nodes for path in _around(graph, node)}
    return [path for path in paths if (made := graph.scopes[path].block) is not None and made.name == block]


def check_expanded(graph: Graph, names: Collection[str]) -> None:
    """Refuse names of what is no part, with NS209."""
    for name in names:
        if name not in graph.scopes and name != "all":
            _refuse(graph, name)


def nodes_of(graph: Graph, part: str, mode: Mode) -> list[Node]:
    """The nodes of a mode at or below a part, in order; one that the mode does not need is drawn all the same."""
    if not part:
        return live_nodes(graph, mode)

    def below(nodes: Iterable[Node]) -> list[Node]:
        return [node for node in nodes if node.path.startswith(f"{part}.") or node.path == part]

    return below(live_nodes(graph, mode)) or below(live_nodes(graph, "train")) or below(graph.nodes)


def _around(graph: Graph, node: Node) -> Iterator[str]:
    """The paths of the scopes around a node, outermost first."""
    chain: list[Scope] = []
    path = node.scope
    while path:
        chain.append(graph.scopes[path])
        path = chain[-1].parent
    return (scope.path for scope in reversed(chain))


def _refuse(graph: Graph, name: str) -> None:
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
