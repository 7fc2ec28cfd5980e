"""Prove a compiled module against the analysis: weights by name and shape, outputs by shape."""

from __future__ import annotations

from typing import Any

import torch

from netspec.backends.pytorch.classes import network_class_name
from netspec.backends.pytorch.load import load
from netspec.dims import symbols
from netspec.errors import fail
from netspec.graph.infer import check_sizes, refused_at
from netspec.graph.model import Graph, Mode

_UNKNOWN = ((2, 256), (2, 1024), (32, 256), (256, 4096))
"""How many samples the proof has, and the size of symbols without a nominal one: the first two that fit are taken."""


def sizes_for(graph: Graph) -> dict[str, int]:
    """A size for every symbol of the inputs: few samples, nominal sizes, else sizes that all ops take."""
    names = sorted(symbols([d for i in graph.inputs for d in i.type.shape]))
    for samples, unknown in _UNKNOWN:
        sizes = {**dict.fromkeys(names, unknown), **graph.nominal, "N": samples}
        if refused_at(graph, sizes) is None:
            return sizes
    sizes = {**dict.fromkeys(names, _UNKNOWN[0][1]), **graph.nominal, "N": _UNKNOWN[0][0]}
    check_sizes(graph, sizes, "sizes that were tried: ")
    return sizes


def example_inputs(graph: Graph, device: str) -> tuple[torch.Tensor, ...]:
    """Inputs of the right shapes and dtypes, zeros."""
    sizes = sizes_for(graph)
    shapes = [(i.type.at(sizes).shape, getattr(torch, i.type.dtype)) for i in graph.inputs]
    return tuple(torch.zeros(*shape, dtype=dtype, device=device) for shape, dtype in shapes)  # pyright: ignore[reportCallIssue, reportArgumentType, reportUnknownArgumentType, reportUnknownVariableType]


def prove(graph: Graph, source: str) -> str:
    """Build the module on the meta device, run it there, and compare; a line that says what was compared.

    Where only the data tell sizes, the CPU has to do, and those sizes are not compared. Raises NetspecError NS402
    where module and analysis disagree, which is a fault of netspec.
    """
    device = "cpu" if _sized_by_data(graph) else "meta"
    with torch.device(device):
        module = load(graph, source).eval()
    state = module.state_dict()
    wanted = graph.state()
    for key in sorted({*state, *wanted}):
        found = list(state[key].shape) if key in state else None
        expected = list(wanted[key].shape) if key in wanted else None
        if found != expected:
            fail("NS402", f"`{key}` is {found} in the module and {expected} in the analysis", help=_REPORT)
    shapes = _run(graph, module, "inference", device)
    if any(o.mode == "train" for o in graph.outputs):
        # The module's own flag, and not that of its layers, is what decides which outputs there are.
        module.training = True
        shapes += [f"{shape} in training" for shape in _run(graph, module, "train", device)[len(shapes) :]]
    parameters = sum(p.numel() for p in module.parameters())
    return (
        f"proved {network_class_name(graph)}: {len(wanted)} weights by name and shape, "
        f"{parameters:,} parameters, {', '.join(shapes)}"
    )


def _sized_by_data(graph: Graph) -> bool:
    """Whether a graph has symbols that its inputs have not."""
    given = symbols([size for i in graph.inputs for size in i.type.shape])
    return not symbols([size for type in graph.types.values() for size in type.shape]) <= given


def _run(graph: Graph, module: torch.nn.Module, mode: Mode, device: str) -> list[str]:
    """Run a module on an example and compare the shapes of its outputs; each as text, those of inference first."""
    with torch.no_grad():
        result: Any = module(*example_inputs(graph, device))
    outputs = [o for o in graph.outputs if o.mode == "inference"]
    results = [result] if isinstance(result, torch.Tensor) else list(result)
    if mode == "train":
        outputs += [o for o in graph.outputs if o.mode == "train"]
    else:
        results = results[: len(outputs)]
    sizes = sizes_for(graph)
    shapes: list[str] = []
    for o, tensor in zip(outputs, results, strict=True):
        expected = graph.types[o.value].at(sizes).shape
        # What only the data tell is as it comes.
        known = tuple(
            [n if not isinstance(size, int) else size for size, n in zip(expected, tensor.shape, strict=False)]
        )
        if len(expected) != tensor.ndim or tuple(tensor.shape) != known:
            message = f"output `{o.name}` is {tuple(tensor.shape)}, and {expected} in the analysis"
            fail("NS402", message, help=_REPORT)
        shapes.append(f"{o.name} {tuple(tensor.shape)}")
    return shapes


_REPORT = "this is a fault of netspec: please report it with the spec"
