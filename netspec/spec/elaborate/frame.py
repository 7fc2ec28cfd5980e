"""Where a body is elaborated: the names in reach, the scope, and the uses of blocks around it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field

from netspec.expression import Expression, Name, Value, leaves
from netspec.source import Span
from netspec.spec.read.body import Body, Step


@dataclass(slots=True)
class UseNote:
    """A block or network being opened: for the note that says how an error's place was reached."""

    what: str
    span: Span
    params: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class SpecScope:
    """The parameters of the spec that a body belongs to, with the values they have here."""

    params: Mapping[str, Value]
    origins: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Closure:
    """The steps that a `body` parameter was given, with what they can see of the place they were written in."""

    body: Body
    names: Mapping[str, Value]
    origins: Mapping[str, frozenset[str]]
    home: SpecScope
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
    """Where a body is elaborated: what expressions read, what `from` can name, the scope, the uses around it.

    `origins` says for a name which of the spec's parameters its value comes from; `bodies` are the parameters that
    hold steps; `made` the named steps of this body that are done.
    """

    names: dict[str, Value]
    values: MutableMapping[str, str | None]
    scope: str
    origins: Mapping[str, frozenset[str]]
    home: SpecScope
    uses: tuple[UseNote, ...] = ()
    depth: int = 0
    bodies: Mapping[str, Closure] = field(default_factory=dict[str, "Closure"])
    made: dict[str, Made] = field(default_factory=dict[str, Made])


NO_ORIGIN = frozenset[str]()
"""The origin of what comes from no parameter."""


def origins_of(tree: Expression, frame: Frame) -> frozenset[str]:
    """The spec's parameters that an expression's value comes from, through the arguments of blocks."""
    if isinstance(tree, Name) and not tree.of_file:
        return frame.origins.get(tree.name, NO_ORIGIN)
    found = [
        (frame.home.origins if isinstance(leaf, Name) and leaf.of_file else frame.origins).get(leaf.name, NO_ORIGIN)
        for leaf in leaves(tree)
    ]
    return NO_ORIGIN.union(*found)
