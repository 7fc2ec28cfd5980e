"""Turns generated source into `nn.Module`s, and loads weights into them."""

from __future__ import annotations

import builtins
import hashlib
import linecache
import sys
from types import ModuleType

import torch
from torch import Tensor, nn

from netspec.backends.pytorch.classes import network_class_name
from netspec.backends.pytorch.runtime.weights import StateDict, renamed
from netspec.backends.pytorch.source import to_source
from netspec.graph.model import Graph
from netspec.passes.base import Transformed, derive_with_errors
from netspec.weights import Fit

PACKAGE = "netspec_compiled"
"""The package in `sys.modules` that holds compiled modules; it exists in this process only."""


def compile(graph: Graph) -> nn.Module:
    """Compile a graph to an `nn.Module` by way of its source, so that the code that runs is code you can read."""
    return load_source(graph, to_source(graph))


def load_source(graph: Graph, source: str) -> nn.Module:
    """The module that a graph's source defines.

    The source becomes a real Python module with lines that tracebacks and debuggers show.
    """
    module = getattr(_module(graph.name, source), network_class_name(graph))()
    assert isinstance(module, nn.Module)
    return module


def _module(name: str, source: str) -> ModuleType:
    """The Python module with this source, which is created once for each source."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    full = f"{PACKAGE}.{name}_{digest}"
    if full in sys.modules:
        return sys.modules[full]
    if PACKAGE not in sys.modules:
        # Pickle imports the module of a class by its full name, which needs a real package.
        package = sys.modules[PACKAGE] = ModuleType(PACKAGE)
        package.__path__ = []
    file = f"<netspec {name} {digest}>"
    module = ModuleType(full)
    module.__file__ = file
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    # `dont_inherit`: otherwise this file's `from __future__ import annotations` would apply to the source.
    exec(builtins.compile(source, file, "exec", dont_inherit=True), module.__dict__)
    sys.modules[full] = module
    return module


def with_weights(source: str, state: StateDict, fit: Fit, *, own: bool) -> nn.Module:
    """The module of a graph's source with the weights of a state dict that fit it.

    With `own`, the caller hands over the tensors of the state dict: if they are all the weights of the module, they
    become its parameters without a copy. Otherwise they are copied into a module that is initialised as the spec says.
    """
    weights = renamed(state, fit)
    if own and len(weights) == len(fit.graph.state()):
        return with_tensors(fit.graph, source, weights)
    module = load_source(fit.graph, source)
    module.load_state_dict(weights, strict=False)
    return module


def with_tensors(graph: Graph, source: str, weights: StateDict) -> nn.Module:
    """The module of a graph's source with these tensors as its parameters, without a copy. They are all it has."""
    with torch.device("meta"):
        module = load_source(graph, source)
    # Buffers that are no weights, such as anchors, are not in a state dict: only a real module computes them.
    if any(key not in weights for key, _ in module.named_buffers()):
        module = load_source(graph, source)
    module.load_state_dict(weights, assign=True)
    return module


def transformed_weights(transformed: Transformed, state: StateDict) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The complete state dict of a transformed graph, and the errors of the old weights that it approximates.

    Weights that a pass added, such as those of a new head, are initialised as the spec says.
    """
    derived, errors = derive_with_errors(transformed, state)
    weights = dict(derived)
    keys = transformed.graph.state().keys()
    if keys <= weights.keys():
        return weights, errors
    initial = compile(transformed.graph).state_dict()
    return {key: weights[key] if key in weights else initial[key] for key in keys}, errors
