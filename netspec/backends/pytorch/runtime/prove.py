"""Prove a compiled module against its graph: weights by name and shape, outputs by what they are computed from."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, NoReturn

import torch

from netspec.analysis.cost import UNUSED, unused_parameters
from netspec.backends.pytorch.classes import network_class_name
from netspec.backends.pytorch.runtime.expected import expected_numbers
from netspec.backends.pytorch.runtime.load import load_source
from netspec.backends.pytorch.runtime.numeric import prove_numbers
from netspec.backends.pytorch.runtime.trace import Numbers, Trace, mark, mark_weights
from netspec.dims import symbols
from netspec.errors import choices, fail
from netspec.graph.infer import check_sizes, refused_at
from netspec.graph.model import Graph, Mode
from netspec.graph.walk import live_nodes
from netspec.ops.base import is_float

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


def example_inputs(graph: Graph, device: str, sizes: Mapping[str, int]) -> tuple[torch.Tensor, ...]:
    """Inputs of the right shapes and dtypes at some sizes, zeros."""
    shapes = [(i.type.at(sizes).shape, getattr(torch, i.type.dtype)) for i in graph.inputs]
    return tuple(torch.zeros(*shape, dtype=dtype, device=device) for shape, dtype in shapes)  # pyright: ignore[reportCallIssue, reportArgumentType, reportUnknownArgumentType, reportUnknownVariableType]


def prove_module(graph: Graph, source: str) -> str:
    """Build the module on the meta device, run it there, and compare; a line that says what was compared.

    Each output has to come from the calls that the nodes of the graph stand for, with their attributes, on the same
    values and weights: see `trace`. Where only the data tell sizes, the CPU has to do, and those sizes are not
    compared. Small networks are run in numbers as well: see `numeric`. Raises NetspecError NS402 where module and graph
    disagree, which is a fault of netspec.
    """
    device = "cpu" if _sized_by_data(graph) else "meta"
    with torch.device(device):
        # Torch makes weights in float32: for inputs in another precision its user casts the module.
        module = load_source(graph, source).eval().to(_precision(graph))
    numbers = Numbers()
    mark_weights(module, numbers)
    state = module.state_dict()
    wanted = graph.state()
    for key in sorted({*state, *wanted}):
        found = list(state[key].shape) if key in state else None
        expected = list(wanted[key].shape) if key in wanted else None
        if found != expected:
            fail("NS402", f"`{key}` is {found} in the module and {expected} in the analysis", help=_REPORT)
    # Each op is asked whether it takes them: once is enough.
    sizes = sizes_for(graph)
    inputs = example_inputs(graph, device, sizes)
    expected = expected_numbers(graph, numbers, sizes, inputs, state)
    shapes = _run(graph, module, "inference", sizes, inputs, numbers, expected)
    if any(o.mode == "train" for o in graph.outputs):
        # The module's own flag, and not that of its layers, is what decides which outputs there are.
        module.training = True
        shapes += [
            f"{shape} in training"
            for shape in _run(graph, module, "train", sizes, inputs, numbers, expected)[len(shapes) :]
        ]
    parameters = sum(p.numel() for p in module.parameters())
    unused = unused_parameters(graph)
    of_these = f" ({unused:,} of them {UNUSED})" if unused else ""
    figures = [f"{len(wanted)} weights by name and shape", f"{parameters:,} parameters{of_these}", *shapes]
    if equal := prove_numbers(graph, source, sizes):
        figures.append(equal)
    return f"proved {network_class_name(graph)}: {', '.join(figures)}"


def _precision(graph: Graph) -> torch.dtype:
    """The one dtype of floats that all ops with weights work in."""
    found: dict[str, str] = {}
    for node in graph.nodes:
        if graph.weights(node):
            found.update({x.dtype: node.path for x in graph.input_types(node) if is_float(x)})
    if len(found) > 1:
        said = ", ".join(f"`{path}` in {dtype}" for dtype, path in found.items())
        help = "give all inputs one `dtype`"
        fail("NS401", f"a module of PyTorch works in one dtype, and here is {said}", help=help)
    return getattr(torch, next(iter(found), "float32"))


def _sized_by_data(graph: Graph) -> bool:
    """Whether a graph has symbols that its inputs have not."""
    given = symbols([size for i in graph.inputs for size in i.type.shape])
    return not symbols([size for type in graph.types.values() for size in type.shape]) <= given


def _run(
    graph: Graph,
    module: torch.nn.Module,
    mode: Mode,
    sizes: Mapping[str, int],
    inputs: tuple[torch.Tensor, ...],
    numbers: Numbers,
    expected: Mapping[str, int],
) -> list[str]:
    """Run a module on an example and compare what its outputs are; their shapes as text, those of inference first.

    `expected` are the numbers of all values of the graph.
    """
    for i, tensor in zip(graph.inputs, inputs, strict=True):
        mark(tensor, numbers("input", i.name))
    trace = Trace(numbers)
    with torch.no_grad(), trace:
        result: Any = module(*inputs)
    outputs = [o for o in graph.outputs if o.mode == "inference"]
    results = [result] if isinstance(result, torch.Tensor) else list(result)
    if mode == "train":
        outputs += [o for o in graph.outputs if o.mode == "train"]
    else:
        results = results[: len(outputs)]
    shapes: list[str] = []
    for o, tensor in zip(outputs, results, strict=True):
        shape = graph.types[o.value].at(sizes).shape
        # What only the data tell is as it comes.
        known = tuple([n if not isinstance(size, int) else size for size, n in zip(shape, tensor.shape, strict=False)])
        if len(shape) != tensor.ndim or tuple(tensor.shape) != known:
            message = f"output `{o.name}` is {tuple(tensor.shape)}, and {shape} in the analysis"
            fail("NS402", message, help=_REPORT)
        if trace.number_of(tensor) != expected[o.value]:
            _fail_at_first(graph, mode, expected, trace.made)
        shapes.append(f"{o.name} {tuple(tensor.shape)}")
    return shapes


def _fail_at_first(graph: Graph, mode: Mode, expected: Mapping[str, int], made: Container[int]) -> NoReturn:
    """Say which node is the first whose value the module does not compute."""
    for node in live_nodes(graph, mode):
        # What gives back what it takes is no call.
        if expected[node.path] not in made and expected[node.path] not in {expected[value] for value in node.inputs}:
            weights = f" with the weights of `{node.weights_of}`" if graph.weights(node) else ""
            what = f"`{node.path}`, which is {node.op}{weights} on {choices(node.inputs)}"
            fail("NS402", f"the module does not compute {what}", node.span, help=_REPORT)
    fail("NS402", "the module gives other values than the outputs of the graph", help=_REPORT)


_REPORT = "this is a fault of netspec: please report it with the spec"
