"""Which values leave a scope."""

from __future__ import annotations

from netspec.graph.model import Graph, Scope


def several_inputs(scope: Scope) -> list[str]:
    """The values that enter a use of what has several inputs, or its copies; none where it has one."""
    return [] if "input" in scope.inputs or len(scope.inputs) < 2 else list(scope.inputs.values())


class Escapes:
    """Tells which of the values made in a scope something outside takes.

    A step that shares weights is another call of one module, which gives the same values each time: what leaves one of
    them leaves all.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.users = graph.users
        self.outputs = {o.value for o in graph.outputs}
        self.entering: dict[str, list[str]] = {}
        """Of the values that enter uses with several inputs, the paths of the scopes that these uses stand in."""
        for scope in graph.scopes.values():
            for value in several_inputs(scope):
                self.entering.setdefault(value, []).append(scope.parent)
        self.sharing = {path: scope for path, scope in graph.scopes.items() if scope.weights_of}
        self.shared: set[tuple[str, str]] = set()
        """What leaves which scope, both told by the paths of the steps that own the weights."""
        if self.sharing:
            for node in graph.nodes:
                for value, _ in node.values():
                    path = node.scope
                    while path and self.needed(value, path):
                        self.shared.add(self.owned(value, path))
                        path = graph.scopes[path].parent

    def leaves(self, value: str, path: str) -> bool:
        """Whether a value leaves the scope at a path, or the network."""
        if self.needed(value, path):
            return True
        return bool(self.shared) and self.owned(value, path) in self.shared

    def needed(self, value: str, path: str) -> bool:
        """Whether something outside a scope takes a value."""
        if value in self.outputs:
            return True
        if not path:
            return False
        below = f"{path}."
        if any(p != path and not p.startswith(below) for p in self.entering.get(value, ())):
            return True
        return any(u.scope != path and not u.scope.startswith(below) for u in self.users[value])

    def owned(self, value: str, path: str) -> tuple[str, str]:
        """A value and a scope around it, as they are called in the step that owns the weights of that scope."""
        while True:
            parts = path.split(".")
            above = (".".join(parts[:depth]) for depth in range(1, len(parts) + 1))
            around = next((prefix for prefix in above if prefix in self.sharing), None)
            if around is None:
                return value, path
            scope, own = self.sharing[around], around
            if scope.weights_of.startswith(f"{around}."):
                return value, path  # The first of its copies has the weights, as where a pass took the step before.
            owner = self.graph.scopes.get(scope.weights_of)
            if scope.kind == "repeat" and (owner is None or owner.kind != "repeat"):
                if path == around:
                    return value, path  # All copies are calls of one step, and together they are like no other.
                own = ".".join(parts[: around.count(".") + 2])
            value, path = scope.weights_of + value[len(own) :], scope.weights_of + path[len(own) :]
