"""The types of op attributes. Each says what it takes, which is what an error prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Takes:
    """What an attribute takes, in words."""

    words: str


def _pair(value: Any) -> Any:
    """One number for both axes, as torch takes it; a list of two for one each."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (value, value)
    if isinstance(value, list):
        return tuple(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return value


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _even(value: tuple[int, ...]) -> tuple[int, ...]:
    if len(value) % 2:
        raise ValueError("there is a number before and one after each axis")
    return value


def _number(value: Any) -> Any:
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    try:
        return float(value)
    except OverflowError:
        raise ValueError("too large for a float") from None


_Size = Annotated[int, Field(ge=1, le=LARGEST)]
_Padding = Annotated[int, Field(ge=0, le=LARGEST)]
_Sizes = tuple[_Size, _Size]
_Paddings = tuple[_Padding, _Padding]
_Share = Annotated[float, Field(ge=0, le=1)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_AboveZero = Annotated[float, Field(gt=0, allow_inf_nan=False)]

# `json_schema_input_type` is what a spec may write, for the schema that editors read.
Positive = Annotated[int, Field(ge=1, le=LARGEST), Takes("a positive integer")]
Axis = Annotated[int, Field(ge=-8, le=7), Takes("the number of an axis, such as 1 or -1")]
Pair = Annotated[
    _Sizes,
    BeforeValidator(_pair, json_schema_input_type=_Size | _Sizes),
    Takes("a positive integer, or [height, width]"),
]
PaddingPair = Annotated[
    _Paddings,
    BeforeValidator(_pair, json_schema_input_type=_Padding | _Paddings),
    Takes("an integer of 0 or more, or [height, width]"),
]
Padding = Annotated[
    _Paddings | Literal["same", "valid"],
    BeforeValidator(_pair, json_schema_input_type=_Padding | _Paddings | Literal["same", "valid"]),
    Takes("an integer of 0 or more, [height, width], `same` or `valid`"),
]
Around = Annotated[
    tuple[_Padding, ...],
    BeforeValidator(_tuple, json_schema_input_type=list[_Padding]),
    Field(min_length=2, max_length=6),
    AfterValidator(_even),
    Takes("a list of 2, 4 or 6 integers of 0 or more, before and after each axis, the last axis first"),
]
PaddingMode = Annotated[
    Literal["zeros", "reflect", "replicate", "circular"], Takes("`zeros`, `reflect`, `replicate` or `circular`")
]
OutputSize = Annotated[
    tuple[_Size | None, _Size | None],
    BeforeValidator(_pair, json_schema_input_type=_Size | tuple[_Size | None, _Size | None]),
    Takes("a positive integer, or [height, width], null for that of the input"),
]
Real = Annotated[_Finite, BeforeValidator(_number, json_schema_input_type=_Finite), Takes("a number")]
PositiveReal = Annotated[
    _AboveZero, BeforeValidator(_number, json_schema_input_type=_AboveZero), Takes("a number greater than 0")
]
Probability = Annotated[
    _Share, BeforeValidator(_number, json_schema_input_type=_Share), Takes("a probability, from 0 to 1")
]
Flag = Annotated[bool, Takes("true or false")]
