"""The graph: flat, frozen, in topological order, with the blocks it came from kept beside it as scopes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from netspec.errors import closest
from netspec.expression import Expression
from netspec.labels import Labels
from netspec.ops.base import Op
from netspec.preprocess import Preprocess
from netspec.source import Span
from netspec.types import Filling, Tensor, Weight

if TYPE_CHECKING:
    import networkx as nx

Mode = Literal["inference", "train"]
ScopeKind = Literal["block", "branch", "merge", "repeat", "network", "body", "part"]


class _Nothing(Mapping[Any, Any]):
    """The empty mapping; hashable, so that it may be a default."""

    def __getitem__(self, key: Any) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "{}"

    def __hash__(self) -> int:
        return id(self)


NOTHING: Mapping[Any, Any] = _Nothing()


@dataclass(frozen=True, slots=True)
class Input:
    """A graph input; `nominal` gives its symbols the sizes that totals and examples use.

    `written` holds the expressions of the spec that gave axes their sizes, by number. `preprocess` says how an image
    becomes this input.
    """

    name: str
    type: Tensor
    nominal: Mapping[str, int] = NOTHING
    span: Span | None = None
    written: Mapping[int, Expression] = NOTHING
    preprocess: Preprocess | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A graph output: its name, the value it stands for, and whether it is built in training only.

    `labels` names the classes that it scores, along its axis 1; () where it has none.
    """

    name: str
    value: str
    mode: Mode = "inference"
    span: Span | None = None
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One op at one path.

    `inputs` are values: an input's name, a node's path, or `path:output` for a further output.
    `weights_of` is the path whose weights the node uses: its own, unless they are shared.
    `scope` is the innermost scope around it, "" for the network itself. `written` holds the expressions
    of the spec that gave attributes their values, `when` the condition that let the step stand.
    """

    path: str
    op: Op
    inputs: tuple[str, ...]
    types: tuple[Tensor, ...]
    weights_of: str
    scope: str = ""
    span: Span | None = None
    written: Mapping[str, Expression] = NOTHING
    when: Expression | None = None
    init: Mapping[str, Filling] = NOTHING

    @property
    def type(self) -> Tensor:
        """The type of the first output."""
        return self.types[0]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    def values(self) -> Iterator[tuple[str, Tensor]]:
        """Every output's value name with its type, the first under the path itself."""
        yield self.path, self.types[0]
        for name, type in zip(self.op.output_names[1:], self.types[1:], strict=True):
            yield f"{self.path}:{name}", type


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
    """What a spec says of a block or a network that is a step, beside its body.

    That is its name, its parameters, what it calls the values that enter and leave, and where it stands.
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
    `outputs` the values that stand for the whole, in the order of the block's outputs.
    `count` is the expression of a repeat; `when` the condition that let the step stand. `weights_of` is the path
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
        """The value that stands for the whole; of several the first."""
        return self.outputs[0]

    @property
    def name(self) -> str:
        """The part of the path below the scope around it."""
        return self.path[len(self.parent) + 1 :] if self.parent else self.path


@dataclass(frozen=True)
class Graph:
    """A network as it runs: nodes in topological order, all shapes inferred. Only a Builder makes one.

    `params` are the spec's parameters with their values, which expressions in blocks may read; `decided` are
    those of them that decided what the graph does not show: which steps were left out, how large an input is.
    `vanished` are those of the decided that left out steps of which no copy and no use is there.
    """

    name: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    nodes: tuple[Node, ...]
    scopes: Mapping[str, Scope] = NOTHING
    params: Mapping[str, Any] = NOTHING
    title: str = ""
    source: str = ""
    decided: frozenset[str] = frozenset()
    vanished: frozenset[str] = frozenset()

    @cached_property
    def types(self) -> Mapping[str, Tensor]:
        """The type of every value."""
        found = {i.name: i.type for i in self.inputs}
        for node in self.nodes:
            if len(node.types) == 1:
                found[node.path] = node.types[0]
            else:
                found.update(node.values())
        return found

    @cached_property
    def by_path(self) -> Mapping[str, Node]:
        """Every node by its path."""
        return {node.path: node for node in self.nodes}

    @cached_property
    def users(self) -> Mapping[str, tuple[Node, ...]]:
        """For every value, the nodes that read it."""
        found: dict[str, list[Node]] = {value: [] for value in self.types}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                found[value].append(node)
        return {value: tuple(nodes) for value, nodes in found.items()}

    @cached_property
    def nominal(self) -> Mapping[str, int]:
        """The sizes that totals stand for: a batch of 1, and the inputs' nominal sizes."""
        values = {"N": 1}
        for i in self.inputs:
            values.update(i.nominal)
        return values

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

    def input_types(self, node: Node) -> tuple[Tensor, ...]:
        """The types of a node's inputs."""
        types = self.types
        return tuple([types[value] for value in node.inputs])

    def weights(self, node: Node) -> tuple[Weight, ...]:
        """The weights a node uses."""
        return node.op.weights(*self.input_types(node))

    def state(self) -> dict[str, Weight]:
        """Every weight by its state_dict key; a shared one once, under the path that owns it."""
        found: dict[str, Weight] = {}
        for node in self.nodes:
            for weight in self.weights(node):
                found.setdefault(weight.key(node.weights_of), weight)
        return found

    def at(self, **sizes: int) -> dict[str, Tensor]:
        """The type of every value with symbols replaced: `N` is 1 unless given, others take their nominal sizes."""
        values = {**self.nominal, **sizes}
        return {value: type.at(values) for value, type in self.types.items()}

    def hash(self) -> str:
        """A SHA-256 of what the graph computes, in 64 digits, blind to names and blocks: see `graph.canonical`."""
        from netspec.graph.canonical import graph_hash

        return graph_hash(self)

    def to_networkx(self, mode: Mode = "train") -> nx.MultiDiGraph[Any]:
        """The graph in networkx, for questions about ways through it: see `graph.nx`."""
        from netspec.graph.nx import to_networkx

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
        from netspec.graph.text import graph_text

        return graph_text(self)

    def _repr_svg_(self) -> str:
        # The one import against the layers: a notebook asks the graph itself for its picture.
        from importlib import import_module

        return import_module("netspec.backends.diagram").diagram(self)._repr_svg_()
