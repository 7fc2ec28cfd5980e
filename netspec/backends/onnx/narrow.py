"""Casts numbers to narrower dtypes: too large ones are errors, and those that lose precision are counted."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
HALF = "float16"
_COARSE = 0.01
"""The relative rounding error above which a number would spoil a result."""


class TooLarge(Exception):
    """A number is too large for a dtype; `help` is a way out if another dtype can hold it."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help


class Narrowing:
    """Casts arrays to narrower dtypes, and counts the numbers that become 0 or subnormal in half precision."""

    def __init__(self) -> None:
        self._zeros = self._subnormal = 0
        self._first_zero = self._first_subnormal = ""

    def narrow(self, array: Array, dtype: str, where: str) -> Array:
        """Cast an array to a dtype; `where` names it in `lost`. Raises TooLarge if a number becomes infinite."""
        if str(array.dtype) == dtype:
            return array
        with np.errstate(over="ignore", under="ignore"):
            narrowed = array.astype(dtype)
        if narrowed.dtype.kind == "f":
            _check_finite(array, narrowed)
        if dtype == HALF:
            self._count(array, narrowed, where)
        return narrowed

    def _count(self, array: Array, narrowed: Array, where: str) -> None:
        small = np.abs(narrowed) < np.finfo(HALF).smallest_normal
        zeros = int(np.count_nonzero(array[small & (narrowed == 0)]))
        subnormal = int(np.count_nonzero(narrowed[small]))
        self._first_zero = self._first_zero or (where if zeros else "")
        self._first_subnormal = self._first_subnormal or (where if subnormal else "")
        self._zeros += zeros
        self._subnormal += subnormal

    def lost(self) -> tuple[str, ...]:
        """Sentences that say how many numbers became 0 or subnormal, and where the first was."""
        one, few = self._zeros == 1, self._subnormal == 1
        zeros = f"in half precision {self._zeros:,} {'number becomes' if one else 'numbers become'} 0"
        coarse = f"in half precision {self._subnormal:,} {'number is' if few else 'numbers are'} subnormal"
        coarse += ", and rounded to a multiple of 6e-08"
        lines = ((zeros, self._zeros, self._first_zero), (coarse, self._subnormal, self._first_subnormal))
        return tuple([f"{line}: the first in `{first}`" for line, count, first in lines if count])


def _check_finite(array: Array, narrowed: Array) -> None:
    """Raise TooLarge if a number of `array` is finite, and infinite in `narrowed`."""
    infinite = np.isinf(narrowed) & np.isfinite(array)
    if not infinite.any():
        return
    first = float(array[infinite][0])
    if narrowed.dtype != HALF:
        raise TooLarge(f"{first:.3g}, and {narrowed.dtype} ends at {np.finfo(narrowed.dtype).max:.3g}")
    in_float32 = abs(first) <= float(np.finfo("float32").max)
    raise TooLarge(f"{first:.3g}, and half precision ends at 65,504", "leave --fp16 out" if in_float32 else "")


def need_in_range(number: float, half: bool) -> None:
    """Raise TooLarge for an attribute's number that would become infinite, or 0, in the model.

    Attributes of ONNX nodes are float32; with `half`, runtimes cast them to float16.
    """
    Narrowing().narrow(np.asarray([number], "float64"), HALF if half else "float32", "")
    if number and not np.float32(number):
        raise TooLarge(f"{number:.3g}, and 0 in float32")


def is_coarse(array: Array, narrowed: Array, plus: float = 0.0) -> bool:
    """Whether rounding changes a number of an array by more than a hundredth of its sum with `plus`."""
    wide = array.astype("float64")
    with np.errstate(invalid="ignore"):
        return bool(np.any(np.abs(narrowed - wide) > _COARSE * np.abs(wide + plus)))
