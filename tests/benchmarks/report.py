"""Networks from text to the full JSON report, warm, against torchinfo on torchvision's module.

python tests/benchmarks/report.py                    ResNet-152, DenseNet-121 and ViT-B/16
python tests/benchmarks/report.py inception_v3
"""

from __future__ import annotations

import sys

import torch
import torchinfo
import torchvision
from timing import interleaved, show

from netspec.network import from_source
from netspec.spec.sources.find import find


def compare(name: str) -> None:
    source = find(name)
    built = torchvision.models.get_model(name, weights=None)

    def on_meta() -> object:
        with torch.device("meta"):
            module = torchvision.models.get_model(name, weights=None)
        return str(torchinfo.summary(module, (1, 3, 224, 224), verbose=0, device="meta"))

    times = interleaved(
        9,
        netspec=lambda: from_source(source).summary().to_json(),
        torchinfo_on_a_built_module=lambda: str(torchinfo.summary(built, (1, 3, 224, 224), verbose=0)),
        build_on_meta_and_torchinfo=on_meta,
    )
    show(f"{name}, text to report", times, "netspec")


if __name__ == "__main__":
    for each in sys.argv[1:] or ["resnet152", "densenet121", "vit_b_16"]:
        compare(each)
