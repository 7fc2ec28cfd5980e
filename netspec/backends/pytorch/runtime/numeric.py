"""Proves a compiled module numerically: on random inputs its outputs equal those of the graph, run op by op."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from netspec.analysis.cost import costs
from netspec.backends.pytorch.runtime.alone import call_alone, layer_alone
from netspec.backends.pytorch.runtime.examples import have_images, random_inputs, random_state
from netspec.backends.pytorch.runtime.load import load_source
from netspec.errors import fail
from netspec.graph.model import Graph
from netspec.graph.walk import live_nodes, outputs_of
from netspec.ops.base import is_float

TOLERANCE = 1e-5
"""The largest error of an output relative to its largest value: both sides run the same kernels, in float32."""

_MOST = {"macs": 1_000_000_000, "parameters": 5_000_000, "units": 20_000_000, "nodes": 1_000}
"""The largest network that is run: two runs, with random weights, take less than a second on one slow core."""


def prove_numbers(graph: Graph, source: str, sizes: Mapping[str, int]) -> str:
    """Run a module on random inputs with random weights, compare with the graph, and return a summary for the report.

    The graph is run node by node with the same weights, without the generated source. A network in half precision,
    or one that might take longer than a second, is not run: the summary is then "". The state of torch's random
    generator is left as it was. Raises NetspecError NS402 where an output differs, which is a fault of netspec.
    """
    if not _is_cheap(graph, sizes):
        return ""
    generator = torch.Generator().manual_seed(0)
    inputs = random_inputs(graph, sizes, generator, torch.float32)
    state = random_state(graph, generator)
    # Creating a layer draws random numbers, and custom ops may too: both runs draw them in the same order.
    with torch.random.fork_rng(devices=()), torch.no_grad(), torch.device("cpu"):  # pyright: ignore[reportUnknownMemberType]
        torch.default_generator.manual_seed(0)
        try:
            expected = _evaluated(graph, inputs, state)
        except RuntimeError:
            return ""  # A custom op may have no kernel for the CPU, or refuse these numbers.
        module = load_source(graph, source).eval().to(torch.float32)
        module.load_state_dict(state, assign=True)
        # `training` of the module alone, and not of its layers, decides which outputs it returns.
        module.training = any(o.mode == "train" for o in graph.outputs)
        torch.default_generator.manual_seed(0)
        result = module(*[x.clone() for x in inputs.values()])
    results = [result] if isinstance(result, Tensor) else list(result)
    outputs = sorted(graph.outputs, key=lambda o: o.mode == "train")
    for o, output in zip(outputs, results, strict=True):
        difference = relative_difference(output, expected[o.value])
        if not difference <= TOLERANCE:
            message = f"output `{o.name}` of the module differs from that of the graph by {difference:.1e}"
            fail("NS402", f"{message} of its largest value, on random numbers", help=_REPORT)
    shapes = ", ".join(f"{name} {tuple(x.shape)}" for name, x in inputs.items())
    return f"numbers equal to {TOLERANCE:.0e} on {shapes}"


def _is_cheap(graph: Graph, sizes: Mapping[str, int]) -> bool:
    """Whether two runs surely take less than a second, judged by the graph's figures without running it."""
    if len(graph) > _MOST["nodes"]:
        return False
    types = [type.at(sizes) for type in graph.types.values()]
    if any(not isinstance(size, int) for type in types for size in type.shape):
        return False
    if any(is_float(type) and type.dtype != "float32" for type in types):
        return False
    units = sum(_numel(type.shape) for type in types)
    rows = costs(graph, at=sizes).values()
    macs = [row.macs for row in rows]
    if units > _MOST["units"] or not all(isinstance(n, int) for n in macs):
        return False
    samples = max([_numel(i.type.at(sizes).shape[:1]) for i in graph.inputs], default=1)
    parameters = sum(row.parameters + row.buffers for row in rows)
    return sum(n for n in macs if isinstance(n, int)) * samples <= _MOST["macs"] and parameters <= _MOST["parameters"]


def _evaluated(graph: Graph, inputs: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The values of a graph's outputs, by name; any other value is freed after its last use."""
    nodes = live_nodes(graph, "train")
    values = {name: x.clone() for name, x in inputs.items()}
    outputs = set(outputs_of(graph, "train"))
    last = {value: node.path for node in nodes for value in node.inputs}
    for node in nodes:
        layer, given = layer_alone(graph, node, state), [values[value] for value in node.inputs]
        if not have_images(node.op, given):
            raise RuntimeError(f"`{node.path}` gets regions of images that are not there")
        results = call_alone(graph, node, layer, given)
        values.update({value: tensor for (value, _), tensor in zip(node.values(), results, strict=True)})
        for value in {*node.inputs} - outputs:
            if last[value] == node.path:
                del values[value]
    return values


def relative_difference(a: Tensor, b: Tensor) -> float:
    """The largest difference of two tensors, relative to the largest value of `b`; inf if shapes or dtypes differ."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return float("inf")
    if a.numel() == 0 or torch.equal(a, b):
        return 0.0
    a, b = a.double(), b.double()
    same = (a == b) | (a.isnan() & b.isnan())
    scale = b[b.isfinite()].abs().max() if b.isfinite().any() else torch.tensor(1.0)
    differences = torch.where(same, 0.0, (a - b).abs() / scale.clamp_min(1e-30))
    return float(differences.nan_to_num(nan=float("inf")).max())


def _numel(shape: Sequence[object]) -> int:
    return math.prod([size for size in shape if isinstance(size, int)])


_REPORT = "this is a fault of netspec: please report it with the spec"
