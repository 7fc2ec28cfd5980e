"""An oracle for generated source: runs a graph node by node by the printed forms of its ops, without source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from netspec.dims import substitute
from netspec.graph import Graph, Node
from netspec.types import Layer
from tests.support.contract import flat
from tests.support.printed import made, meaning


def interpret(graph: Graph, state: Mapping[str, torch.Tensor], *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The outputs of a graph in evaluation mode, with weights from a state dict."""
    values: dict[str, Any] = {i.name: value for i, value in zip(graph.inputs, inputs, strict=True)}
    with torch.no_grad():
        for node in graph.nodes:
            results = flat(_run(graph, node, state, [values[name] for name in node.inputs]))
            values |= {name: result for (name, _), result in zip(node.values(), results, strict=True)}
    return tuple(values[o.value] for o in graph.outputs)


def _run(graph: Graph, node: Node, state: Mapping[str, torch.Tensor], given: list[torch.Tensor]) -> Any:
    described = node.op.torch(*graph.input_types(node))
    layer: Any = None
    if isinstance(described, Layer) and described.inside:
        layer = state[node.weights_of]
    elif isinstance(described, Layer):
        # Built without memory, so that no initialiser runs: every weight comes from the state dict.
        with torch.device("meta"):
            layer = made(described)
        layer.load_state_dict({w.name: state[f"{node.weights_of}.{w.name}"] for w in graph.weights(node)}, assign=True)
    return meaning(described, layer)(*given)


def example_inputs(graph: Graph, seed: int = 0, batch: int = 2) -> list[torch.Tensor]:
    """Random inputs of a graph's shapes; a symbol without a nominal size is 32."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {**dict.fromkeys("HWT", 32), **graph.nominal, "N": batch}
    return [torch.randn([substitute(d, sizes) for d in i.type.shape], generator=generator) for i in graph.inputs]


def randomize(module: nn.Module, seed: int = 0) -> None:
    """Fill all weights and running statistics of a module with random numbers, so that no two are equal."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        noise = torch.randn(value.shape, generator=generator)
        scale = max(1, value[0].numel()) ** -0.5 if value.dim() > 1 else 0.1
        value.copy_(noise.abs() + 0.5 if name.endswith("running_var") else noise * scale)


def outputs_of(module: nn.Module, inputs: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """The outputs of a module in evaluation mode, always as a tuple."""
    with torch.no_grad():
        found = module.eval()(*inputs)
    return tuple(found) if isinstance(found, tuple) else (found,)


def assert_equal(found: tuple[torch.Tensor, ...], wanted: tuple[torch.Tensor, ...]) -> None:
    """Assert that outputs are equal up to rounding, since torch may split the work in other ways."""
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, equal_nan=True)


def assert_means(graph: Graph, module: nn.Module) -> None:
    """Assert that a module has exactly the graph's weights, and that its outputs are those of the graph."""
    in_graph = {name: weight.shape for name, weight in graph.state().items()}
    in_module = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert in_module == in_graph
    parameters = {name for name, weight in graph.state().items() if weight.kind == "parameter"}
    assert {name for name, _ in module.named_parameters()} == parameters
    randomize(module)
    inputs = example_inputs(graph)
    assert_equal(outputs_of(module, inputs), interpret(graph, module.state_dict(), *inputs))
