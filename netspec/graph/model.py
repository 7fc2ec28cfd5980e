"""The graph: nodes, flat and frozen, in topological order; scopes beside them keep the blocks of the spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from netspec.dims import symbols
from netspec.errors import closest
from netspec.expression import Expression
from netspec.graph.canonical import graph_hash
from netspec.graph.dag import NOTHING, Dag, Input, Mode, Node, Output
from netspec.graph.text import graph_text
from netspec.ops.base import Op
from netspec.source import Span
from netspec.types import Tensor, Weight, data_size

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "NOTHING",
    "Block",
    "Dag",
    "Graph",
    "Input",
    "Mode",
    "Node",
    "Output",
    "Scope",
    "ScopeKind",
    "SpecParameter",
]

ScopeKind = Literal["block", "branch", "merge", "repeat", "network", "body", "part"]


@dataclass(frozen=True, slots=True)
class SpecParameter:
    """A parameter of a spec or block: its name, kind (int, float, bool, str, list, body) and default.

    A required parameter has the default `...`.
    """

    name: str
    kind: str
    default: Any = ...
    span: Span | None = field(default=None, compare=False)

    @property
    def required(self) -> bool:
        return self.default is ...


@dataclass(frozen=True, slots=True)
class Block:
    """The head of a block, or of a network that is used as a step: its declaration without the body.

    `inputs` and `outputs` are its names for the values that enter and leave.
    """

    name: str
    parameters: tuple[SpecParameter, ...] = ()
    span: Span | None = None
    inputs: tuple[str, ...] = ("input",)
    outputs: tuple[str, ...] = ("output",)


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of the graph that the spec names: a use of a block or network, a branch, a named merge, a repeat.

    `path` is the prefix of the paths below it, `parent` the path of the scope around it. `params` are the arguments of
    a use, `written` their expressions. `inputs` are the values that enter, by their names in expressions; `outputs` are
    the values that leave, in the order of the block's outputs. `count` is the expression of a repeat, and `when` the
    condition of the step. `weights_of` is the path of the scope or node whose weights it shares, "" if it shares none.
    """

    path: str
    kind: ScopeKind
    parent: str = ""
    outputs: tuple[str, ...] = ()
    block: Block | None = None
    params: Mapping[str, Any] = NOTHING
    written: Mapping[str, Expression] = NOTHING
    inputs: Mapping[str, str] = NOTHING
    when: Expression | None = None
    count: Expression | None = None
    span: Span | None = None
    weights_of: str = ""

    @property
    def output(self) -> str:
        """The first output of the scope."""
        return self.outputs[0]

    @property
    def name(self) -> str:
        """The path relative to the scope around it."""
        return self.path[len(self.parent) + 1 :] if self.parent else self.path


@dataclass(frozen=True, repr=False)
class Graph(Dag):
    """The graph of a network, with the scopes and parameters of its spec. Only an Assembler creates one.

    `params` are the spec's parameters with their values, which expressions may read. `decided` are the names of those
    that decided things which the graph does not show: which steps were left out, and how large an input is. `vanished`
    are the names of those that left out a step everywhere, in all uses and copies.
    """

    scopes: Mapping[str, Scope] = NOTHING
    params: Mapping[str, Any] = NOTHING
    title: str = ""
    source: str = ""
    decided: frozenset[str] = frozenset()
    vanished: frozenset[str] = frozenset()

    @cached_property
    def nominal(self) -> Mapping[str, int]:
        """The sizes of symbols for totals: a batch of 1, and the nominal sizes of the inputs and of the ops."""
        return self.sizes({})

    def sizes(self, given: Mapping[str, int]) -> dict[str, int]:
        """The sizes of symbols for totals, where some are given: nominal ones, at those, for all others."""
        sizes = {"N": 1}
        for i in self.inputs:
            sizes.update(i.nominal)
        sizes.update(given)
        for node in self.nodes:
            if type(node.op).nominal is not Op.nominal:
                of_data = _nominal_sizes(node, self.input_types(node), sizes)
                sizes.update({name: size for name, size in of_data.items() if name not in given})
        return sizes

    @cached_property
    def symbols(self) -> frozenset[str]:
        """The names of all symbolic sizes of inputs and values."""
        # Few types are different objects.
        distinct = {id(type): type for type in self.types.values()}
        return frozenset(symbols([size for type in distinct.values() for size in type.shape]))

    def __getitem__(self, path: str) -> Node:
        """The node at a path. Raises KeyError with a hint at a similar path."""
        node = self.by_path.get(path)
        if node is None:
            hint = "it is a scope: `graph.scopes` has it" if path in self.scopes else closest(path, self.by_path)
            raise KeyError(f"no node `{path}`" + (f"; {hint}" if hint else ""))
        return node

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def state(self) -> dict[str, Weight]:
        """All weights by their keys in the state dict; a shared weight is listed once, under its owner."""
        weights: dict[str, Weight] = {}
        for node in self.nodes:
            for weight in self.weights(node):
                weights.setdefault(weight.key(node.weights_of), weight)
        return weights

    def at(self, **sizes: int) -> dict[str, Tensor]:
        """The type of every value with numbers for symbols: those in `sizes`, else nominal ones, and 1 for `N`."""
        values = self.sizes(sizes)
        return {value: type.at(values) for value, type in self.types.items()}

    def hash(self) -> str:
        """The SHA-256 of the graph's computation, in 64 hexadecimal digits; it ignores names and blocks.

        See `netspec.graph.canonical`.
        """
        return graph_hash(self)

    def to_networkx(self, mode: Mode = "train") -> nx.MultiDiGraph[Any]:
        """The graph as a networkx graph, for questions about paths through it: see `netspec.graph.nx`."""
        from netspec.graph.nx import to_networkx  # imports networkx, which few need

        return to_networkx(self, mode)

    def longest_path(self, mode: Mode = "inference") -> list[str]:
        """The longest path through the graph, from an input to a node, as names and node paths."""
        from netspec.graph.nx import longest_path

        return longest_path(self, mode)

    def cut_vertices(self, mode: Mode = "inference") -> list[str]:
        """The nodes on every path from an input to an output, where the network can be split."""
        from netspec.graph.nx import cut_vertices

        return cut_vertices(self, mode)

    def __str__(self) -> str:
        return graph_text(self)

    def __repr__(self) -> str:
        return f"Graph({self.name!r}, {len(self):,} nodes)"


def _nominal_sizes(node: Node, inputs: tuple[Tensor, ...], sizes: Mapping[str, int]) -> dict[str, int]:
    """The nominal sizes that an op says of its sizes that depend on the data, by the graph's symbols for them.

    `sizes` are those of the symbols in the types of its inputs.
    """
    inferred = node.op.infer(*inputs)
    rule_types = inferred if isinstance(inferred, tuple) else (inferred,)
    nominal = {data_size(number): size for number, size in enumerate(node.op.nominal(*[x.at(sizes) for x in inputs]))}
    return {
        str(symbol): nominal[size]
        for rule_type, type in zip(rule_types, node.types, strict=True)
        for size, symbol in zip(rule_type.shape, type.shape, strict=True)
        if size in nominal
    }
