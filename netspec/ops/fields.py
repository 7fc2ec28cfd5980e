"""The types of op attributes. Each says what it takes, which is what an error prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

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


def _number(value: Any) -> Any:
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    try:
        return float(value)
    except OverflowError:
        raise ValueError("too large for a float") from None


_Size = Annotated[int, Field(ge=1, le=LARGEST)]
_Padding = Annotated[int, Field(ge=0, le=LARGEST)]

Positive = Annotated[int, Field(ge=1, le=LARGEST), Takes("a positive integer")]
Axis = Annotated[int, Field(ge=-8, le=7), Takes("the number of an axis, such as 1 or -1")]
Pair = Annotated[tuple[_Size, _Size], BeforeValidator(_pair), Takes("a positive integer, or [height, width]")]
PaddingPair = Annotated[
    tuple[_Padding, _Padding], BeforeValidator(_pair), Takes("an integer of 0 or more, or [height, width]")
]
Padding = Annotated[
    tuple[_Padding, _Padding] | Literal["same", "valid"],
    BeforeValidator(_pair),
    Takes("an integer of 0 or more, [height, width], `same` or `valid`"),
]
PaddingMode = Annotated[
    Literal["zeros", "reflect", "replicate", "circular"], Takes("`zeros`, `reflect`, `replicate` or `circular`")
]
OutputSize = Annotated[
    tuple[_Size | None, _Size | None],
    BeforeValidator(_pair),
    Takes("a positive integer, or [height, width], null for that of the input"),
]
Real = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False), Takes("a number")]
PositiveReal = Annotated[
    float, BeforeValidator(_number), Field(gt=0, allow_inf_nan=False), Takes("a number greater than 0")
]
Probability = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1), Takes("a probability, from 0 to 1")]
Flag = Annotated[bool, Takes("true or false")]
