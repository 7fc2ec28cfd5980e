"""Receptive fields along one axis whose units differ: after upsampling, the intervals they see repeat with a period.

Units `n * q` to `n * q + n - 1` are period `q` of an axis; each period sees the input `shift` positions further on than
the one before. So fields stay exact although no single size and start holds for every unit. A map `a b c`, doubled by
nearest neighbours, is `a a b b c c`: a period has two units, both see one position, and the shift is 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

Interval = tuple[int, int] | None
"""The first and the last position that a unit sees; None for a unit that sees none."""

_MAX_PERIOD = 4096
"""The largest number of units in a period."""


@dataclass(frozen=True, slots=True)
class Spans:
    """The intervals that the units of an axis see.

    With `n` intervals in `each`, unit `n * q + k` sees the interval `each[k]`, moved by `shift * q`.
    """

    shift: int
    each: tuple[Interval, ...]

    @property
    def size(self) -> int:
        """The largest number of positions that a unit sees."""
        return max((span[1] - span[0] + 1 for span in self.each if span is not None), default=0)

    @property
    def stride(self) -> int | Fraction:
        """The average distance between the intervals of neighbouring units."""
        return Fraction(self.shift, len(self.each))

    @property
    def even(self) -> bool:
        """Whether one size, stride and start hold for all units."""
        return len(self.each) == 1 and self.each[0] is not None

    def of(self, unit: int) -> Interval:
        """The interval that a unit sees.

        >>> Spans(1, ((0, 0), (0, 0))).of(5)
        (2, 2)
        """
        period, number = divmod(unit, len(self.each))
        return _moved(self.each[number], self.shift * period)

    def of_range(self, first: int, last: int) -> Interval:
        """The interval that the units `first` to `last` see together."""
        n = len(self.each)
        # Later periods see later positions, so the first and the last period contain both ends.
        if last - first < 2 * n:
            units = [*range(first, last + 1)]
        else:
            units = [*range(first, first + n), *range(last - n, last + 1)]
        return _hull(self.of(unit) for unit in units)

    def after_window(self, size: int, stride: int, start: int) -> Spans:
        """The spans after a window: its units read `size` units of these, from `stride * index + start`."""
        n = len(self.each) // gcd(len(self.each), stride)
        shift = self.shift * (stride * n // len(self.each))
        return _shortest(shift, [self.of_range(stride * k + start, stride * k + start + size - 1) for k in range(n)])

    def after_upsampling(self, axis: tuple[tuple[int, int] | None, ...]) -> Spans | None:
        """The spans after an upsampling; None if a period gets too long.

        `axis` is one axis of `types.Upsampling`: each unit becomes `len(axis)` units, and for each of these `axis` has
        the first and last unit that it reads, relative to the original one.
        """
        if len(axis) * len(self.each) > _MAX_PERIOD:
            return None
        intervals: list[Interval] = []
        for unit in range(len(axis) * len(self.each)):
            read, number = divmod(unit, len(axis))
            ends = axis[number]
            intervals.append(None if ends is None else self.of_range(read + ends[0], read + ends[1]))
        return _shortest(self.shift, intervals)

    def union(self, other: Spans) -> Spans | None:
        """The spans of units that see what either sees; None if strides differ or a period gets too long."""
        n = lcm(len(self.each), len(other.each))
        if self.stride != other.stride or n > _MAX_PERIOD:
            return None
        shift = self.shift * (n // len(self.each))
        return _shortest(shift, [_hull((self.of(unit), other.of(unit))) for unit in range(n)])


def _moved(span: Interval, by: int) -> Interval:
    return None if span is None else (span[0] + by, span[1] + by)


def _hull(intervals: Iterable[Interval]) -> Interval:
    """The smallest interval that contains some intervals; None if there is none."""
    ends = [interval for interval in intervals if interval is not None]
    return (min(first for first, _ in ends), max(last for _, last in ends)) if ends else None


def _shortest(shift: int, each: list[Interval]) -> Spans:
    """Spans with the shortest period: when downsampling undoes an upsampling, one unit is a period again."""
    n = len(each)
    for period in range(1, n):
        if n % period or shift * period % n:
            continue
        step = shift * period // n
        if all(each[k] == _moved(each[k - period], step) for k in range(period, n)):
            return Spans(step, tuple(each[:period]))
    return Spans(shift, tuple(each))
