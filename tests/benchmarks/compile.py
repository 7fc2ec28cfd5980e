"""Networks from text to a live module on the meta device, source included, against torchvision's constructors."""

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
        if name == "googlenet_bn":
            # Its initialiser is known to be slow, and does nothing here.
            return torchvision.models.googlenet(init_weights=False)
        return getattr(torchvision.models, name)()


if __name__ == "__main__":
    for name in ("resnet152", "resnet18", "googlenet_bn"):
        times = interleaved(15, netspec=lambda n=name: compiled(n), torchvision=lambda n=name: constructed(n))
        show(f"{name}, a module on the meta device", times, "netspec")
        print(f"  netspec / torchvision: {times['netspec'] / times['torchvision']:.2f}")
