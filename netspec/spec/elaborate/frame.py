"""Frames, as in a call stack: the names and values that a body sees while it is elaborated."""

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
"""The values that a step takes or gives; None for one that is not known, since something is wrong before it."""

Origins = frozenset[str]
"""The parameters of the spec that a value comes from."""
NO_ORIGIN: Origins = frozenset()
"""The origin of a value that comes from no parameter."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class UseNote:
    """A block or network being opened: for the note that says how an error's place was reached."""

    what: str
    span: Span
    params: Mapping[str, Value]


@dataclass(frozen=True, slots=True, eq=False)
class Closure:
    """The steps that a `body` parameter was given, with what can be read in the place that they are written in."""

    body: Body
    environment: Environment[Value]
    origins: Environment[Origins]
    bodies: Mapping[str, Closure]


@dataclass(frozen=True, slots=True)
class Made:
    """A step that was elaborated: what later ones need to know to share its weights."""

    step: Step
    path: str
    since: tuple[int, int]
    until: tuple[int, int]
    """The builder's marks before and after: which nodes and scopes it made."""


@dataclass(slots=True)
class Frame:
    """The names and values that the steps of a body see, and the scope that they make."""

    scope: str
    environment: Environment[Value]
    """The values of the names in expressions; of inputs, their types."""
    origins: Environment[Origins]
    """The parameters of the spec that they come from; a copy's number comes from none."""
    values: MutableMapping[str, str | None]
    """The values that `from` can name."""
    bodies: Mapping[str, Closure] = NOTHING
    """The parameters that hold steps."""
    uses: tuple[UseNote, ...] = ()
    """The uses of blocks around it."""
    depth: int = 0
    made: dict[str, Made] = field(default_factory=dict[str, Made])
    """The named steps of this body that are done."""

    def in_copy(self, index: int) -> Frame:
        """The frame of one copy of a step that is repeated here."""
        environment = self.environment.in_copy(index)
        return Frame(self.scope, environment, self.origins, self.values, self.bodies, self.uses, self.depth, self.made)


@dataclass(slots=True)
class Instance:
    """A step at a path of the graph: the step of a frame, or one of its copies, on the values that enter it."""

    step: Step
    frame: Frame
    path: str
    scope: str
    """The scope around it: that of the frame, or of the repeat."""
    inputs: Values
    named: bool

    @property
    def when(self) -> Expression | None:
        """The expression of its condition."""
        return self.step.when.expression if self.step.when is not None else None

    @property
    def unknown(self) -> Values:
        """Its outputs where they can't be known."""
        return (None,) * len(self.step.outputs)


def all_known(values: Values) -> tuple[str, ...]:
    """The values if all are known, else none."""
    return cast(tuple[str, ...], values) if None not in values else ()


def inputs_by_name(names: tuple[str, ...], inputs: Sequence[_T]) -> dict[str, _T]:
    """The inputs of a body by their names there: a single one is `input` too."""
    if len(inputs) == 1:
        return {"input": inputs[0], names[0]: inputs[0]}
    return dict(zip(names, inputs, strict=True))


def origins_of(tree: Expression, frame: Frame) -> Origins:
    """The spec's parameters that an expression's value comes from, through the arguments of blocks."""
    binding = frame.origins.binding
    if isinstance(tree, Name):
        return binding(tree) or NO_ORIGIN
    return NO_ORIGIN.union(*[binding(leaf) or NO_ORIGIN for leaf in leaves(tree)])
