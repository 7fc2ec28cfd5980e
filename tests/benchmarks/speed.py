"""Modules of bundled networks against torchvision's: the ops that `torch.export` sees, and the time of a call.

    python tests/benchmarks/speed.py                     every network of tests/specs/test_torchvision.py
    python tests/benchmarks/speed.py mobilenet_v2 swin_t

Where the ops are the same, in the same order, only those are told, unless `--times` is said. An op in place counts as
the op itself: torchvision writes some activations in place. Times are medians of calls in turns, in one thread.
"""

from __future__ import annotations

import sys
from difflib import unified_diff
from pathlib import Path

import torch
from timing import interleaved, show

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.specs.against import meet
from tests.specs.test_torchvision import PEERS


def ops(module: torch.nn.Module, images: torch.Tensor) -> list[str]:
    """The aten ops of a module in the order of their calls, such as `aten.relu`."""
    nodes = torch.export.export(module, (images,)).graph.nodes
    names = [str(node.target).rpartition(".")[0] for node in nodes if node.op == "call_function"]
    return [name.removesuffix("_") for name in names]


def compare(name: str, times: bool) -> None:
    pair = meet(next(peer for peer in PEERS if peer.name == name))
    images = pair.peer.images(pair.network, batch=1)
    with torch.no_grad():
        ours, theirs = ops(pair.ours, images), ops(pair.theirs, images)
        lines = list(unified_diff(theirs, ours, n=0, lineterm=""))[2:]
        changes = [line for line in lines if not line.startswith("@")]
        same = f"the {len(ours)} ops of torchvision's"
        print(f"{name}: {same if ours == theirs else f'other ops than torchvision: {changes}'}")
        if times or ours != theirs:
            medians = interleaved(15, netspec=lambda: pair.ours(images), torchvision=lambda: pair.theirs(images))
            show(f"{name}, one image", medians, "netspec")


if __name__ == "__main__":
    torch.set_num_threads(1)
    asked = [argument for argument in sys.argv[1:] if argument != "--times"]
    for each in asked or [peer.name for peer in PEERS]:
        compare(each, "--times" in sys.argv)
