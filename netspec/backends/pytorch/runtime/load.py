"""Live modules from source, and weights into them."""

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
from netspec.passes.base import Transformed
from netspec.weights import Fit

PACKAGE = "netspec_compiled"
"""The package that compiled modules stand in, in this process only."""


def compile(graph: Graph) -> nn.Module:
    """A graph as an `nn.Module`: made from its source, so that what runs is what can be read."""
    return load_source(graph, to_source(graph))


def load_source(graph: Graph, source: str) -> nn.Module:
    """The module that a graph's source defines.

    The source becomes a real Python module with lines that tracebacks and debuggers show.
    """
    module = getattr(_module(graph.name, source), network_class_name(graph))()
    assert isinstance(module, nn.Module)
    return module


def _module(name: str, source: str) -> ModuleType:
    """The Python module of a source: the one that was made of it before, if any."""
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
    # Without the `from __future__` of this file, which a file with the same source has not.
    exec(builtins.compile(source, file, "exec", dont_inherit=True), module.__dict__)
    sys.modules[full] = module
    return module


def with_weights(source: str, state: StateDict, fit: Fit, *, own: bool) -> nn.Module:
    """The module of a graph's source with the weights of a state dict that fit it.

    With `own`, nobody else has the tensors of the state dict: if they are all it needs, they become the module's, and
    nothing is made to be overwritten. Else they are copied into a module that was made as the spec says.
    """
    weights = renamed(state, fit)
    if own and len(weights) == len(fit.graph.state()):
        with torch.device("meta"):
            module = load_source(fit.graph, source)
        module.load_state_dict(weights, assign=True)
        return module
    module = load_source(fit.graph, source)
    module.load_state_dict(weights, strict=False)
    return module


def transformed_weights(made: Transformed, state: StateDict) -> dict[str, Tensor]:
    """The whole state dict of a transformed graph from that of the old one; what is fresh begins as its spec says."""
    weights = made.weights(state)
    if not made.graph.state().keys() - weights.keys():
        return weights
    fresh = compile(made.graph).state_dict()
    return {key: weights[key] if key in weights else fresh[key] for key in made.graph.state()}
