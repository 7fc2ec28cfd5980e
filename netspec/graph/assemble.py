"""The Assembler builds a graph from nodes and scopes whose paths are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netspec.dims import Dim, symbol, symbols
from netspec.errors import closest, fail
from netspec.expression import Expression
from netspec.graph.borrow import check_borrowed
from netspec.graph.infer import check_sizes, infer
from netspec.graph.memo import op_key
from netspec.graph.model import NOTHING, Graph, Input, Mode, Node, Output, Scope
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
from netspec.ops.base import Op
from netspec.preprocess import Preprocess
from netspec.source import Span
from netspec.types import MOST_DATA_SIZES, Filling, Tensor, data_size

Checkpoint = tuple[int, int]
"""The numbers of nodes and scopes at a point of the construction."""

_DATA_SIZES = frozenset([data_size(number) for number in range(MOST_DATA_SIZES)])


@dataclass(frozen=True, slots=True)
class Recording:
    """The nodes and scopes below one path, which read the values `entries`; for `Assembler.replay`."""

    path: str
    entries: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    scopes: tuple[Scope, ...]


class Assembler:
    """Builds a graph from nodes and scopes whose paths the caller knows, as the elaborator of specs and `rebuild` do.

    Each node is checked when it is added, so that every graph is well-typed. A scope's path is claimed before its nodes
    are added, and the scope is added after them. To repeat a part under another path, on other values of the same
    types, record and replay it, which infers no types again:

    >>> from netspec.ops.activation import Relu
    >>> assembler = Assembler("twice")
    >>> x = assembler.input("x", ("N", 4))
    >>> start = assembler.checkpoint
    >>> y = assembler.node("a.relu", Relu(), (x,), scope="a")
    >>> recording = assembler.record("a", (x,), (y,), start)
    >>> assembler.replay(recording, "b", (y,))
    ('b.relu',)
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
        self.nodes: list[Node] = []
        self.scopes: dict[str, Scope] = {}
        self.last_sized_by_data = -1
        """The number of the last node with a size that depends on the data; -1 without one."""
        self.characters = 0
        """The total length of all paths."""
        self._inputs: list[Input] = []
        self._outputs: dict[str, Output] = {}
        self._scope_list: list[Scope] = []
        """The scopes in the order in which they were added."""
        self._paths: dict[str, int] = {}
        """The paths of inputs and nodes, each with the number of nodes before it: a node's own number."""
        self._scope_paths: set[str] = set()
        self._types: dict[Tensor, Tensor] = {}
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
        """Add an input, and return its name.

        `shape` has the batch first, and symbols by name: `["N", 3, "H", "W"]`. `nominal` are sizes of symbols, and
        `written` the expressions of sizes by axis; both may be left out.
        """
        check_module_name(name, "an input", span)
        dims = tuple(symbol(check_symbol(d, span)) if isinstance(d, str) else d for d in shape)
        self._claim(name)
        self.types[name] = self._interned(Tensor(dims, dtype))
        sizes = {s: size for s, size in (nominal or {}).items() if s in symbols(dims)}
        self._inputs.append(Input(name, self.types[name], sizes, span, written, preprocess))
        return name

    def output(
        self, name: str, value: str, mode: Mode = "inference", span: Span | None = None, labels: Labels = ()
    ) -> None:
        """Make a value an output of the graph; with `mode="train"`, an output in training only.

        `labels` are the names of its classes.
        """
        self.require(value, span=span)
        check_output_name(name, span)
        if name in self._outputs:
            fail("NS210", f"two outputs are called `{name}`", span)
        self._outputs[name] = Output(name, value, mode, span, labels)

    def build(self) -> Graph:
        """Create the graph. Raises NetspecError without an output, or if it can't run at its inputs' nominal sizes."""
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

    def require(self, *values: str, span: Span | None = None) -> None:
        """Raise NetspecError NS209 for a value that the graph does not have."""
        for value in values:
            if value not in self.types:
                fail("NS209", f"no value is called `{value}`", span, help=closest(value, self.types))

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
        """Add a node, and return its path, the name of its first output.

        `weights_of` is the path of an earlier node whose weights it uses; see `Node` for the other fields. Raises
        RuleError if the inputs do not fit the op, and NetspecError NS302 if the weights do not.
        """
        self._claim(path, span, scope)
        input_types = tuple([self.types[value] for value in inputs])
        types = self._infer(op, input_types)
        if weights_of and weights_of != path:
            weights_of = self._owner(weights_of, path, op, input_types, span)
        if not _DATA_SIZES.isdisjoint([size for type in types for size in type.shape]):
            types = self._sized_by_data(path, op.data_symbols, types)
        node = Node(path, op, inputs, types, weights_of or path, scope, span, written, when, init)
        self.nodes.append(node)
        if len(types) == 1:
            self.types[path] = types[0]
        else:
            self.types.update(node.values())
        return path

    def has_weights(self, node: Node) -> bool:
        """Whether a node has weights, of its own or borrowed ones."""
        return bool(node.op.weights(*[self.types[value] for value in node.inputs]))

    def claim_scope(self, path: str, span: Span | None = None) -> None:
        """Claim a path for a scope before its nodes are added. Raises NetspecError NS210 if it is taken."""
        if path in self._scope_paths or path in self._paths:
            fail("NS210", f"two things have the path `{path}`", span, help="give one of them a `name`")
        self._scope_paths.add(path)
        self.characters += len(path)

    def add_scope(self, scope: Scope) -> None:
        """Add a scope whose path was claimed, after its nodes."""
        self.scopes[scope.path] = scope
        self._scope_list.append(scope)

    @property
    def checkpoint(self) -> Checkpoint:
        """The present numbers of nodes and scopes, for methods that take a checkpoint `since`."""
        return len(self.nodes), len(self._scope_list)

    def scopes_since(self, checkpoint: Checkpoint) -> list[Scope]:
        """The scopes that were added since a checkpoint."""
        return self._scope_list[checkpoint[1] :]

    def record(self, path: str, entries: tuple[str, ...], outputs: tuple[str, ...], since: Checkpoint) -> Recording:
        """Record the nodes and scopes that were added below a path since a checkpoint.

        `entries` are the values that they read from outside, and `outputs` the values that `replay` returns.
        """
        return Recording(path, entries, outputs, tuple(self.nodes[since[0] :]), tuple(self.scopes_since(since)))

    def replay(self, recording: Recording, path: str, entries: tuple[str, ...]) -> tuple[str, ...]:
        """Add the nodes and scopes of a recording below another path, and return the new outputs.

        `entries` are the new values in place of the recorded ones, of the same types.
        """
        values = dict(zip(recording.entries, entries, strict=True))
        start = len(recording.path)
        # Scopes come before nodes, since a named merge has the path of its scope.
        for scope in recording.scopes:
            self.claim_scope(path + scope.path[start:], scope.span)
        for old in recording.nodes:
            node = Node(
                path + old.path[start:],
                old.op,
                tuple([values[value] for value in old.inputs]),
                old.types,
                path + old.weights_of[start:],
                path + old.scope[start:],
                old.span,
                old.written,
                old.when,
                old.init,
            )
            self._claim(node.path, node.span, node.scope)
            self.nodes.append(node)
            if len(node.types) == 1:
                values[old.path] = node.path
                self.types[node.path] = node.types[0]
            else:
                values.update(zip(dict(old.values()), dict(node.values()), strict=True))
                self.types.update(node.values())
        for scope in recording.scopes:
            self.add_scope(
                replace(
                    scope,
                    path=path + scope.path[start:],
                    parent=path + scope.parent[start:],
                    outputs=tuple([values[value] for value in scope.outputs]),
                    inputs={name: values[value] for name, value in scope.inputs.items()},
                    weights_of=path + scope.weights_of[start:] if scope.weights_of else "",
                )
            )
        return tuple([values[value] for value in recording.outputs])

    def share_weights(self, since: Checkpoint, owners: Mapping[str, str]) -> None:
        """Let nodes and scopes that were added since a checkpoint use the weights of others.

        `owners` has the path of the owner by the path of the node or scope. Raises NetspecError NS302 if weights do not
        fit, NS401 if an op can't be printed with them.
        """
        for number, node in enumerate(self.nodes[since[0] :], start=since[0]):
            if node.path in owners:
                types = tuple([self.types[value] for value in node.inputs])
                owner = self._owner(owners[node.path], node.path, node.op, types, node.span)
                self.nodes[number] = replace(node, weights_of=owner)
        for number, scope in enumerate(self.scopes_since(since), start=since[1]):
            if scope.path in owners:
                self._scope_list[number] = self.scopes[scope.path] = replace(scope, weights_of=owners[scope.path])

    def _infer(self, op: Op, input_types: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The types of an op's outputs, inferred once for each op and input types."""
        key = op_key(op, input_types)
        entry = self._inferred.get(key)
        if entry is None:
            # The entry keeps the op and the types alive, so that their ids in the key are not reused.
            entry = self._inferred[key] = (op, input_types, tuple([self._interned(t) for t in infer(op, input_types)]))
        return entry[2]

    def _owner(self, weights_of: str, path: str, op: Op, input_types: tuple[Tensor, ...], span: Span | None) -> str:
        """Check that the weights of the node at `weights_of` fit an op at `path`; return the path of their owner.

        That node may itself use the weights of another, the owner.
        """
        number = self._paths.get(weights_of, len(self.nodes))
        owner = self.nodes[number] if number < len(self.nodes) else None
        if owner is None or owner.path != weights_of:
            message = f"no node before `{path}` is called `{weights_of}`, whose weights it would use"
            fail("NS209", message, span, help=closest(weights_of, [node.path for node in self.nodes]))
        owner = self.nodes[self._paths[owner.weights_of]]
        types = tuple([self.types[value] for value in owner.inputs])
        if op is not owner.op or input_types != types:
            check_borrowed(path, op, input_types, owner, types, span)
        return owner.path

    def _sized_by_data(self, path: str, wanted: tuple[str, ...], types: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The types with new symbols for the sizes that depend on the data.

        They are the `wanted` ones of the op, and named after the node's path where these are taken or there are none.
        """
        base = class_name(path.replace(".", "_"))
        taken = symbols([size for type in self.types.values() for size in type.shape])
        wanted_for = dict(zip(map(data_size, range(len(wanted))), wanted, strict=True))
        names: dict[str, Dim] = {}
        for size in sorted(_DATA_SIZES.intersection([size for type in types for size in type.shape]), key=str):
            name, number = wanted_for.get(size, base), 1
            if name in taken:
                name = base
            while name in taken or not is_symbol(name):
                number += 1
                name = f"{base if is_symbol(base) else 'Size'}_{number}"
            taken.add(name)
            names[str(size)] = symbol(name)
        self.last_sized_by_data = len(self.nodes)
        return tuple([self._interned(type.at(names)) for type in types])

    def _interned(self, type: Tensor) -> Tensor:
        """The one object for all types equal to this, so that equality is identity."""
        return self._types.setdefault(type, type)

    def _claim(self, path: str, span: Span | None = None, scope: str = "") -> None:
        """Claim a path for a node or an input. Raises NetspecError NS210 if it is taken."""
        # A named merge is a node and a scope with the same path; nothing else may be both.
        if path in self._paths or (path in self._scope_paths and scope != path):
            fail("NS210", f"two things have the path `{path}`", span, help="give one of them a `name`")
        self._paths[path] = len(self.nodes)
        self.characters += len(path)

    def _is_taken(self, path: str) -> bool:
        return path in self._paths or path in self._scope_paths
