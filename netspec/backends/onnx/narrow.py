"""Numbers in fewer bits, as a model has them: what is too large there is refused, and what is lost is counted."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
HALF = "float16"
COARSE = 0.01
"""From which share of itself on the rounding of a number spoils a result."""


class TooLarge(Exception):
    """A number beyond what a dtype holds, in words; `help` says what to do where another dtype holds it."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help


class Narrowing:
    """Makes numbers narrower, and keeps count of those that half precision is too coarse for."""

    def __init__(self) -> None:
        self._zeros = self._subnormal = 0
        self._first_zero = self._first_subnormal = ""

    def narrow(self, array: Array, dtype: str, where: str) -> Array:
        """An array in another dtype. Raises TooLarge where a number becomes infinite."""
        if str(array.dtype) == dtype:
            return array
        with np.errstate(over="ignore", under="ignore"):
            made = array.astype(dtype)
        if made.dtype.kind == "f":
            need_finite(array, made)
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
        """What was lost, in words."""
        one, few = self._zeros == 1, self._subnormal == 1
        zeros = f"in half precision {self._zeros:,} {'number becomes' if one else 'numbers become'} 0"
        coarse = f"in half precision {self._subnormal:,} {'number is' if few else 'numbers are'} subnormal"
        coarse += ", and rounded to a multiple of 6e-08"
        lines = ((zeros, self._zeros, self._first_zero), (coarse, self._subnormal, self._first_subnormal))
        return tuple([f"{line}: the first in `{first}`" for line, count, first in lines if count])


def need_finite(array: Array, made: Array) -> None:
    """Refuse what was finite and is not any more."""
    infinite = np.isinf(made) & np.isfinite(array)
    if not infinite.any():
        return
    first = float(array[infinite][0])
    if made.dtype != HALF:
        raise TooLarge(f"{first:.3g}, and {made.dtype} ends at {np.finfo(made.dtype).max:.3g}")
    in_float32 = abs(first) <= float(np.finfo("float32").max)
    raise TooLarge(f"{first:.3g}, and half precision ends at 65,504", "leave --fp16 out" if in_float32 else "")


def need_in_range(number: float, half: bool) -> None:
    """Refuse a number of an attribute, which is float32 in ONNX, and which runtimes make float16 with the map.

    Raises TooLarge, also where it becomes 0 in float32.
    """
    Narrowing().narrow(np.asarray([number], "float64"), HALF if half else "float32", "")
    if number and not np.float32(number):
        raise TooLarge(f"{number:.3g}, and 0 in float32")


def is_coarse(array: Array, made: Array, plus: float = 0.0) -> bool:
    """Whether rounding moves one of the numbers, after `plus` was added to it, by more than a hundredth of itself."""
    wide = array.astype("float64")
    with np.errstate(invalid="ignore"):
        return bool(np.any(np.abs(made - wide) > COARSE * np.abs(wide + plus)))
