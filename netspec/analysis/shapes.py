"""Shapes as reports write them."""

from __future__ import annotations

from netspec.dims import Dim
from netspec.types import Tensor


def plain_dim(dim: Dim) -> int | str:
    """A size for JSON: an int, or the printed normal form of a symbolic one."""
    return dim if isinstance(dim, int) else str(dim)


def plain_shape(tensor: Tensor) -> list[int | str]:
    """A shape for JSON."""
    return [plain_dim(dim) for dim in tensor.shape]
