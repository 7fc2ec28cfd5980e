"""Networks from text to a live module on the meta device, source included, against torchvision's constructors."""

from __future__ import annotations

import sys

import torch
import torchvision
from timing import interleaved, show

from netspec.backends.pytorch.runtime.load import PACKAGE, load_source
from netspec.backends.pytorch.source import to_source
from netspec.network import from_source
from netspec.spec.sources.find import find


def compiled(name: str) -> object:
    # A source that was compiled before would be found again by its digest: here each round compiles it.
    for module in [module for module in sys.modules if module.startswith(f"{PACKAGE}.")]:
        del sys.modules[module]
    with torch.device("meta"):
        graph = from_source(find(name)).graph
        return load_source(graph, to_source(graph))


def constructed(name: str) -> object:
    with torch.device("meta"):
        if name.startswith("googlenet"):
            # Its initialiser is known to be slow, and does nothing here. It has batch norms, as `googlenet_bn` has;
            # `googlenet` has none, but initialisers that run.
            return torchvision.models.googlenet(init_weights=False)
        return getattr(torchvision.models, name)()


if __name__ == "__main__":
    for name in ("resnet152", "resnet18", "googlenet_bn", "googlenet"):
        times = interleaved(15, netspec=lambda n=name: compiled(n), torchvision=lambda n=name: constructed(n))
        show(f"{name}, a module on the meta device", times, "netspec")
        print(f"  netspec / torchvision: {times['netspec'] / times['torchvision']:.2f}")
