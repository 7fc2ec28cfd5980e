"""Images per second on a GPU: ONNX Runtime with CUDA in fp16, and compiled modules, against torchvision's modules.

    python tests/benchmarks/gpu.py [--networks resnet50 ...] [--batches 1 32 256] [--runners ort eager compile]

Inputs and outputs stay on the GPU. Modules run in bf16 and channels last, by themselves (`eager`) and under
`torch.compile` (`compile`), ours and torchvision's in turn. `roofline` is what the GPU's arithmetic and memory would
allow (`--tflops`, `--tbytes`), layer by layer: convolutions and linear layers with what they read and write, pools,
LRN, and the shortcut that a sum reads; all else is taken to be merged into the layer before it. With `--device cpu` the
script itself can be tried out.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torchvision

import netspec
from netspec.analysis.cost import costs
from netspec.backends.onnx.cuda import LARGEST_GRAPH, BoundRun
from netspec.graph import Graph
from netspec.types import Tensor

PAIRS: dict[str, tuple[str, dict[str, Any]]] = {
    "alexnet_owt": ("alexnet", {}),
    "alexnet": ("", {}),
    "vgg_d": ("vgg16", {}),
    "googlenet_bn": ("googlenet", {}),
    "googlenet": ("", {}),
    "resnet50": ("resnet50", {"stride_in_3x3": True}),
    "resnet152": ("resnet152", {"stride_in_3x3": True}),
}
"""Networks with torchvision's same ones, where it has them, and the parameters that make them the same."""
ROUNDS, SECONDS = 7, 0.4
HALF = 2
Run = Callable[[], object]


def roofline(graph: Graph, batch: int, tflops: float, tbytes: float) -> float:
    """Images per second at most, if each layer took as long as its arithmetic or its memory, whichever is longer."""
    seconds = 0.0
    found = costs(graph, list(graph.nodes))
    types = graph.at(N=batch)

    def size(type: Tensor) -> int:
        return HALF * prod(int(d) for d in type.shape)  # type: ignore[arg-type]

    for node in graph.nodes:
        made, read = size(types[node.path]), sum(size(types[value]) for value in node.inputs)
        if macs := found[node.path].macs:
            moved = made + read + HALF * found[node.path].parameters
            seconds += max(2 * int(macs) * batch / (tflops * 1e12), moved / (tbytes * 1e12))  # type: ignore[arg-type]
        elif "pool" in node.op.opname or node.op.opname == "local_response_norm":
            seconds += (made + read) / (tbytes * 1e12)
        elif node.op.opname == "add":
            # What makes one of the two adds the other.
            seconds += made / (tbytes * 1e12)
    return batch / seconds


def he(module: torch.nn.Module) -> torch.nn.Module:
    """Weights of He's variance: those that modules begin with let values run into denormals."""
    for each in module.modules():
        if isinstance(each, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(each.weight)
    return module.eval()


def module_run(module: torch.nn.Module, batch: int, size: int, device: str, compiled: bool) -> Run:
    module = he(module).to(device, torch.bfloat16).to(memory_format=torch.channels_last)
    image = torch.randn(batch, 3, size, size, device=device, dtype=torch.bfloat16)
    image = image.to(memory_format=torch.channels_last)
    call = torch.compile(module, mode="max-autotune" if device == "cuda" else "default") if compiled else module

    def run() -> object:
        with torch.inference_mode():
            return call(image)

    return run


def session_run(network: netspec.Network, batch: int, size: int, device: str, folder: Path) -> Run:
    """One run of ONNX Runtime, its input and outputs bound to the device."""
    path = folder / f"{network.name}.onnx"
    if not path.exists():
        network.to_onnx(path, he(network.compile()), fp16=True)
    session = netspec.Session(path, device)  # type: ignore[arg-type]
    image = np.random.default_rng(0).standard_normal((batch, 3, size, size), dtype="float32")
    if device == "cpu":
        return lambda: session.run(image=image)
    runner = session._cuda  # pyright: ignore[reportPrivateUsage]
    assert runner is not None
    return BoundRun(runner, {"image": image}, str(batch) if batch <= LARGEST_GRAPH else "-1").run


def measure(runs: dict[str, Run], batch: int, device: str) -> dict[str, float]:
    """Images per second of each, the median of rounds in which all take their turn."""

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    times: dict[str, list[float]] = {name: [] for name in runs}
    repeats: dict[str, int] = {}
    for name, run in runs.items():
        for _ in range(3):
            run()
        wait()
        start = time.perf_counter()
        run()
        wait()
        repeats[name] = max(1, int(SECONDS / (time.perf_counter() - start)))
    for _ in range(ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                run()
            wait()
            times[name].append((time.perf_counter() - start) / repeats[name])
    return {name: batch / median(each) for name, each in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Images per second on a GPU.")
    parser.add_argument("--networks", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32, 256])
    parser.add_argument("--runners", nargs="+", default=["ort", "eager", "compile"])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tflops", type=float, default=790, help="dense bf16, as measured (an H200's)")
    parser.add_argument("--tbytes", type=float, default=4.3, help="of memory per second, as measured (an H200's)")
    given = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    where = torch.cuda.get_device_name() if given.device == "cuda" else "CPU"
    print(f"{where}, torch {torch.__version__}, torchvision {torchvision.__version__}\n")
    print("| network | batch | runner | netspec, img/s | torchvision, img/s | ratio | of the roofline |")
    print("|---|---:|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for name in given.networks:
            peer, params = PAIRS[name]
            network = netspec.load(name, params=params)
            size = int(network.graph.inputs[0].type.height)  # type: ignore[arg-type]
            for batch in given.batches:
                most = roofline(network.graph, batch, given.tflops, given.tbytes)
                for runner in given.runners:
                    if runner == "ort":
                        runs = {"ours": session_run(network, batch, size, given.device, Path(folder))}
                    else:
                        modules = {"ours": network.compile()}
                        if peer:
                            init = {"init_weights": True} if peer == "googlenet" else {}
                            modules["theirs"] = torchvision.models.get_model(peer, **init)
                        runs = {
                            key: module_run(module, batch, size, given.device, runner == "compile")
                            for key, module in modules.items()
                        }
                    found = measure(runs, batch, given.device)
                    theirs = f"{found['theirs']:,.0f}" if "theirs" in found else ""
                    ratio = f"{found['ours'] / found['theirs']:.2f}" if "theirs" in found else ""
                    share = f"{found['ours'] / most:.0%}" if given.device == "cuda" else ""
                    row = [name, batch, runner, f"{found['ours']:,.0f}", theirs, ratio, share]
                    print("| " + " | ".join(map(str, row)) + " |", flush=True)
                    torch._dynamo.reset()


if __name__ == "__main__":
    main()
