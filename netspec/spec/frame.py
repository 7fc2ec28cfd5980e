"""Where a body is elaborated: the names in reach, the scope, and the uses of blocks around it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

from netspec.expression import Expression, Value, leaves
from netspec.source import Span


@dataclass(slots=True)
class Use:
    """A block being opened: for the note that says how an error's place was reached."""

    block: str
    span: Span
    params: Mapping[str, Value]


@dataclass(slots=True)
class Frame:
    """Where a body is elaborated: what expressions read, what `from` can name, the scope, the uses around it.

    `origins` says for a name which of the spec's parameters its value comes from.
    """

    names: dict[str, Value]
    values: MutableMapping[str, str | None]
    scope: str
    origins: Mapping[str, frozenset[str]]
    uses: tuple[Use, ...] = ()
    depth: int = 0


NOWHERE = frozenset[str]()
"""The origin of what comes from no parameter."""


def origins_of(tree: Expression, frame: Frame) -> frozenset[str]:
    """The spec's parameters that an expression's value comes from, through the arguments of blocks."""
    found = [frame.origins.get(leaf.name, NOWHERE) for leaf in leaves(tree)]
    return NOWHERE.union(*found)
