"""ResNet-152 from text to the full JSON report, warm, against torchinfo on torchvision's module."""

from __future__ import annotations

import torch
import torchinfo
import torchvision
from timing import interleaved, show

from netspec.network import from_source
from netspec.spec.sources.find import find

if __name__ == "__main__":
    source = find("resnet152")
    built = torchvision.models.resnet152()

    def on_meta() -> object:
        with torch.device("meta"):
            module = torchvision.models.resnet152()
        return str(torchinfo.summary(module, (1, 3, 224, 224), verbose=0, device="meta"))

    times = interleaved(
        9,
        netspec=lambda: from_source(source).summary().to_json(),
        torchinfo_on_a_built_module=lambda: str(torchinfo.summary(built, (1, 3, 224, 224), verbose=0)),
        build_on_meta_and_torchinfo=on_meta,
    )
    show("ResNet-152, text to report", times, "netspec")
