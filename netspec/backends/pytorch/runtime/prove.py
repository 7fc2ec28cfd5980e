"""Proves that a compiled module is its graph: weights have equal names and shapes, outputs equal computations."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, NoReturn

import torch

from netspec.analysis.cost import UNUSED, unused_parameters
from netspec.backends.pytorch.classes import network_class_name
from netspec.backends.pytorch.runtime.examples import example_inputs, sizes_for
from netspec.backends.pytorch.runtime.expected import expected_numbers
from netspec.backends.pytorch.runtime.load import load_source
from netspec.backends.pytorch.runtime.numeric import prove_numbers
from netspec.backends.pytorch.runtime.trace import Numbers, Trace, mark, mark_weights
from netspec.dims import symbols
from netspec.errors import choices, fail
from netspec.graph.model import Graph, Mode
from netspec.graph.walk import live_nodes
from netspec.ops.base import is_float


def prove_module(graph: Graph, source: str) -> str:
    """Build the module on the meta device, run it there, compare it with the graph, and return a one-line summary.

    Each output must be computed by the same calls, with the same arguments, values and weights, as in the graph: see
    `trace`. If sizes depend on the data (as after non-maximum suppression), the module runs on the CPU, and those sizes
    are not compared; it also runs there if an op needs the elements of an input, such as lengths. Small networks are
    also compared numerically: see `numeric`. Raises NetspecError NS402 where module and graph disagree, which is a
    fault of netspec.
    """
    device = "cpu" if _sized_by_data(graph) or any(node.op.needs_values() for node in graph.nodes) else "meta"
    with torch.device(device):
        # Torch creates weights in float32; for inputs in another precision the module is cast, as its user would do.
        module = load_source(graph, source).eval().to(_precision(graph))
    numbers = Numbers()
    mark_weights(module, numbers)
    state = module.state_dict()
    weights = graph.state()
    for key in sorted({*state, *weights}):
        in_module = list(state[key].shape) if key in state else None
        in_graph = list(weights[key].shape) if key in weights else None
        if in_module != in_graph:
            fail("NS402", f"`{key}` is {in_module} in the module and {in_graph} in the analysis", help=_REPORT)
    # Finding sizes checks every op, so it is done once for both runs.
    sizes = sizes_for(graph)
    inputs = example_inputs(graph, device, sizes)
    expected = expected_numbers(graph, numbers, sizes, inputs, state)
    shapes = _run(graph, module, "inference", sizes, inputs, numbers, expected)
    if any(o.mode == "train" for o in graph.outputs):
        # `training` of the module alone, and not of its layers, decides which outputs it returns.
        module.training = True
        shapes += [
            f"{shape} in training"
            for shape in _run(graph, module, "train", sizes, inputs, numbers, expected)[len(shapes) :]
        ]
    parameters = sum(p.numel() for p in module.parameters())
    unused = unused_parameters(graph)
    of_these = f" ({unused:,} of them {UNUSED})" if unused else ""
    figures = [f"{len(weights)} weights by name and shape", f"{parameters:,} parameters{of_these}", *shapes]
    if equal := prove_numbers(graph, source, sizes):
        figures.append(equal)
    return f"proved {network_class_name(graph)}: {', '.join(figures)}"


def _precision(graph: Graph) -> torch.dtype:
    """The float dtype that all ops with weights compute in. Raises NetspecError NS401 where there are several."""
    paths: dict[str, str] = {}
    for node in graph.nodes:
        if graph.weights(node):
            paths.update({x.dtype: node.path for x in graph.input_types(node) if is_float(x)})
    if len(paths) > 1:
        dtypes = ", ".join(f"`{path}` in {dtype}" for dtype, path in paths.items())
        help = "give all inputs one `dtype`"
        fail("NS401", f"a module of PyTorch works in one dtype, and here is {dtypes}", help=help)
    return getattr(torch, next(iter(paths), "float32"))


def _sized_by_data(graph: Graph) -> bool:
    """Whether some size depends on the data: the graph then has symbols that its inputs lack."""
    of_inputs = symbols([size for i in graph.inputs for size in i.type.shape])
    return not symbols([size for type in graph.types.values() for size in type.shape]) <= of_inputs


def _run(
    graph: Graph,
    module: torch.nn.Module,
    mode: Mode,
    sizes: Mapping[str, int],
    inputs: tuple[torch.Tensor, ...],
    numbers: Numbers,
    expected: Mapping[str, int],
) -> list[str]:
    """Run a module on example inputs, compare its outputs with the graph, and return their shapes as text.

    Outputs of inference come before those of training. `expected` holds the value number of every value of the graph.
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
        # A size that depends on the data is taken from the tensor, and so always agrees.
        sizes_known = [n if not isinstance(size, int) else size for size, n in zip(shape, tensor.shape, strict=False)]
        if len(shape) != tensor.ndim or list(tensor.shape) != sizes_known:
            message = f"output `{o.name}` is {tuple(tensor.shape)}, and {shape} in the analysis"
            fail("NS402", message, help=_REPORT)
        if trace.number_of(tensor) != expected[o.value]:
            _fail_at_first(graph, mode, expected, trace.computed)
        shapes.append(f"{o.name} {tuple(tensor.shape)}")
    return shapes


def _fail_at_first(graph: Graph, mode: Mode, expected: Mapping[str, int], computed: Container[int]) -> NoReturn:
    """Raise NetspecError NS402 at the first node whose value the module does not compute."""
    for node in live_nodes(graph, mode):
        # A node that returns its input, such as an identity, makes no call.
        if expected[node.path] not in computed and expected[node.path] not in {
            expected[value] for value in node.inputs
        }:
            weights = f" with the weights of `{node.weights_of}`" if graph.weights(node) else ""
            what = f"`{node.path}`, which is {node.op}{weights} on {choices(node.inputs)}"
            fail("NS402", f"the module does not compute {what}", node.span, help=_REPORT)
    fail("NS402", "the module gives other values than the outputs of the graph", help=_REPORT)


_REPORT = "this is a fault of netspec: please report it with the spec"
