"""Cuts a long picture into columns, so that it fits a page."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from math import ceil, sqrt

from netspec.backends.diagram.markup import LINE_WIDTH
from netspec.backends.diagram.picture import Box, Picture
from netspec.backends.diagram.spine import sign_of


@dataclass(frozen=True, slots=True)
class _Measure:
    """Estimated sizes in inches, for one direction."""

    cluster: float
    """The length that a cluster adds to its boxes."""
    narrow: float
    """The breadth of a column."""
    broad: float
    """The breadth of a column with shortcuts in clusters."""
    form: float
    """The aspect ratio of a picture of several columns: its length divided by its breadth."""


_MEASURES = {"TB": _Measure(0.45, 4.6, 6.0, 1.1), "LR": _Measure(0.4, 1.3, 3.2, 1.4)}
"""The estimates by direction: pictures from top to bottom are for a page, from left to right for a screen."""
_BOX_HEIGHT = 0.54
"""The height of a box with its arrow, in inches."""
_PAGE = 16.5
"""The length of a row from left to right, in inches: on an A4 page its text then has 7 points."""
_MAX_GOING_ON = 6
"""The largest number of values that cross a cut, if no place with a single one is near."""


def assign_columns(picture: Picture, direction: str = "TB", width: float | None = None) -> dict[str, int]:
    """The column number of each box. A long picture is cut where few values cross the cut.

    `width`, in inches, is how long a row from left to right may be.
    """
    units = outermost(picture)
    order = {unit: number for number, unit in enumerate(dict.fromkeys(units.values()))}
    starts = _starts(picture, units, order, direction, width)
    return {key: bisect(starts, order[unit]) for key, unit in units.items()}


def _starts(
    picture: Picture, units: dict[str, str], order: dict[str, int], direction: str, width: float | None
) -> list[int]:
    """The numbers of the units at which all columns but the first begin."""
    measure = _MEASURES[direction]
    ends = _ends(picture, units, direction)
    total = max(ends.values(), default=0.0)
    has_shortcuts = any(box.cluster and box.kind == "merge" for box in picture.boxes.values())
    breadth = measure.broad if has_shortcuts else measure.narrow
    if total <= (2 * breadth if direction == "TB" else width or _PAGE):
        return []
    share = total / ceil(total / width if width else sqrt(total / (measure.form * breadth)))
    starts: list[int] = []
    cuts: dict[int, int] = {}
    """Candidates for the begin of a column: by the number of the unit, how many values cross the cut before it."""
    length = 0.0
    for unit, number in order.items():
        length = max(length, ends[unit])
        if length < share * (len(starts) + 1) or total - length < share / 4:
            continue
        going = {e.tail for e in picture.edges if order[units[e.tail]] <= number < order[units[e.head]]}
        cuts[number + 1] = len(going)
        best = min(cuts, key=cuts.__getitem__)
        if cuts[best] == 1 or (length > share * (len(starts) + 1.3) and cuts[best] <= _MAX_GOING_ON):
            starts.append(best)
            cuts = {}
    return starts


def outermost(picture: Picture) -> dict[str, str]:
    """The unit of each box, by key: the outermost cluster around the box, or the box itself. No cut divides a unit."""
    return {key: (*picture.clusters_around(box.cluster), key)[0] for key, box in picture.boxes.items()}


def _ends(picture: Picture, units: dict[str, str], direction: str) -> dict[str, float]:
    """The end of each unit in inches from the start, by the longest path to and through it."""
    inner: dict[str, list[str]] = {}
    outer: dict[str, list[str]] = {}
    for edge in picture.edges:
        head, tail = units[edge.head], units[edge.tail]
        if tail == head:
            inner.setdefault(edge.head, []).append(edge.tail)
        else:
            outer.setdefault(head, []).append(tail)
    paths: dict[str, float] = {}
    """By box, the length of the longest path to its end within its unit."""
    lengths: dict[str, float] = {}
    for key, unit in units.items():
        step = _BOX_HEIGHT if direction == "TB" else _breadth(picture.boxes[key])
        paths[key] = step + max((paths.get(tail, 0) for tail in inner.get(key, ())), default=0.0)
        extra = _MEASURES[direction].cluster if unit in picture.clusters else 0.0
        lengths[unit] = max(lengths.get(unit, 0.0), paths[key] + extra)
    ends: dict[str, float] = {}
    for unit, length in lengths.items():
        ends[unit] = length + max((ends.get(tail, 0.0) for tail in outer.get(unit, ())), default=0.0)
    return ends


def _breadth(box: Box) -> float:
    """The estimated breadth of a box with its arrow, in inches."""
    if box.kind in ("input", "output"):
        return 0.4 + 0.08 * (len(box.label) + len(box.subtitle))
    if sign_of(box):
        return 0.7 + 0.06 * len(box.subtitle)
    faint = max(len(line) for line in (box.subtitle, *box.details, *box.figures.split("\n")))
    return 0.5 + max(0.083 * min(len(box.label), LINE_WIDTH), 0.06 * min(faint, LINE_WIDTH))
