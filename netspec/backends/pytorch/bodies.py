"""The graph as nested bodies: for each scope what enters, what leaves, and its items in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from netspec.errors import fail
from netspec.expression import Expression
from netspec.graph.model import Graph, Node, Scope
from netspec.graph.tree import Group, tree
from netspec.types import Layer, Printed


@dataclass(slots=True, eq=False)
class Item:
    """A node, or an inner body, as one step of the body around it."""

    name: str
    inputs: list[str]
    outputs: list[str]
    when: Expression | None = None
    node: Node | None = None
    printed: Printed | None = None
    body: Body | None = None

    @property
    def is_module(self) -> bool:
        return self.body is not None or isinstance(self.printed, Layer)


@dataclass(slots=True, eq=False)
class Body:
    """A scope (None for the network) from inside."""

    scope: Scope | None
    inputs: list[str] = field(default_factory=list[str])
    outputs: list[str] = field(default_factory=list[str])
    items: list[Item] = field(default_factory=list[Item])
    is_class: bool = False

    @property
    def kind(self) -> str:
        return self.scope.kind if self.scope else "network"

    @property
    def path(self) -> str:
        return self.scope.path if self.scope else ""


def bodies(graph: Graph) -> Body:
    """The body of the network, with all inner ones; each knows whether it prints as a class of its own."""
    root = _Reader(graph).body(tree(graph))
    root.inputs = [i.name for i in graph.inputs]
    root.outputs = [o.value for o in graph.outputs]
    _choose_classes(root, True)
    return root


class _Reader:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.users = graph.users
        self.leaving = {o.value for o in graph.outputs}

    def body(self, group: Group) -> Body:
        body = Body(group.scope)
        made: set[str] = set()
        for member in group.items:
            item = self.node(member) if isinstance(member, Node) else self.group(member)
            for value in item.inputs:
                if value not in made and value not in body.inputs:
                    body.inputs.append(value)
            made.update(item.outputs)
            body.items.append(item)
        # A scope's value may leave through the item it stands in.
        body.outputs = [v for item in body.items for v in item.outputs if self.leaves(v, body.path)]
        return body

    def node(self, node: Node) -> Item:
        if node.weights_of != node.path:
            fail("NS401", f"`{node.path}` shares the weights of `{node.weights_of}`, which PyTorch source can't say yet")
        printed = node.op.torch(*self.graph.input_types(node))
        return Item(node.name, list(node.inputs), [v for v, _ in node.values()], node.when, node, printed)

    def group(self, group: Group) -> Item:
        assert group.scope is not None
        body = self.body(group)
        return Item(group.scope.name, body.inputs, body.outputs, group.scope.when, body=body)

    def leaves(self, value: str, path: str) -> bool:
        if value in self.leaving:
            return True
        if not path:
            return False
        below = f"{path}."
        return any(u.scope != path and not u.scope.startswith(below) for u in self.users[value])


def is_chain(body: Body) -> bool:
    """Whether a body is modules one after another, so that `nn.Sequential` is it."""
    if len(body.inputs) != 1 or not body.items:
        return False
    previous = body.inputs[0]
    for item in body.items:
        if not item.is_module or item.inputs != [previous] or len(item.outputs) != 1:
            return False
        previous = item.outputs[0]
    return body.outputs == [previous]


def _choose_classes(body: Body, outermost: bool) -> None:
    """Blocks and the network are classes; so are scopes that are no chain, or have conditions deeper than one level."""
    chain = is_chain(body)
    optional = any(item.when is not None for item in body.items)
    body.is_class = body.kind in ("block", "network") or not chain or (optional and not outermost)
    for item in body.items:
        if item.body is not None:
            _choose_classes(item.body, body.is_class)
