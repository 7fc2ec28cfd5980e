"""Whether ONNX Runtime finds what PyTorch finds, in random images of many sizes, and how far half precision is off.

    python tests/benchmarks/same_detections.py [--network faster_rcnn_zf] [--images 200] [--largest 400] [--half]

The network has random weights on which regions differ, and is exported once, with open sizes. Most images have 120 to
`--largest` pixels a side, one in fifty 600 x 1000, and one in eight runs has a batch of two or three. Detections are
the same if they have the same order and labels, boxes within 1e-3 pixels and scores within 1e-5. Where a score, an
overlap or another decision lies within rounding of its limit, others may be found: such images are counted with their
reasons, and any other difference makes the script fail.

With `--half`, boxes of half precision are held against those of PyTorch in float32: those with the same label and an
overlap above 0.9 are matched. ONNX Runtime computes in float32 on CPUs, with weights of half precision; `rounded` also
rounds what each layer of the compiled module gives, as a GPU does.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import netspec

sys.path.insert(0, str(Path(__file__).parents[2]))  # the tests, whose helper says which images have the same detections

from tests.support.detectors import Comparison, Found, Matches, Pair, rounded_to_half, scenes, spread_weights

FULL = (600, 1000)


def batches(images: int, largest: int, seed: int) -> Iterator[Tensor]:
    """Batches of random images of random sizes, `images` in all."""
    draw, left, generator = random.Random(seed), images, torch.Generator().manual_seed(seed)
    while left:
        kind = draw.random()
        count = min(left, draw.choice((2, 3)) if kind > 0.875 else 1)
        height, width = FULL if kind < 0.02 else (draw.randint(120, largest), draw.randint(120, largest))
        yield scenes(count, height, width, generator)
        left -= count


def show(comparison: Comparison) -> None:
    print(f"{comparison.images} images, {comparison.detections} detections; {comparison.differing} images differ")
    print(f"  where they do not: {comparison.pixels:.1e} pixels, scores {comparison.scores:.1e} apart at most")
    for reason, count in comparison.reasons.most_common():
        print(f"  {count:4d} x {reason}")
    for image in comparison.unexplained:
        print(f"  without a reason: {image}")
    sys.stdout.flush()


def show_matches(name: str, matches: Matches) -> None:
    print(f"half precision, {name}: {matches.share:.1%} of {matches.detections} matched")
    for what, values in (("pixels", matches.pixels), ("scores", matches.scores)):
        apart = torch.cat(values)
        print(f"  {what} apart: median {apart.median():.1e}, 99 % {apart.quantile(0.99):.1e}, most {apart.max():.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=("faster_rcnn", "faster_rcnn_zf"), default="faster_rcnn_zf")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--largest", type=int, default=400, help="pixels of a side of most images")
    parser.add_argument("--seed", type=int, default=0, help="of sizes and images")
    parser.add_argument("--half", action="store_true", help="measure half precision instead")
    arguments = parser.parse_args()
    images = batches(arguments.images, arguments.largest, arguments.seed)
    network = netspec.load(arguments.network)
    module = network.compile().eval()
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        spread_weights(module, scenes(1, 200, 240, torch.Generator().manual_seed(0)))
        path = Path(folder) / "model.onnx"
        network.to_onnx(path, module, fp16=arguments.half)
        pair = Pair(network, module, path)
        if arguments.half:
            measure_half(pair, module, images)
        else:
            compare(pair, images)


def compare(pair: Pair, images: Iterator[Tensor]) -> None:
    total = Comparison()
    for number, image in enumerate(images, 1):
        total.add(pair.compare(image))
        if not number % 10:
            print(f"after {number} runs, the last of {' x '.join(map(str, image.shape))}: ", end="")
            show(total)
    show(total)
    if total.unexplained:
        raise SystemExit(1)


def measure_half(pair: Pair, module: nn.Module, images: Iterator[Tensor]) -> None:
    rounded: Any = rounded_to_half(module)
    by_runtime, by_rounding = Matches(), Matches()
    for image in images:
        right = pair.by_torch(image)
        by_runtime.add(right, pair.by_runtime(image))
        by_rounding.add(right, Found(*rounded(image)))
    show_matches("ONNX Runtime on the CPU", by_runtime)
    show_matches("rounded after each layer", by_rounding)


if __name__ == "__main__":
    main()
