"""Long diagrams in columns: where a picture is cut, so that it is no strip."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

from netspec.backends.diagram.picture import Box, Picture


@dataclass(frozen=True, slots=True)
class Measure:
    """In inches: how long a box with its arrow is, what a frame adds, and how broad a way is without and with frames.

    A single way may be `longest` times as long as it is broad; several together have a length of `form` breadths.
    """

    step: float
    frame: float
    narrow: float
    broad: float
    longest: float
    form: float


MEASURES = {"TB": Measure(0.54, 0.45, 4.8, 6.0, 2.0, 1.1), "LR": Measure(1.9, 0.4, 1.3, 3.2, 4.0, 1.8)}
"""A page is higher than wide, and a screen wider than high."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A place where a column ends: one value, `tail`, goes on to the `heads` of the next."""

    tail: str
    heads: tuple[str, ...]


def cuts(picture: Picture, direction: str = "TB") -> list[Cut]:
    """Where to cut a picture, top to bottom; nowhere if it is short, or has no place where one value goes on alone."""
    units = _units(picture)
    order = {unit: number for number, unit in enumerate(dict.fromkeys(units.values()))}
    measure = MEASURES[direction]
    lengths = _lengths(picture, units, measure)
    total = sum(lengths.values())
    breadth = measure.broad if picture.frames else measure.narrow
    if total <= measure.longest * breadth:
        return []
    columns = ceil(sqrt(total / (measure.form * breadth)))
    found: list[Cut] = []
    length = 0.0
    for unit, number in order.items():
        length += lengths[unit]
        if length < total / columns * (len(found) + 1) or number == len(order) - 1:
            continue
        crossing = [e for e in picture.edges if order[units[e.tail]] <= number < order[units[e.head]]]
        tails = {edge.tail for edge in crossing}
        if len(tails) == 1:
            found.append(Cut(tails.pop(), tuple(dict.fromkeys(edge.head for edge in crossing))))
    return found


def _units(picture: Picture) -> dict[str, str]:
    """By box, the outermost frame around it, or the box itself."""
    return {key: _outermost(picture, box) for key, box in picture.boxes.items()}


def _outermost(picture: Picture, box: Box) -> str:
    frame, key = box.frame, box.key
    while frame:
        key, frame = frame, picture.frames[frame].parent
    return key


def _lengths(picture: Picture, units: dict[str, str], measure: Measure) -> dict[str, float]:
    """How long each unit will be: its longest way."""
    rank: dict[str, int] = {}
    into: dict[str, list[str]] = {}
    for edge in picture.edges:
        if units[edge.tail] == units[edge.head]:
            into.setdefault(edge.head, []).append(edge.tail)
    for key in picture.boxes:
        rank[key] = 1 + max((rank.get(tail, 0) for tail in into.get(key, ())), default=0)
    found: dict[str, float] = {}
    for key, unit in units.items():
        extra = measure.frame if unit in picture.frames else 0.0
        found[unit] = max(found.get(unit, 0.0), rank[key] * measure.step + extra)
    return found
