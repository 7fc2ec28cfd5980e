"""A bad spec against a good one: how long it takes until the errors are there, as text, in a running process."""

from __future__ import annotations

import re

from timing import interleaved

import netspec
from netspec.spec.sources.find import find

MISTAKES = {
    "an op misspelt": (r"\bmax_pool2d\b", "max_pol2d"),
    "an attribute misspelt": (r"\bkernel_size\b", "kernel_sise"),
    "a name misspelt": (r"outputs: \{(\w+): \w+", r"outputs: {\1: nothing"),
    "a kernel too large": (r"kernel_size: \d+", "kernel_size: 3000"),
    "a bracket open": (r"inputs: \{", "inputs: {{"),
}
NETWORKS = ("alexnet", "vgg_e", "resnet18", "resnet50")


def answer(text: str) -> str:
    """What is said of a spec: its figures, or its errors."""
    try:
        return netspec.loads(text).summary().to_json()
    except netspec.NetspecError as error:
        return str(error)


if __name__ == "__main__":
    print(f"{'':12s}{'good':>9s}  " + "  ".join(f"{name:>21s}" for name in MISTAKES))
    for name in NETWORKS:
        good = find(name).text
        texts = {"good": good}
        for mistake, (pattern, instead) in MISTAKES.items():
            texts[mistake] = re.sub(pattern, instead, good, count=1)
            assert texts[mistake] != good, (name, mistake)
            assert "error NS" in answer(texts[mistake]), (name, mistake)
        times = interleaved(15, **{key: lambda text=text: answer(text) for key, text in texts.items()})
        ratios = "  ".join(f"{times[mistake] / times['good']:18.2f} x" for mistake in MISTAKES)
        print(f"{name:12s}{times['good'] * 1e3:6.2f} ms  {ratios}")
