"""ResNet-152 from text to a live module on the meta device, its source included, against torchvision's constructor."""

from __future__ import annotations

import torch
import torchvision
from timing import interleaved, show

from netspec.backends.pytorch import load, to_source
from netspec.network import from_source
from netspec.spec.library import find


def compiled(name: str) -> object:
    with torch.device("meta"):
        graph = from_source(find(name)).graph
        return load(graph, to_source(graph))


def constructed(name: str) -> object:
    with torch.device("meta"):
        return getattr(torchvision.models, name)()


if __name__ == "__main__":
    for name in ("resnet152", "resnet18"):
        times = interleaved(15, netspec=lambda n=name: compiled(n), torchvision=lambda n=name: constructed(n))
        show(f"{name}, a module on the meta device", times, "netspec")
        print(f"  netspec / torchvision: {times['netspec'] / times['torchvision']:.2f}")
