"""Numbers in narrower dtypes: those beyond the dtype are refused, and those that it is too coarse for are counted."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
HALF = "float16"
_COARSE = 0.01
"""The share of a number from which on rounding it spoils a result."""


class TooLarge(Exception):
    """A number is beyond a dtype, which the message says; `help` says what to do if another dtype holds it."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help


class Narrowing:
    """Casts arrays to narrower dtypes, and counts the numbers that half precision is too coarse for."""

    def __init__(self) -> None:
        self._zeros = self._subnormal = 0
        self._first_zero = self._first_subnormal = ""

    def narrow(self, array: Array, dtype: str, where: str) -> Array:
        """An array in a dtype; `where` names it in `lost`. Raises TooLarge where a number becomes infinite."""
        if str(array.dtype) == dtype:
            return array
        with np.errstate(over="ignore", under="ignore"):
            made = array.astype(dtype)
        if made.dtype.kind == "f":
            _check_finite(array, made)
        if dtype == HALF:
            self._count(array, made, where)
        return made

    def _count(self, array: Array, made: Array, where: str) -> None:
        small = np.abs(made) < np.finfo(HALF).smallest_normal
        zeros = int(np.count_nonzero(array[small & (made == 0)]))
        subnormal = int(np.count_nonzero(made[small]))
        self._first_zero = self._first_zero or (where if zeros else "")
        self._first_subnormal = self._first_subnormal or (where if subnormal else "")
        self._zeros += zeros
        self._subnormal += subnormal

    def lost(self) -> tuple[str, ...]:
        """Sentences that say how many numbers became 0 or subnormal, and the first place of each."""
        one, few = self._zeros == 1, self._subnormal == 1
        zeros = f"in half precision {self._zeros:,} {'number becomes' if one else 'numbers become'} 0"
        coarse = f"in half precision {self._subnormal:,} {'number is' if few else 'numbers are'} subnormal"
        coarse += ", and rounded to a multiple of 6e-08"
        lines = ((zeros, self._zeros, self._first_zero), (coarse, self._subnormal, self._first_subnormal))
        return tuple([f"{line}: the first in `{first}`" for line, count, first in lines if count])


def _check_finite(array: Array, made: Array) -> None:
    """Raise TooLarge if a number of `array` is finite, and infinite in `made`."""
    infinite = np.isinf(made) & np.isfinite(array)
    if not infinite.any():
        return
    first = float(array[infinite][0])
    if made.dtype != HALF:
        raise TooLarge(f"{first:.3g}, and {made.dtype} ends at {np.finfo(made.dtype).max:.3g}")
    in_float32 = abs(first) <= float(np.finfo("float32").max)
    raise TooLarge(f"{first:.3g}, and half precision ends at 65,504", "leave --fp16 out" if in_float32 else "")


def need_in_range(number: float, half: bool) -> None:
    """Raise TooLarge for a number of an attribute that becomes infinite, or 0, in the model.

    Attributes of ONNX are float32; with `half`, runtimes cast them to float16.
    """
    Narrowing().narrow(np.asarray([number], "float64"), HALF if half else "float32", "")
    if number and not np.float32(number):
        raise TooLarge(f"{number:.3g}, and 0 in float32")


def is_coarse(array: Array, made: Array, plus: float = 0.0) -> bool:
    """Whether rounding changes a number of an array, after `plus` is added to it, by more than a hundredth."""
    wide = array.astype("float64")
    with np.errstate(invalid="ignore"):
        return bool(np.any(np.abs(made - wide) > _COARSE * np.abs(wide + plus)))
