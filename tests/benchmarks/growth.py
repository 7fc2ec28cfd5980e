"""Time and memory per node from 1,000 to 100,000 nodes: text to summary, each size in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)


def spec(nodes: int) -> str:
    """A chain of residual blocks: 5 nodes each, one written step for each block, so that text grows too."""
    steps = "\n".join("  - block: 4" for _ in range(nodes // 5))
    return f"""netspec: 1
name: tall
inputs: {{image: [N, 4, 8, 8]}}
blocks:
  block:
    params: {{width: int}}
    body:
      - add:
          branches:
            residual: [conv2d: {{out_channels: width, kernel_size: 3, padding: 1}}, batch_norm, relu]
            shortcut: []
      - relu
network:
{steps}
"""


def measure(nodes: int) -> dict[str, float]:
    from netspec import loads

    loads(spec(100)).summary().to_json()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = spec(nodes)
    start = time.perf_counter()
    network = loads(text)
    loaded = time.perf_counter()
    network.summary().to_json()
    done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(network.graph) == nodes
    return {"load": loaded - start, "report": done - loaded, "kilobytes": peak - before}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
        sys.exit()
    print("   nodes   load us/node   report us/node   memory KiB/node")
    for size in SIZES:
        runs = []
        for _ in range(3):
            out = subprocess.run([sys.executable, __file__, str(size)], check=True, capture_output=True, text=True)
            runs.append(json.loads(out.stdout))
        best = {key: min(run[key] for run in runs) for key in runs[0]}
        print(
            f"{size:8,d} {best['load'] / size * 1e6:14.1f} {best['report'] / size * 1e6:16.1f}"
            f" {best['kilobytes'] / size:17.2f}"
        )
