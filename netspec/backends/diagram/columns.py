"""Cuts a long picture into columns, so that it fits a page."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, sqrt

from netspec.backends.diagram.markup import LINE_WIDTH, wrapped
from netspec.backends.diagram.picture import Box, Picture
from netspec.backends.diagram.spine import sign_of


@dataclass(frozen=True, slots=True)
class _Measure:
    """Estimated sizes in inches, for one direction."""

    cluster: float
    """The length that a cluster adds to its boxes."""
    outer: float
    """The length that a cluster around another cluster adds to it."""
    narrow: float
    """The breadth of a column."""
    broad: float
    """The breadth of a column with shortcuts in clusters."""
    form: float
    """The aspect ratio of a picture of several columns: its length divided by its breadth."""


_MEASURES = {"TB": _Measure(0.45, 0.9, 4.6, 6.4, 1.1), "LR": _Measure(0.4, 0.4, 1.3, 3.2, 1.4)}
"""The estimates by direction: pictures from top to bottom are for a page, from left to right for a screen."""
_BOX_HEIGHT = 0.54
"""The height of a box of two lines with its arrow, in inches."""
_LINE_HEIGHT = 0.18
"""The height of a further line in a box."""
_SHORTCUT = 0.3
"""The height that a shortcut in a cluster takes."""
_MAX_COLUMN = 8.0
"""The largest length of a column on a page: with the title, and where no good cut is near, it fits on A4."""
_MAX_COLUMNS = 4
"""The largest number of columns on a page; a longer picture is as broad as it gets."""
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
    count = ceil(total / width if width else sqrt(total / (measure.form * breadth)))
    if direction == "TB" and total <= _MAX_COLUMNS * _MAX_COLUMN:
        count = max(count, ceil(total / _MAX_COLUMN))
    share = total / count
    starts: list[int] = []
    cuts: dict[int, int] = {}
    """Candidates for the begin of a column: by the number of the unit, how many values cross the cut before it."""
    lengths = list(accumulate((ends[unit] for unit in order), max))
    for (number, length), after in zip(enumerate(lengths), lengths[1:], strict=False):
        # On a page the cut before or after the next unit, whichever is nearer; a row from left to right may be longer.
        reached = (length + after) / 2 if direction == "TB" else length
        if reached < share * (len(starts) + 1) or total - length < share / 4:
            continue
        going = {e.tail for e in picture.edges if order[units[e.tail]] <= number < order[units[e.head]]}
        cuts[number + 1] = len(going)
        best = min(cuts, key=cuts.__getitem__)
        if cuts[best] == 1 or (length > share * (len(starts) + 1.1) and cuts[best] <= _MAX_GOING_ON):
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
    measure = _MEASURES[direction]
    for key, unit in units.items():
        step = (_height if direction == "TB" else _breadth)(picture.boxes[key])
        paths[key] = step + max((paths.get(tail, 0) for tail in inner.get(key, ())), default=0.0)
        frames = len(picture.clusters_around(picture.boxes[key].cluster))
        extra = measure.cluster + (frames - 1) * measure.outer if frames else 0.0
        lengths[unit] = max(lengths.get(unit, 0.0), paths[key] + extra)
    ends: dict[str, float] = {}
    for unit, length in lengths.items():
        ends[unit] = length + max((ends.get(tail, 0.0) for tail in outer.get(unit, ())), default=0.0)
    return ends


def _height(box: Box) -> float:
    """The estimated height of a box with its arrow, in inches."""
    lines = sum(len(wrapped(text)) for text in (box.label, box.subtitle, *box.details) if text)
    # A shortcut that ends in a merge takes room of its own, and so does the way round a box that some copies lack.
    bend = _SHORTCUT if box.cluster and (box.kind == "merge" or box.only) else 0
    return _BOX_HEIGHT + _LINE_HEIGHT * max(0, lines - 2) + bend


def _breadth(box: Box) -> float:
    """The estimated breadth of a box with its arrow, in inches."""
    if box.kind in ("input", "output"):
        return 0.4 + 0.08 * (len(box.label) + len(box.subtitle))
    if sign_of(box):
        return 0.7 + 0.06 * len(box.subtitle)
    faint = max(len(line) for line in (box.subtitle, *box.details, *box.figures.split("\n")))
    return 0.5 + max(0.083 * min(len(box.label), LINE_WIDTH), 0.06 * min(faint, LINE_WIDTH))
