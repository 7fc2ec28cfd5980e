"""Runs a graph and its transformed graph on equal inputs: proves that outputs are equal, or measures how near."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from netspec.backends.pytorch.runtime.examples import random_inputs, random_state, sizes_for
from netspec.backends.pytorch.runtime.load import compile, with_tensors
from netspec.backends.pytorch.runtime.numeric import relative_difference
from netspec.backends.pytorch.runtime.state_dicts import StateDict
from netspec.backends.pytorch.source import to_source
from netspec.errors import fail
from netspec.graph.infer import refused_at
from netspec.graph.model import Graph, Output
from netspec.graph.rebuild import Editor, rebuild
from netspec.passes.base import Transformed
from netspec.shape_text import shape_text

_TOLERANCE = 1e-9
"""The largest error of an output relative to its largest value, in float64."""


def prove_transform(
    graph: Graph, transformed: Transformed, outputs: tuple[Output, ...], weights: StateDict | None = None
) -> str:
    """Run a graph and its transformed graph in float64 on the CPU, compare their outputs, and return a summary.

    `outputs` are the outputs of the original graph that correspond to those of the new one, in the same order. Weights
    that are not passed are random, including the statistics of batch norm. Sizes are the nominal ones, with one sample
    where the network takes one. Outputs are compared as flat vectors, since a pass may turn a vector into a map of size
    1x1. Raises NetspecError NS402 where outputs differ, which is a fault of netspec.
    """
    values = _values(graph, transformed, outputs, weights)
    differences = {name: relative_difference(new.flatten(), old.flatten()) for name, (old, new) in values.items()}
    for name, difference in differences.items():
        if not difference <= _TOLERANCE:
            message = f"output `{name}` of the new graph differs from that of the old by {difference:.1e}"
            fail("NS402", message, help=_HELP)
    kind = "these weights" if weights is not None else "random weights"
    return f"proved with {kind}: outputs equal to {max(differences.values(), default=0.0):.0e} of the largest value"


def measure_transform(
    graph: Graph, transformed: Transformed, outputs: tuple[Output, ...], weights: StateDict, new_weights: StateDict
) -> str:
    """Run both graphs like `prove_transform`, each with its weights, and return how much their outputs differ.

    Of outputs whose sizes depend on the data, such as detections, there may be other numbers: those are told.
    """
    values = _values(graph, transformed, outputs, weights, new_weights)
    equal = [(new, old) for old, new in values.values() if new.numel() == old.numel()]
    others = [
        f"`{name}` is {shape_text(tuple(new.shape))}, and was {shape_text(tuple(old.shape))}"
        for name, (old, new) in values.items()
        if new.numel() != old.numel()
    ]
    if equal:
        worst = max(relative_difference(new.flatten(), old.flatten()) for new, old in equal)
        others.insert(0, f"outputs differ by up to {worst:.0e} of the largest value")
    return f"measured with these weights, on random inputs: {'; '.join(others)}"


def _values(
    graph: Graph,
    transformed: Transformed,
    outputs: tuple[Output, ...],
    weights: StateDict | None,
    new_weights: StateDict | None = None,
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Each inference output of the old graph and of the new; new weights are derived from the old if not passed."""
    kept = rebuild(replace(graph, outputs=outputs), Editor.keep)
    before = compile(kept).double().eval()
    generator = torch.Generator().manual_seed(0)
    before.load_state_dict(random_state(kept, generator) if weights is None else weights, strict=False)
    if new_weights is None:
        state = {key: value for key, value in before.state_dict().items() if key in kept.state()}
        new_weights = transformed.weights(state)
    after = with_tensors(transformed.graph, to_source(transformed.graph), new_weights).double().eval()
    sizes = sizes_for(graph)
    alone = {**sizes, "N": 1}
    inputs = random_inputs(graph, sizes if refused_at(graph, alone) else alone, generator, torch.float64)
    with torch.inference_mode():
        old_values = _listed(before(*inputs.values()))
        new_values = _listed(after(*[inputs[i.name] for i in transformed.graph.inputs]))
    return {
        o.name: (old, new)
        for o, old, new in zip([o for o in outputs if o.mode == "inference"], old_values, new_values, strict=True)
    }


def _listed(result: Any) -> list[torch.Tensor]:
    """The outputs of a module as a list: a module with one output returns a bare tensor."""
    return [result] if isinstance(result, torch.Tensor) else list(result)


_HELP = "this is a fault of netspec: please report it with the spec"
