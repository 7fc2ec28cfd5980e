"""The graph as nested bodies: for each scope the values that enter and leave it, and its items in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from netspec.backends.pytorch.escapes import Escapes, several_inputs
from netspec.backends.pytorch.exact import exactly
from netspec.backends.pytorch.submodule import places_of_copies, submodule
from netspec.errors import fail
from netspec.expression import Expression
from netspec.graph.borrow import SecondCalls, borrowed_form, shares_one_owner, with_layer
from netspec.graph.memo import NodeMemo
from netspec.graph.model import Graph, Node, Scope
from netspec.graph.paths import is_below
from netspec.graph.rebuild import flat_names
from netspec.graph.sharing import Sharing
from netspec.graph.tree import Group, tree
from netspec.types import Code, Layer, Printed

_ONE_BODY = "give it the same arguments, or let the ops that share weights stand in one body"
NOT_IN_PYTORCH = "PyTorch source can't say that"
"""The end of error messages about graphs that can't be written as PyTorch source."""


@dataclass(slots=True, eq=False, repr=False)
class BodyItem:
    """One step of a body: a node, or an inner body."""

    name: str
    inputs: list[str]
    outputs: list[str]
    when: Expression | None = None
    node: Node | None = None
    printed: Printed | None = None
    body: ScopeBody | None = None
    labels: tuple[str, ...] = ()
    """The names of its outputs, if there are several."""
    shares: str = ""
    """The name of the item whose module it calls a second time; "" for an item with its own module."""
    loops: bool = False
    """Whether it calls the module of `shares` once for each of its copies."""
    is_module: bool = field(init=False)
    key: tuple[str, bool] = field(init=False)
    """Identifies the item in its body. The name alone does not: a merge may be named like one of its branches."""

    def __post_init__(self) -> None:
        self.is_module = self.body is not None or isinstance(self.printed, Layer)
        self.key = self.name, self.is_module

    def __repr__(self) -> str:
        return f"BodyItem({self.name!r})"

    @property
    def word(self) -> str:
        """Its name as a part of an identifier."""
        return self.name.replace(".", "_")

    @property
    def code(self) -> Code | None:
        """The expression for the item in `forward`, unless it is a plain call of a module, such as `self.conv(x)`."""
        if isinstance(self.printed, Layer):
            return self.printed.call
        return self.printed if isinstance(self.printed, Code) else None

    @property
    def unpack(self) -> str:
        """How its outputs come out of the call of its module, such as `{0}, ({1}, {2})`; "" if they are not nested."""
        return self.printed.unpack if isinstance(self.printed, Layer) else ""


@dataclass(slots=True, eq=False, repr=False)
class ScopeBody:
    """The content of a scope, or of the network itself if `scope` is None."""

    scope: Scope | None
    inputs: list[str] = field(default_factory=list[str])
    outputs: list[str] = field(default_factory=list[str])
    training: list[str] = field(default_factory=list[str])
    """The outputs that are computed in training only; only the body of the network has any."""
    items: list[BodyItem] = field(default_factory=list[BodyItem])
    is_class: bool = False
    """Whether it prints as a class of its own."""

    def __repr__(self) -> str:
        return f"ScopeBody({self.path!r})"

    @property
    def kind(self) -> str:
        return self.scope.kind if self.scope else "network"

    @property
    def path(self) -> str:
        return self.scope.path if self.scope else ""

    @property
    def chained(self) -> list[str]:
        """The values that enter the first copy of a repeat; each copy computes those that enter the next one."""
        values = self.scope.inputs.values() if self.scope is not None and self.scope.inputs else self.inputs[:1]
        return list(values)

    @property
    def entry(self) -> str | None:
        """The value that `input` means in the spec's expressions here."""
        if self.scope is not None and "input" in self.scope.inputs:
            return self.scope.inputs["input"]
        return self.inputs[0] if self.inputs else None


def bodies(graph: Graph) -> ScopeBody:
    """The body of the network with all bodies inside it, each marked if it prints as a class."""
    root = _Reader(graph).body(tree(graph))
    root.inputs = [i.name for i in graph.inputs]
    root.outputs = [o.value for o in graph.outputs if o.mode == "inference"]
    root.training = [o.value for o in graph.outputs if o.mode == "train"]
    _choose_classes(root, True)
    return root


