"""Exported detectors as files: what they are made of, half precision, fixed sizes, and onnx's own evaluator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netspec
from tests.support.lazy import lazy_imports

with lazy_imports():
    import numpy as np
    import onnx
    import torch
    from onnx.reference import ReferenceEvaluator

    from netspec.backends.onnx.lower import lower
    from netspec.backends.onnx.signature import all_but_batch_fixed
    from tests.support.detectors import (
        Found,
        Matches,
        Pair,
        are_same,
        rounded_to_half,
        scenes,
        session_of,
        small_detector,
        small_network,
        spread_weights,
    )

pytestmark = pytest.mark.usefixtures("no_grad", "one_thread")

NEED_FLOAT32 = {"NonMaxSuppression", "TopK", "MaxRoiPool", "Exp", "GatherND"}
"""Ops of the graph that compute with boxes, rank them, or gather them."""


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The small detector in float32, and its model in half precision."""
    return small_detector(tmp_path_factory.mktemp("half"), fp16=True)


def images(count: int, height: int, width: int) -> torch.Tensor:
    return scenes(count, height, width, torch.Generator().manual_seed(height))


def dtypes(model: onnx.ModelProto) -> dict[str, int]:
    """The dtype of each value, as onnx infers it."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True).graph
    types = {x.name: x.type.tensor_type.elem_type for x in [*graph.value_info, *graph.input, *graph.output]}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


def test_boxes_stay_in_float32_in_half_precision(half: Pair) -> None:
    model = onnx.load(half.path)
    types = dtypes(model)
    layers = {types[node.input[1]] for node in model.graph.node if node.op_type in {"Conv", "Gemm"}}
    assert layers == {onnx.TensorProto.FLOAT16}
    boxes = [node for node in model.graph.node if node.op_type in NEED_FLOAT32]
    assert {node.op_type for node in boxes} == NEED_FLOAT32
    assert [node.name for node in boxes if any(types[x] == onnx.TensorProto.FLOAT16 for x in node.input)] == []
    assert {types[output.name] for output in model.graph.output} == {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}


def test_half_precision_finds_nearly_the_same(half: Pair) -> None:
    """In ONNX Runtime, and where each value is rounded."""
    rounded: Any = rounded_to_half(half.module)
    by_runtime, by_rounding = Matches(), Matches()
    for size in ((1, 160, 224), (2, 97, 131), (1, 128, 128)):
        right = half.by_torch(images(*size))
        by_runtime.add(right, half.by_runtime(images(*size)))
        by_rounding.add(right, Found(*rounded(images(*size))[:4]))
    for matches in (by_runtime, by_rounding):
        assert matches.detections > 100
        assert matches.share > 0.9
        assert torch.cat(matches.pixels).max() < 2
        assert torch.cat(matches.scores).max() < 0.02


@pytest.mark.parametrize("name", ["faster_rcnn", "faster_rcnn_zf", "fast_rcnn", "rcnn"])
def test_the_graph_has_no_loops(name: str, bundled: Callable[[str], netspec.Network]) -> None:
    """All images and classes are computed at once."""
    ops = {node.op_type for node in lower(bundled(name).graph).nodes}
    assert "NonMaxSuppression" in ops
    assert {op for op in ops if op in {"Loop", "If", "Scan"} or op.startswith("Sequence")} == set()


ALIGNED = """\
netspec: 1
name: aligned
extends: faster_rcnn_zf
params: {width: 8, pooled: 3, scales: [1, 2], min_size: 4, classes: 5}
blocks:
  trunk: {body: [{conv2d: {out_channels: width, kernel_size: 16, stride: 16}, name: conv}, relu]}
networks:
  head:
    inputs: {features: [N, width, H, W], rois: [R, 5]}
    body:
      - {roi_align: {output_size: pooled, spatial_scale: 1 / stride}, from: [features, rois], name: pool}
      - {flatten, name: flat}
      - {linear: classes, name: logits}
      - {linear: 4 * classes, from: flat, name: deltas}
      - {softmax, from: logits, name: scores}
    outputs: {scores: scores, logits: logits, deltas: deltas}
"""
"""A detector in ops that onnx's evaluator has, which are all but MaxRoiPool."""


@pytest.mark.parametrize("opset", [20, 21])
def test_the_evaluator_of_onnx_finds_the_same(opset: int, tmp_path: Path) -> None:
    network = netspec.loads(ALIGNED)
    module = network.compile().eval()
    spread_weights(module, images(1, 96, 128))
    network.to_onnx(tmp_path / "m.onnx", module, opset=opset)
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model, full_check=True)
    image = images(2, 80, 64)
    right = Found(*module(image)[:4])
    assert len(right.scores) > 20
    for run in (session_of(tmp_path / "m.onnx").run, ReferenceEvaluator(model).run):
        assert are_same(right, Found(*map(torch.from_numpy, run(None, {"image": image.numpy()}))))


@pytest.mark.parametrize("opset", [20, 21])
def test_the_checker_takes_a_detector(opset: int, tmp_path: Path) -> None:
    network = small_network()
    network.to_onnx(tmp_path / "m.onnx", seed=0, opset=opset)
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [str(dim.dim_param) for dim in model.graph.input[0].type.tensor_type.shape.dim] == ["N", "", "H", "W"]
    dims = {
        x.name: [dim.dim_param or dim.dim_value for dim in x.type.tensor_type.shape.dim] for x in model.graph.output
    }
    assert dims == {"boxes": ["D", 4], "scores": ["D"], "labels": ["D"], "images": ["D"]}


def test_images_of_a_fixed_size(tmp_path: Path) -> None:
    network = small_network(inputs={"image": [1, 3, 96, 128]})
    module = network.compile().eval()
    spread_weights(module, images(1, 96, 128))
    network.to_onnx(tmp_path / "m.onnx", module)
    session = netspec.Session(tmp_path / "m.onnx", device="cpu")
    assert session.inputs["image"].shape == (1, 3, 96, 128)
    assert not all_but_batch_fixed(session.inputs, session.outputs)  # so that a GPU runs it without CUDA graphs
    outputs = session.run(image=images(1, 96, 128).numpy())
    right = Found(*module(images(1, 96, 128))[:4])
    assert len(right.scores) > 10
    assert are_same(right, Found(*[torch.from_numpy(np.asarray(outputs[name])) for name in Found._fields]))
