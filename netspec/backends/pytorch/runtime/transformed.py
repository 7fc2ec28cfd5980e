"""The state dict of a transformed graph, whole: what is fresh begins as its spec says."""

from __future__ import annotations

from torch import Tensor

from netspec.backends.pytorch.runtime.load import compile
from netspec.backends.pytorch.runtime.state_dicts import StateDict
from netspec.passes.base import Transformed


def transformed_weights(made: Transformed, state: StateDict) -> dict[str, Tensor]:
    """The weights of the new graph from those of the old; those that nothing gives are a new module's."""
    found = made.weights(state)
    missing = made.graph.state().keys() - found.keys()
    if not missing:
        return found
    begun = compile(made.graph).state_dict()
    return {key: found[key] if key in found else begun[key] for key in made.graph.state()}
