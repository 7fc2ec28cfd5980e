"""The dataflow of a network: nodes in topological order between inputs and outputs, with the type of every value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from netspec.expression import Expression
from netspec.labels import Labels
from netspec.ops.base import Op
from netspec.preprocess import Preprocess
from netspec.source import Span
from netspec.types import Filling, Tensor, Weight

Mode = Literal["inference", "train"]


class _Nothing(Mapping[Any, Any]):
    """The empty mapping; hashable, so that it may be a default of a dataclass."""

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
    of the spec that gave attributes their values, `when` the condition under which the step is there.
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
        further = zip(self.op.output_names[1:], self.types[1:], strict=True)
        return (first, *((f"{self.path}:{name}", type) for name, type in further))


@dataclass(frozen=True)
class Dag:
    """A network as it runs: what `canonical`, `nx`, `text` and `walk` read of a graph."""

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
    def by_path(self) -> Mapping[str, Node]:
        """Every node by its path."""
        return {node.path: node for node in self.nodes}

    @cached_property
    def users(self) -> Mapping[str, tuple[Node, ...]]:
        """For every value, the nodes that read it."""
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
        """The weights a node uses."""
        return node.op.weights(*self.input_types(node))
