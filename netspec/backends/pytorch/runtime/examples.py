"""Examples on which a proof runs a graph: sizes for its symbols, inputs, and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from netspec.dims import symbols
from netspec.graph.infer import check_sizes, refused_at
from netspec.graph.model import Graph
from netspec.ops.base import Op, is_float

_SAMPLES_AND_SIZES = ((2, 256), (2, 1024), (32, 256), (256, 4096))
"""Pairs to try in turn: the batch size, and the size of every symbol that has no nominal size."""

_SAMPLES_AND_SIZES_OF_VOLUMES = ((2, 32), *_SAMPLES_AND_SIZES)
"""Where an input has three open sizes beside its batch: 256 of each make gigabytes."""


def sizes_for(graph: Graph) -> dict[str, int]:
    """A size for every symbol of the inputs: its nominal size, else the first of a few candidates that all ops accept.

    Raises NetspecError, at the node that refuses its input, where no candidate works.
    """
    names = sorted(symbols([d for i in graph.inputs for d in i.type.shape]))
    # Sizes that depend on the data are those that the run gives, not the nominal ones.
    nominal = {name: graph.nominal[name] for name in names if name in graph.nominal}
    candidates = _SAMPLES_AND_SIZES_OF_VOLUMES if _has_volumes(graph) else _SAMPLES_AND_SIZES
    for samples, size in candidates:
        sizes = {**dict.fromkeys(names, size), **nominal, "N": samples}
        if refused_at(graph, sizes) is None:
            return sizes
    samples, size = candidates[0]
    sizes = {**dict.fromkeys(names, size), **nominal, "N": samples}
    check_sizes(graph, sizes, "sizes that were tried: ")
    return sizes


def _has_volumes(graph: Graph) -> bool:
    """Whether an input has more than two axes whose sizes are open and have no nominal size, beside its batch."""
    closed = {*graph.nominal, "N"}
    return any(sum(bool(symbols([size]) - closed) for size in i.type.shape) > 2 for i in graph.inputs)


def example_inputs(graph: Graph, device: str, sizes: Mapping[str, int]) -> tuple[Tensor, ...]:
    """Tensors with the shapes and dtypes of a graph's inputs, at these sizes of its symbols.

    They are filled with 0, or with the smallest integer that the ops which read an input take.
    """
    smallest, types = _smallest_integers(graph), {i.name: i.type.at(sizes) for i in graph.inputs}
    return tuple(
        [
            torch.full(_ints(type.shape), smallest[name], dtype=getattr(torch, type.dtype), device=device)
            for name, type in types.items()
        ]
    )


def _smallest_integers(graph: Graph) -> dict[str, int]:
    """By value, the smallest integer that all ops which it reaches take, such as 1 for lengths."""
    smallest = dict.fromkeys(graph.types, 0)
    for node in reversed(graph.nodes):
        passed_on = max([smallest[value] for value, type in node.values() if not is_float(type)], default=0)
        for number, value in enumerate(node.inputs):
            smallest[value] = max(smallest[value], passed_on, node.op.smallest(number, len(node.inputs)))
    return smallest


def random_inputs(
    graph: Graph, sizes: Mapping[str, int], generator: torch.Generator, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Inputs by name: normal numbers in `dtype` for floats; the smallest possible integers, mostly 0 for an index.

    Regions, such as those of RoI pooling, are boxes on the first image.
    """
    smallest, regions = _smallest_integers(graph), _regions(graph)
    inputs: dict[str, Tensor] = {}
    for i in graph.inputs:
        shape, input_dtype = _ints(i.type.at(sizes).shape), getattr(torch, i.type.dtype)
        if i.name in regions:
            inputs[i.name] = _random_regions(shape[0], generator, dtype)
        elif input_dtype.is_floating_point:
            inputs[i.name] = torch.randn(shape, generator=generator, dtype=dtype, device="cpu")
        else:
            inputs[i.name] = torch.full(shape, smallest[i.name], dtype=input_dtype, device="cpu")
    return inputs


def _regions(graph: Graph) -> set[str]:
    """The values with regions for ops, and those of the same type that they are computed from."""
    regions: set[str] = set()
    for node in reversed(graph.nodes):
        if node.op.regions is not None:
            regions.add(node.inputs[node.op.regions])
        for value, type in node.values():
            if value in regions:
                regions.update(before for before in node.inputs if graph.types[before] == type)
    return regions


def _random_regions(count: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Regions (image, x1, y1, x2, y2) within 100 pixels of the first image's corner."""
    corners = torch.rand((count, 2, 2), generator=generator, dtype=dtype, device="cpu") * 100
    return torch.nn.functional.pad(corners.sort(1).values.flatten(1), (1, 0))


def have_images(op: Op, values: Sequence[Tensor]) -> bool:
    """Return whether the regions among an op's inputs are of images that are there: torchvision does not check it."""
    if op.regions is None:
        return True
    images, numbers = next(len(x) for x in values if x.ndim == 4), values[op.regions][:, 0].trunc()
    return bool(((numbers >= 0) & (numbers < images)).all())


def random_state(graph: Graph, generator: torch.Generator) -> dict[str, Tensor]:
    """A random state dict that resembles a trained one.

    Biases are not 0, variances are positive, and layers roughly keep the scale of their inputs.
    """
    state: dict[str, Tensor] = {}
    for key, weight in graph.state().items():
        dtype: torch.dtype = getattr(torch, weight.dtype)
        tensor = torch.empty(weight.shape, dtype=dtype, device="cpu")
        if not dtype.is_floating_point:
            state[key] = tensor.zero_()
        elif len(weight.shape) < 2:
            state[key] = tensor.uniform_(0.5, 1.5, generator=generator)
        else:
            state[key] = tensor.normal_(0, (1 / max(tensor[0].numel(), 1)) ** 0.5, generator=generator)
    return state


def _ints(shape: tuple[object, ...]) -> list[int]:
    """A shape without symbols, as a list of numbers."""
    sizes = [size for size in shape if isinstance(size, int)]
    assert len(sizes) == len(shape), shape
    return sizes
