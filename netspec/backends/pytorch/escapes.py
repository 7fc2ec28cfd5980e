"""Finds the values that escape from a scope: those that are used outside it."""

from __future__ import annotations

from netspec.graph.model import Graph, Scope
from netspec.graph.paths import is_below


def several_inputs(scope: Scope) -> list[str]:
    """The inputs of a scope that declares several; an empty list for a scope with a single input."""
    return [] if "input" in scope.inputs or len(scope.inputs) < 2 else list(scope.inputs.values())


class Escapes:
    """Tells if a value that is computed in a scope escapes from it.

    A scope that shares the weights of another is a second call of the same module. A module returns the same outputs
    in every call, so a value that escapes in one of these calls escapes in all of them.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._users = graph.users
        self._outputs = {o.value for o in graph.outputs}
        self._scopes_entered: dict[str, list[str]] = {}
        """For each value that enters a scope with several inputs, the paths of the scopes around these scopes."""
        for scope in graph.scopes.values():
            for value in several_inputs(scope):
                self._scopes_entered.setdefault(value, []).append(scope.parent)
        self._sharing = {path: scope for path, scope in graph.scopes.items() if scope.weights_of}
        self._escaping: set[tuple[str, str]] = set()
        """Pairs of a value and a scope from which it escapes, both by their paths in the owner of the weights."""
        if self._sharing:
            for node in graph.nodes:
                for value, _ in node.values():
                    path = node.scope
                    while path and self._is_used_outside(value, path):
                        self._escaping.add(self._in_owner(value, path))
                        path = graph.scopes[path].parent

    def leaves(self, value: str, path: str) -> bool:
        """Whether a value escapes from the scope at a path, or from the network."""
        return self._is_used_outside(value, path) or (
            bool(self._escaping) and self._in_owner(value, path) in self._escaping
        )

    def _is_used_outside(self, value: str, path: str) -> bool:
        """Whether a value is used outside a scope; other calls of the same module are not considered."""
        if value in self._outputs:
            return True
        if not path:
            return False
        if any(p != path and not is_below(p, path) for p in self._scopes_entered.get(value, ())):
            return True
        return any(user.scope != path and not is_below(user.scope, path) for user in self._users[value])

    def _in_owner(self, value: str, path: str) -> tuple[str, str]:
        """A value and a scope around it, by their paths in the step that owns the weights of that scope.

        Where `b` shares the weights of `a`, `("b.conv", "b")` gives `("a.conv", "a")`.
        """
        while (borrower := self._outermost_sharing(path)) is not None:
            if is_below(borrower.weights_of, borrower.path):
                break  # Its first copy owns the weights, for example after a pass removed the original owner.
            replaced, owner = borrower.path, self._graph.scopes.get(borrower.weights_of)
            if borrower.kind == "repeat" and (owner is None or owner.kind != "repeat"):
                if path == borrower.path:
                    break  # All copies are calls of one step; the repeat as a whole has no counterpart in the owner.
                copy = path[len(borrower.path) + 1 :].partition(".")[0]
                replaced = f"{borrower.path}.{copy}"
            value = borrower.weights_of + value[len(replaced) :]
            path = borrower.weights_of + path[len(replaced) :]
        return value, path

    def _outermost_sharing(self, path: str) -> Scope | None:
        """The outermost scope, at or around a path, that shares the weights of another."""
        parts = path.split(".")
        prefixes = (".".join(parts[:depth]) for depth in range(1, len(parts) + 1))
        return next((self._sharing[prefix] for prefix in prefixes if prefix in self._sharing), None)
