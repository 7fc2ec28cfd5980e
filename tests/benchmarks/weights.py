"""VGG-E's weights into a module: processor time and peak memory of a process, against torch's own loading."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

WRITE = """
import sys, torch, torchvision
from safetensors.torch import save_file
with torch.device("meta"):
    module = torchvision.models.vgg19()
state = {key: torch.rand(value.shape) for key, value in module.state_dict().items()}
torch.save(state, sys.argv[1] + "/vgg19.pth")
save_file(state, sys.argv[1] + "/vgg19.safetensors")
"""

MEASURE = """
import resource, sys
import torch, torchvision, netspec
from netspec.backends.pytorch.runtime import weights
from safetensors.torch import load_file
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begin = resource.getrusage(resource.RUSAGE_SELF)
module = {call}
x = torch.zeros(1, 3, 32, 32)
total = sum(float(p.detach().sum()) for p in module.parameters())   # every page of every weight is read
end = resource.getrusage(resource.RUSAGE_SELF)
print(end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime, (end.ru_maxrss - before) / 1024)
"""

CALLS = {
    "netspec, .pth": "netspec.load('vgg_e').compile('vgg19.pth')",
    "netspec, .safetensors": "netspec.load('vgg_e').compile('vgg19.safetensors')",
    "torch, .pth": "torchvision.models.vgg19(); module.load_state_dict(torch.load('vgg19.pth'))",
    "torch, .safetensors": "torchvision.models.vgg19(); module.load_state_dict(load_file('vgg19.safetensors'))",
}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", WRITE, folder], check=True)
        size = Path(folder, "vgg19.pth").stat().st_size / 2**20
        print(f"VGG-19's weights, a file of {size:.0f} MiB: seconds of the processor, and MiB over the process before")
        rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in CALLS}
        for _ in range(3):
            for name, call in CALLS.items():
                code = MEASURE.replace("{call}", call)
                done = subprocess.run(
                    [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=folder
                )
                took, peak = map(float, done.stdout.split())
                rounds[name].append((took, peak))
        for name, found in rounds.items():
            print(f"  {name:30} {median(t for t, _ in found):6.2f} s {median(p for _, p in found):8.0f} MiB")
