"""The memory of a training step of ResNet-152, against torch's MemTracker, which runs the step on fake tensors."""

from __future__ import annotations

import torch
import torchvision
from timing import interleaved, show
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

import netspec

BATCH = 32


def tracked() -> int:
    """The peak that MemTracker finds, in bytes; it counts the loss and its gradient (8 bytes) and not the input."""
    with FakeTensorMode():
        module = torchvision.models.resnet152().train()
        images = torch.empty(BATCH, 3, 224, 224)
        tracker = MemTracker()
        tracker.track_external(module)
        with tracker:
            output = module(images)
            output.sum().backward()
        return tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]


def told() -> int:
    """The peak that netspec tells, from the spec's text, without the input."""
    network = netspec.load("resnet152", params={"stride_in_3x3": True})
    totals = network.memory("train", batch=BATCH)["totals"]
    return totals["peak"] - totals["inputs"]


if __name__ == "__main__":
    print(f"peak: netspec {told():,} bytes, MemTracker {tracked():,} bytes")
    show("ResNet-152, a training step of 32 images", interleaved(3, netspec=told, MemTracker=tracked), "netspec")
