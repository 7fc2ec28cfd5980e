"""Long diagrams in columns: where a picture is cut, so that it is no strip."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from math import ceil, sqrt

from netspec.backends.diagram.markup import LINE_WIDTH
from netspec.backends.diagram.picture import Box, Picture
from netspec.backends.diagram.spine import sign_of


@dataclass(frozen=True, slots=True)
class _Measure:
    """In inches: what a cluster adds to its boxes, and how broad a column is.

    It is `broad` where ways lead round in clusters, else `narrow`. Several columns have a length of `form` breadths.
    """

    cluster: float
    narrow: float
    broad: float
    form: float


_MEASURES = {"TB": _Measure(0.45, 4.6, 6.0, 1.1), "LR": _Measure(0.4, 1.3, 3.2, 1.4)}
"""A page is higher than wide, and a screen wider than high."""
_BOX_HEIGHT = 0.54
"""How high a box is with its arrow, in inches."""
_PAGE = 16.5
"""How long a row may be that runs from left to right, in inches: on a page of A4 its letters have 7 points then."""


_MAX_GOING_ON = 6
"""As many values may go on from a column to others, where none goes on alone."""


def assign_columns(picture: Picture, direction: str = "TB", width: float | None = None) -> dict[str, int]:
    """The column of each box. A picture that is long goes on in others, from where few values go on.

    `width`, in inches, is how long a row from left to right may be.
    """
    outer = units(picture)
    order = {unit: number for number, unit in enumerate(dict.fromkeys(outer.values()))}
    starts = _starts(picture, outer, order, direction, width)
    return {key: bisect(starts, order[unit]) for key, unit in outer.items()}


def _starts(
    picture: Picture, units: dict[str, str], order: dict[str, int], direction: str, width: float | None
) -> list[int]:
    """The units, by number, at which columns begin."""
    measure = _MEASURES[direction]
    ends = _ends(picture, units, direction)
    total = max(ends.values(), default=0.0)
    ways = any(box.cluster and box.kind == "merge" for box in picture.boxes.values())
    breadth = measure.broad if ways else measure.narrow
    if total <= (2 * breadth if direction == "TB" else width or _PAGE):
        return []
    share = total / ceil(total / width if width else sqrt(total / (measure.form * breadth)))
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
        if places[best] == 1 or (length > share * (len(found) + 1.3) and places[best] <= _MAX_GOING_ON):
            found.append(best)
            places = {}
    return found


def units(picture: Picture) -> dict[str, str]:
    """By box, the outermost cluster around it, or the box itself."""
    return {key: _outermost(picture, box) for key, box in picture.boxes.items()}


def _outermost(picture: Picture, box: Box) -> str:
    cluster, key = box.cluster, box.key
    while cluster:
        key, cluster = cluster, picture.clusters[cluster].parent
    return key


def _ends(picture: Picture, units: dict[str, str], direction: str) -> dict[str, float]:
    """How far down each unit ends: below all that it takes values from, by the longest way through it."""
    inner: dict[str, list[str]] = {}
    outer: dict[str, list[str]] = {}
    for edge in picture.edges:
        head, tail = units[edge.head], units[edge.tail]
        if tail == head:
            inner.setdefault(edge.head, []).append(edge.tail)
        else:
            outer.setdefault(head, []).append(tail)
    reach: dict[str, float] = {}
    lengths: dict[str, float] = {}
    for key, unit in units.items():
        step = _BOX_HEIGHT if direction == "TB" else _breadth(picture.boxes[key])
        reach[key] = step + max((reach.get(tail, 0) for tail in inner.get(key, ())), default=0.0)
        extra = _MEASURES[direction].cluster if unit in picture.clusters else 0.0
        lengths[unit] = max(lengths.get(unit, 0.0), reach[key] + extra)
    ends: dict[str, float] = {}
    for unit, length in lengths.items():
        ends[unit] = length + max((ends.get(tail, 0.0) for tail in outer.get(unit, ())), default=0.0)
    return ends


def _breadth(box: Box) -> float:
    """About how broad a box is with its arrow, in inches."""
    if box.kind in ("input", "output"):
        return 0.4 + 0.08 * (len(box.label) + len(box.small))
    if sign_of(box):
        return 0.7 + 0.06 * len(box.small)
    small = max(len(line) for line in (box.small, *box.details, *box.figures.split("\n")))
    return 0.5 + max(0.083 * min(len(box.label), LINE_WIDTH), 0.06 * min(small, LINE_WIDTH))
