"""The graph as nested bodies: for each scope what enters, what leaves, and its items in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from netspec.backends.pytorch.escapes import Escapes, several_inputs
from netspec.backends.pytorch.exact import exactly
from netspec.backends.pytorch.submodule import places_of_copies, submodule
from netspec.errors import fail
from netspec.expression import Expression
from netspec.graph.borrow import borrowed_form, is_second_call, shares_one_owner, with_layer
from netspec.graph.memo import NodeMemo
from netspec.graph.model import Graph, Node, Scope
from netspec.graph.rebuild import flat_names
from netspec.graph.sharing import Sharing
from netspec.graph.tree import Group, tree
from netspec.types import Call, Code, Layer, Printed

UNSAYABLE = "PyTorch source can't say that"
_ONE_BODY = "give it the same arguments, or let the ops that share weights stand in one body"


@dataclass(slots=True, eq=False)
class BodyItem:
    """A node, or an inner body, as one step of the body around it."""

    name: str
    inputs: list[str]
    outputs: list[str]
    when: Expression | None = None
    node: Node | None = None
    printed: Printed | None = None
    body: ScopeBody | None = None
    labels: tuple[str, ...] = ()
    """What a block calls its outputs, where they are several."""
    shares: str = ""
    """The name of the item whose module this one calls again."""
    loops: bool = False
    """Whether it calls that module once for each of its copies."""
    is_module: bool = field(init=False)
    key: tuple[str, bool] = field(init=False)
    """What tells an item from the others of its body: a merge may be called as one of its branches."""

    def __post_init__(self) -> None:
        self.is_module = self.body is not None or isinstance(self.printed, Layer)
        self.key = self.name, self.is_module

    @property
    def word(self) -> str:
        """Its name as a part of names in the source."""
        return self.name.replace(".", "_")

    @property
    def code(self) -> Code | None:
        """The expression that stands for the item, where it is no call of a module on its inputs."""
        return self.printed.call if isinstance(self.printed, Layer) else _code(self.printed)


@dataclass(slots=True, eq=False)
class ScopeBody:
    """A scope (None for the network) from inside."""

    scope: Scope | None
    inputs: list[str] = field(default_factory=list[str])
    outputs: list[str] = field(default_factory=list[str])
    training: list[str] = field(default_factory=list[str])
    """Of the network's own body, the outputs that are built in training only."""
    items: list[BodyItem] = field(default_factory=list[BodyItem])
    is_class: bool = False

    @property
    def kind(self) -> str:
        return self.scope.kind if self.scope else "network"

    @property
    def path(self) -> str:
        return self.scope.path if self.scope else ""

    @property
    def chained(self) -> list[str]:
        """The values that enter the first copy of a repeat, of which each copy gives the next one its own."""
        values = self.scope.inputs.values() if self.scope is not None and self.scope.inputs else self.inputs[:1]
        return list(values)

    @property
    def entry(self) -> str | None:
        """The value that the spec's expressions call `input` here."""
        if self.scope is not None and "input" in self.scope.inputs:
            return self.scope.inputs["input"]
        return self.inputs[0] if self.inputs else None


def _code(printed: Printed | None) -> Code | None:
    return printed if isinstance(printed, Code) else None


def bodies(graph: Graph) -> ScopeBody:
    """The body of the network, with all inner ones; each knows whether it prints as a class of its own."""
    root = _Reader(graph).body(tree(graph))
    root.inputs = [i.name for i in graph.inputs]
    root.outputs = [o.value for o in graph.outputs if o.mode == "inference"]
    root.training = [o.value for o in graph.outputs if o.mode == "train"]
    _choose_classes(root, True)
    return root


_KNOWN = ("torch", "nn", "math")
"""The modules that every generated file may use by these names."""


def modules_used(body: ScopeBody) -> set[str]:
    """The modules, other than torch's own, that stand before the names of layers and functions at or below a body."""
    found: set[str] = set()
    for item in body.items:
        name = item.printed.target if isinstance(item.printed, Layer) else ""
        name = item.printed.function if isinstance(item.printed, Call) else name
        module = name.rpartition(".")[0]
        if module and module.partition(".")[0] not in _KNOWN:
            found.add(module)
        if item.body is not None:
            found |= modules_used(item.body)
    return found


