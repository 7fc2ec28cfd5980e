"""Receptive fields that repeat themselves: behind upsampling, what a unit sees depends on its place in a period.

Units `n * q` to `n * q + n - 1` are one period of an axis, and each next period sees the input `shift` positions
further on. So the fields stay exact where no one size and start holds for every unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

Interval = tuple[int, int] | None
"""The first and the last position that a unit sees; None where it sees none."""

MOST = 4096
"""How many units a period may have."""


@dataclass(frozen=True, slots=True)
class Spans:
    """One axis: unit `n * q + k` of `n` spans sees the positions of span `k`, moved by `shift * q`."""

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
        """What a unit sees."""
        period, place = divmod(unit, len(self.each))
        return _moved(self.each[place], self.shift * period)

    def seen(self, first: int, last: int) -> Interval:
        """What some units in a row see together."""
        n = len(self.each)
        # Periods only move on, so the first and the last of them hold the ends.
        units = (
            range(first, last + 1) if last - first < 2 * n else (*range(first, first + n), *range(last - n, last + 1))
        )
        return _together(self.of(unit) for unit in units)

    def behind_window(self, size: int, stride: int, start: int) -> Spans:
        """Of units that each see `size` of these, from `stride * index + start`."""
        n = len(self.each) // gcd(len(self.each), stride)
        shift = self.shift * (stride * n // len(self.each))
        return _shortest(shift, [self.seen(stride * k + start, stride * k + start + size - 1) for k in range(n)])

    def behind_upsampling(self, axis: tuple[tuple[int, int] | None, ...]) -> Spans | None:
        """Of units of which so many stand for one of these; None where a period grows too long."""
        if len(axis) * len(self.each) > MOST:
            return None
        found: list[Interval] = []
        for unit in range(len(axis) * len(self.each)):
            below, place = divmod(unit, len(axis))
            ends = axis[place]
            found.append(None if ends is None else self.seen(below + ends[0], below + ends[1]))
        return _shortest(self.shift, found)

    def with_other(self, other: Spans) -> Spans | None:
        """What either sees; None where they move apart, or a period grows too long."""
        n = lcm(len(self.each), len(other.each))
        if self.stride != other.stride or n > MOST:
            return None
        shift = self.shift * (n // len(self.each))
        return _shortest(shift, [_together((self.of(unit), other.of(unit))) for unit in range(n)])


def _moved(span: Interval, by: int) -> Interval:
    return None if span is None else (span[0] + by, span[1] + by)


def _together(spans: Iterable[Interval]) -> Interval:
    some = [span for span in spans if span is not None]
    return (min(first for first, _ in some), max(last for _, last in some)) if some else None


def _shortest(shift: int, each: list[Interval]) -> Spans:
    """The same with the shortest period: downsampling undoes upsampling."""
    n = len(each)
    for period in range(1, n):
        if n % period or shift * period % n:
            continue
        step = shift * period // n
        if all(each[k] == _moved(each[k - period], step) for k in range(period, n)):
            return Spans(step, tuple(each[:period]))
    return Spans(shift, tuple(each))
