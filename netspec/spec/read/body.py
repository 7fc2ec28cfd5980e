"""The model of a body that was read: steps with their arguments, and the blocks that they use."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from netspec.expression import Expression, ListOf, Literal, Value
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
    """True for an argument from `defaults`, whose expressions read the file's parameters alone."""


@dataclass(frozen=True, slots=True)
class BodyParameter:
    """A block's parameter that holds steps, used as a step."""

    name: str


@dataclass(slots=True, eq=False)
class Step:
    """One step of a body, its op or block looked up and its arguments parsed.

    `name` is its `name:`, else the op's name with a number from the second on (`conv2d_2`); `named` tells which.
    """

    name: str
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
    sized: bool = False
    """Whether an expression reads a size of its values."""
    ops: dict[tuple[Any, ...], Op] = field(default_factory=dict[tuple[Any, ...], Op])
    """A cache: the op for each set of values that its expressions took."""
    op_outputs: tuple[str, ...] = ()
    """A cache: the names of the outputs of an op, () until they are asked for."""

    @property
    def uses(self) -> str:
        """The name of the op, block, network or body parameter that the step uses."""
        return self.target.opname if isinstance(self.target, type) else self.target.name

    @property
    def values(self) -> list[str]:
        """The names of its values, if it has a `name`."""
        return value_names(self.name, self.outputs)

    @property
    def expressions(self) -> list[Expression]:
        """Its expressions: arguments, `repeat` and `when`."""
        beside = [each.expression for each in (self.repeat, self.when) if each is not None]
        return [*self.written.values(), *[tree for tree in beside if tree is not None]]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the step's outputs."""
        if isinstance(self.target, type):
            if not self.op_outputs:
                self.op_outputs = self.target.names_for(self.attributes) or ONE_OUTPUT
            return self.op_outputs
        return self.target.info.outputs if isinstance(self.target, BlockDefinition) else ONE_OUTPUT

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The arguments as far as they are known without values of expressions: a list has None for each of these."""
        known: dict[str, Any] = {}
        for name, argument in self.arguments.items():
            if isinstance(argument.expression, ListOf):
                known[name] = [item.value if isinstance(item, Literal) else None for item in argument.expression.items]
            elif argument.expression is None:
                known[name] = argument.value
        return known

    @property
    def takes(self) -> int:
        """The number of values that a step without `from` takes from the step before it."""
        if isinstance(self.target, BlockDefinition):
            return len(self.target.info.inputs)
        if isinstance(self.target, type) and self.branches is None:
            return self.target.inputs[0]
        return 1


ONE_OUTPUT = ("output",)
"""The output names of a step with one output, whose value has the step's name alone."""


def value_names(step: str, outputs: tuple[str, ...]) -> list[str]:
    """The names of a step's values: the step's name for the first, and `step.output` for each named output.

    >>> value_names("lstm", ("output", "hidden"))
    ['lstm', 'lstm.output', 'lstm.hidden']
    """
    return [step, *(f"{step}.{name}" for name in outputs)] if outputs != ONE_OUTPUT else [step]


def names_of_inputs(inputs: Collection[str]) -> frozenset[str]:
    """The names of a body's inputs for its steps; a single one is also called `input`."""
    return frozenset((*inputs, "input") if len(inputs) == 1 else inputs)


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """The steps of a network, a block, a branch or a body argument, in order."""

    steps: list[Step]
    span: Span


@dataclass(eq=False)
class BlockDefinition:
    """A block, or a network that other bodies use as a step.

    Blocks use each other, so all are declared before the body of any is read: `body` is empty until then.
    """

    name: str
    info: Block
    data: Map
    """The mapping that declares it."""
    body: Body
    qualifier: str = ""
    """The name of the file that declares it, put before its class name where that clashes; "" for the spec's files."""
    results: Mapping[str, str] = NOTHING
    """The value in the body of each output, by the output's name; empty where the output is the last step's value."""
    declared: Mapping[str, InputDefinition] | None = None
    """The inputs that a network declares; None for a block."""
    own: bool = False
    """True for a network of another spec, which reads the parameters of its own file and no others."""

    @property
    def what(self) -> str:
        """Its name for messages, as in "block `bottleneck`"."""
        return f"{'block' if self.declared is None else 'network'} `{self.name}`"

    @cached_property
    def in_graph(self) -> Block:
        """The head of the block in a graph, without body parameters, whose steps are nodes there."""
        plain = tuple([p for p in self.info.parameters if p.kind != "body"])
        return self.info if len(plain) == len(self.info.parameters) else replace(self.info, parameters=plain)

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The type of each parameter."""
        return {p.name: p.kind for p in self.info.parameters}

    @property
    def principal(self) -> str | None:
        """The parameter that a bare value sets: the only required one, or the first where none is required.

        None for a block with several required parameters, or without any.
        """
        required = [p.name for p in self.info.parameters if p.required]
        if len(required) == 1:
            return required[0]
        return self.info.parameters[0].name if not required and self.info.parameters else None


Target = type[Op] | BlockDefinition | BodyParameter
"""The op, block or parameter that a step uses, which its arguments are for."""