class _Reader:
    """Reads the scopes of a graph as bodies."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.leaves = Escapes(graph).leaves
        self.sharing = Sharing(graph, NOT_IN_PYTORCH)
        self.second_calls = SecondCalls(graph)
        self.copies: dict[str, int] | None = None
        self.borrows = ""
        """The path of the repeat that is being read, if its copies borrow weights; else ""."""
        self.printed = NodeMemo(graph, lambda node, types: exactly(node, node.op.torch(*types)))
        """The printed form of a node, computed once for each op and types of inputs."""

    def body(self, group: Group) -> ScopeBody:
        """The body of a scope: its items, and the values that enter and leave it."""
        body = ScopeBody(group.scope)
        computed: set[str] = set()
        for child in group.items:
            for item in [self.node(child)] if isinstance(child, Node) else self.group(child):
                body.inputs += [v for v in dict.fromkeys(item.inputs) if v not in computed and v not in body.inputs]
                # An item that returns one of its inputs computes no new value.
                computed.update(value for value in item.outputs if value not in item.inputs)
                body.items.append(item)
        outputs = [v for item in body.items for v in item.outputs if v not in item.inputs and self.leaves(v, body.path)]
        body.outputs = list(dict.fromkeys(outputs))
        if group.scope is not None:
            self.declare(body, group.scope, computed)
        return body

    def declare(self, body: ScopeBody, scope: Scope, computed: set[str]) -> None:
        """Order the inputs and outputs of a body as its scope declares them, and add declared ones that nothing uses.

        All uses of a block then have the same number of inputs and outputs.
        """
        if len(scope.outputs) > 1:
            body.outputs = list(dict.fromkeys([*(v for v in scope.outputs if v in computed), *body.outputs]))
        if not body.outputs:
            # Nothing uses the scope: it returns its declared output, which may be one of its inputs.
            body.outputs = [scope.output]
            if scope.output not in computed and scope.output not in body.inputs:
                body.inputs.append(scope.output)
        entering = [value for value in scope.inputs.values() if value in body.inputs]
        body.inputs = list(dict.fromkeys([*entering, *body.inputs]))
        if several := several_inputs(scope):
            # Two inputs may be one value, which then enters twice.
            body.inputs = [*several, *(value for value in body.inputs if value not in several)]

    def node(self, node: Node) -> BodyItem:
        printed = self.printed(node)
        # A named merge has its scope's path, which in a repeat ends in the number of the copy.
        name = node.op.opname if node.path == node.scope else node.name
        borrowed = self.borrowed(node)
        item = BodyItem(name, list(node.inputs), [v for v, _ in node.values()], node.when, node, borrowed or printed)
        if node.op.named_outputs[1:]:
            item.labels = _output_labels(node)
        # An item that prints as an expression has no module to share.
        item.shares = self.sharing.of_node(node) if item.is_module else ""
        return item

    def borrowed(self, node: Node) -> Code | None:
        """The expression for a node that uses the weights of a different op; None if it can call the owner's module."""
        code = borrowed_form(self.graph, node)
        copies = self.graph.scopes.get(node.scope)
        if code is None and self.borrows and copies is not None and copies.path == self.borrows:
            # Copies that differ are printed one by one: this one can call the module.
            code = Code("{layer}(", ("{0}",))
        if code is None:
            return None
        path = self.sharing.here(node.weights_of)
        body = copies.parent if copies is not None and copies.kind == "repeat" else node.scope
        if not is_below(path, body):
            what = f"in another body, around `{body}`"
            message = f"`{node.path}` is another op than `{node.weights_of}`, whose weights it uses, and stands {what}"
            fail("NS401", f"{message}: {NOT_IN_PYTORCH}", node.span, help=_ONE_BODY)
        if self.copies is None:
            self.copies = places_of_copies(self.graph)
        return with_layer(code, submodule(self.copies, path, body))

    def group(self, group: Group) -> list[BodyItem]:
        """A scope as one item, or as one item for each copy if it is a repeat of an op that prints as an expression."""
        scope = group.scope
        assert scope is not None
        if scope.weights_of and not self.second_calls.has(scope, group.nodes()):
            return self.borrowing(group, scope)
        with self.sharing.within(scope):
            body = self.body(group)
        if scope.kind == "repeat":
            if any(item.shares for item in body.items):
                fail("NS401", f"copies of `{scope.path}` share the weights of others: {NOT_IN_PYTORCH}", scope.span)
            if not all(item.is_module for item in body.items):
                return self.expressions(scope, body)
        shares, loops = self.sharing.of_scope(scope), shares_one_owner(self.graph, scope)
        item = BodyItem(scope.name, body.inputs, body.outputs, scope.when, body=body, shares=shares, loops=loops)
        if len(scope.outputs) > 1 or len(body.outputs) > 1:
            item.labels = _labels(scope, body)
        return [item]

    def borrowing(self, group: Group, scope: Scope) -> list[BodyItem]:
        """The items of a repeat whose op uses the weights of a different layer. Raises NS401 for any other scope."""
        if scope.kind != "repeat" or not all(isinstance(item, Node) for item in group.items):
            message = f"`{scope.path}` is no second call of `{scope.weights_of}`, whose weights it uses"
            fail(
                "NS401", f"{message}, and no module has those of another: {NOT_IN_PYTORCH}", scope.span, help=_ONE_BODY
            )
        outer, self.borrows = self.borrows, scope.path
        body = self.body(group)
        self.borrows = outer
        return self.expressions(scope, body)

    def expressions(self, scope: Scope, body: ScopeBody) -> list[BodyItem]:
        """The items of a repeat whose op prints as an expression, renamed so that they are unique in the outer body."""
        if any(item.is_module for item in body.items):
            fail("NS401", f"some copies of `{scope.path}` are modules and some are not: {NOT_IN_PYTORCH}", scope.span)
        for item in body.items:
            item.name = f"{scope.name}.{item.name}"
            item.key = item.name, item.is_module
        return body.items


