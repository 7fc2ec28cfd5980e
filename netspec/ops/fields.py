"""The types of op attributes, each with a description of its values for errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

MAX_INT = 2**31 - 1
MAX_PARTS = 64
"""The largest number of parts into which an axis is cut."""


@dataclass(frozen=True, slots=True)
class Takes:
    """The description of an attribute's values, for errors and the op reference."""

    words: str


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _for_each(axes: int) -> Callable[[Any], Any]:
    """A validator: a number becomes a tuple of it for each axis, as in torch; a list becomes a tuple."""

    def repeated(value: Any) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return (value,) * axes if is_number else _tuple(value)

    return repeated


def _one_or_several(value: Any) -> Any:
    """A list of one becomes its item, another list a tuple."""
    several = _tuple(value)
    return several[0] if isinstance(several, tuple) and len(several) == 1 else several  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _even(value: tuple[int, ...]) -> tuple[int, ...]:
    if len(value) % 2:
        raise ValueError("there is a number before and one after each axis")
    return value


def _parts(value: tuple[int, ...]) -> tuple[int, ...]:
    if 0 in value or value.count(-1) > 1:
        raise ValueError("a part has one element or more, and one part may be what remains")
    return value


def _letters(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z ]+(,[A-Za-z ]*)*(->[A-Za-z ]*)?", value) or not value.split(",")[0].strip():
        raise ValueError("letters, commas and an arrow")
    return value


def _number(value: Any) -> Any:
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    try:
        return float(value)
    except OverflowError:
        raise ValueError("too large for a float") from None


