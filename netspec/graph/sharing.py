"""Whose weights a step uses, told in the terms of the body that it stands in."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from netspec.errors import fail
from netspec.graph.borrow import shares_one_owner
from netspec.graph.model import Graph, Node, Scope


class Sharing:
    """Follows a walk through the scopes of a graph, and knows the owner of each step's weights there.

    `refusal` says what can't be written where weights are shared across bodies, and `help` the way out.
    """

    def __init__(self, graph: Graph, refusal: str, help: str = "") -> None:
        self.graph = graph
        self.refusal = refusal
        self.help = help
        self.inside: tuple[str, str] = ("", "")
        """The path of the scope that shares the weights of another, and the path of that one, while it is read."""
        self.loop = ""
        """The path of the repeat whose copies all use the weights of one step, while it is read."""

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
        """While what stands in a scope is read."""
        outer = self.inside, self.loop
        if scope is not None and scope.weights_of:
            self.inside = scope.path, self._owner_of(scope.weights_of)
            self.loop = scope.path if shares_one_owner(self.graph, scope) else ""
        yield
        self.inside, self.loop = outer

    def _owner_of(self, path: str) -> str:
        """Where the weights are of what stands at a path in the scope that is read."""
        own, owner = self.inside
        return owner + path[len(own) :] if path == own or path.startswith(f"{own}.") else path

    def here(self, path: str) -> str:
        """The path here of what stands at a path in the scope whose weights the one that is read shares."""
        own, owner = self.inside
        if own and (path == owner or path.startswith(f"{owner}.")):
            return own + path[len(owner) :]
        return path

    def _sibling(self, path: str, owner: str) -> str:
        body, _, name = owner.rpartition(".")
        if body != path.rpartition(".")[0]:
            message = f"`{path}` shares the weights of `{owner}`, which stands in another body: {self.refusal}"
            fail(
                "NS401", message, self.graph.by_path[path].span if path in self.graph.by_path else None, help=self.help
            )
        return name