def helpers_used(body: ScopeBody) -> dict[str, str]:
    """The functions that code at or below a body calls and the file has to define: their sources, by name."""
    found: dict[str, str] = {}
    for item in body.items:
        if item.code is not None and item.code.helper:
            found[item.code.head.removesuffix("(")] = item.code.helper
        if item.body is not None:
            found |= helpers_used(item.body)
    return found


class _Reader:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.leaves = Escapes(graph).leaves
        self.sharing = Sharing(graph, UNSAYABLE)
        self.copies: dict[str, int] | None = None
        self.borrows = ""
        """The path of the repeat whose copies borrow weights, while it is read."""
        self.printed = NodeMemo(graph, lambda node, types: exactly(node, node.op.torch(*types)))
        """How an op on values of some types is written, by identity: most nodes share both with others."""

    def body(self, group: Group) -> ScopeBody:
        body = ScopeBody(group.scope)
        made: set[str] = set()
        scope = group.scope
        for member in group.items:
            for item in [self.node(member)] if isinstance(member, Node) else self.group(member):
                for value in item.inputs:
                    if value not in made and value not in body.inputs:
                        body.inputs.append(value)
                # What an item gives back unchanged is no new value.
                made.update(value for value in item.outputs if value not in item.inputs)
                body.items.append(item)
        # A scope's value may leave through the item it stands in.
        leaving = [v for item in body.items for v in item.outputs if v not in item.inputs and self.leaves(v, body.path)]
        # What a block says that it gives, it gives in every use, used or not.
        given = [v for v in scope.outputs if v in made] if scope is not None and len(scope.outputs) > 1 else []
        body.outputs = list(dict.fromkeys([*given, *leaving]))
        if group.scope is not None and not body.outputs:
            # Nothing uses it: it gives what the spec says it stands for, which may be what entered.
            body.outputs = [group.scope.output]
            if group.scope.output not in made and group.scope.output not in body.inputs:
                body.inputs.append(group.scope.output)
        entering = [v for v in scope.inputs.values() if v in body.inputs] if scope is not None else []
        body.inputs = list(dict.fromkeys([*entering, *body.inputs]))
        if scope is not None and (several := several_inputs(scope)):
            # What a block says that it takes, every use is given, used or not, and where two values are one.
            body.inputs = [*several, *(value for value in body.inputs if value not in several)]
        return body

    def node(self, node: Node) -> BodyItem:
        printed = self.printed(node)
        # A named merge has its scope's path, which in a repeat ends in the number of the copy.
        name = node.op.opname if node.path == node.scope else node.name
        borrowed = self.borrowed(node)
        item = BodyItem(name, list(node.inputs), [v for v, _ in node.values()], node.when, node, borrowed or printed)
        if node.op.output_names[1:]:
            item.labels = node.op.output_names
        # An expression has no module that it could call again.
        item.shares = self.sharing.of_node(node) if item.is_module else ""
        return item

    def borrowed(self, node: Node) -> Code | None:
        """The expression for a node with the weights of another whose module it can't call; None where it can."""
        code = borrowed_form(self.graph, node)
        copies = self.graph.scopes.get(node.scope)
        if code is None and self.borrows and copies is not None and copies.path == self.borrows:
            # Copies that differ are lines of their own: this one calls the module itself.
            code = Code("{layer}(", ("{0}",))
        if code is None:
            return None
        path = self.sharing.here(node.weights_of)
        body = copies.parent if copies is not None and copies.kind == "repeat" else node.scope
        if body and not path.startswith(f"{body}."):
            what = f"in another body, around `{body}`"
            message = f"`{node.path}` is another op than `{node.weights_of}`, whose weights it uses, and stands {what}"
            fail("NS401", f"{message}: {UNSAYABLE}", node.span, help=_ONE_BODY)
        if self.copies is None:
            self.copies = places_of_copies(self.graph)
        return with_layer(code, submodule(self.copies, path, body))

    def group(self, group: Group) -> list[BodyItem]:
        """A scope as one step; the copies of a repeat that are no modules each as a step of its own."""
        scope = group.scope
        assert scope is not None
        if scope.weights_of and not is_second_call(self.graph, scope, group.nodes()):
            return self.borrowing(group, scope)
        with self.sharing.within(scope):
            body = self.body(group)
        if scope.kind == "repeat":
            if any(item.shares for item in body.items):
                fail("NS401", f"copies of `{scope.path}` share the weights of others: {UNSAYABLE}", scope.span)
            if not all(item.is_module for item in body.items):
                return self.expressions(scope, body)
        shares, loops = self.sharing.of_scope(scope), shares_one_owner(self.graph, scope)
        item = BodyItem(scope.name, body.inputs, body.outputs, scope.when, body=body, shares=shares, loops=loops)
        if len(scope.outputs) > 1 or len(body.outputs) > 1:
            item.labels = _labels(scope, body)
        return [item]

    def borrowing(self, group: Group, scope: Scope) -> list[BodyItem]:
        """The copies of an op with the weights of a layer that it does not equal; no other scope can be written."""
        if scope.kind != "repeat" or not all(isinstance(item, Node) for item in group.items):
            message = f"`{scope.path}` is no second call of `{scope.weights_of}`, whose weights it uses"
            fail("NS401", f"{message}, and no module has those of another: {UNSAYABLE}", scope.span, help=_ONE_BODY)
        outer, self.borrows = self.borrows, scope.path
        body = self.body(group)
        self.borrows = outer
        return self.expressions(scope, body)

    def expressions(self, scope: Scope, body: ScopeBody) -> list[BodyItem]:
        """The copies of a repeat whose op is written as an expression, by names that no other step has."""
        if any(item.is_module for item in body.items):
            fail("NS401", f"some copies of `{scope.path}` are modules and some are not: {UNSAYABLE}", scope.span)
        for item in body.items:
            item.name = f"{scope.name}.{item.name}"
            item.key = item.name, item.is_module
        return body.items


