"""Holds a bundled network against torchvision's module of it, with the same weights.

A `Peer` is a line of a table: a network, and the builder of torchvision's that makes the same. `meet` makes both
modules: torchvision's with random weights and running statistics, ours from its state dict as it is, by the rules under
`weights` of the spec.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import netspec
from netspec.network import Network
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    import torchvision
    from torch import Tensor, nn
    from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Peer:
    """A bundled network and torchvision's builder of the same.

    `size` is the height and width of images if not the spec's own, and `small` of those for ONNX Runtime, where the
    network takes smaller ones. `outputs` are torchvision's names of several outputs, in the order of the spec's.
    `chance` is false where torchvision draws what it drops in another order.
    """

    name: str
    builder: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    small: tuple[int, int] | None = None
    outputs: tuple[str, ...] = ()
    chance: bool = True

    def network(self, size: tuple[int, int] | None = None) -> Network:
        """The network for images of a size; without one, of the size in the table."""
        size = size or self.size
        shapes = {"image": ["N", 3, *size]} if size else None
        return netspec.load(self.name, params=self.params, inputs=shapes)

    def build(self) -> nn.Module:
        """torchvision's module, on the default device."""
        return torchvision.models.get_model(self.builder, weights=None, **self.arguments)

    def images(self, network: Network, batch: int) -> Tensor:
        """Random images of the size that the network takes."""
        shape = network.graph.inputs[0].type.at({**network.graph.nominal, "N": batch}).shape
        return torch.randn(shape, generator=torch.Generator().manual_seed(batch))

    def values(self, outputs: Any) -> list[Tensor]:
        """The outputs of torchvision's module, or of ours, in the order of ours."""
        if isinstance(outputs, Tensor):
            return [outputs]
        if isinstance(outputs, Mapping):
            return [outputs[name] for name in self.outputs or outputs]
        if set(self.outputs) <= set(getattr(outputs, "_fields", ())):
            return [getattr(outputs, name) for name in self.outputs or outputs._fields]
        return list(outputs)


@dataclass(frozen=True)
class Pair:
    """A network's module and torchvision's, in evaluation mode and with the same weights."""

    peer: Peer
    network: Network
    ours: nn.Module
    theirs: nn.Module

    @cached_property
    def keys(self) -> Mapping[str, str]:
        """torchvision's key for each of ours."""
        return self.network.fit_weights(self.theirs.state_dict())[1].pairs


def meet(peer: Peer) -> Pair:
    """Make both modules, with random weights."""
    theirs = peer.build()
    randomize(theirs)
    network = peer.network()
    ours = network.compile(theirs.state_dict())
    return Pair(peer, network, ours.eval(), theirs.eval())


def randomize(module: nn.Module) -> None:
    """Weights and running statistics of which none is like another, and under which the input is not forgotten."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=generator)
                scale = (2 / max(1, value[0].numel())) ** 0.5 if value.dim() > 1 else 0.1
                centre = 1 if value.dim() == 1 and name.endswith("weight") else 0
                value.copy_(noise.abs() + 0.5 if name.endswith("running_var") else centre + noise * scale)


def without_chance(module: nn.Module) -> nn.Module:
    """A copy of a module in training mode in which nothing is dropped."""
    module = copy.deepcopy(module).train()
    for part in module.modules():
        if isinstance(getattr(part, "p", None), float):
            part.p = 0.0  # type: ignore[assignment]
        if isinstance(part, nn.MultiheadAttention):
            part.dropout = 0.0
    return module


def assert_equal_numbers(ours: list[Tensor], theirs: list[Tensor]) -> None:
    """Equal within 1e-4 of the spread of values, which tell one image from another."""
    for given, wanted in zip(ours, theirs, strict=True):
        spread = float(wanted.std())
        assert spread > 1e-3
        assert float((wanted[0] - wanted[-1]).std()) > 1e-3 * spread or len(wanted) == 1
        torch.testing.assert_close(given, wanted, rtol=1e-4, atol=1e-4 * spread)


def assert_equal_in_evaluation(pair: Pair) -> None:
    """Outputs from running statistics."""
    images = pair.peer.images(pair.network, batch=2)
    with torch.no_grad():
        ours, theirs = pair.peer.values(pair.ours(images)), pair.peer.values(pair.theirs(images))
    # torchvision may give outputs that are ours in training only.
    assert_equal_numbers(ours, theirs[: len(ours)])


def assert_equal_in_training(pair: Pair) -> None:
    """Outputs from the statistics of the batch, and what becomes of the running ones."""
    ours, theirs = without_chance(pair.ours), without_chance(pair.theirs)
    images = pair.peer.images(pair.network, batch=3)
    with torch.no_grad():
        assert_equal_numbers(pair.peer.values(ours(images)), pair.peer.values(theirs(images)))
    buffers = dict(theirs.named_buffers())
    for name, buffer in ours.named_buffers():
        if name in pair.keys:
            torch.testing.assert_close(buffer, buffers[pair.keys[name]], rtol=1e-4, atol=1e-5)


def assert_equal_by_chance(pair: Pair) -> None:
    """Outputs of training with all that is dropped, from the same random numbers."""
    images = pair.peer.images(pair.network, batch=3)
    outputs: list[list[Tensor]] = []
    for module in (pair.ours, pair.theirs):
        torch.manual_seed(0)
        with torch.no_grad():
            outputs.append(pair.peer.values(copy.deepcopy(module).train()(images)))
    assert_equal_numbers(*outputs)


def assert_equal_totals(pair: Pair) -> None:
    """Parameters, and the multiply-accumulates that torch's own counter finds while torchvision's module runs."""
    totals = pair.network.summary()["totals"]
    assert totals["parameters_training"] == sum(p.numel() for p in pair.theirs.parameters())
    with torch.device("meta"):
        module = pair.peer.build().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(pair.peer.images(pair.network, batch=1).to("meta"))
    assert totals["macs"] * 2 == counter.get_total_flops()


def assert_equal_in_onnx_runtime(pair: Pair, path: Path) -> None:
    """The exported model, from torchvision's state dict, against torchvision's module."""
    network = pair.peer.network(pair.peer.small)
    network.to_onnx(path, pair.theirs.state_dict())
    images = pair.peer.images(network, batch=2)
    outputs = netspec.Session(path, "cpu").run(images.numpy())
    with torch.no_grad():
        wanted = pair.peer.values(pair.theirs(images))[: len(outputs)]
    assert_equal_numbers([torch.from_numpy(value) for value in outputs.values()], wanted)
