"""An oracle for memory on the CPU: every allocation that PyTorch's profiler sees, with those inside of kernels.

Unlike LiveMemory, a dispatch mode, it changes nothing: under a mode, autograd and `linear` do not add in place.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from netspec.analysis.memory_model import DType, simulate_pass
from netspec.graph.model import Graph
from tests.analysis.live_memory import Loss


@contextmanager
def kernels_of_aten() -> Iterator[None]:
    """Run torch's own kernels: oneDNN has one for LSTMs of float32, with a workspace of its own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "TF32 acceleration")  # is no matter of CPUs
        with torch.backends.mkldnn.flags(enabled=False):
            yield


def excess(
    graph: Graph, module: torch.nn.Module, inputs: list[torch.Tensor], batch: int = 1, dtype: DType = "float32"
) -> tuple[int, int]:
    """The most that netspec says is held, less what PyTorch allocates, in bytes: at inference, and in training."""
    inference = simulate_pass(graph, batch=batch, dtype=dtype)
    training = simulate_pass(graph, "train", batch=batch, dtype=dtype)
    assert not training.unknown
    with kernels_of_aten():
        return (
            inference.peak - inference.parameters - inference.inputs - inference_allocates(module, inputs),
            training.peak - training.parameters - training.inputs - training_allocates(module, inputs),
        )


def most_allocated(function: Callable[[], Any]) -> int:
    """The bytes that are allocated at most while a function runs, its result included."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = function()
    assert profiler.profiler is not None
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    del result
    return most


def inference_allocates(module: torch.nn.Module, inputs: list[torch.Tensor]) -> int:
    """The bytes that an inference allocates at most."""
    module.eval()
    with torch.no_grad():
        return most_allocated(lambda: module(*inputs))


def training_allocates(module: torch.nn.Module, inputs: list[torch.Tensor]) -> int:
    """The bytes that a step of training allocates at most, with the gradients of all outputs."""

    def step() -> Any:
        outputs = module(*inputs)
        outputs = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
        losses: list[Any] = [Loss.apply(output) for output in outputs]
        torch.autograd.backward(losses, [torch.empty(0, dtype=output.dtype) for output in outputs])
        return outputs

    module.train()
    module.zero_grad(set_to_none=True)
    step()  # The first run of a kernel allocates what later ones share.
    module.zero_grad(set_to_none=True)
    return most_allocated(step)
