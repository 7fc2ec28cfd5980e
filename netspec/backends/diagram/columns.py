"""Long diagrams in columns: where a picture is cut, so that it is no strip."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from math import ceil, sqrt

from netspec.backends.diagram.picture import Box, Picture


@dataclass(frozen=True, slots=True)
class Measure:
    """In inches: how long a box with its arrow is, what a frame adds, and how broad a column is.

    It is `broad` where ways lead round in frames, else `narrow`. A single column may be `longest` times as
    long as it is broad; several together have a length of `form` breadths.
    """

    step: float
    frame: float
    narrow: float
    broad: float
    longest: float
    form: float


MEASURES = {"TB": Measure(0.54, 0.45, 4.6, 6.0, 2.0, 1.1), "LR": Measure(1.9, 0.4, 1.3, 3.2, 4.0, 1.8)}
"""A page is higher than wide, and a screen wider than high."""


MOST = 6
"""As many values may go on from a column to others, where none goes on alone."""


def columns(picture: Picture, direction: str = "TB") -> dict[str, int]:
    """The column of each box. A picture that is long goes on in others, from where few values go on."""
    units = _units(picture)
    order = {unit: number for number, unit in enumerate(dict.fromkeys(units.values()))}
    starts = _starts(picture, units, order, MEASURES[direction])
    return {key: bisect(starts, order[unit]) for key, unit in units.items()}


def _starts(picture: Picture, units: dict[str, str], order: dict[str, int], measure: Measure) -> list[int]:
    """The units, by number, at which columns begin."""
    ends = _ends(picture, units, measure)
    total = max(ends.values(), default=0.0)
    ways = any(box.frame and box.kind == "merge" for box in picture.boxes.values())
    breadth = measure.broad if ways else measure.narrow
    if total <= measure.longest * breadth:
        return []
    share = total / ceil(sqrt(total / (measure.form * breadth)))
    found: list[int] = []
    places: dict[int, int] = {}
    length = 0.0
    for unit, number in order.items():
        length = max(length, ends[unit])
        if length < share * (len(found) + 1) or total - length < share / 4:
            continue
        going = {e.tail for e in picture.edges if order[units[e.tail]] <= number < order[units[e.head]]}
        places[number + 1] = len(going)
        best = min(places, key=places.__getitem__)
        if places[best] == 1 or (length > share * (len(found) + 1.3) and places[best] <= MOST):
            found.append(best)
            places = {}
    return found


def _units(picture: Picture) -> dict[str, str]:
    """By box, the outermost frame around it, or the box itself."""
    return {key: _outermost(picture, box) for key, box in picture.boxes.items()}


def _outermost(picture: Picture, box: Box) -> str:
    frame, key = box.frame, box.key
    while frame:
        key, frame = frame, picture.frames[frame].parent
    return key


def _ends(picture: Picture, units: dict[str, str], measure: Measure) -> dict[str, float]:
    """How far down each unit ends: below all that it takes values from, by the longest way through it."""
    rank: dict[str, int] = {}
    inner: dict[str, list[str]] = {}
    outer: dict[str, list[str]] = {}
    for edge in picture.edges:
        head, tail = units[edge.head], units[edge.tail]
        if tail == head:
            inner.setdefault(edge.head, []).append(edge.tail)
        else:
            outer.setdefault(head, []).append(tail)
    lengths: dict[str, float] = {}
    for key, unit in units.items():
        rank[key] = 1 + max((rank.get(tail, 0) for tail in inner.get(key, ())), default=0)
        extra = measure.frame if unit in picture.frames else 0.0
        lengths[unit] = max(lengths.get(unit, 0.0), rank[key] * measure.step + extra)
    found: dict[str, float] = {}
    for unit, length in lengths.items():
        found[unit] = length + max((found.get(tail, 0.0) for tail in outer.get(unit, ())), default=0.0)
    return found