def _output_labels(node: Node) -> tuple[str, ...]:
    """The labels of a node's outputs: their names, or the step's name with numbers where attributes decide how many."""
    names = node.op.named_outputs
    return names if names == node.op.output_names else tuple([n.replace("output", node.name, 1) for n in names])


def _labels(scope: Scope, body: ScopeBody) -> tuple[str, ...]:
    """Names for the outputs of a scope: as its block declares them, else the names of the steps that compute them."""
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
    """Whether a body is a chain of modules, which `nn.Sequential` can hold."""
    if len(body.inputs) != 1 or not body.items:
        return False
    previous = body.inputs[0]
    for item in body.items:
        if not item.is_module or item.code is not None or item.shares:
            return False
        if item.inputs != [previous] or len(item.outputs) != 1:
            return False
        if item.body is not None and item.body.kind == "repeat" and not is_chain(item.body):
            return False  # Its copies are in a list, which has no forward method.
        previous = item.outputs[0]
    return body.outputs == [previous]


def _choose_classes(body: ScopeBody, outermost: bool) -> None:
    """Decide which bodies print as classes.

    Blocks and networks do, and scopes that are no chain or have conditions below the first level of a class. Repeats
    never do: their copies are in a list, which `forward` goes through where `nn.Sequential` can't call them.
    """
    optional = any(item.when is not None for item in body.items)
    always = body.kind in ("block", "network")
    body.is_class = always or (body.kind != "repeat" and (not is_chain(body) or (optional and not outermost)))
    for item in body.items:
        if item.body is not None:
            _choose_classes(item.body, body.is_class)


def named_values(graph: Graph, body: ScopeBody) -> dict[str, str]:
    """The values that expressions in a class can read by name: the inputs of the block or network around it."""
    scope = body.scope
    while scope is not None and scope.block is None:
        scope = graph.scopes.get(scope.parent)
    if scope is None:
        return {i.name: i.name for i in graph.inputs}
    return {name: value for name, value in scope.inputs.items() if name != "input"}
