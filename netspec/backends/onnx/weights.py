"""Where the weights of an ONNX file come from: a module, a state dict, or a file; arrays that share its memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from safetensors import SafetensorError, safe_open

from netspec.backends.onnx.write import Array
from netspec.errors import fail
from netspec.weights import Fit

if TYPE_CHECKING:
    from torch import nn

Source = Any
"""A module, a mapping of keys to tensors or arrays, or the path of a file."""


def arrays_of(source: Source) -> Mapping[str, Array]:
    """The weights of a module, state dict or file by their own keys; each becomes an array when it is asked for.

    A safetensors file is read without torch, a weight at a time. Raises NetspecError NS501 for a file without weights.
    """
    if isinstance(source, str | os.PathLike):
        path = os.fspath(cast("str | os.PathLike[str]", source))
        if path.endswith(".safetensors") and (found := SafetensorsFile(path)).has_all:
            return found
        from netspec.backends.pytorch.weights import read_weights

        return Arrays(read_weights(path))
    if isinstance(source, Mapping):
        return Arrays(cast("Mapping[str, Any]", source))
    module = cast("nn.Module", source)
    return Arrays(module.state_dict())


def shapes_of(arrays: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    """The shape of every weight, without reading a file's."""
    if isinstance(arrays, SafetensorsFile):
        return arrays.shapes()
    return {key: tuple(value.shape) for key, value in arrays.items()}


class Renamed(Mapping[str, Array]):
    """The weights that fit a network, by its own keys and in its dtypes."""

    def __init__(self, arrays: Mapping[str, Array], found: Fit) -> None:
        self.arrays = arrays
        self.pairs = found.pairs
        self.dtypes = {key: weight.dtype for key, weight in found.graph.state().items()}

    def __getitem__(self, key: str) -> Array:
        array = self.arrays[self.pairs[key]]
        wanted = np.dtype(self.dtypes[key])
        if array.dtype == wanted:
            return array
        if (array.dtype.kind == "f") != (wanted.kind == "f"):
            fail("NS501", f"`{key}` is {wanted}, and {array.dtype} in the file: its numbers are others")
        return array.astype(wanted)

    def __iter__(self) -> Iterator[str]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)


class Arrays(Mapping[str, Array]):
    """Tensors, or arrays, as arrays."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values_of = values

    def __getitem__(self, key: str) -> Array:
        value = self.values_of[key]
        return value if isinstance(value, np.ndarray) else _array(value)  # pyright: ignore[reportUnknownVariableType]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_of)

    def __len__(self) -> int:
        return len(self.values_of)


def _array(tensor: Any) -> Array:
    tensor = tensor.detach().cpu()
    # NumPy has no bfloat16.
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


class SafetensorsFile(Mapping[str, Array]):
    """The weights in a safetensors file, mapped from it: memory is taken for none."""

    def __init__(self, path: str) -> None:
        if not os.path.isfile(path):
            fail("NS501", f"there is no file {path}")
        try:
            # The library checks the whole header against the file.
            with safe_open(path, framework="np"):  # pyright: ignore[reportUnknownMemberType]
                pass
        except (SafetensorError, OSError, ValueError) as error:
            notes = [str(error).splitlines()[0][:200]]
            fail("NS501", f"{path} can't be read as weights: it is cut off, or no safetensors file", notes=notes)
        self.path = path
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            self.tensors: dict[str, dict[str, Any]] = json.loads(file.read(size))
        self.tensors.pop("__metadata__", None)
        # An empty file can't be mapped.
        empty = os.path.getsize(path) == 8 + size
        self.data: Array = np.empty(0, "u1") if empty else np.memmap(path, "u1", "r", 8 + size)

    @property
    def has_all(self) -> bool:
        """Whether NumPy knows the dtypes of all its tensors: it has no bfloat16."""
        return all(tensor["dtype"] in _DTYPES for tensor in self.tensors.values())

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every weight, without reading any."""
        return {key: tuple(tensor["shape"]) for key, tensor in self.tensors.items()}

    def __getitem__(self, key: str) -> Array:
        tensor = self.tensors[key]
        shape, (begin, end) = tuple(tensor["shape"]), tensor["data_offsets"]
        dtype = np.dtype(_DTYPES[tensor["dtype"]])
        return self.data[begin:end].view(dtype).reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}
_DTYPES["BOOL"] = "?"
