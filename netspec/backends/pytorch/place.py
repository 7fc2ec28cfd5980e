"""Where an item of a class stands, and the uses of the class that have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netspec.backends.pytorch.bodies import BodyItem
from netspec.backends.pytorch.classes import ClassUse

Matched = Sequence[tuple[ClassUse, BodyItem]]
"""The uses of a class that have an item, each with the item there."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands inside a class: the value that enters its scope, and its copy's number, if it is one.

    `later` are the first and last number of a run of copies that print as one.
    """

    entering: str | None
    index: int | None = None
    later: tuple[int, ...] = ()
