"""Prove a compiled module against the analysis: weights by name and shape, outputs by shape."""

from __future__ import annotations

from typing import Any

import torch

from netspec.analysis.shapes import fixed
from netspec.backends.pytorch.classes import network_class_name
from netspec.backends.pytorch.load import load
from netspec.dims import symbols
from netspec.errors import fail
from netspec.graph.model import Graph

_UNKNOWN = 256
"""The size a symbol without a nominal one gets in the proof."""


def sizes_for(graph: Graph) -> dict[str, int]:
    """A size for every symbol of the inputs: 2 samples, nominal sizes, else one that every network takes."""
    found = dict.fromkeys(symbols([d for i in graph.inputs for d in i.type.shape]), _UNKNOWN)
    return {**found, **graph.nominal, "N": 2}


def example_inputs(graph: Graph, device: str) -> tuple[torch.Tensor, ...]:
    """Inputs of the right shapes and dtypes, zeros."""
    sizes = sizes_for(graph)
    shapes = [(fixed(i.type, sizes).shape, getattr(torch, i.type.dtype)) for i in graph.inputs]
    return tuple(torch.zeros(*shape, dtype=dtype, device=device) for shape, dtype in shapes)  # pyright: ignore[reportCallIssue, reportArgumentType, reportUnknownArgumentType, reportUnknownVariableType]


def prove(graph: Graph, source: str) -> str:
    """Build the module on the meta device, run it there, and compare; a line that says what was compared.

    Raises NetspecError NS402 where module and analysis disagree, which is a fault of netspec.
    """
    with torch.device("meta"):
        module = load(graph, source).eval()
    state = module.state_dict()
    wanted = graph.state()
    for key in sorted({*state, *wanted}):
        found = list(state[key].shape) if key in state else None
        expected = list(wanted[key].shape) if key in wanted else None
        if found != expected:
            fail("NS402", f"`{key}` is {found} in the module and {expected} in the analysis", help=_REPORT)
    with torch.no_grad():
        result: Any = module(*example_inputs(graph, "meta"))
    outputs = [o for o in graph.outputs if o.mode == "inference"]
    results = [result] if isinstance(result, torch.Tensor) else list(result)
    sizes = sizes_for(graph)
    shapes: list[str] = []
    for o, tensor in zip(outputs, results, strict=True):
        expected_shape = fixed(graph.types[o.value], sizes).shape
        if tuple(tensor.shape) != expected_shape:
            fail(
                "NS402",
                f"output `{o.name}` is {tuple(tensor.shape)}, and {expected_shape} in the analysis",
                help=_REPORT,
            )
        shapes.append(f"{o.name} {tuple(tensor.shape)}")
    parameters = sum(p.numel() for p in module.parameters())
    return (
        f"proved {network_class_name(graph)}: {len(wanted)} weights by name and shape, "
        f"{parameters:,} parameters, {', '.join(shapes)}"
    )


_REPORT = "this is a fault of netspec: please report it with the spec"
