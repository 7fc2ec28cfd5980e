"""Receptive fields as data: in the form that is propagated through a graph, and in the form of reports."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from netspec.analysis.intervals import Spans
from netspec.dims import Dim
from netspec.report import OPTIONAL

Offset = int | Fraction

LOST = -1
"""Stands for the axis of a value that follows an axis of the input, if no axis does any more."""

MISALIGNED = "misaligned: branches of different strides meet here"
VARIES = "varies: windows of different sizes"
DATA_DEPENDENT = "data-dependent"
TOO_LARGE = "too large: more than 2**63 - 1 positions"
UNEVEN = "uneven: behind upsampling units differ, and this is the most that one sees"
BORDER = "border: padding repeats positions there, or a roll brings them around, so that units see others too"
UNPLACED = "unplaced: the unit's index does not tell where"


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """The positions of an input that a unit sees: on each spatial axis, `size` of them from `stride * index + start`.

    A unit that sees everything has stride 0, and the input's extent as its size. `note` says why an entry is None, or
    that units at the border see other positions too; else it is `""`.
    """

    size: tuple[Dim | Fraction | None, ...]
    stride: tuple[Offset | None, ...]
    start: tuple[Offset | None, ...]
    note: str = dataclasses.field(default="", metadata=OPTIONAL)


def sees_all(field: ReceptiveField) -> bool:
    """Whether every unit sees all of the input, along each axis."""
    return field.stride != () and all(step == 0 for step in field.stride)


@dataclass(frozen=True, slots=True)
class Field:
    """A receptive field while it is propagated, with one entry for each spatial axis of the input.

    `note` says why an entry is None. `spans` holds what each unit of a period sees, if units differ: see `intervals`.

    For each spatial axis of the input, `axes` holds the axis of the value that follows it, or LOST if none does. It is
    () in the usual case of axes 2, 3, ... of both. After (N, C, H, W) is permuted to (N, W, C, H) it is (3, 1). An axis
    that is LOST may have been folded into one of the axes `among` of the value.

    `border` says that units at the border see other positions than the entries say.
    """

    size: tuple[Dim | Fraction | None, ...]
    stride: tuple[Offset | None, ...]
    start: tuple[Offset | None, ...]
    note: str = ""
    spans: tuple[Spans, ...] = ()
    axes: tuple[int, ...] = dataclasses.field(default=(), compare=False)
    border: bool = False
    among: frozenset[int] = dataclasses.field(default=frozenset(), compare=False)

    def public(self) -> ReceptiveField:
        """The field in the form of reports."""
        return ReceptiveField(self.size, self.stride, self.start, self.note or (BORDER if self.border else ""))

    @property
    def value_axes(self) -> tuple[int, ...]:
        """`axes`, with () written out as 2, 3, ...."""
        return self.axes or tuple(range(2, 2 + len(self.size)))


def unknown_field(note: str, axes: int) -> Field:
    """A field without any entry; `note` says why it is unknown."""
    unknown = (None,) * axes
    return Field(unknown, unknown, unknown, note, axes=(LOST,) * axes)


@lru_cache
def whole_field(extent: tuple[Dim, ...]) -> Field:
    """The field of a unit that sees all of an input."""
    zeros = (0,) * len(extent)
    return Field(extent, zeros, zeros)


def positions_word(inputs: Iterable[tuple[Dim, ...]]) -> str:
    """The word for the positions of inputs with these shapes: pixels, if all that have spatial axes are images.

    >>> positions_word([("N", 3, 224, 224), ("N", 10)]), positions_word([("N", 1, 8000)])
    ('pixels', 'positions')
    """
    return "pixels" if {len(shape) for shape in inputs if len(shape) > 2} <= {4} else "positions"


def is_whole(field: Field, extent: tuple[Dim, ...]) -> bool:
    """Whether a field is that of what sees all of an input."""
    # Sizes differ for nearly all fields, and are compared sooner than fields.
    return field.size == extent and field == whole_field(extent)
