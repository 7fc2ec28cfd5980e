"""Modules with weights that tell mistakes: no two equal, no statistic 0 or 1; and what passes make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from netspec.backends.pytorch.runtime.examples import sizes_for
from netspec.backends.pytorch.runtime.load import load_source
from netspec.backends.pytorch.runtime.prove import prove_module
from netspec.backends.pytorch.source import to_source
from netspec.graph import Graph, Output
from netspec.passes import Transformed
from tests.support.interpret import interpret

"""Where specs stand that are not bundled."""


@torch.no_grad()
def trained(graph: Graph, dtype: torch.dtype = torch.float64) -> nn.Module:
    """The graph's module with He's initialisation, and biases and batch norms as training leaves them."""
    generator = torch.Generator().manual_seed(0)

    def draw(tensor: Tensor | None, low: float, high: float) -> None:
        if tensor is not None:
            tensor.uniform_(low, high, generator=generator)

    with torch.device("meta"):
        module = load_source(graph, to_source(graph))
    module = module.to_empty(device="cpu").to(dtype).eval()
    for parameter in module.parameters():
        draw(parameter, -0.5, 0.5)
    for inner in module.modules():
        if isinstance(inner, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            draw(inner.running_mean, -0.5, 0.5)
            draw(inner.running_var, 0.3, 2.0)
            draw(inner.weight, 0.5, 1.5)
            if inner.num_batches_tracked is not None:
                inner.num_batches_tracked.zero_()
        elif isinstance(inner, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
            nn.init.kaiming_normal_(inner.weight, nonlinearity="relu", generator=generator)
    return module


def made_of(before: nn.Module, made: Transformed) -> nn.Module:
    """The module of the graph that a pass made, proved, with what becomes of a module's weights: all of them."""
    source = to_source(made.graph)
    prove_module(made.graph, source)
    with torch.device("meta"):
        module = load_source(made.graph, source)
    state = made.weights(before.state_dict())
    assert list(state) == list(made.graph.state())
    module.load_state_dict(state, strict=True, assign=True)
    return module.eval()


def images(graph: Graph, batch: int = 2, dtype: torch.dtype = torch.float64, **sizes: int) -> list[Tensor]:
    """Random inputs; symbols have the sizes given, else their nominal ones."""
    generator = torch.Generator().manual_seed(1)
    known = {**sizes_for(graph), "N": batch, **sizes}
    shapes = [i.type.at(known).shape for i in graph.inputs]
    return [torch.randn(*shape, dtype=dtype, generator=generator) for shape in shapes]  # type: ignore[arg-type]


def run(module: nn.Module, *inputs: Tensor) -> tuple[Tensor, ...]:
    """All that a module gives."""
    with torch.no_grad():
        found = module(*inputs)
    return tuple(found) if isinstance(found, tuple) else (found,)


def every_value(graph: Graph, before: nn.Module, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
    """Every value of a graph by its name, run node by node, of which no source is made."""
    values = [value for node in graph for value, _ in node.values()]
    whole = replace(graph, outputs=tuple(Output(f"o{n}", value) for n, value in enumerate(values)))
    return dict(zip(values, interpret(whole, before.state_dict(), *inputs), strict=True))


def assert_same(found: Sequence[Tensor], wanted: Sequence[Tensor], tolerance: float = 1e-9) -> None:
    """Equal up to rounding, and no zeros."""
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        most = float(b.abs().max())
        assert most > 1e-3
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * most)


def assert_whole(graph: Graph) -> None:
    """Scopes and sharing name nothing that is not there."""
    for scope in graph.scopes.values():
        assert {*scope.inputs.values(), *scope.outputs} <= graph.types.keys(), scope.path
        assert scope.outputs
        assert not scope.weights_of or scope.weights_of in {*graph.scopes, *graph.by_path}
        if scope.block is not None and len(scope.outputs) > 1:
            assert len(scope.block.outputs) == len(scope.outputs)
    assert all(graph[node.weights_of].weights_of == node.weights_of for node in graph)
