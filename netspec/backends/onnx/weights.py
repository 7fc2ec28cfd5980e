"""Reads weights for an ONNX file from a module, a state dict or a file, as arrays that share memory with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from netspec.backends.onnx.narrow import Array, Narrowing, TooLarge
from netspec.backends.opened import opened
from netspec.backends.stored import SafetensorsFile, is_safetensors
from netspec.errors import fail
from netspec.lazy import LazyMapping
from netspec.weights import Fit

if TYPE_CHECKING:
    from torch import nn

WeightsLike = Any
"""A module, a mapping of keys to tensors or arrays, or the path of a file."""


class LazyArrays(LazyMapping[Array]):
    """Weights by key, each loaded on access; their shapes are known in advance."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], make: Callable[[str], Array]) -> None:
        super().__init__(shapes, make)
        self.shapes = shapes


def arrays_of(source: WeightsLike, key: str = "") -> LazyArrays:
    """The weights of a module, state dict or file, under their own keys.

    A safetensors file is read without torch, each weight on access. Raises NetspecError NS501 for a file without
    weights, and for one that changes before all weights are read.
    """
    if isinstance(source, str | os.PathLike):
        path = os.fsdecode(cast("str | os.PathLike[str]", source))
        if not key and (stored := _safetensors(path)) is not None:
            return stored
        from netspec.backends.pytorch.runtime.weights import read_weights

        return _of_tensors(read_weights(path, key))
    if isinstance(source, Mapping):
        state = cast("Mapping[str, Any]", source)
        if not key and all(isinstance(value, np.ndarray) for value in state.values()):
            return _of_arrays(state)
        from netspec.backends.pytorch.runtime.state_dicts import state_dict_given

        return _of_tensors(state_dict_given(state, key))
    return _of_tensors(cast("nn.Module", source).state_dict())


def fitting(arrays: Mapping[str, Array], fit: Fit) -> Mapping[str, Array]:
    """The weights that fit a network, under the network's keys and in its dtypes."""
    weights = fit.graph.state()

    def make(key: str) -> Array:
        array = arrays[fit.pairs[key]]
        if key in fit.transposed:
            array = np.ascontiguousarray(array.T)
        dtype = np.dtype(weights[key].dtype)
        if array.dtype == dtype:
            return array
        if (array.dtype.kind == "f") != (dtype.kind == "f"):
            fail("NS501", f"`{key}` is {dtype}, and {array.dtype} in the file: its numbers are others")
        try:
            return Narrowing().narrow(array, str(dtype), key)
        except TooLarge as error:
            fail("NS501", f"`{key}` has {error}")

    return LazyMapping(fit.pairs, make)


def _of_arrays(values: Mapping[str, Array]) -> LazyArrays:
    return LazyArrays({key: value.shape for key, value in values.items()}, values.__getitem__)


def _of_tensors(values: Mapping[str, Any]) -> LazyArrays:
    def make(key: str) -> Array:
        value = values[key].detach().cpu()
        # NumPy has no bfloat16.
        return (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()

    return LazyArrays({key: tuple(value.shape) for key, value in values.items()}, make)


def _safetensors(path: str) -> LazyArrays | None:
    """The weights in a safetensors file, loaded on access; None for another file, or for dtypes that NumPy lacks."""
    with opened(path) as file:
        if not is_safetensors(file.read(9)):
            return None
    stored = SafetensorsFile(path)
    if not all(hasattr(np, tensor.dtype) for tensor in stored.tensors.values()):
        return None

    def make(key: str) -> Array:
        tensor = stored.tensors[key]
        array: Array = np.empty(tensor.size, "u1")
        stored.read({key: array.data})
        return array.view(np.dtype(tensor.dtype).newbyteorder("<")).reshape(tensor.shape)

    return LazyArrays({key: tensor.shape for key, tensor in stored.tensors.items()}, make)
