"""The detectors: figures in print, and small ones by `extends` that PyTorch compiles and ONNX Runtime runs.

The small ones have the RPN, the head and the choice of boxes of the bundled ones, with another trunk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.network import Network
from tests.support.lazy import lazy_imports
from tests.support.paths import OTHER

with lazy_imports():
    import onnxruntime
    import torch
    from torch import Tensor, nn
    from torch.utils.flop_counter import FlopCounterMode

Bundled = Callable[[str], Network]

NAMES = ("digit_detector", "digit_fast_rcnn", "digit_rcnn")
OUTPUTS = ["boxes", "scores", "labels", "images"]

# torchvision's NMS makes its sizes for the compiler by an older function of torch.
pytestmark = pytest.mark.filterwarnings("ignore:`create_unbacked_symint` is deprecated:FutureWarning")


@cache
def small(name: str, **params: Any) -> tuple[Network, nn.Module]:
    """A small detector, and its module with weights that tell regions apart."""
    network = netspec.load(OTHER / f"{name}.yaml", params=params)
    torch.manual_seed(0)
    module = network.compile().eval()
    for key, weight in module.state_dict().items():
        if key.startswith(("head", "rpn", "svm", "deltas")) and weight.ndim > 1:
            nn.init.normal_(weight, std=0.3 if "deltas" not in key else 0.02)
    return network, module


def inputs(name: str, count: int = 2, height: int = 96, width: int = 128, regions: int = 7) -> tuple[Tensor, ...]:
    """Images, and for a detector that takes them regions, some of which reach out of their image."""
    generator = torch.Generator().manual_seed(height + regions)
    image = torch.randn(count, 3, height, width, generator=generator)
    if name == "digit_detector":
        return (image,)
    numbers = torch.arange(regions) % count
    low = torch.rand(regions, 2, generator=generator) * height - 8
    size = torch.rand(regions, 2, generator=generator) * height + 4
    return image, torch.cat([numbers[:, None], low, low + size], 1)


def empty(network: Network, module: Any) -> Any:
    """The module with scores at which nothing is found: of the background, or far below those of SVMs."""
    other: Any = network.compile(module.state_dict()).eval()
    layer, bias = (other.head.logits, [1e4, 0.0]) if hasattr(other, "head") else (other.svm, [-1e4, -1e4])
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias[0], layer.bias[1:] = bias
    return other


# Figures.


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        # Of rbgirshick's definitions for PASCAL VOC, at 600 x 1000: with 300 proposals, and for one region.
        ("faster_rcnn", 137_078_239, 225_573_931_008),
        ("faster_rcnn_zf", 59_294_751, 33_722_863_104),
        ("fast_rcnn", 134_690_729, 183_989_231_616),
    ],
)
def test_totals(name: str, parameters: int, macs: int, bundled: Bundled) -> None:
    totals = bundled(name).summary()["totals"]
    assert (totals["parameters"], totals["macs"]) == (parameters, macs)


def test_rcnn_is_caffenet_to_fc7_and_two_linear_layers(bundled: Bundled) -> None:
    """CaffeNet has 60,965,224 parameters, fc8's among them; 20 classes have an SVM and four numbers of a box each."""
    to_fc7 = 60_965_224 - 4097 * 1000
    assert bundled("rcnn").summary()["totals"]["parameters"] == to_fc7 + 4097 * 20 + 9217 * 80


@pytest.mark.parametrize(("name", "size"), [("faster_rcnn", (38, 63)), ("faster_rcnn_zf", (39, 64))])
def test_maps_of_caffe(name: str, size: tuple[int, int], bundled: Bundled) -> None:
    """Caffe's pools round up: the maps of 600 x 1000 pixels, on which py-faster-rcnn's anchors stand."""
    graph = bundled(name).graph
    trunk = graph["rpn.conv"].inputs[0]
    assert graph.types[trunk].at({"H": 600, "W": 1000}).spatial == size


def test_an_rpn_sees_228_pixels_in_vgg_16_and_171_in_zf_without_its_norms(bundled: Bundled) -> None:
    """Ren et al. 2015, section 3.1. A norm within a channel sees 3 x 3 positions, which the paper leaves out."""
    fields = {n: bundled(n).summary()["layers"] for n in ("faster_rcnn", "faster_rcnn_zf")}
    seen = {n: next(row for row in rows if row["name"] == "rpn.conv")["receptive_field"] for n, rows in fields.items()}
    assert seen["faster_rcnn"]["size"] == [228, 228]
    norms = 2 * 2 + 2 * 8  # two positions more, at a stride of 2 behind conv1, and of 8 behind conv2
    assert seen["faster_rcnn_zf"]["size"] == [171 + norms, 171 + norms]
    assert {tuple(field["stride"]) for field in seen.values()} == {(16, 16)}


@pytest.mark.parametrize("name", NAMES)
def test_macs_are_those_that_torch_counts(name: str, no_grad: None) -> None:
    network, module = small(name)
    values = inputs(name, count=1)
    rois = len(module.rpn(module.trunk(values[0]), values[0])[0]) if name == "digit_detector" else len(values[1])
    with FlopCounterMode(display=False) as counter:
        module(*values)
    at = {"H": 96, "W": 128, "R": rois}
    assert network.summary(at=at)["totals"]["macs"] * 2 == counter.get_total_flops()


