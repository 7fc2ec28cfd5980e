"""The head of Fast R-CNN with VGG-16, before and after the truncated SVD of its two hidden layers.

    python tests/benchmarks/truncate_svd.py [--regions 300] [--decompose]

Both run in turn on the same pooled regions. Weights are random, which changes no time: the new ones are those of the
transformed network as it begins. `--decompose` also times the decomposition of a matrix as large as fc6, and tells the
error of its factors in float32, against the one that the dropped eigenvalues give.
"""

from __future__ import annotations

import argparse
import time

import torch
from timing import interleaved, show
from torch import Tensor

import netspec
from netspec.passes.truncate_svd import truncated_svd

HEAD = """
netspec: 1
name: head
inputs: {regions: [N, 512, 7, 7]}
network:
  - flatten
  - {linear: 4096, name: fc6}
  - relu
  - {linear: 4096, name: fc7}
  - relu
"""
ROUNDS = 7


def decompose() -> None:
    """Factorise a matrix whose singular values fall as those of a trained layer, by a power of their number."""
    generator = torch.Generator().manual_seed(0)
    left = torch.linalg.qr(torch.randn(4096, 4096, generator=generator))[0]
    right = torch.randn(4096, 25088, generator=generator) / 25088**0.5
    matrix = (left * torch.arange(1, 4097) ** -0.5) @ right
    start = time.process_time()
    first, second = truncated_svd(matrix, 1024)
    seconds = time.process_time() - start
    exact = matrix.double()
    error = (exact - second.double() @ first.double()).norm() / exact.norm()
    values = torch.linalg.eigvalsh(exact @ exact.T)[:-1024].sum().sqrt() / exact.norm()
    print(f"fc6 at rank 1,024: {seconds:.0f} s of processor time")
    print(f"relative error: {error:.9f}; by the dropped eigenvalues: {values:.9f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regions", type=int, default=300)
    parser.add_argument("--decompose", action="store_true")
    options = parser.parse_args()
    graph = netspec.loads(HEAD).graph
    light = netspec.truncate_svd(graph, {"fc6": 1024, "fc7": 256}).graph
    before, after = netspec.compile(graph).eval(), netspec.compile(light).eval()
    macs = [netspec.summary(g)["totals"]["macs"] for g in (graph, light)]
    regions: Tensor = torch.rand(options.regions, 512, 7, 7)
    with torch.inference_mode():
        times = interleaved(ROUNDS, truncated=lambda: after(regions), whole=lambda: before(regions))
    show(f"fc6 and fc7 on {options.regions} regions, {macs[0] / macs[1]:.2f} times the MACs", times, "truncated")
    if options.decompose:
        decompose()


if __name__ == "__main__":
    main()
