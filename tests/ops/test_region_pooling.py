"""RoI pooling and RoIAlign on regions of every kind, in PyTorch and in ONNX Runtime; RoI pooling is the original's.

`roi_pool.json` holds what Forward_cpu of rbgirshick/caffe-fast-rcnn, src/caffe/layers/roi_pooling_layer.cpp (commit
4c85442), gives in float32: the loops of that file were compiled and run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.ops.base import RuleError
from netspec.types import Reach, Tensor
from tests.support.contract import OPSETS, named_op, written
from tests.support.lazy import lazy_imports

with lazy_imports():
    import onnxruntime
    import torch
    import torchvision

    from netspec.backends.onnx.lower import lower
    from netspec.backends.onnx.write import model_of, write_model
    from netspec.backends.pytorch.runtime.prove import prove_module
    from tests.ops.onnx_models import graph_of, model_for, opened, runtime

ORIGINAL: list[dict[str, Any]] = json.loads(Path(__file__).with_name("roi_pool.json").read_text())["cases"]
NAN, INF = float("nan"), float("inf")

POOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "roi_pool": ("roi_pool", {}),
    "roi_align": ("roi_align", {}),
    "as many samples as fit, aligned": ("roi_align", {"aligned": True}),
    "two samples": ("roi_align", {"sampling_ratio": 2}),
    "one sample, aligned": ("roi_align", {"sampling_ratio": 1, "aligned": True}),
}


def maps(*shape: int) -> torch.Tensor:
    """Maps with integers from -50 to 50 in no visible order, as those of `roi_pool.json`."""
    return (torch.arange(int(np.prod(shape))) * 7919 % 101 - 50).reshape(shape).float()


def both(op: Any, x: torch.Tensor, rois: torch.Tensor, folder: Path, opset: int = 21) -> list[np.ndarray[Any, Any]]:
    """What PyTorch and ONNX Runtime give; the model has open sizes."""
    xs = (Tensor(tuple(x.shape)), Tensor(tuple(rois.shape)))
    graph = graph_of(op, (opened(xs[0]), Tensor((netspec.dims.symbol("R"), 5))))
    (by_torch,) = written(op, xs)(x, rois)
    (by_runtime,) = runtime(model_for(graph, {}, folder, opset))([x, rois])
    return [by_torch.numpy(), by_runtime]


@pytest.mark.parametrize("case", ORIGINAL, ids=lambda case: case["name"])
def test_roi_pool_is_the_original(case: dict[str, Any], tmp_path: Path) -> None:
    op = named_op("roi_pool", output_size=case["output_size"], spatial_scale=case["spatial_scale"])
    rois = torch.tensor(case["rois"], dtype=torch.float32)
    for y in both(op, maps(*case["map"]), rois, tmp_path):
        np.testing.assert_array_equal(y.ravel(), case["output"])


def hostile_regions(count: int) -> torch.Tensor:
    """Regions of three images in any order, for maps of 38 x 63 at 1/16: whole numbers, halves of units and others.

    Some are inverted, empty, of one unit, far outside of the map, or a million pixels large.
    """
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randint(3, (count, 1), generator=generator)
    corners = torch.rand((count, 4), generator=generator) * torch.tensor([1600, 1000, 1600, 1000]) - 300
    corners[::3] = corners[::3].round()
    corners[1::3] = corners[1::3].div(8).round() * 8
    corners[5] = torch.tensor([-1e6, -1e6, 1e6, 1e6])
    corners[6:8] = 320
    return torch.cat([numbers, corners], 1)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("pool", POOLS)
def test_hostile_regions(pool: str, opset: int, tmp_path: Path) -> None:
    name, attributes = POOLS[pool]
    op = named_op(name, output_size=[7, 5], spatial_scale=1 / 16, **attributes)
    rois = hostile_regions(120)
    if name == "roi_align" and "sampling_ratio" not in attributes:
        # A sample for each unit would be too many, ...
        rois = rois.clamp(-3000, 3000)
    if pool == "as many samples as fit, aligned":
        # ... or less than none where one axis is inverted, and both refuse that.
        rois[:, 1:] = rois[:, 1:].unflatten(1, (2, 2)).sort(1).values.flatten(1)
    x = torch.randn(3, 2, 38, 63, generator=torch.Generator().manual_seed(1))
    by_torch, by_runtime = both(op, x, rois, tmp_path, opset)
    np.testing.assert_allclose(by_runtime, by_torch, rtol=1e-5, atol=1e-6)
    assert np.isfinite(by_torch).all()
    function = torchvision.ops.roi_pool if name == "roi_pool" else torchvision.ops.roi_align
    right = function(x, rois, output_size=(7, 5), spatial_scale=1 / 16, **attributes)
    np.testing.assert_array_equal(by_torch, right.numpy())


@pytest.mark.parametrize("pool", POOLS)
def test_no_regions(pool: str, tmp_path: Path) -> None:
    name, attributes = POOLS[pool]
    op = named_op(name, output_size=[7, 5], **attributes)
    for y in both(op, torch.randn(2, 3, 8, 9), torch.zeros(0, 5), tmp_path):
        assert y.shape == (0, 3, 7, 5)


@pytest.mark.parametrize("region", [[NAN] * 4, [NAN, 1, 5, 5], [1, NAN, NAN, 5], [-INF, 1, 5, INF], [1, 1, INF, 5]])
def test_roi_pool_of_a_region_that_is_not_finite(region: list[float], tmp_path: Path) -> None:
    """The same finite numbers in both, of a region of one row or column where a corner is no number."""
    op = named_op("roi_pool", output_size=3)
    by_torch, by_runtime = both(op, maps(1, 2, 6, 7), torch.tensor([[0, *region]]), tmp_path)
    np.testing.assert_array_equal(by_torch, by_runtime)
    assert np.isfinite(by_torch).all()


@pytest.mark.parametrize("number", [2.0, -1.0, 1e9, NAN])
@pytest.mark.parametrize("name", ["roi_pool", "roi_align"])
def test_onnx_runtime_refuses_an_image_that_is_not_there(name: str, number: float, tmp_path: Path) -> None:
    """PyTorch must not be asked: torchvision reads memory that is not the map's."""
    op = named_op(name, output_size=2)
    graph = graph_of(op, (Tensor((2, 1, 4, 4)), Tensor((1, 5))))
    run = runtime(model_for(graph, {}, tmp_path, 21))
    with pytest.raises(Exception, match=r"batch_size|roi_batch_id|out of range"):
        run([maps(2, 1, 4, 4), torch.tensor([[number, 0, 0, 3, 3]])])


