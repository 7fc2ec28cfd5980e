"""Compare R-CNN, Fast R-CNN and Faster R-CNN on the same held-out scenes: the papers' table of precision and speed.

Weights are those that the three examples have saved in a folder. It also splits the fully connected layers of Fast
R-CNN by truncated singular value decompositions, as its paper does, and tells what that costs and saves.

    python examples/detection/faster_rcnn.py --out detector
    python examples/detection/fast_rcnn.py --out detector
    python examples/detection/rcnn.py --out detector
    python examples/detection/compare.py --out detector
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import fast_rcnn
import faster_rcnn
import netspec
import rcnn
from evaluate import Detections, average_precisions
from regions import Searched, as_rois, recall, search_scenes, selective_search
from scenes import Scene, Scenes

RANKS = ({"fc6": 64, "fc7": 64}, {"fc6": 64, "fc7": 16})
"""Of 256; 64 and 16 are the parts that 1024 and 256 are of VGG-16's 4096."""


class Row(NamedTuple):
    """A detector in the table; times are seconds for an image."""

    name: str
    regions: float
    recall: float
    precision: float
    proposals: float
    network: float

    @property
    def total(self) -> float:
        return self.proposals + self.network


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the example."""
    options = parse(arguments)
    detectors = {name: load_detector(name, spec, options.out) for name, spec in SPECS.items()}
    searched = search_scenes(list(Scenes(options.scenes, held_out=True)))
    rows = compare(detectors, searched, options.timed)
    print(f"On {len(searched)} held-out scenes; seconds for an image, of {options.timed}, on {torch.get_num_threads()}")
    print("threads. Proposals are selective search's; those of Faster R-CNN take what follows its trunk.\n")
    print_table(rows)
    print()
    truncate(detectors["fast_rcnn"], searched, options.timed)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Compare R-CNN, Fast R-CNN and Faster R-CNN.")
    parser.add_argument("--scenes", type=int, default=300, help="held-out scenes to evaluate on (%(default)s)")
    parser.add_argument("--timed", type=int, default=30, help="scenes to measure times on (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("detector"), metavar="DIR", help="with weights (%(default)s)")
    return parser.parse_args(arguments)


SPECS = {"rcnn": rcnn.SPEC, "fast_rcnn": fast_rcnn.SPEC, "faster_rcnn": str(faster_rcnn.SPEC)}
NAMES = {"rcnn": "R-CNN", "fast_rcnn": "Fast R-CNN", "faster_rcnn": "Faster R-CNN"}


def load_detector(name: str, spec: str, folder: Path) -> nn.Module:
    """A detector with the weights of a folder."""
    weights = folder / f"{name}.pt"
    if not weights.exists():
        sys.exit(f"there is no {weights}: run `python {Path(__file__).with_name(name)}.py --out {folder}` first")
    return netspec.load(spec).compile(weights).eval()


@torch.inference_mode()
def compare(detectors: dict[str, nn.Module], searched: Sequence[Searched], timed: int) -> list[Row]:
    """A row of the table for each detector. Times are taken in turns, so that what else runs slows all alike."""
    scenes = [scene for scene, _ in searched]
    faster = detectors["faster_rcnn"]
    calls: dict[str, Callable[[Scene, Tensor], object]] = {
        "search": lambda scene, _: selective_search(scene.image),
        "rcnn": lambda scene, regions: detectors["rcnn"](scene.image[None], as_rois(regions)),
        "fast_rcnn": lambda scene, regions: detectors["fast_rcnn"](scene.image[None], as_rois(regions)),
        "faster_rcnn": lambda scene, _: faster(scene.image[None]),
        "trunk": lambda scene, _: faster.trunk(scene.image[None]),
        "trunk and rpn": lambda scene, _: propose(faster, scene),
    }
    seconds = measure(calls, searched[:timed])
    seconds["rpn"] = max(seconds["trunk and rpn"] - seconds["trunk"], 0)
    proposed = [propose(faster, scene) for scene in scenes]
    own = [Searched(scene, rois[:, 1:]) for scene, rois in zip(scenes, proposed, strict=True)]

    rows: list[Row] = []
    for name, detector in detectors.items():
        of_image = name == "faster_rcnn"
        regions = own if of_image else searched
        arguments = [() if of_image else (as_rois(boxes),) for _, boxes in regions]
        outputs = [detector(scene.image[None], *rest) for scene, rest in zip(scenes, arguments, strict=True)]
        precision = average_precisions([as_detections(output, name) for output in outputs], scenes)["mean"]
        proposals = seconds["rpn"] if of_image else seconds["search"]
        network = seconds[name] - (proposals if of_image else 0)
        count = mean(len(boxes) for _, boxes in regions)
        rows.append(Row(NAMES[name], count, recall(regions), precision, proposals, network))
    return rows


def propose(detector: nn.Module, scene: Scene) -> Tensor:
    """The regions (R, 5) that the RPN proposes."""
    image = scene.image[None]
    return detector.rpn(detector.trunk(image), image)[0]


def as_detections(outputs: Any, name: str) -> Detections:
    """A detector's outputs with the labels of scenes: R-CNN's classes have no background."""
    return {"boxes": outputs.boxes, "scores": outputs.scores, "labels": outputs.labels + (name == "rcnn")}


def measure(calls: dict[str, Callable[[Scene, Tensor], object]], searched: Sequence[Searched]) -> dict[str, float]:
    """The seconds that each call takes for a scene, as the median over scenes."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for scene, regions in searched:
        for name, call in calls.items():
            began = time.perf_counter()
            call(scene, regions)
            seconds[name].append(time.perf_counter() - began)
    return {name: median(values) for name, values in seconds.items()}


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows, and how many times faster each detector is than that before it."""
    print(
        f"{'':14}{'regions':>8}{'recall':>8}{'mAP@0.5':>9}{'proposals':>11}{'network':>9}{'total':>8}{'speed-up':>10}"
    )
    before = None
    for row in rows:
        faster = f"{before.total / row.total:.1f} x" if before else ""
        print(f"{row.name:14}{row.regions:8.0f}{row.recall:8.1%}{row.precision:9.3f}", end="")
        print(f"{row.proposals:11.3f}{row.network:9.3f}{row.total:8.3f}{faster:>10}")
        before = row
    first, second, _ = rows
    print(f"\nwithout the search, Fast R-CNN is {first.network / second.network:.1f} times as fast as R-CNN")


@torch.inference_mode()
def truncate(detector: nn.Module, searched: Sequence[Searched], timed: int) -> None:
    """Print the precision of Fast R-CNN and the time of its head, whole and with its layers split."""
    modules = {"whole": detector}
    graph = netspec.load(fast_rcnn.SPEC).graph
    for ranks in RANKS:
        split = netspec.truncate_svd(graph, ranks)
        module = netspec.compile(split.graph).eval()
        module.load_state_dict(split.weights(detector.state_dict()))
        modules[", ".join(f"{name} {rank}" for name, rank in ranks.items())] = module
    features = {id(scene): detector.trunk(scene.image[None]) for scene, _ in searched[:timed]}
    heads = {
        name: lambda scene, regions, head=module.head: head(features[id(scene)], as_rois(regions))
        for name, module in modules.items()
    }
    seconds = measure(heads, searched[:timed])
    scenes = [scene for scene, _ in searched]
    print(f"{'Fast R-CNN':16}{'mAP@0.5':>9}{'head, ms':>10}{'weights in it':>15}")
    for name, module in modules.items():
        outputs = [module(scene.image[None], as_rois(regions)) for scene, regions in searched]
        precision = average_precisions([as_detections(output, "fast_rcnn") for output in outputs], scenes)["mean"]
        weights = sum(weight.numel() for weight in module.head.parameters())
        print(f"{name:16}{precision:9.3f}{1000 * seconds[name]:10.1f}{weights:15,}")


if __name__ == "__main__":
    main()
