"""The Builder, the only way to make a graph."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

from netspec.dims import Dim, symbol, symbols
from netspec.errors import Diagnostic, NetspecError, choices, closest, fail
from netspec.expression import Expression
from netspec.graph.borrow import check_borrowed
from netspec.graph.infer import check_sizes, infer, located
from netspec.graph.model import NOTHING, Block, Graph, Input, Mode, Node, Output, Scope, ScopeKind, SpecParameter
from netspec.labels import Labels
from netspec.naming import (
    check_class_name,
    check_module_name,
    check_name,
    check_output_name,
    check_parameter_name,
    check_symbol,
    class_name,
    is_symbol,
)
from netspec.ops.base import Op, RuleError, make_op
from netspec.ops.own import find_op, op_names
from netspec.preprocess import Preprocess
from netspec.source import Span
from netspec.types import DATA, Filling, Tensor


@dataclass(frozen=True, slots=True)
class Recording:
    """What a builder made under one path from some values: for `Builder.again`."""

    path: str
    entries: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    scopes: tuple[Scope, ...]


class Builder:
    """Builds a graph node by node, checking each: values go in and come out by name.

    >>> b = Builder("tiny")
    >>> image = b.input("image", ["N", 3, 32, 32])
    >>> x = b.add("conv2d", image, name="conv1", out_channels=16, kernel_size=3, padding=1)
    >>> with b.scope("head"):
    ...     x = b.add("adaptive_avg_pool2d", x, output_size=1)
    ...     x = b.add("flatten", x)
    ...     x = b.add("linear", x, name="fc", out_features=10)
    >>> b.output("logits", x)
    >>> graph = b.build()
    >>> graph["head.fc"].type
    Tensor(shape=(<N>, 10), dtype='float32')
    """

    def __init__(
        self, name: str, *, title: str = "", source: str = "", params: Mapping[str, Any] | None = None
    ) -> None:
        self.name = check_class_name(check_name(name, "a network", None), "a network", None)
        self.title = title
        self.source = source
        self.decided: set[str] = set()
        self.vanished: set[str] = set()
        self.params: dict[str, Any] = {check_parameter_name(n, None): v for n, v in (params or {}).items()}
        self.types: dict[str, Tensor] = {}
        self.scopes: dict[str, Scope] = {}
        self._opened: list[Scope] = []
        self._types: dict[Tensor, Tensor] = {}
        self.nodes: list[Node] = []
        self._paths: dict[str, int] = {}
        """Paths that are taken, each with the number of the next node then: its own, where it is a node's."""
        self.last_sized_by_data = -1
        """The number of the last node that has a size which only the data tell."""
        self.characters = 0
        """How long all paths are together."""
        self._scope_paths: set[str] = set()
        self._inputs: list[Input] = []
        self._outputs: dict[str, Output] = {}
        self._here = ""
        self._numbers: dict[str, int] = {}
        self._inferred: dict[tuple[int, ...], tuple[Op, tuple[Tensor, ...], tuple[Tensor, ...]]] = {}

    def input(
        self,
        name: str,
        shape: Sequence[Dim | str],
        dtype: str = "float32",
        nominal: Mapping[str, int] | None = None,
        span: Span | None = None,
        written: Mapping[int, Expression] = NOTHING,
        preprocess: Preprocess | None = None,
    ) -> str:
        """An input: its shape, batch first, with symbols by name (`["N", 3, "H", "W"]`)."""
        check_module_name(name, "an input", span)
        dims = tuple(symbol(check_symbol(d, span)) if isinstance(d, str) else d for d in shape)
        self._claim(name)
        self.types[name] = self._one(Tensor(dims, dtype))
        known = {s: size for s, size in (nominal or {}).items() if s in symbols(dims)}
        self._inputs.append(Input(name, self.types[name], known, span, written, preprocess))
        return name

    def add(self, op: str | Op, *inputs: str, name: str = "", weights_of: str = "", **attributes: Any) -> str:
        """A node: an op, or an op's name with attributes, on values; gives its first output's name.

        The node stands in the scope that is open, under `name`, else under the op's name with a number
        where that is taken. It uses the weights of the node at the path `weights_of`, where one is given. Raises
        NetspecError where attributes, inputs or those weights do not fit.
        """
        made = _op_of(op, attributes)
        self.need(*inputs)
        path = self._path(check_module_name(name, "a node", None) if name else self._free_name(made.opname))
        try:
            return self.node(path, made, inputs, weights_of=weights_of, scope=self._here)
        except RuleError as error:
            raise located(error, path) from None

    @contextmanager
    def scope(self, name: str, kind: ScopeKind = "block", block: str = "", **params: Any) -> Generator[str, None, None]:
        """A scope that nodes added inside belong to: a use of a block, by default one of the scope's own name."""
        path = self._path(check_module_name(name, "a scope", None))
        check_class_name(check_module_name(block or name, "a block", None), "a block", None)
        self.claim_scope(path)
        declared = tuple(SpecParameter(p, type(value).__name__) for p, value in params.items())
        made = Block(block or name, declared) if kind == "block" else None
        outer, self._here = self._here, path
        before = len(self.nodes)
        try:
            yield path
        finally:
            self._here = outer
        if len(self.nodes) > before:
            inside = self.nodes[before:]
            own = {value for node in inside for value, _ in node.values()}
            entering = [value for node in inside for value in node.inputs if value not in own]
            inputs = {"input": entering[0]} if entering else NOTHING
            shared = self._shared_scope(path, inside)
            self.open(Scope(path, kind, outer, (inside[-1].path,), made, params, inputs=inputs, weights_of=shared))

    def _shared_scope(self, path: str, inside: Sequence[Node]) -> str:
        """The scope beside it whose weights its nodes use, each those of the node at the same path; "" for none."""
        owners = {n.weights_of.removesuffix(n.path[len(path) :]) for n in inside if self._has_weights(n)}
        owner = owners.pop() if len(owners) == 1 else ""
        if owner == path or owner not in self.scopes or self.scopes[owner].parent != self._here:
            return ""
        needed, owned = (
            {n.path[len(scope) :] for n in nodes if n.path.startswith(f"{scope}.") and self._has_weights(n)}
            for scope, nodes in ((path, inside), (owner, self.nodes))
        )
        return owner if needed == owned else ""

    def _has_weights(self, node: Node) -> bool:
        return bool(node.op.weights(*[self.types[value] for value in node.inputs]))

    def output(
        self, name: str, value: str, mode: Mode = "inference", span: Span | None = None, labels: Labels = ()
    ) -> None:
        """Make a value an output of the graph; with `mode="train"` one that is built in training only.

        `labels` are the names of its classes.
        """
        self.need(value, span=span)
        check_output_name(name, span)
        if name in self._outputs:
            fail("NS210", f"two outputs are called `{name}`", span)
        self._outputs[name] = Output(name, value, mode, span, labels)

    def build(self) -> Graph:
        """The graph as it stands; refused where it can't be at the nominal sizes of its inputs."""
        if not self._outputs:
            fail("NS201", f"`{self.name}` has no output", help="name one with `output`")
        graph = Graph(
            self.name,
            tuple(self._inputs),
            tuple(self._outputs.values()),
            tuple(self.nodes),
            dict(self.scopes),
            dict(self.params),
            self.title,
            self.source,
            frozenset(self.decided),
            frozenset(self.vanished),
        )
        check_sizes(graph, {s: size for i in self._inputs for s, size in i.nominal.items()}, "the nominal sizes ")
        return graph

    def need(self, *values: str, span: Span | None = None) -> None:
        """Refuse values that are not made yet."""
        for value in values:
            if value not in self.types:
                fail("NS209", f"no value is called `{value}`", span, help=closest(value, self.types))

    # What follows is for those who know the paths: the elaborator of specs, and passes.

    def node(
        self,
        path: str,
        op: Op,
        inputs: tuple[str, ...],
        *,
        weights_of: str = "",
        scope: str = "",
        span: Span | None = None,
        written: Mapping[str, Expression] = NOTHING,
        when: Expression | None = None,
        init: Mapping[str, Filling] = NOTHING,
    ) -> str:
        """A node at a path that is known; raises RuleError where the inputs do not fit.

        `weights_of` is a node made before, whose weights it uses: NetspecError NS302 where they do not fit.
        """
        self._claim(path, span, scope)
        types = self.types
        given = tuple([types[value] for value in inputs])
        # Specs use one op on one type over and over: by identity (kept alive here) that is found fastest.
        key = (id(op), *map(id, given))
        known = self._inferred.get(key)
        if known is None:
            known = self._inferred[key] = (op, given, tuple([self._one(t) for t in infer(op, given)]))
        inferred = known[2]
        if weights_of and weights_of != path:
            weights_of = self._owner(weights_of, path, op, given, span)
        if any(DATA in type.shape for type in inferred):
            inferred = self._sized_by_data(path, inferred)
        made = Node(path, op, inputs, inferred, weights_of or path, scope, span, written, when, init)
        self.nodes.append(made)
        if len(inferred) == 1:
            types[path] = inferred[0]
        else:
            types.update(made.values())
        return path

    def _owner(self, weights_of: str, path: str, op: Op, given: tuple[Tensor, ...], span: Span | None) -> str:
        """The path of the node that owns the weights of one, once they fit another."""
        number = self._paths.get(weights_of, len(self.nodes))
        owner = self.nodes[number] if number < len(self.nodes) else None
        if owner is None or owner.path != weights_of:
            message = f"no node before `{path}` is called `{weights_of}`, whose weights it would use"
            fail("NS209", message, span, help=closest(weights_of, [node.path for node in self.nodes]))
        owner = self.nodes[self._paths[owner.weights_of]]
        types = tuple([self.types[value] for value in owner.inputs])
        if op is not owner.op or given != types:
            check_borrowed(path, op, given, owner, types, span)
        return owner.path

    def _sized_by_data(self, path: str, types: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Types with a symbol of the node's own for the size that only the data tell."""
        base = name = class_name(path.replace(".", "_"))
        taken = symbols([size for type in self.types.values() for size in type.shape])
        number = 1
        while name in taken or not is_symbol(name):
            number += 1
            name = f"{base if is_symbol(base) else 'Size'}_{number}"
        self.last_sized_by_data = len(self.nodes)
        return tuple([self._one(type.at({"Data": symbol(name)})) for type in types])

    def _one(self, type: Tensor) -> Tensor:
        """One object for all equal types, so that identity is equality."""
        return self._types.setdefault(type, type)

    def again(self, first: Recording, path: str, entries: tuple[str, ...]) -> tuple[str, ...]:
        """A region once more, under another path and on other values of the types it began with; what leaves it."""
        values = dict(zip(first.entries, entries, strict=True))
        start = len(first.path)
        # Before the nodes, since a named merge has the path of its scope.
        for scope in first.scopes:
            self.claim_scope(path + scope.path[start:], scope.span)
        for node in first.nodes:
            made = Node(
                path + node.path[start:],
                node.op,
                tuple([values[value] for value in node.inputs]),
                node.types,
                path + node.weights_of[start:],
                path + node.scope[start:],
                node.span,
                node.written,
                node.when,
                node.init,
            )
            self._claim(made.path, made.span, made.scope)
            self.nodes.append(made)
            for (old, _), (new, type) in zip(node.values(), made.values(), strict=True):
                values[old] = new
                self.types[new] = type
        for scope in first.scopes:
            inner, parent = path + scope.path[start:], path + scope.parent[start:]
            inputs = {name: values[value] for name, value in scope.inputs.items()}
            outputs = tuple([values[value] for value in scope.outputs])
            shared = path + scope.weights_of[start:] if scope.weights_of else ""
            self.open(replace(scope, path=inner, parent=parent, outputs=outputs, inputs=inputs, weights_of=shared))
        return tuple([values[value] for value in first.outputs])

    def region(
        self, path: str, entries: tuple[str, ...], outputs: tuple[str, ...], since: tuple[int, int]
    ) -> Recording:
        """What was made since a mark, for `again`."""
        return Recording(path, entries, outputs, tuple(self.nodes[since[0] :]), tuple(self._opened[since[1] :]))

    def scopes_since(self, mark: tuple[int, int]) -> list[Scope]:
        """The scopes that were opened since a mark."""
        return self._opened[mark[1] :]

    @property
    def mark(self) -> tuple[int, int]:
        """How many nodes and scopes there are."""
        return len(self.nodes), len(self._opened)

    def share(self, since: tuple[int, int], owners: Mapping[str, str]) -> None:
        """Let nodes and scopes that were made since a mark use the weights of others: paths by paths.

        Raises NetspecError NS302 where weights do not fit, else NS401 where an op can't be written with them.
        """
        for number, node in enumerate(self.nodes[since[0] :], start=since[0]):
            if node.path in owners:
                types = tuple([self.types[value] for value in node.inputs])
                owner = self._owner(owners[node.path], node.path, node.op, types, node.span)
                self.nodes[number] = replace(node, weights_of=owner)
        for number, scope in enumerate(self._opened[since[1] :], start=since[1]):
            if scope.path in owners:
                self._opened[number] = self.scopes[scope.path] = replace(scope, weights_of=owners[scope.path])

    def claim_scope(self, path: str, span: Span | None = None) -> None:
        """Take a path for a scope before what is in it is made; NS210 where it is taken."""
        if path in self._scope_paths or path in self._paths:
            fail("NS210", f"two things have the path `{path}`", span, help="give one of them a `name`")
        self._scope_paths.add(path)
        self.characters += len(path)

    def open(self, scope: Scope) -> None:
        """A scope at a path that is known, once what is in it is made."""
        self.scopes[scope.path] = scope
        self._opened.append(scope)

    def _claim(self, path: str, span: Span | None = None, scope: str = "") -> None:
        # A named merge is a node and a scope of one path; nothing else may be.
        if path in self._paths or (path in self._scope_paths and scope != path):
            fail("NS210", f"two things have the path `{path}`", span, help="give one of them a `name`")
        self._paths[path] = len(self.nodes)
        self.characters += len(path)

    def _path(self, name: str) -> str:
        return f"{self._here}.{name}" if self._here else name

    def _free_name(self, base: str) -> str:
        # Counting goes on where it stopped, so that many nodes of one op do not take ever longer.
        number = self._numbers.get(self._path(base), 0)
        name = ""
        while not name or self._path(name) in self._paths or self._path(name) in self._scope_paths:
            number += 1
            name = base if number == 1 else f"{base}_{number}"
        self._numbers[self._path(base)] = number
        return name


def _op_of(op: str | Op, attributes: Mapping[str, Any]) -> Op:
    if isinstance(op, Op):
        return op
    cls = find_op(op)
    if cls is None:
        fail("NS203", f"there is no op `{op}`", help=closest(op, op_names()) or f"ops are {choices(op_names())}")
    given = {name: _listed(value) for name, value in attributes.items()}
    made, problems = make_op(cls, given)
    if made is None:
        raise NetspecError(*(Diagnostic(p.code, p.message, help=p.help) for p in problems))
    return made


def _listed(value: Any) -> Any:
    """A tuple as the list that attributes take."""
    return list(cast(tuple[Any, ...], value)) if isinstance(value, tuple) else value
