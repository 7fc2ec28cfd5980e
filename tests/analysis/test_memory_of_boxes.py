"""The memory of ops that choose among boxes, against every tensor that PyTorch makes on the CPU.

The most is held while all anchors are decoded, unless most of them are chosen; and while detections are suppressed.
"""

from __future__ import annotations

from typing import Any

import pytest

import netspec
from netspec.analysis.memory_model import simulate_pass
from netspec.types import Tensor
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

    from tests.analysis.live_memory import LiveMemory

CASES: list[tuple[str, dict[str, Any], list[tuple[int, ...]]]] = [
    ("proposals", {"min_size": 40}, [(1, 9, 8, 9), (1, 36, 8, 9), (1, 3, 64, 72)]),
    ("proposals", {"scales": [1, 2], "ratios": [1], "min_size": 30}, [(3, 2, 5, 4), (3, 8, 5, 4), (3, 3, 64, 64)]),
    ("detections", {"score_thresh": 0.9, "nms_thresh": 1.0}, [(30, 5), (30, 21), (30, 84), (1, 3, 64, 64)]),
    (
        "detections",
        {"score_thresh": 0.9, "nms_thresh": 1.0, "inclusive": False},
        [(11, 5), (11, 4), (11, 16), (3, 3, 64, 64)],
    ),
]


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(("name", "attributes", "shapes"), CASES)
def test_boxes_are_held_to_the_byte(
    name: str, attributes: dict[str, Any], shapes: list[tuple[int, ...]], train: bool
) -> None:
    b = netspec.Builder("alone")
    b.add(name, *[b.input(f"x{n}", shape) for n, shape in enumerate(shapes)], name="op", **attributes)
    for number, (value, _) in enumerate(b.nodes[-1].values()):
        b.output(f"y{number}", value)
    graph = b.build()
    module = netspec.compile(graph).train(train)
    torch.manual_seed(0)
    values = [torch.rand(shape) for shape in shapes]
    if name == "detections":
        values[0] += torch.tensor([0, 0, 0, 9, 9])
    for value in values:
        value.requires_grad_(train)
    with LiveMemory([*values, *module.buffers()]) as live:
        outputs = module(*values)
    assert len(outputs[0]) > 0
    (symbol,) = {str(size) for size in graph["op"].type.shape} & graph.symbols
    held = simulate_pass(graph, "train" if train else "inference", at={symbol: len(outputs[0])})
    assert not held.unknown
    buffers = sum(buffer.nbytes for buffer in module.buffers())  # anchors are no weights
    assert held.peak == live.peak - buffers
    assert not any(y.requires_grad for y in outputs)


def test_batches_have_as_many_regions_for_each_image() -> None:
    b = netspec.Builder("proposed")
    maps = [b.input(name, ["N", channels, 6, 8]) for name, channels in (("objectness", 9), ("deltas", 36))]
    rois = b.add("proposals", *maps, b.input("image", ["N", 3, 96, 128]), name="rpn", post_nms_top_n=20)
    b.output("y", b.add("linear", rois, out_features=2))
    graph = b.build()
    assert netspec.memory(graph, batch=4).sizes == {"R": 80}
    assert netspec.summary(graph).at == {"N": 1, "R": 20}
    assert graph.at(N=3)["rpn"] == Tensor((60, 5))
