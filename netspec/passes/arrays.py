"""Arithmetic on weights, whether they are tensors of torch or arrays of NumPy; neither is imported."""

from __future__ import annotations

from typing import Any


def in_double(value: Any) -> Any:
    """A tensor or array in float64."""
    return value.double() if hasattr(value, "double") else value.astype("float64")


def as_type_of(value: Any, other: Any) -> Any:
    """A tensor or array in the dtype of another."""
    return value.to(other.dtype) if hasattr(value, "to") else value.astype(other.dtype)


def scaled(value: Any, by: Any) -> Any:
    """A tensor or array times another that is in float64, computed so, in its own dtype."""
    if hasattr(value, "double"):
        return (value.double() * by).to(value.dtype)
    # NumPy computes in float64 piece by piece here, and makes no copy of the whole.
    numpy = value.__array_namespace__()
    return numpy.multiply(value, by, out=numpy.empty_like(value, subok=False), casting="same_kind")