def _labels(scope: Scope, body: ScopeBody) -> tuple[str, ...]:
    """What the values that leave a scope are called: as its block says, else after the steps that give them."""
    copies = scope.kind == "repeat"
    names: dict[str, str] = {}
    for item in body.items:
        name = f"{scope.name}_{item.name}" if copies else item.name
        names.update(zip(item.outputs, item.labels or (name,), strict=False))
    if len(scope.outputs) > 1 and scope.block is not None:
        names.update(zip(scope.outputs, scope.block.outputs, strict=False))
    elif len(scope.outputs) == 1 and not scope.name.isdigit():
        names[scope.output] = scope.name
    return tuple(flat_names(names.get(value, "x") for value in body.outputs))


def is_chain(body: ScopeBody) -> bool:
    """Whether a body is modules one after another, so that `nn.Sequential` is it."""
    if len(body.inputs) != 1 or not body.items:
        return False
    previous = body.inputs[0]
    for item in body.items:
        if not item.is_module or item.code is not None or item.shares:
            return False
        if item.inputs != [previous] or len(item.outputs) != 1:
            return False
        if item.body is not None and item.body.kind == "repeat" and not is_chain(item.body):
            return False  # Its copies stand in a list.
        previous = item.outputs[0]
    return body.outputs == [previous]


def _choose_classes(body: ScopeBody, outermost: bool) -> None:
    """Blocks and the network are classes; so are scopes that are no chain, or have conditions deeper than one level.

    A repeat never is: its copies stand in a list, which `forward` goes through where they need other values too.
    """
    optional = any(item.when is not None for item in body.items)
    always = body.kind in ("block", "network")
    body.is_class = always or (body.kind != "repeat" and (not is_chain(body) or (optional and not outermost)))
    for item in body.items:
        if item.body is not None:
            _choose_classes(item.body, body.is_class)


def named_values(graph: Graph, body: ScopeBody) -> dict[str, str]:
    """The values that expressions in a class can name: the inputs of the block or network around it."""
    scope = body.scope
    while scope is not None and scope.block is None:
        scope = graph.scopes.get(scope.parent)
    if scope is None:
        return {i.name: i.name for i in graph.inputs}
    return {name: value for name, value in scope.inputs.items() if name != "input"}
