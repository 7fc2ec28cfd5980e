"""State dicts: read from the files that people have, and put into modules."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn

from netspec.backends.marks import metadata_for
from netspec.errors import choices, fail
from netspec.weights import Fit

State = Mapping[str, Tensor]
FilePath = str | os.PathLike[str]

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
"""Under which names training scripts save a state dict beside other things."""
_PREFIXES = ("module", "_orig_mod", "model")
"""What data-parallel training, torch.compile and training frameworks put before every key."""
_INDEX = ".index.json"


def read_weights(path: FilePath) -> State:
    """The state dict in a file: safetensors, its shards by their `.index.json`, or torch's own format.

    Nothing in a file is ever run. A checkpoint's state dict is found, and a prefix that all keys have is taken off.
    Tensors are mapped from the file where its format allows, so that it is not held in memory twice. Raises
    NetspecError NS501 for a file that is cut off, holds code, or no state dict.
    """
    name = os.fspath(path)
    if not os.path.isfile(name):
        fail("NS501", f"there is no file {name}")
    if name.endswith(_INDEX):
        return _bare(_plain(_shards(name), name))
    return _bare(_plain(_safetensors(name) if name.endswith(".safetensors") else _torch(name), name))


def _safetensors(name: str) -> dict[str, Tensor]:
    try:
        with safe_open(name, framework="pt") as file:  # pyright: ignore[reportUnknownVariableType]
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # pyright: ignore
    except (SafetensorError, OSError, ValueError) as error:
        _unreadable(name, error, "it is cut off, or no safetensors file")


def _shards(name: str) -> dict[str, Tensor]:
    """The tensors of all files that an index names, which stand beside it."""
    try:
        files = set(json.loads(Path(name).read_text("utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _unreadable(name, error, "it is no index of shards, which maps keys to files under `weight_map`")
    found: dict[str, Tensor] = {}
    for file in sorted(map(str, files)):
        if Path(file).name != file:
            fail("NS501", f"{name} names {file!r}, which is not beside it")
        shard = str(Path(name).parent / file)
        if not os.path.isfile(shard):
            fail("NS501", f"there is no file {shard}, which {name} names")
        found.update(_safetensors(shard) if file.endswith(".safetensors") else _plain(_torch(shard), shard))
    return found


def _torch(name: str) -> Any:
    try:
        try:
            return torch.load(name, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            # The format from before torch 1.6 can't be mapped.
            return torch.load(name, map_location="cpu", weights_only=True)
    except Exception as error:
        with open(name, "rb") as file:
            begins = file.read(2)
        # As an archive or as a pickle, the two forms of torch.save: what it can't read is more than tensors.
        if begins in (b"PK", b"\x80\x02") and ("weights_only" in str(error) or "Unsupported" in str(error)):
            help = "load it where you trust it, and save the module's state_dict() alone"
            fail("NS501", f"{name} holds more than tensors, and what else it holds may be code", help=help)
        _unreadable(name, error, "it is cut off, or not one that torch.save wrote")


def _unreadable(name: str, error: Exception, why: str) -> NoReturn:
    said = str(error).strip().splitlines()
    fail("NS501", f"{name} can't be read as weights: {why}", notes=[said[0][:200]] if said else ())


def _plain(found: Any, name: str) -> dict[str, Tensor]:
    """A state dict, or the one in a checkpoint."""
    if not isinstance(found, Mapping):
        fail("NS501", f"{name} holds no state dict, but {_kind(found)}")
    state = cast("Mapping[Any, Any]", found)
    if state and all(isinstance(value, Tensor) for value in state.values()):
        return {str(key): value for key, value in state.items()}
    inner = next((state[key] for key in _WRAPPERS if isinstance(state.get(key), Mapping) and state[key]), None)
    if inner is None:
        strange = [str(key) for key, value in state.items() if not isinstance(value, Tensor)]
        what = f": {choices(strange[:4])} are no tensors" if strange else ", but an empty one"
        fail("NS501", f"{name} holds no state dict{what}")
    return _plain(inner, name)


def _kind(value: Any) -> str:
    return "a module" if isinstance(value, nn.Module) else f"a {type(value).__name__}"


def _bare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict without a prefix that all keys have."""
    while True:
        heads = {key.partition(".")[0] for key in state}
        if len(heads) != 1 or (head := heads.pop()) not in _PREFIXES or any("." not in key for key in state):
            return state
        state = {key[len(head) + 1 :]: value for key, value in state.items()}


def shapes_of(state: State) -> dict[str, tuple[int, ...]]:
    """What `netspec.weights.fit` needs of a state dict."""
    return {key: tuple(value.shape) for key, value in state.items()}


def renamed(state: State, found: Fit) -> dict[str, Tensor]:
    """The weights of a state dict that fit, by the network's keys and in its order, in its dtypes."""
    own = found.graph.state()
    return {name: _cast(state[found.pairs[name]], own[name].dtype, name) for name in own if name in found.pairs}


def _cast(value: Tensor, dtype: str, name: str) -> Tensor:
    wanted: torch.dtype = getattr(torch, dtype)
    if value.dtype == wanted:
        return value
    if value.is_floating_point() != wanted.is_floating_point or value.is_quantized:
        given = str(value.dtype).removeprefix("torch.")
        fail("NS501", f"`{name}` is {dtype}, and {given} in the file: its numbers are others", help="convert it first")
    return value.to(wanted)


def save_weights(weights: dict[str, Tensor], path: FilePath, params: Mapping[str, Any]) -> None:
    """Write weights as safetensors, marked as netspec's, with the parameters of the network that they are for."""
    save_file({key: value.contiguous() for key, value in weights.items()}, path, metadata=metadata_for(params))
