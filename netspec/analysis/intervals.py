"""Receptive fields along one axis where units differ: after upsampling, what a unit sees repeats with a period.

Units `n * q` to `n * q + n - 1` are one period of an axis, and each next period sees the input `shift` positions
further on. So the fields stay exact where no one size and start holds for every unit. A map of `a b c` doubled by
nearest neighbours is `a a b b c c`: the period has two units that both see one position, and the shift is 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

Interval = tuple[int, int] | None
"""The first and the last position that a unit sees; None where it sees none."""

_MAX_PERIOD = 4096
"""How many units a period may have."""


@dataclass(frozen=True, slots=True)
class Spans:
    """The intervals that the units of an axis see.

    With `n` intervals in `each`, unit `n * q + k` sees interval `k`, moved by `shift * q`.
    """

    shift: int
    each: tuple[Interval, ...]

    @property
    def size(self) -> int:
        """The most that a unit sees."""
        return max((span[1] - span[0] + 1 for span in self.each if span is not None), default=0)

    @property
    def stride(self) -> int | Fraction:
        """How far apart two units see on average."""
        return Fraction(self.shift, len(self.each))

    @property
    def even(self) -> bool:
        """Whether all units see alike, so that a size, a stride and a start say it all."""
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
        # Periods only move on, so the first and the last of them hold the ends.
        if last - first < 2 * n:
            units = [*range(first, last + 1)]
        else:
            units = [*range(first, first + n), *range(last - n, last + 1)]
        return _hull(self.of(unit) for unit in units)

    def after_window(self, size: int, stride: int, start: int) -> Spans:
        """The spans of units that each read `size` of these, from `stride * index + start`."""
        n = len(self.each) // gcd(len(self.each), stride)
        shift = self.shift * (stride * n // len(self.each))
        return _shortest(shift, [self.of_range(stride * k + start, stride * k + start + size - 1) for k in range(n)])

    def after_upsampling(self, axis: tuple[tuple[int, int] | None, ...]) -> Spans | None:
        """The spans after an upsampling, by the axis of its rule (`types.Upsampling`); None where a period is too long.

        Each of these units becomes `len(axis)` units, of which each reads a range of these, relative to its own.
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
        """The spans of what either sees; None where they move apart, or a period is too long."""
        n = lcm(len(self.each), len(other.each))
        if self.stride != other.stride or n > _MAX_PERIOD:
            return None
        shift = self.shift * (n // len(self.each))
        return _shortest(shift, [_hull((self.of(unit), other.of(unit))) for unit in range(n)])


def _moved(span: Interval, by: int) -> Interval:
    return None if span is None else (span[0] + by, span[1] + by)


def _hull(intervals: Iterable[Interval]) -> Interval:
    """The smallest interval around some."""
    ends = [interval for interval in intervals if interval is not None]
    return (min(first for first, _ in ends), max(last for _, last in ends)) if ends else None


def _shortest(shift: int, each: list[Interval]) -> Spans:
    """The same spans with the shortest period: downsampling undoes upsampling."""
    n = len(each)
    for period in range(1, n):
        if n % period or shift * period % n:
            continue
        step = shift * period // n
        if all(each[k] == _moved(each[k - period], step) for k in range(period, n)):
            return Spans(step, tuple(each[:period]))
    return Spans(shift, tuple(each))
