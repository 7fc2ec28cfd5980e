"""Prove a transformed graph against the one it was made from: equal outputs on the same inputs and weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from netspec.backends.pytorch.runtime.load import compile, load_source
from netspec.backends.pytorch.runtime.prove import sizes_for
from netspec.backends.pytorch.runtime.state_dicts import StateDict
from netspec.backends.pytorch.source import to_source
from netspec.errors import fail
from netspec.graph.model import Graph, Output
from netspec.graph.rebuild import Editor, rebuild
from netspec.passes.base import Transformed

TOLERANCE = 1e-9
"""How far outputs may be apart, of the largest value, in float64."""


def prove_equal(graph: Graph, made: Transformed, outputs: tuple[Output, ...], weights: StateDict | None = None) -> str:
    """Run a graph and what passes made of it, in float64 on the CPU, and compare; a line that says what was compared.

    `outputs` are the values of the graph that the outputs of the new one stand for, in the same order. Without weights
    they are random, batch norm's statistics too. Sizes are the nominal ones; a map of one unit equals the vector that
    it was. Raises NetspecError NS402 where outputs differ, which is a fault of netspec.
    """
    whole = rebuild(replace(graph, outputs=outputs), Editor.keep)
    before = compile(whole).double().eval()
    if weights is not None:
        before.load_state_dict(weights, strict=False)
    else:
        _randomize(before)
    state = {key: value for key, value in before.state_dict().items() if key in whole.state()}
    with torch.device("meta"):
        after = load_source(made.graph, to_source(made.graph)).double().eval()
    after.load_state_dict(made.weights(state), assign=True)
    inputs = _inputs(graph)
    with torch.inference_mode():
        expected = _listed(before(*inputs.values()))
        found = _listed(after(*[inputs[i.name] for i in made.graph.inputs]))
    worst = 0.0
    for o, a, b in zip([o for o in outputs if o.mode == "inference"], expected, found, strict=True):
        apart = float((a.flatten() - b.flatten()).abs().max() / a.abs().max().clamp_min(1e-300))
        if not apart <= TOLERANCE:
            fail("NS402", f"output `{o.name}` of the new graph differs from that of the old by {apart:.1e}", help=_HELP)
        worst = max(worst, apart)
    kind = "these weights" if weights is not None else "random weights"
    return f"proved with {kind}: outputs equal to {worst:.0e} of the largest value"


def _inputs(graph: Graph) -> dict[str, torch.Tensor]:
    """Random numbers where inputs are such, else zeros."""
    sizes = {**sizes_for(graph), "N": 1}
    generator = torch.Generator().manual_seed(0)
    found: dict[str, torch.Tensor] = {}
    for i in graph.inputs:
        shape: Any = i.type.at(sizes).shape
        dtype: torch.dtype = getattr(torch, i.type.dtype)
        if dtype.is_floating_point:
            found[i.name] = torch.randn(shape, generator=generator, dtype=torch.float64)
        else:
            found[i.name] = torch.zeros(shape, dtype=dtype)
    return found


def _randomize(module: nn.Module) -> None:
    """Weights as training might leave them: no bias is 0, and no statistic 0 or 1."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if not tensor.is_floating_point():
                continue
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2, generator=generator)
            elif tensor.dim() < 2:
                tensor.uniform_(0.5, 1.5, generator=generator)
            else:
                tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)


def _listed(result: Any) -> list[torch.Tensor]:
    return [result] if isinstance(result, torch.Tensor) else list(result)


_HELP = "this is a fault of netspec: please report it with the spec"
