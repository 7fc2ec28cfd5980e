"""Initializers that are stacked from rows of several weights, as ONNX's recurrent ops take them, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from netspec.backends.onnx.narrow import Array
from netspec.types import Rows


def stack(get: Callable[[str], Array], rows: Sequence[Rows], shape: tuple[int, ...]) -> Array:
    """An initializer of this shape; `get` returns a weight by its key, which is `Rows.weight` here."""
    weights = {key: get(key) for key in dict.fromkeys(each.weight for each in rows) if key is not None}
    dtype = next(iter(weights.values())).dtype
    parts = [
        np.zeros((each.stop - each.start, *shape[2:]), dtype) if each.weight is None
        else weights[each.weight][each.start : each.stop]
        for each in rows
    ]  # fmt: skip
    return np.concatenate(parts).reshape(shape)


def unstack(array: Array, rows: Sequence[Rows], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """The weights by key that a stacked initializer was made of; `shapes` are theirs."""
    flat = array.reshape(-1, *array.shape[2:])
    weights = {key: np.empty(shapes[key], array.dtype) for key in {each.weight for each in rows} if key is not None}
    first = 0
    for each in rows:
        last = first + each.stop - each.start
        if each.weight is not None:
            weights[each.weight][each.start : each.stop] = flat[first:last]
        first = last
    return weights