def test_no_onnx_of_a_dtype_that_the_runtime_lacks() -> None:
    types = Tensor((1, 1, 4, 4), "float64"), Tensor((2, 5), "float64")
    with pytest.raises(netspec.NetspecError, match=r"NS401.*pools regions of float32 alone, and the map is float64"):
        lower(graph_of(named_op("roi_pool", output_size=2), types))


COMPUTED = """
netspec: 1
name: computed
inputs: {image: [N, 1, 8, 8], features: [R, 4]}
network:
  - {linear: 5, from: features, name: rois}
  - {roi_pool: 2, from: [image, rois], name: pool}
"""
NETWORK = """
netspec: 1
name: regions
inputs: {image: [N, 3, H, W], rois: [R, 5]}
network:
  - {conv2d: {out_channels: 4, kernel_size: 3, padding: 1, stride: 4}, from: image, name: conv}
  - {OP, from: [conv, rois], name: pool}
  - flatten
  - {linear: 6, name: scores}
"""
STEPS = {
    "roi_pool": "roi_pool: {output_size: 3, spatial_scale: 0.25}",
    "roi_align": "roi_align: {output_size: 3, spatial_scale: 0.25, sampling_ratio: 2, aligned: true}",
    "warp_regions": "warp_regions: {size: 9, context: 1}",
}


