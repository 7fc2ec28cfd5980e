"""The graph: flat, frozen, in topological order, with the blocks it came from kept beside it as scopes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from netspec.errors import closest
from netspec.expression import Expression
from netspec.graph.canonical import graph_hash
from netspec.graph.dag import NOTHING, Dag, Input, Mode, Node, Output
from netspec.graph.text import graph_text
from netspec.source import Span
from netspec.types import Tensor, Weight

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
    """A block's parameter: its name, kind (`int float bool str list body`) and default, `...` where there is none."""

    name: str
    kind: str
    default: Any = ...
    span: Span | None = field(default=None, compare=False)

    @property
    def required(self) -> bool:
        return self.default is ...


@dataclass(frozen=True, slots=True)
class Block:
    """The head of a block, or of a network that is a step: all that a spec says of it beside its body.

    `inputs` and `outputs` are its names for the values that enter and leave.
    """

    name: str
    parameters: tuple[SpecParameter, ...] = ()
    span: Span | None = None
    inputs: tuple[str, ...] = ("input",)
    outputs: tuple[str, ...] = ("output",)


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of the graph that the spec names: a use of a block or a network, a branch, a named merge, a repeat.

    `path` is the prefix of the paths below it, `parent` the scope around it. `params` are a use's
    arguments, `written` their expressions, `inputs` the values that enter by the names its expressions use,
    `outputs` the values that it gives, in the order of the block's outputs.
    `count` is the expression of a repeat; `when` the condition under which the step is there. `weights_of` is the path
    of the scope whose weights it uses, where a step shares those of an earlier one.
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
        """The value that the scope gives; of several the first."""
        return self.outputs[0]

    @property
    def name(self) -> str:
        """The part of the path below the scope around it."""
        return self.path[len(self.parent) + 1 :] if self.parent else self.path


@dataclass(frozen=True, repr=False)
class Graph(Dag):
    """A network as it runs, with the scopes and parameters of its spec. Only an Assembler makes one.

    `params` are the spec's parameters with their values, which expressions in blocks may read; `decided` are
    those of them that decided what the graph does not show: which steps were left out, how large an input is.
    `vanished` are those of the decided that left out steps of which no copy and no use is there.
    """

    scopes: Mapping[str, Scope] = NOTHING
    params: Mapping[str, Any] = NOTHING
    title: str = ""
    source: str = ""
    decided: frozenset[str] = frozenset()
    vanished: frozenset[str] = frozenset()

    @cached_property
    def nominal(self) -> Mapping[str, int]:
        """The sizes that totals stand for: a batch of 1, and the inputs' nominal sizes."""
        sizes = {"N": 1}
        for i in self.inputs:
            sizes.update(i.nominal)
        return sizes

    def __getitem__(self, path: str) -> Node:
        """The node at a path; KeyError says what may have been meant."""
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
        """Every weight by its state_dict key; a shared one once, under the path that owns it."""
        weights: dict[str, Weight] = {}
        for node in self.nodes:
            for weight in self.weights(node):
                weights.setdefault(weight.key(node.weights_of), weight)
        return weights

    def at(self, **sizes: int) -> dict[str, Tensor]:
        """The type of every value with symbols replaced: `N` is 1 unless given, others take their nominal sizes."""
        values = {**self.nominal, **sizes}
        return {value: type.at(values) for value, type in self.types.items()}

    def hash(self) -> str:
        """A SHA-256 of what the graph computes, in 64 digits, blind to names and blocks: see `graph.canonical`."""
        return graph_hash(self)

    def to_networkx(self, mode: Mode = "train") -> nx.MultiDiGraph[Any]:
        """The graph in networkx, for questions about ways through it: see `graph.nx`."""
        from netspec.graph.nx import to_networkx  # loads networkx, which few ask for

        return to_networkx(self, mode)

    def longest_path(self, mode: Mode = "inference") -> list[str]:
        """The paths of the longest way through the graph, from an input to a node."""
        from netspec.graph.nx import longest_path

        return longest_path(self, mode)

    def cut_vertices(self, mode: Mode = "inference") -> list[str]:
        """The paths of the nodes that every way from input to output goes through: the network can be split there."""
        from netspec.graph.nx import cut_vertices

        return cut_vertices(self, mode)

    def __str__(self) -> str:
        return graph_text(self)

    def __repr__(self) -> str:
        return f"Graph({self.name!r}, {len(self):,} nodes)"