_Size = Annotated[int, Field(ge=1, le=MAX_INT)]
_Padding = Annotated[int, Field(ge=0, le=MAX_INT)]
_SameOrValid = Literal["same", "valid"]
_Share = Annotated[float, Field(ge=0, le=1)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_ZeroOrMore = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_AboveZero = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Axis = Annotated[int, Field(ge=-8, le=7)]
_Shift = Annotated[int, Field(ge=-MAX_INT, le=MAX_INT)]
_Part = Annotated[int, Field(ge=-1, le=MAX_INT)]
# An integer stays an integer, as it is written.
_Factor = _Size | Annotated[float, Field(gt=0, le=MAX_INT, allow_inf_nan=False)]
_Factors = tuple[_Factor, _Factor]

# `json_schema_input_type` is the type that a spec may write, for the JSON Schema.
Positive = Annotated[int, Field(ge=1, le=MAX_INT), Takes("a positive integer")]
Axis = Annotated[_Axis, Takes("the number of an axis, such as 1 or -1")]
Single = Annotated[
    tuple[_Size],
    BeforeValidator(_for_each(1), json_schema_input_type=_Size | tuple[_Size]),
    Takes("a positive integer, or [length]"),
]
Pair = Annotated[
    tuple[_Size, _Size],
    BeforeValidator(_for_each(2), json_schema_input_type=_Size | tuple[_Size, _Size]),
    Takes("a positive integer, or [height, width]"),
]
Triple = Annotated[
    tuple[_Size, _Size, _Size],
    BeforeValidator(_for_each(3), json_schema_input_type=_Size | tuple[_Size, _Size, _Size]),
    Takes("a positive integer, or [depth, height, width]"),
]
PaddingSingle = Annotated[
    tuple[_Padding],
    BeforeValidator(_for_each(1), json_schema_input_type=_Padding | tuple[_Padding]),
    Takes("an integer of 0 or more, or [length]"),
]
PaddingPair = Annotated[
    tuple[_Padding, _Padding],
    BeforeValidator(_for_each(2), json_schema_input_type=_Padding | tuple[_Padding, _Padding]),
    Takes("an integer of 0 or more, or [height, width]"),
]
PaddingTriple = Annotated[
    tuple[_Padding, _Padding, _Padding],
    BeforeValidator(_for_each(3), json_schema_input_type=_Padding | tuple[_Padding, _Padding, _Padding]),
    Takes("an integer of 0 or more, or [depth, height, width]"),
]
Padding1d = Annotated[
    tuple[_Padding] | _SameOrValid,
    BeforeValidator(_for_each(1), json_schema_input_type=_Padding | tuple[_Padding] | _SameOrValid),
    Takes("an integer of 0 or more, [length], `same` or `valid`"),
]
Padding2d = Annotated[
    tuple[_Padding, _Padding] | _SameOrValid,
    BeforeValidator(_for_each(2), json_schema_input_type=_Padding | tuple[_Padding, _Padding] | _SameOrValid),
    Takes("an integer of 0 or more, [height, width], `same` or `valid`"),
]
Padding3d = Annotated[
    tuple[_Padding, _Padding, _Padding] | _SameOrValid,
    BeforeValidator(_for_each(3), json_schema_input_type=_Padding | tuple[_Padding, _Padding, _Padding] | _SameOrValid),
    Takes("an integer of 0 or more, [depth, height, width], `same` or `valid`"),
]
Around = Annotated[
    tuple[_Padding, ...],
    BeforeValidator(_tuple, json_schema_input_type=list[_Padding]),
    Field(min_length=2, max_length=6),
    AfterValidator(_even),
    Takes("a list of 2, 4 or 6 integers of 0 or more, before and after each axis, the last axis first"),
]
Sizes = Annotated[
    tuple[_Size, ...],
    BeforeValidator(_tuple, json_schema_input_type=list[_Size]),
    Field(min_length=1, max_length=7),
    Takes("a list of 1 to 7 positive integers"),
]
Parts = Annotated[
    tuple[_Part, ...],
    BeforeValidator(_tuple, json_schema_input_type=list[_Part]),
    Field(min_length=1, max_length=7),
    AfterValidator(_parts),
    Takes("a list of 1 to 7 positive integers, of which one may be -1 for what remains"),
]
Count = Annotated[int, Field(ge=2, le=MAX_PARTS), Takes(f"an integer from 2 to {MAX_PARTS}")]
Sections = Annotated[
    tuple[_Size, ...],
    BeforeValidator(_tuple, json_schema_input_type=list[_Size]),
    Field(min_length=2, max_length=MAX_PARTS),
    Takes(f"a list of 2 to {MAX_PARTS} positive integers, the sizes of the parts"),
]
Axes = Annotated[
    tuple[_Axis, ...],
    BeforeValidator(_tuple, json_schema_input_type=list[_Axis]),
    Field(min_length=1, max_length=8),
    Takes("a list of the numbers of axes, such as [0, 2, 1]"),
]
Dims = Annotated[
    tuple[_Axis, ...],
    BeforeValidator(_for_each(1), json_schema_input_type=_Axis | list[_Axis]),
    Field(min_length=1, max_length=8),
    Takes("the number of an axis, or a list of them"),
]
Shifts = Annotated[
    tuple[_Shift, ...],
    BeforeValidator(_for_each(1), json_schema_input_type=_Shift | list[_Shift]),
    Field(min_length=1, max_length=8),
    Takes("an integer, or a list of them, one for each axis"),
]
AxisOrAxes = Annotated[
    _Axis | Annotated[tuple[_Axis, ...], Field(min_length=1, max_length=8)],
    BeforeValidator(
        _one_or_several, json_schema_input_type=_Axis | Annotated[list[_Axis], Field(min_length=1, max_length=8)]
    ),
    Takes("the number of an axis, such as 1 or -1, or a list of them"),
]
Index = Annotated[int, Field(ge=-MAX_INT, le=MAX_INT), Takes("an integer, such as 0, or -1 for the last")]
Start = Annotated[int, Field(ge=0, le=MAX_INT), Takes("an integer of 0 or more")]
ScaleFactor = Annotated[
    _Factor | _Factors,
    BeforeValidator(_tuple, json_schema_input_type=_Factor | _Factors),
    Takes("a number greater than 0, or [height, width]"),
]
PaddingMode = Annotated[
    Literal["zeros", "reflect", "replicate", "circular"], Takes("`zeros`, `reflect`, `replicate` or `circular`")
]
OutputSize2d = Annotated[
    tuple[_Size | None, _Size | None],
    BeforeValidator(_for_each(2), json_schema_input_type=_Size | tuple[_Size | None, _Size | None]),
    Takes("a positive integer, or [height, width], null for that of the input"),
]
OutputSize3d = Annotated[
    tuple[_Size | None, _Size | None, _Size | None],
    BeforeValidator(_for_each(3), json_schema_input_type=_Size | tuple[_Size | None, _Size | None, _Size | None]),
    Takes("a positive integer, or [depth, height, width], null for that of the input"),
]
Real = Annotated[_Finite, BeforeValidator(_number, json_schema_input_type=_Finite), Takes("a number")]
Equation = Annotated[
    str, AfterValidator(_letters), Takes("letters for the axes of inputs and output, such as `nqd,nkd->nqk`")
]
PositiveReal = Annotated[
    _AboveZero, BeforeValidator(_number, json_schema_input_type=_AboveZero), Takes("a number greater than 0")
]
NonNegativeReal = Annotated[
    _ZeroOrMore, BeforeValidator(_number, json_schema_input_type=_ZeroOrMore), Takes("a number of 0 or more")
]
Probability = Annotated[
    _Share, BeforeValidator(_number, json_schema_input_type=_Share), Takes("a probability, from 0 to 1")
]
Overlap = Annotated[
    _Share, BeforeValidator(_number, json_schema_input_type=_Share), Takes("an overlap of boxes, from 0 to 1")
]
PositiveReals = Annotated[
    tuple[_Factor, ...],
    BeforeValidator(_tuple, json_schema_input_type=list[_Factor]),
    Field(min_length=1, max_length=16),
    Takes("a list of 1 to 16 numbers greater than 0"),
]
Flag = Annotated[bool, Takes("true or false")]