# Parts.


def test_each_network_of_a_file_is_its_part_of_the_detector(no_grad: None) -> None:
    """RPN and head alone, with the weights of the whole, propose and score the same."""
    _, module = small("digit_detector")
    (image,) = inputs("digit_detector")
    parts: dict[str, Any] = {}
    for part in ("rpn", "head"):
        state = {k.removeprefix(f"{part}."): w for k, w in module.state_dict().items() if k.startswith(f"{part}.")}
        parts[part] = netspec.load(f"{OTHER / 'digit_detector.yaml'}:{part}").compile(state).eval()
    features = module.trunk(image)
    rois, logits, deltas = parts["rpn"](features, image)
    for value, whole in zip((rois, logits, deltas), module.rpn(features, image), strict=True):
        torch.testing.assert_close(value, whole, rtol=0, atol=0)
    for value, whole in zip(parts["head"](features, rois), module.head(features, rois), strict=True):
        torch.testing.assert_close(value, whole, rtol=0, atol=0)


def test_gradients_flow_through_scores_and_deltas_and_not_through_regions() -> None:
    """Approximate joint training (Ren et al. 2015, section 3.2): proposals are taken as given."""
    network, _ = small("digit_detector")
    module: Any = network.compile().train()
    (image,) = inputs("digit_detector")
    features = module.trunk(image)
    rois, logits, deltas = module.rpn(features, image)
    assert not rois.requires_grad
    scores = module.head(features, rois)[1]
    (logits.square().mean() + deltas.square().mean() + scores.square().mean()).backward()
    without = {name for name, weight in module.named_parameters() if weight.grad is None}
    assert without == {"head.deltas.weight", "head.deltas.bias"}


def test_anchors_follow_from_scales_and_ratios() -> None:
    network = netspec.load("faster_rcnn", params={"scales": [4.0, 8.0], "ratios": [1.0]})
    assert [network.graph[f"rpn.{name}"].type.channels for name in ("logits", "deltas")] == [4, 8]


# PyTorch's compiler and exporter, and ONNX Runtime.


@pytest.mark.parametrize("found", [True, False], ids=["found", "nothing"])
@pytest.mark.parametrize("name", NAMES)
def test_torch_compiles_and_exports_it(name: str, found: bool, no_grad: None) -> None:
    """In one graph, where the compiler has no case of its own for results of none."""
    network, module = small(name)
    if not found:
        module = empty(network, module)
    values = inputs(name, count=1)
    wanted = module(*values)
    assert (len(wanted.boxes) > 0) == found
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    exported = torch.export.export(module, values).module()
    for results in (compiled(*values), exported(*values)):
        for result, value in zip(results, wanted, strict=True):
            torch.testing.assert_close(result, value, rtol=1e-5, atol=1e-4)
    torch.compiler.reset()


@pytest.mark.parametrize("name", NAMES[1:])
def test_the_number_of_regions_is_open_in_exported_programs(name: str, no_grad: None) -> None:
    _, module = small(name)
    regions = torch.export.Dim("R")
    exported = torch.export.export(module, inputs(name), dynamic_shapes=(None, {0: regions})).module()
    for count in (3, 11):
        values = inputs(name, regions=count)
        for result, value in zip(exported(*values), module(*values), strict=True):
            torch.testing.assert_close(result, value, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_onnx_runtime_finds_the_same(name: str, tmp_path: Path, no_grad: None) -> None:
    """For other sizes and numbers of images and regions; nothing is found in the last ones."""
    network, module = small(name)
    for path, weights in (("found", module), ("nothing", empty(network, module))):
        network.to_onnx(tmp_path / f"{path}.onnx", weights)
        session = onnxruntime.InferenceSession(tmp_path / f"{path}.onnx", providers=["CPUExecutionProvider"])
        assert [output.name for output in session.get_outputs()] == OUTPUTS
        names = [i.name for i in session.get_inputs()]
        for count, height, width, regions in ((2, 96, 128, 7), (1, 131, 77, 1), (3, 64, 64, 12), (1, 96, 96, 0)):
            values = inputs(name, count, height, width, regions)
            results = session.run(None, {n: v.numpy() for n, v in zip(names, values, strict=True)})
            wanted = weights(*values)
            assert len(wanted.boxes) or path == "nothing" or not regions
            for result, value in zip(results, wanted[:4], strict=True):
                torch.testing.assert_close(torch.from_numpy(result), value, rtol=1e-4, atol=1e-3)


def test_without_proposals_there_are_no_detections(tmp_path: Path, no_grad: None) -> None:
    network, module = small("digit_detector", min_size=1000)
    values = inputs("digit_detector")
    assert len(module.rpn(module.trunk(values[0]), values[0])[0]) == 0
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    network.to_onnx(tmp_path / "m.onnx", module)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    shapes = [(0, 4), (0,), (0,), (0,)]
    assert [tuple(result.shape) for result in module(*values)[:4]] == shapes
    assert [tuple(result.shape) for result in compiled(*values)[:4]] == shapes
    assert [result.shape for result in session.run(None, {"image": values[0].numpy()})] == shapes
    torch.compiler.reset()
