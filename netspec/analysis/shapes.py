"""Shapes as reports write them."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.dims import Dim, substitute
from netspec.graph.model import Graph
from netspec.types import Tensor


def plain_dim(dim: Dim) -> int | str:
    """A size for JSON: an int, or the printed normal form of a symbolic one."""
    return dim if isinstance(dim, int) else str(dim)


def plain_shape(tensor: Tensor) -> list[int | str]:
    """A shape for JSON."""
    return [plain_dim(dim) for dim in tensor.shape]


def shapes(graph: Graph) -> dict[str, list[int | str]]:
    """The shape of every value, symbolic sizes in their printed normal form."""
    return {value: plain_shape(type) for value, type in graph.types.items()}


def fixed(tensor: Tensor, at: Mapping[str, Dim]) -> Tensor:
    """A tensor type with symbols replaced by sizes."""
    return Tensor(tuple([d if isinstance(d, int) else substitute(d, at) for d in tensor.shape]), tensor.dtype)
