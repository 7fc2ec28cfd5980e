"""Where the weights of an ONNX file come from: a module, a state dict, or a file; arrays that share its memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from safetensors import SafetensorError, safe_open

from netspec.backends.onnx.lower import Array
from netspec.errors import fail
from netspec.lazily import Lazily
from netspec.weights import Fit

if TYPE_CHECKING:
    from torch import nn

Source = Any
"""A module, a mapping of keys to tensors or arrays, or the path of a file."""


class StateDict(Lazily[Array]):
    """Weights by their keys, each an array when it is asked for; their shapes are known before."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], make: Callable[[str], Array]) -> None:
        super().__init__(shapes, make)
        self.shapes = shapes


def arrays_of(source: Source) -> StateDict:
    """The weights of a module, state dict or file by their own keys.

    A safetensors file is read without torch, mapped into memory. Raises NetspecError NS501 for a file without weights.
    """
    if isinstance(source, str | os.PathLike):
        path = os.fspath(cast("str | os.PathLike[str]", source))
        if path.endswith(".safetensors") and (found := _safetensors(path)) is not None:
            return found
        from netspec.backends.pytorch.weights import read_weights

        return _of_tensors(read_weights(path))
    if isinstance(source, Mapping):
        return _of_tensors(cast("Mapping[str, Any]", source))
    return _of_tensors(cast("nn.Module", source).state_dict())


def fitting(arrays: Mapping[str, Array], found: Fit) -> Mapping[str, Array]:
    """The weights that fit a network, by its own keys and in its dtypes."""
    own = found.graph.state()

    def make(key: str) -> Array:
        array = arrays[found.pairs[key]]
        wanted = np.dtype(own[key].dtype)
        if array.dtype == wanted:
            return array
        if (array.dtype.kind == "f") != (wanted.kind == "f"):
            fail("NS501", f"`{key}` is {wanted}, and {array.dtype} in the file: its numbers are others")
        return array.astype(wanted)

    return Lazily(found.pairs, make)


def _of_tensors(values: Mapping[str, Any]) -> StateDict:
    def make(key: str) -> Array:
        value = values[key]
        if isinstance(value, np.ndarray):
            return cast(Array, value)
        value = value.detach().cpu()
        # NumPy has no bfloat16.
        return (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()

    return StateDict({key: tuple(value.shape) for key, value in values.items()}, make)


def _safetensors(path: str) -> StateDict | None:
    """The weights in a safetensors file, which stay there; None where NumPy has not all its dtypes."""
    if not os.path.isfile(path):
        fail("NS501", f"there is no file {path}")
    try:
        # The library checks the whole header against the file.
        with safe_open(path, framework="np"):  # pyright: ignore[reportUnknownMemberType]
            pass
    except (SafetensorError, OSError, ValueError) as error:
        notes = [str(error).splitlines()[0][:200]]
        fail("NS501", f"{path} can't be read as weights: it is cut off, or no safetensors file", notes=notes)
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        tensors: dict[str, dict[str, Any]] = json.loads(file.read(size))
    tensors.pop("__metadata__", None)
    if any(tensor["dtype"] not in _DTYPES for tensor in tensors.values()):
        return None
    # An empty file can't be mapped.
    empty = os.path.getsize(path) == 8 + size
    data: Array = np.empty(0, "u1") if empty else np.memmap(path, "u1", "r", 8 + size)

    def make(key: str) -> Array:
        begin, end = tensors[key]["data_offsets"]
        return data[begin:end].view(_DTYPES[tensors[key]["dtype"]]).reshape(tensors[key]["shape"])

    return StateDict({key: tuple(tensor["shape"]) for key, tensor in tensors.items()}, make)


_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BOOL": "?",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
}
"""NumPy's names of the dtypes in safetensors files."""
