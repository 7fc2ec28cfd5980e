"""Receptive fields of small chains of ops, held against which positions of the input have a gradient."""

from __future__ import annotations

import itertools
import math
from typing import Any

import netspec
from netspec.analysis.field import Field
from netspec.analysis.field_propagation import propagate_fields
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

Step = tuple[str, dict[str, Any]]
"""The name of an op, and its attributes."""


def built(steps: list[Step], shape: tuple[int, ...]) -> Any:
    builder = netspec.Builder("net")
    value = builder.input("image", ("N", *shape[1:]))
    for number, (op, attributes) in enumerate(steps):
        value = builder.add(op, value, name=f"s{number}", **attributes)
    builder.output("y", value)
    return builder.build()


def extents(graph: Any, shape: tuple[int, ...]) -> tuple[tuple[int, ...], torch.Tensor]:
    """The shape of the output, and for each of its units which positions of the input change it."""
    torch.manual_seed(0)
    module = netspec.compile(graph).double().eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.uniform_(0.2, 1.0)
    x = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    y = module(x)
    rows = [torch.autograd.grad(unit, x, retain_graph=True)[0] for unit in y.flatten()]
    return tuple(y.shape), torch.stack(rows).reshape(*y.shape, *shape).ne(0).any(-4).any(-3)


def hold(field: Field, shape: tuple[int, ...], out: tuple[int, ...], seen: torch.Tensor, exact: bool = True) -> None:
    """What each unit sees spans what the field says, where it lies in the map."""
    axes = field.value_axes
    for unit in itertools.product(*map(range, out)):
        spots = seen[unit].nonzero()
        for entry, axis in enumerate(axes):
            size, stride, start = field.size[entry], field.stride[entry], field.start[entry]
            assert isinstance(size, int)
            assert stride is not None
            assert start is not None
            first = stride * unit[axis] + start
            window = range(max(0, math.ceil(first)), min(shape[2 + entry], math.floor(first + size)))
            hull = range(int(spots[:, entry].min()), int(spots[:, entry].max()) + 1)
            assert (hull == window) if exact else set(hull) <= set(window), (unit, field)


def field_of(graph: Any) -> Field:
    return propagate_fields(graph)[graph.nodes[-1].path]["image"]
