"""From source to a live module, and weights into it."""

from __future__ import annotations

import builtins
import hashlib
import linecache
import os
import sys
from collections.abc import Mapping
from types import ModuleType

import torch
from torch import Tensor, nn

from netspec.backends.pytorch.classes import network_class_name
from netspec.backends.pytorch.source import to_source
from netspec.errors import closest, fail
from netspec.graph.model import Graph

PACKAGE = "netspec_compiled"
"""The package that compiled modules stand in, in this process only."""


def compile(graph: Graph) -> nn.Module:
    """A graph as an `nn.Module`: made from its source, so that what runs is what can be read."""
    return load(graph, to_source(graph))


def load(graph: Graph, source: str) -> nn.Module:
    """The module that a graph's source defines.

    The source becomes a real Python module with lines that tracebacks and debuggers show.
    """
    made = getattr(_module(graph.name, source), network_class_name(graph))()
    assert isinstance(made, nn.Module)
    return made


def _module(name: str, source: str) -> ModuleType:
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    full = f"{PACKAGE}.{name}_{digest}"
    if full in sys.modules:
        return sys.modules[full]
    if PACKAGE not in sys.modules:
        # A real package around the modules, without which `pickle` does not find their classes.
        package = sys.modules[PACKAGE] = ModuleType(PACKAGE)
        package.__path__ = []
    file = f"<netspec {name} {digest}>"
    module = ModuleType(full)
    module.__file__ = file
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(builtins.compile(source, file, "exec"), module.__dict__)
    sys.modules[full] = module
    return module


def load_weights(module: nn.Module, weights: Mapping[str, Tensor] | str | os.PathLike[str]) -> None:
    """Load a state dict, or a file of one; NS501 says what is missing, unused, or of another shape."""
    state = weights if isinstance(weights, Mapping) else read_weights(weights)
    own = module.state_dict()
    wrong = [
        f"`{key}` is {list(value.shape)} here and {list(own[key].shape)} in the network"
        for key, value in state.items()
        if key in own and value.shape != own[key].shape
    ]
    missing = [key for key in own if key not in state]
    unused = [key for key in state if key not in own]
    if wrong or missing or unused:
        notes = [*wrong[:5]]
        if missing:
            notes.append(f"{len(missing)} missing, such as `{missing[0]}`")
        if unused:
            notes.append(f"{len(unused)} unused, such as `{unused[0]}`")
        hint = closest(unused[0], missing) if unused and missing else ""
        fail("NS501", "the weights do not fit the network", notes=notes, help=hint)
    module.load_state_dict(dict(state))


def read_weights(path: str | os.PathLike[str]) -> Mapping[str, Tensor]:
    """The state dict in a safetensors file, or in one of torch's, which is never allowed to run code."""
    name = os.fspath(path)
    try:
        if name.endswith(".safetensors"):
            from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]

            return load_file(name)
        found = torch.load(name, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        fail("NS501", f"there is no file {name}")
    except Exception as error:
        reason = str(error).strip().splitlines()
        fail("NS501", f"{name} can't be read as weights: {reason[0] if reason else type(error).__name__}")
    if not isinstance(found, Mapping):
        fail("NS501", f"{name} holds no state dict")
    return found  # pyright: ignore[reportUnknownVariableType]
