"""Frames, as in a call stack: the names and values that a body can read while it is elaborated."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from netspec.expression import Expression, Name, Value, leaves
from netspec.graph.lexicon import Environment
from netspec.graph.model import NOTHING
from netspec.source import Span
from netspec.spec.read.body import Body, Step

Values = tuple[str | None, ...]
"""The inputs or outputs of a step; None for a value that is unknown, since the step that computes it has an error."""

Origins = frozenset[str]
"""The parameters of the spec that a value depends on."""
NO_ORIGIN: Origins = frozenset()
"""The origins of a value that depends on no parameter."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class UseNote:
    """A use of a block or network around a place, for the note of an error such as "block `b` used at net.yaml:9:5"."""

    what: str
    span: Span
    params: Mapping[str, Value]


@dataclass(frozen=True, slots=True, eq=False)
class Closure:
    """The argument of a body parameter: its steps, with the environment in which they are written."""

    body: Body
    environment: Environment[Value]
    origins: Environment[Origins]
    bodies: Mapping[str, Closure]


@dataclass(frozen=True, slots=True)
class ElaboratedStep:
    """A finished step, as a later step that shares its weights needs it."""

    step: Step
    path: str
    since: tuple[int, int]
    until: tuple[int, int]
    """The builder's checkpoints before and after it: its nodes and scopes are those between."""


@dataclass(slots=True)
class Frame:
    """The names and values that the steps of a body can read, and the path of its scope."""

    scope: str
    environment: Environment[Value]
    """The values of names in expressions; the name of an input stands for its type."""
    origins: Environment[Origins]
    """The parameters of the spec that those values depend on; `index` depends on none."""
    values: MutableMapping[str, str | None]
    """The values that `from` can name."""
    bodies: Mapping[str, Closure] = NOTHING
    """The arguments of body parameters."""
    uses: tuple[UseNote, ...] = ()
    """The uses of blocks around the body, outermost first."""
    depth: int = 0
    elaborated: dict[str, ElaboratedStep] = field(default_factory=dict[str, ElaboratedStep])
    """The named steps of this body that are finished."""

    def in_copy(self, index: int) -> Frame:
        """The frame of copy `index` of a repeated step of this body."""
        environment = self.environment.in_copy(index)
        return Frame(
            self.scope, environment, self.origins, self.values, self.bodies, self.uses, self.depth, self.elaborated
        )


@dataclass(slots=True)
class Instance:
    """A step, or one copy of it, at a path of the graph, with the values that enter."""

    step: Step
    frame: Frame
    path: str
    scope: str
    """The path of the scope around the step: that of the frame, or of the `repeat`."""
    inputs: Values
    named: bool

    @property
    def when(self) -> Expression | None:
        """The expression of its `when`; None where that is a constant, or missing."""
        return self.step.when.expression if self.step.when is not None else None

    @property
    def unknown(self) -> Values:
        """The outputs of a step whose inputs are unknown."""
        return (None,) * len(self.step.outputs)


def all_known(values: Values) -> tuple[str, ...]:
    """The values if all are known, else ()."""
    return cast(tuple[str, ...], values) if None not in values else ()


def inputs_by_name(names: tuple[str, ...], inputs: Sequence[_T]) -> dict[str, _T]:
    """The inputs of a body by their names in it; a single one is also called `input`."""
    if len(inputs) == 1:
        return {"input": inputs[0], names[0]: inputs[0]}
    return dict(zip(names, inputs, strict=True))


def origins_of(tree: Expression, frame: Frame) -> Origins:
    """The spec's parameters that an expression depends on, through the arguments of the blocks around it."""
    binding = frame.origins.binding
    if isinstance(tree, Name):
        return binding(tree) or NO_ORIGIN
    return NO_ORIGIN.union(*[binding(leaf) or NO_ORIGIN for leaf in leaves(tree)])
