"""Finds the step whose weights a step uses, by its name in the same body, for printers of shared weights."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from netspec.errors import fail
from netspec.graph.borrow import shares_one_owner
from netspec.graph.model import Graph, Node, Scope
from netspec.graph.paths import is_below


class Sharing:
    """Follows a printer through the scopes of a graph, and tells the owner of each step's weights there.

    A step can only name an owner in its own body. For weights that are shared across bodies, `refusal` and `help` are
    the end of the error's message and its help.
    """

    def __init__(self, graph: Graph, refusal: str, help: str = "") -> None:
        self.graph = graph
        self.refusal = refusal
        self.help = help
        self.inside: tuple[str, str] = ("", "")
        """The scope being read if it shares the weights of another: its path, and that of its owner; else ""."""
        self.loop = ""
        """The path of the repeat being read, if all its copies use the weights of one step; else ""."""

    def of_node(self, node: Node) -> str:
        """The name of the step of the same body whose weights a node uses; "" for its own."""
        owner = self.here(node.weights_of)
        if owner == node.path or (self.loop and node.scope == self.loop):
            return ""
        return self._sibling(node.path, owner)

    def of_scope(self, scope: Scope) -> str:
        """The name of the step of the same body whose weights a scope uses; "" for its own."""
        owner = scope.weights_of
        if not owner or (self.loop and scope.parent == self.loop):
            return ""
        return self._sibling(scope.path, owner)

    @contextmanager
    def within(self, scope: Scope | None) -> Generator[None]:
        """Enter a scope for the duration of the `with`."""
        outer = self.inside, self.loop
        if scope is not None and scope.weights_of:
            self.inside = scope.path, self._owner_of(scope.weights_of)
            self.loop = scope.path if shares_one_owner(self.graph, scope) else ""
        yield
        self.inside, self.loop = outer

    def _owner_of(self, path: str) -> str:
        """The path in the owner of the scope being read, for a path in that scope; other paths unchanged."""
        borrower, owner = self.inside
        if borrower and (path == borrower or is_below(path, borrower)):
            return owner + path[len(borrower) :]
        return path

    def here(self, path: str) -> str:
        """The path in the scope being read, for a path in its owner; other paths unchanged: inverse of `_owner_of`."""
        borrower, owner = self.inside
        if borrower and (path == owner or is_below(path, owner)):
            return borrower + path[len(owner) :]
        return path

    def _sibling(self, path: str, owner: str) -> str:
        body, _, name = owner.rpartition(".")
        if body != path.rpartition(".")[0]:
            message = f"`{path}` shares the weights of `{owner}`, which stands in another body: {self.refusal}"
            fail(
                "NS401", message, self.graph.by_path[path].span if path in self.graph.by_path else None, help=self.help
            )
        return name
