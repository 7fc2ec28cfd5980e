"""What a unit sees, by gradients: a spec run with layers through which every position of a window shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tests.fuzz.reference import Reference, layer_of

Interval = tuple[int, int] | None
"""First and last position; None where nothing is seen."""


def transparent(path: str, op: str, x: torch.Tensor, attributes: dict[str, Any]) -> Callable[[torch.Tensor], Any]:
    """What stands for an op: weights all positive, so that nothing cancels, maxima as means, slopes never zero."""
    built = layer_of(path, op, x.to("meta"), attributes)
    match built:
        case nn.Conv2d() | nn.Linear():
            built = built.double().to_empty(device="cpu")
            with torch.no_grad():
                for weight in built.parameters():
                    weight.uniform_(0.5, 1.5).div_(max(1, weight[0].numel()))
            return built
        case nn.AvgPool2d() | nn.AdaptiveAvgPool2d() | nn.Flatten():
            return built
        case nn.AdaptiveMaxPool2d():
            return nn.AdaptiveAvgPool2d(built.output_size)
        case nn.MaxPool2d():
            return partial(_window_sum, pool=built)
        case nn.Softmax() | nn.LogSoftmax() if built.dim % x.dim() >= 2:
            return lambda value: value + value.mean(built.dim, keepdim=True)
        case nn.BatchNorm2d() if not built.track_running_stats:
            # Every unit has a part in the statistics; those of other samples are left out.
            return lambda value: value + value.mean((2, 3), keepdim=True)
        case _:
            return nn.Identity()


def _window_sum(value: torch.Tensor, pool: nn.MaxPool2d) -> torch.Tensor:
    """A max pool that sees all of its window: the sum over it, from as many windows as the pool has."""
    size = pool(value.to("meta")).shape
    kernel, stride, padding, dilation = (
        given if isinstance(given, tuple) else (given, given)
        for given in (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
    )
    # In ceil mode the last window may reach past the padding.
    (above, left), after = padding, [p + s for p, s in zip(padding, stride, strict=True)]
    wide = functional.pad(value, (left, after[1], above, after[0]))
    ones = torch.ones(size[1], 1, *kernel, dtype=value.dtype) / (kernel[0] * kernel[1])
    found = functional.conv2d(wide, ones, stride=stride, dilation=dilation, groups=size[1])
    return found[:, :, : size[2], : size[3]]


def seen(data: Mapping[str, Any], units: list[tuple[str, tuple[int, ...]]]) -> list[tuple[Interval, Interval]]:
    """For each unit, a value's path and a position, the rows and the columns of the input that it depends on."""
    (shape,) = data["inputs"].values()
    x = torch.rand(1, *shape[1:], dtype=torch.float64) + 0.5
    # One sample a unit, so that one run forth and back tells of all.
    images = x.repeat(len(units), 1, 1, 1).requires_grad_()
    reference = Reference(data, transparent)
    reference(images)
    chosen = [reference.values[path][number, ..., *at].sum() for number, (path, at) in enumerate(units)]
    torch.stack(chosen).sum().backward()
    assert images.grad is not None
    touched = images.grad.sum(1) > 0
    return [(_extent(sample.any(1)), _extent(sample.any(0))) for sample in touched]


def _extent(positions: torch.Tensor) -> Interval:
    where = positions.nonzero().flatten().tolist()
    return (where[0], where[-1]) if where else None


@dataclass(frozen=True)
class Edges:
    """Whether what is seen reaches the first and the last position of the input where a field goes beyond it.

    It does not where windows leave holes or positions out, and goes beyond its field where padding copies values.
    """

    first: bool = True
    last: bool = True
    copied: bool = False


def edges_of(reference: Reference, axis: int) -> dict[str, Edges]:
    """The edges of every value by its path, along the rows (0) or the columns (1)."""
    found: dict[int, Edges] = {}
    by_path: dict[str, Edges] = {}
    for path, _, attributes, inputs in reference.steps:
        befores = [found.get(id(x), Edges()) for x in inputs]
        edges = Edges(
            all(e.first for e in befores), all(e.last for e in befores), any(e.copied for e in befores)
        )  # fmt: skip
        layer = reference.layers.get(path)
        y = reference.values[path]
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            edges = _after(edges, layer, attributes, inputs[0].shape[2 + axis], y.shape[2 + axis], axis)
        found[id(y)] = by_path[path] = edges
    return by_path


def _after(edges: Edges, layer: Any, attributes: Mapping[str, Any], size: int, places: int, axis: int) -> Edges:
    """The edges behind a window that slides: it must leave no hole, and reach both ends of the map."""

    def along(name: str) -> int:
        value = getattr(layer, name, 1)
        return value[axis] if isinstance(value, tuple) else value

    kernel, stride, dilation = along("kernel_size"), along("stride"), along("dilation")
    same = attributes.get("padding") == "same"
    padding = dilation * (kernel - 1) // 2 if same else 0 if attributes.get("padding") == "valid" else along("padding")
    copied = attributes.get("padding_mode", "zeros") != "zeros" and padding > 0
    solid = (dilation == 1 or kernel == 1) and kernel >= stride and kernel > padding
    last = (places - 1) * stride - padding
    return Edges(
        edges.first and solid,
        edges.last and solid and last < size <= last + kernel,
        edges.copied or copied,
    )
