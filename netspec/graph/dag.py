"""The dataflow of a network: nodes in topological order between inputs and outputs, with the type of every value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from netspec.dims import Dim
from netspec.expression import Expression
from netspec.labels import Labels
from netspec.ops.base import Op
from netspec.preprocess import Preprocess
from netspec.shape_text import common_batch
from netspec.source import Span
from netspec.types import Filling, Tensor, Weight

Mode = Literal["inference", "train"]


class _Nothing(Mapping[Any, Any]):
    """The empty mapping; hashable, so that it can be the default of a dataclass's field."""

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
    """A graph input.

    `nominal` has sizes for its symbols, which totals and examples use. `written` has the spec's expressions of its
    sizes, by axis. `preprocess` says how an image becomes this input.
    """

    name: str
    type: Tensor
    nominal: Mapping[str, int] = NOTHING
    span: Span | None = None
    written: Mapping[int, Expression] = NOTHING
    preprocess: Preprocess | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A graph output: its name, its value, and whether it exists in training only (`mode="train"`).

    `labels` are the names of the classes along its axis 1, or of the classes whose numbers are its values if these
    are integers; () without any.
    """

    name: str
    value: str
    mode: Mode = "inference"
    span: Span | None = None
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One op at one path.

    `inputs` are values: the name of an input, the path of a node, or `path:output` for a further output of a node.
    `types` are those of the outputs. `weights_of` is the path whose weights the node uses, its own unless they are
    shared. `scope` is the path of the innermost scope around it, "" for the network itself. `written` has the spec's
    expressions of attributes, `when` the condition of the step, and `init` the initialisers by weight.
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

    def values(self) -> Sequence[tuple[str, Tensor]]:
        """Every output's value name with its type, the first under the path itself."""
        first = (self.path, self.types[0])
        if len(self.types) == 1:
            return (first,)
        further = zip(self.op.named_outputs[1:], self.types[1:], strict=True)
        return (first, *((f"{self.path}:{name}", type) for name, type in further))


@dataclass(frozen=True)
class Dag:
    """The dataflow of a network, without its scopes: the base of Graph, for functions that need no more."""

    name: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    nodes: tuple[Node, ...]

    @cached_property
    def types(self) -> Mapping[str, Tensor]:
        """The type of every value."""
        types = {i.name: i.type for i in self.inputs}
        for node in self.nodes:
            if len(node.types) == 1:
                types[node.path] = node.types[0]
            else:
                types.update(node.values())
        return types

    @cached_property
    def batch(self) -> Dim | None:
        """The size of the first axis of all inputs; None if they differ in it."""
        return common_batch([i.type.shape for i in self.inputs])

    @cached_property
    def by_path(self) -> Mapping[str, Node]:
        """Every node by its path."""
        return {node.path: node for node in self.nodes}

    @cached_property
    def users(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read each value."""
        users: dict[str, list[Node]] = {value: [] for value in self.types}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                users[value].append(node)
        return {value: tuple(nodes) for value, nodes in users.items()}

    def input_types(self, node: Node) -> tuple[Tensor, ...]:
        """The types of a node's inputs."""
        types = self.types
        return tuple([types[value] for value in node.inputs])

    def weights(self, node: Node) -> tuple[Weight, ...]:
        """The weights that a node uses."""
        return node.op.weights(*self.input_types(node))
