"""Arithmetic on weights that are torch tensors or NumPy arrays; neither library is imported."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


def in_double(value: Any) -> Any:
    """A tensor or array in float64."""
    return value.double() if hasattr(value, "double") else value.astype("float64")


def as_type_of(value: Any, other: Any) -> Any:
    """A tensor or array in the dtype of another."""
    return value.to(other.dtype) if hasattr(value, "to") else value.astype(other.dtype)


def scaled(value: Any, by: Any) -> Any:
    """The product of a tensor or array with one in float64: computed in float64, and cast to the dtype of `value`."""
    if hasattr(value, "double"):
        return (value.double() * by).to(value.dtype)
    # NumPy converts to float64 in small buffers here, without a copy of the array.
    numpy = value.__array_namespace__()
    return numpy.multiply(value, by, out=numpy.empty_like(value, subok=False), casting="same_kind")


def in_rows(value: Any) -> Any:
    """A tensor or array that lies row by row in memory."""
    return value.contiguous() if hasattr(value, "contiguous") else value.copy(order="C")


def library_of(value: Any) -> ModuleType:
    """The module `torch` of a tensor, `numpy` of an array: what both have by the same names is called on it."""
    return sys.modules["torch" if hasattr(value, "double") else "numpy"]


def relative_error(value: Any, exact: Any) -> float:
    """The norm of the difference of two tensors or arrays, relative to that of the exact one; 0 where both are 0."""
    exact = in_double(exact)
    difference = in_double(value) - exact
    norm = library_of(exact).linalg.norm
    return norm(difference).item() / (norm(exact).item() or 1.0)
