"""Networks as ONNX files, against both exporters of torch on torchvision's modules: time, memory, nodes, latency.

Each export runs in a process of its own, from modules that are loaded; needs onnxruntime and onnxscript.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

PAIRS = {"resnet152": "resnet152", "vgg_e": "vgg19", "resnet50": "resnet50", "googlenet_bn": "googlenet"}
SETTINGS = {"resnet152": "{'stride_in_3x3': True}", "resnet50": "{'stride_in_3x3': True}"}

PREPARE = """
import sys, torch, torchvision
from safetensors.torch import save_file
torch.manual_seed(0)
theirs = torchvision.models.get_model(sys.argv[1], init_weights=True) if sys.argv[1] == "googlenet" else (
    torchvision.models.get_model(sys.argv[1]))
for module in theirs.modules():
    if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
        torch.nn.init.kaiming_normal_(module.weight)
    if isinstance(module, torch.nn.BatchNorm2d):
        module.running_mean.normal_(0, 0.1), module.running_var.uniform_(0.5, 2)
torch.save(theirs.eval(), sys.argv[2] + "/theirs.pt")
save_file(theirs.state_dict(), sys.argv[2] + "/w.safetensors")
"""

OURS = """
import netspec, netspec.backends.onnx.export, netspec.backends.onnx.weights, netspec.backends.yaml
net = netspec.load(NAME, params=PARAMS)
begin()
net.to_onnx("ours.onnx", "w.safetensors")
"""

TORCH = """
import warnings, torch, torchvision
warnings.simplefilter("ignore")
theirs = torch.load("theirs.pt", weights_only=False)
image = torch.randn(1, 3, 224, 224)
names = dict(input_names=["image"], output_names=["logits"])
"""

DYNAMO = (
    TORCH
    + """
import onnxscript
begin()
torch.onnx.export(theirs, (image,), "dynamo.onnx", dynamo=True, opset_version=18, external_data=False,
                  dynamic_shapes=({0: torch.export.Dim("N")},), verbose=False, **names)
"""
)

SCRIPT = (
    TORCH
    + """
begin()
torch.onnx.export(theirs, (image,), "script.onnx", dynamo=False, opset_version=17,
                  dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}}, **names)
"""
)

AROUND = """
import threading, time
def now():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
state = {"peak": 0.0, "on": True}
def watch():
    while state["on"]:
        state["peak"] = max(state["peak"], now())
        time.sleep(0.002)
def begin():
    state["memory"], state["time"] = now(), time.perf_counter()
    threading.Thread(target=watch).start()
try:
    CODE
finally:
    state["on"] = False
print(time.perf_counter() - state["time"], state["peak"] - state["memory"])
"""


def measure(code: str, folder: str) -> tuple[float, float]:
    whole = AROUND.replace("    CODE", "\n".join(f"    {line}" for line in code.strip().splitlines()))
    done = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, cwd=folder)
    if done.returncode:
        print(done.stderr[-2000:])
        return float("nan"), float("nan")
    took, peak = map(float, done.stdout.split()[-2:])
    return took, peak


def latencies(folder: Path, files: list[str]) -> dict[str, float]:
    """The median milliseconds of one image in ONNX Runtime on two threads of the CPU, and in eager torch, in turn."""
    import numpy as np
    import onnxruntime
    import torch

    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    torch.set_num_threads(2)
    image = np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype("float32")
    sessions = {
        file: onnxruntime.InferenceSession(str(folder / file), options, providers=["CPUExecutionProvider"])
        for file in files
    }
    theirs = torch.load(folder / "theirs.pt", weights_only=False)
    tasks: dict[str, Any] = {f: lambda s=s: s.run(None, {s.get_inputs()[0].name: image}) for f, s in sessions.items()}
    tasks["eager torch"] = lambda: theirs(torch.from_numpy(image))
    found: dict[str, list[float]] = {name: [] for name in tasks}
    with torch.inference_mode():
        for number in range(23):
            # Each comes first as often as the others: the threads of the one before may still be busy.
            turn = list(tasks.items())
            for name, task in turn[number % len(turn) :] + turn[: number % len(turn)]:
                start = time.perf_counter()
                task()
                if number > 2:
                    found[name].append(time.perf_counter() - start)
    outputs = [session.run(None, {session.get_inputs()[0].name: image})[0] for session in sessions.values()]
    for other in outputs[1:]:
        assert np.abs(other - outputs[0]).max() < 1e-3 * np.abs(outputs[0]).max()
    return {name: 1e3 * median(times) for name, times in found.items()}


def main(names: list[str]) -> None:
    import onnx

    for ours in names:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-W", "ignore", "-c", PREPARE, PAIRS[ours], folder], check=True)
            size = Path(folder, "w.safetensors").stat().st_size / 2**20
            print(f"{ours}, {size:.0f} MiB of weights: seconds, MiB over the process before, nodes")
            code = OURS.replace("NAME", repr(ours)).replace("PARAMS", SETTINGS.get(ours, "{}"))
            exporters = {"ours.onnx": code, "dynamo.onnx": DYNAMO, "script.onnx": SCRIPT}
            figures: dict[str, list[tuple[float, float]]] = {file: [] for file in exporters}
            for _ in range(3):
                for file, code in exporters.items():
                    # An old file of that name costs whoever replaces it.
                    Path(folder, file).unlink(missing_ok=True)
                    figures[file].append(measure(code, folder))
            for file, found in figures.items():
                took, peak = median(t for t, _ in found), median(p for _, p in found)
                ratio = took / median(t for t, _ in figures["ours.onnx"])
                nodes = len(onnx.load(str(Path(folder, file))).graph.node) if Path(folder, file).exists() else 0
                print(f"  {file:14} {took:7.2f} s {ratio:6.1f} x ours {peak:7.0f} MiB {nodes:6} nodes")
            written = [file for file in exporters if Path(folder, file).exists()]
            for name, milliseconds in latencies(Path(folder), written).items():
                print(f"  one image: {name:14} {milliseconds:7.1f} ms")


if __name__ == "__main__":
    main(sys.argv[1:] or list(PAIRS))
