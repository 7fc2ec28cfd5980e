"""Reads state dicts from files of any common format, fits their weights to a network, and writes safetensors."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from netspec.backends.marks import errors_of_the_system, metadata_for
from netspec.backends.not_weights import describe_file
from netspec.backends.opened import opened, unreadable
from netspec.backends.pytorch.runtime.state_dicts import StateDict, state_dict_in
from netspec.backends.stored import SafetensorsFile, is_safetensors
from netspec.errors import fail
from netspec.files import FilePath, no_file
from netspec.weights import Fit

_INDEX, _MAP = ".index.json", b'"weight_map"'
"""An index of shards: the suffix of its file name, and a key in its JSON."""
_LARGEST_INDEX = 2**26


def read_weights(path: FilePath, key: str = "") -> StateDict:
    """The state dict in a file: safetensors, an index of safetensors shards, or a file of `torch.save`.

    The format is recognised by content, not by suffix. No code in a file is ever run. In a checkpoint the state dict is
    at `key`, or is searched for. The tensors are copied into memory once and do not depend on the file any more. Raises
    NetspecError NS501 for a file that is truncated, holds code, or holds no state dict.
    """
    name = os.fsdecode(path)
    return state_dict_in(_read(name), name, key)


def _read(name: str) -> Any:
    """The content of a file: a state dict, or any value that `torch.save` wrote."""
    with opened(name) as file:
        begin = file.read(16)
        if is_safetensors(begin):
            return _safetensors(name)
        if begin.lstrip().startswith((b"{", b"[")):
            file.seek(0)
            text = file.read(_LARGEST_INDEX)
            if name.endswith(_INDEX) or _MAP in text:
                return _shards(name, text)
        return _load_pickle(file, name)


def _safetensors(name: str) -> dict[str, Tensor]:
    stored = SafetensorsFile(name)
    tensors: dict[str, Tensor] = {}
    memory: dict[str, memoryview] = {}
    for key, (dtype, shape, size, _) in stored.tensors.items():
        storage = torch.empty(size, dtype=torch.uint8)
        memory[key] = storage.numpy().data
        tensors[key] = storage.view(getattr(torch, dtype)).reshape(shape)
    stored.read(memory)
    return tensors


def _shards(name: str, text: bytes) -> dict[str, Any]:
    """The tensors of all files that an index names; the files are in the folder of the index."""
    try:
        places: dict[str, str] = {key: str(file) for key, file in json.loads(text)["weight_map"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        unreadable(name, "it is no index of shards, which maps keys to files under `weight_map`", error)
    tensors: dict[str, Any] = {}
    for file in sorted(set(places.values())):
        if Path(file).name != file:
            fail("NS501", f"{name} names {file!r}, which is not beside it")
        shard = str(Path(name).parent / file)
        if not os.path.isfile(shard):
            what = no_file(shard)
            why = f"{shard} is no file: it is {what}" if what else f"there is no file {shard}"
            fail("NS501", f"{why}, which {name} names")
        state = state_dict_in(_read(shard), shard)
        tensors.update({key: value for key, value in state.items() if places.get(key, file) == file})
    for key in places:
        if key not in tensors:
            fail("NS501", f"{name} says that `{key}` is in {places[key]}, which lacks it")
    return tensors


def _load_pickle(file: BufferedReader, name: str) -> Any:
    """The value that `torch.save` wrote to a file.

    The file is not mapped into memory: for a compressed archive, `mmap=True` would take compressed bytes for numbers.
    """
    file.seek(0)
    try:
        with warnings.catch_warnings():
            # Torch warns about old pickle protocols and deprecated storages.
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True, mmap=False)
    except OSError:
        raise
    except Exception as error:
        _refuse(file, name, error)


def _refuse(file: BufferedReader, name: str, error: Exception) -> NoReturn:
    """Raise NetspecError NS501 for a file that `torch.load` can't read, and say what it is if that can be told."""
    if description := describe_file(file):
        unreadable(name, description[0], help=description[1])
    file.seek(0)
    begin = file.read(2)
    if begin == b"PK" or begin[:1] == b"\x80":
        message = str(error)
        code = re.search(r"GLOBAL (\S+)", message)
        cut = code is not None and code[1].endswith(".")
        if not cut and (code or ("weights_only" in message and "Unsupported operand" not in message)):
            what = f", such as `{code[1]}`" if code else ""
            help = (
                "load it where you trust it, with `torch.load(FILE, weights_only=False)`, and save its state dict alone"
            )
            fail("NS501", f"{name} holds more than tensors, and what else it holds may be code{what}", help=help)
        if "Unsupported operand" in message or "magic number" in message:
            why = "it is a pickle, and not one that torch.save wrote as it does by default: it may hold code"
            unreadable(name, why, help="load it where you trust it, and save its state dict with `torch.save`")
    forms = {".safetensors": "no safetensors file", _INDEX: "no index of shards"}
    form = next((form for suffix, form in forms.items() if name.endswith(suffix)), "not one that torch.save wrote")
    unreadable(name, f"it is cut off, or {form}", error)


def weight_shapes(state: StateDict) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors in a state dict, as `netspec.weights.fit` takes them."""
    return {key: tuple(value.shape) for key, value in state.items()}


def renamed(state: StateDict, fit: Fit) -> dict[str, Tensor]:
    """The weights that fit, under the network's keys, in its order and dtypes; no two share memory."""
    weights: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, weight in fit.graph.state().items():
        if name in fit.pairs:
            value = state[fit.pairs[name]]
            value = _unshared(_cast(value.t() if name in fit.transposed else value, weight.dtype, name), storages)
            storages.add(value.untyped_storage().data_ptr())
            weights[name] = value
    return weights


def _unshared(value: Tensor, taken: set[int]) -> Tensor:
    """A contiguous tensor that alone uses its storage; a view, or one with its storage in `taken`, is copied."""
    storage = value.untyped_storage()
    alone = storage.nbytes() == value.nbytes and storage.data_ptr() not in taken
    return value if alone and value.is_contiguous() else value.clone(memory_format=torch.contiguous_format)


def check_numbers(state: StateDict, fit: Fit) -> None:
    """Raise NetspecError NS501 for weights that fit by shape but are integers or complex where floats are needed."""
    for name, weight in fit.graph.state().items():
        if name in fit.pairs:
            _check_kind(state[fit.pairs[name]], weight.dtype, name)


def _check_kind(value: Tensor, dtype: str, name: str) -> None:
    expected: torch.dtype = getattr(torch, dtype)
    if value.is_complex() or value.is_floating_point() != expected.is_floating_point:
        actual = str(value.dtype).removeprefix("torch.")
        fail("NS501", f"`{name}` is {dtype}, and {actual} in the file: its numbers are others", help="convert it first")


def _cast(value: Tensor, dtype: str, name: str) -> Tensor:
    _check_kind(value, dtype, name)
    return value.to(getattr(torch, dtype))


def save_weights(weights: Mapping[str, Tensor], path: FilePath, params: Mapping[str, Any], beside: str = "") -> None:
    """Write weights as safetensors; the metadata marks them as netspec's and holds `params`, the network's parameters.

    `beside` is the name of the file that the weights belong to, such as a compiled module; "" if there is none.
    """
    metadata = metadata_for(params, beside)
    with errors_of_the_system():
        save_file({key: value.contiguous() for key, value in weights.items()}, path, metadata=metadata)