def network(name: str) -> netspec.Network:
    return netspec.loads(NETWORK.replace("OP", STEPS[name]))


@pytest.mark.parametrize("name", STEPS)
def test_a_network_is_proved_on_regions_of_its_images(name: str) -> None:
    """Random numbers would be of images that are not there, and torchvision would read other memory."""
    net = network(name)
    assert "numbers equal" in prove_module(net.graph, net.to_source())


def test_regions_that_a_network_computes_are_not_tried() -> None:
    net = netspec.loads(COMPUTED)
    assert "numbers equal" not in prove_module(net.graph, net.to_source())


@pytest.mark.parametrize("name", STEPS)
def test_one_graph_for_any_number_of_regions(name: str) -> None:
    """`torch.compile(fullgraph=True)` and `torch.export`, with open numbers of regions and sizes of images."""
    module = network(name).compile().eval()
    dynamic = torch.export.Dim.AUTO
    program = torch.export.export(
        module,
        (torch.randn(2, 3, 32, 40), torch.tensor([[0.0, 1, 2, 20, 30]]).repeat(4, 1)),
        dynamic_shapes=({0: dynamic, 2: dynamic, 3: dynamic}, {0: dynamic}),
    )
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager", dynamic=True)
    for count in (0, 7):
        image = torch.randn(3, 3, 48, 26)
        rois = torch.cat([torch.randint(3, (count, 1)), torch.rand(count, 4) * 40], 1)
        expected = module(image, rois)
        for run in (program.module(), compiled):
            torch.testing.assert_close(run(image, rois), expected)


@pytest.mark.parametrize("name", STEPS)
def test_regions_decide_what_is_seen(name: str) -> None:
    op = network(name).graph["pool"].op
    assert op.window(Tensor((1, 3, 8, 8)), Tensor((2, 5))) is Reach.DATA


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize(
    ("x", "rois", "message"),
    [
        (Tensor((1, 3, 8, 8)), Tensor((2, 4)), "takes regions (R, 5), and these are 2 x 4"),
        (Tensor((1, 3, 8, 8)), Tensor((5,)), "takes regions (R, 5), and these are 5"),
        (Tensor((1, 3, 8, 8)), Tensor((2, 5), "int64"), "takes floats, and its input is int64"),
        (Tensor((1, 3, 8, 8)), Tensor((2, 5), "float64"), "need one dtype, not float32 and float64"),
        (Tensor((3, 8, 8)), Tensor((2, 5)), "takes (N, C, H, W), 4 axes"),
        (Tensor((1, 3, 8, 8), "int64"), Tensor((2, 5)), "takes floats, and its input is int64"),
    ],
)
def test_what_does_not_fit(name: str, x: Tensor, rois: Tensor, message: str) -> None:
    with pytest.raises(RuleError) as caught:
        network(name).graph["pool"].op.infer(x, rois)
    assert message in caught.value.message
    assert caught.value.code == "NS302"


def test_positions_in_half_precision(tmp_path: Path) -> None:
    """Float16 has steps of half a pixel at 1,000, so that a model of half precision pools in float32."""
    op = named_op("roi_pool", output_size=2)
    x, rois = maps(1, 1, 4, 1200), torch.tensor([[0, 1024.6, 0, 1027.4, 3]])
    graph = graph_of(op, (Tensor(tuple(x.shape)), Tensor((1, 5))))
    lowered = lower(graph, OPSETS[-1], half=True)
    path = tmp_path / "half.onnx"
    write_model(model_of(lowered, "half", OPSETS[-1], {}), {}, lambda key: np.empty(0), path, None, "data")
    (y,) = onnxruntime.InferenceSession(path).run(None, {"x0": x.numpy(), "x1": rois.numpy()})
    np.testing.assert_array_equal(y, torchvision.ops.roi_pool(x, rois, 2).numpy())
