"""The bodies of networks, blocks and branches, read: steps with their arguments."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from netspec.expression import Expression, Value
from netspec.graph.model import NOTHING, Block
from netspec.ops.base import Op
from netspec.source import Span
from netspec.spec.read.inputs import InputDefinition
from netspec.spec.text.data import Map
from netspec.types import Filling


@dataclass(slots=True, eq=False)
class Argument:
    """One value of a step: a constant, an expression to evaluate at every use, or the steps of a `body`."""

    name: str
    span: Span
    key_span: Span
    value: Value = None
    expression: Expression | None = None
    body: Body | None = None
    of_file: bool = False
    """Whether it stands in `defaults`, where only the parameters of the file can be read."""


@dataclass(frozen=True, slots=True)
class BodyParameter:
    """A block's parameter that holds steps, used as a step."""

    name: str


@dataclass(slots=True, eq=False)
class Step:
    """One step of a body, its op or block looked up and its arguments parsed."""

    called: str
    named: bool
    span: Span
    target: Target
    arguments: Mapping[str, Argument]
    branches: Mapping[str, Body] | None = None
    sources: list[tuple[str, Span]] | None = None
    """The values that `from` names, each with its place."""
    repeat: Argument | None = None
    when: Argument | None = None
    share: str = ""
    share_span: Span | None = None
    init: Mapping[str, Filling] = NOTHING
    init_places: Mapping[str, Span] = NOTHING
    init_own: frozenset[str] = frozenset()
    """The weights that `init` beside the step names; the file's `defaults` may name more."""
    expect: Map | None = None
    written: Mapping[str, Expression] = NOTHING
    """The arguments that are expressions."""
    ops: dict[tuple[Any, ...], Op] = field(default_factory=dict[tuple[Any, ...], Op])
    """A cache: the op for each set of values that its expressions took."""

    @property
    def uses(self) -> str:
        """The name of the op, block, network or parameter that it uses."""
        return self.target.opname if isinstance(self.target, type) else self.target.name

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the values that it gives."""
        if isinstance(self.target, type):
            return self.target.output_names
        return self.target.info.outputs if isinstance(self.target, BlockDefinition) else ONE_OUTPUT

    @property
    def takes(self) -> int:
        """The number of values that it takes of the step before it where it has no `from`."""
        if isinstance(self.target, BlockDefinition):
            return len(self.target.info.inputs)
        if isinstance(self.target, type) and self.branches is None:
            return self.target.inputs[0]
        return 1


ONE_OUTPUT = ("output",)
"""The outputs of a step that gives one value, which goes by the step's name alone."""


def called_values(called: str, outputs: tuple[str, ...]) -> list[str]:
    """The names of a step's values: its own for the first, and `name.output` for each where outputs have names."""
    return [called, *(f"{called}.{name}" for name in outputs)] if outputs != ONE_OUTPUT else [called]


def names_of_inputs(inputs: Collection[str]) -> frozenset[str]:
    """The names by which the steps of a body know its inputs: a single one is `input` too."""
    return frozenset((*inputs, "input") if len(inputs) == 1 else inputs)


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """Steps one after another, of a network, a block or a branch."""

    steps: list[Step]
    span: Span


@dataclass(eq=False)
class BlockDefinition:
    """A block, or a network that is a step, as steps use it.

    Blocks use each other, so all are declared before the body of any is read. `body` is empty until then.
    """

    name: str
    info: Block
    data: Map
    """The mapping that declares it."""
    body: Body
    qualifier: str = ""
    """The name of the file it is from, which begins the name of its class where another one has its name."""
    results: Mapping[str, str] = NOTHING
    """By the name of each output the value in the body that it is; empty where it gives the value of its last step."""
    declared: Mapping[str, InputDefinition] | None = None
    """The inputs that a network declares; None for a block."""
    own: bool = False
    """Whether it has parameters of its own and reads no others, as a network from another spec does."""

    @property
    def what(self) -> str:
        """Its name for messages, as in "block `bottleneck`"."""
        return f"{'block' if self.declared is None else 'network'} `{self.name}`"

    @cached_property
    def in_graph(self) -> Block:
        """The block as graphs keep it: without parameters that hold steps, which are nodes there."""
        plain = tuple([p for p in self.info.parameters if p.kind != "body"])
        return self.info if len(plain) == len(self.info.parameters) else replace(self.info, parameters=plain)

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The type of each parameter."""
        return {p.name: p.kind for p in self.info.parameters}

    @property
    def principal(self) -> str | None:
        """The parameter a scalar argument stands for; None where several are required, or there is none."""
        required = [p.name for p in self.info.parameters if p.required]
        if len(required) == 1:
            return required[0]
        return self.info.parameters[0].name if not required and self.info.parameters else None


Target = type[Op] | BlockDefinition | BodyParameter
"""The op, block or parameter that a step uses, which its arguments are for."""
