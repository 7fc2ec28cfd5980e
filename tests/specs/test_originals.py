"""The detectors and CaffeNet, layer by layer, against the definitions that their authors published for Caffe.

Each table in `original` has the layers of a prototxt in its order: name, type, settings, and what a layer reads where
that is not the layer before it. `weight_std` and `bias` are the fillers, a Gaussian and a constant; where a layer has
none, the authors began with the weights of a classifier.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil, prod
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.graph.model import Graph, Node
from netspec.ops import REGISTRY
from netspec.ops.base import Op
from netspec.types import Init

ORIGINALS = Path(__file__).parent / "original"
Map = tuple[int, int | None]
"""Channels and height of a square map, None where the height is open."""


@dataclass
class Layer:
    """A layer of a prototxt; settings are taken out as they are read, so that what remains was not compared."""

    name: str
    kind: str
    settings: dict[str, Any]
    bottoms: list[str] = field(default_factory=list[str])


def original(name: str) -> dict[str, Any]:
    return json.loads((ORIGINALS / f"{name}.json").read_text(encoding="utf-8"))


def layers(name: str) -> Iterator[Layer]:
    """The layers of a table, with `Padding` layers as the padding of the convolution after them."""
    before, pad = "data", 0
    for row in original(name)["layers"]:
        layer = Layer(*row)
        if layer.kind == "Padding":
            pad = layer.settings["pad"]
            continue
        if pad:
            layer.settings["pad"], pad = pad, 0
        layer.bottoms = layer.bottoms or [before]
        before = layer.name
        yield layer


def own(opname: str, **attributes: Any) -> Op:
    return REGISTRY[opname](**attributes)


def op_of(layer: Layer) -> Op:
    """The op that computes what a layer of Caffe does, with Caffe's defaults."""
    take = layer.settings.pop
    match layer.kind:
        case "Convolution":
            return own(
                "conv2d",
                out_channels=take("num_output"),
                kernel_size=take("kernel_size"),
                stride=take("stride", 1),
                padding=take("pad", 0),
                groups=take("group", 1),
            )
        case "InnerProduct":
            return own("linear", out_features=take("num_output"))
        case "Pooling":
            assert take("pool") == "MAX"
            kernel, stride = take("kernel_size"), take("stride")
            strides = {} if stride == kernel else {"stride": stride}
            return own("max_pool2d", kernel_size=kernel, **strides, padding=take("pad", 0), ceil_mode=True)
        case "LRN":
            region = take("norm_region", "ACROSS_CHANNELS").lower()
            numbers = {"size": take("local_size"), "alpha": take("alpha"), "beta": take("beta"), "k": 1}
            return own("local_response_norm", **numbers, norm_region=region)
        case "ReLU":
            return own("relu")
        case "Dropout":
            return own("dropout", p=take("dropout_ratio"))
        case "Softmax":
            return own("softmax", dim=1)
        case "ROIPooling":
            return own(
                "roi_pool", output_size=[take("pooled_h"), take("pooled_w")], spatial_scale=take("spatial_scale")
            )
        case "ProposalLayer":
            return own("proposals", stride=take("feat_stride"))
        case "Reshape":
            return reshape(take("dim"))
        case _:
            raise AssertionError(layer.kind)


def reshape(dims: list[int]) -> Op:
    """Scores for "no object" of all anchors, then for "object": taken apart, and of the latter for the proposals.

    The original joins them again, and its proposal layer reads the second half of the channels.
    """
    if dims == [0, 2, -1, 0]:
        return own("unflatten", dim=1, unflattened_size=[2, 9])
    assert dims == [0, 18, -1, 0]
    return own("select", dim=1, index=1)


def size_after(op: Any, before: Map) -> Map:
    """The map that an op gives, by Caffe's rules: convolutions round down, pools up."""
    channels, height = before
    match op.opname:
        case "conv2d":
            padded = None if height is None else height + 2 * op.padding[0]
            return op.out_channels, None if padded is None else (padded - op.kernel_size[0]) // op.stride[0] + 1
        case "max_pool2d" if height is not None:
            return channels, ceil((height + 2 * op.padding[0] - op.kernel_size[0]) / op.stride[0]) + 1
        case "roi_pool":
            return channels, op.output_size[0]
        case "linear":
            return op.out_features, 1
        case _:
            return before


def weights_of(op: Any, before: Map) -> dict[str, tuple[int, ...]]:
    channels, height = before
    if op.opname == "conv2d":
        return {"weight": (op.out_channels, channels // op.groups, *op.kernel_size), "bias": (op.out_channels,)}
    if op.opname == "linear":
        assert height is not None
        return {"weight": (op.out_features, prod((channels, height, height))), "bias": (op.out_features,)}
    return {}


def nodes(graph: Graph) -> tuple[list[Node], dict[str, str]]:
    """The nodes but for those that Caffe has no layer for, and the values that stand for these."""
    kept: list[Node] = []
    instead = {"image": "data"}
    for node in graph:
        if node.op.opname in ("flatten", "warp_regions"):
            instead[node.path] = instead.get(node.inputs[0], node.inputs[0])
        elif node.op.opname != "detections":
            kept.append(node)
    return kept, instead


def check(graph: Graph, ours: list[Node], theirs: list[Layer], instead: dict[str, str], first: Map) -> None:
    """Each node is its layer: op, attributes, where it reads, shapes of weights, first values."""
    names = {**instead, "rois": "rois"}
    maps: dict[str, Map] = {"data": first}
    for node, layer in zip(ours, theirs, strict=True):
        op = op_of(layer)
        assert node.op == op, layer.name
        bottoms = ["data" if name == "im_info" else name for name in layer.bottoms]
        assert [names[value] for value in node.inputs] == bottoms, layer.name
        names[node.path] = layer.name
        instead_of_it = {value: layer.name for value, source in instead.items() if source == node.path}
        names |= instead_of_it
        before = maps[bottoms[0]]
        maps[layer.name] = size_after(op, before)
        assert {weight.name: weight.shape for weight in graph.weights(node)} == weights_of(op, before), layer.name
        if "weight_std" in layer.settings:
            std, bias = layer.settings.pop("weight_std"), layer.settings.pop("bias")
            assert dict(node.init) == {"weight": Init("normal", {"std": std}), "bias": bias}, layer.name
        assert not layer.settings, f"{layer.name}: not compared"


@pytest.mark.parametrize("name", ["caffenet", "faster_rcnn", "faster_rcnn_zf", "fast_rcnn"])
def test_every_layer_is_the_authors(name: str) -> None:
    graph = netspec.load(name).graph
    ours, instead = nodes(graph)
    size = original(name).get("input", [3, None])[-1]
    check(graph, ours, list(layers(name)), instead, (3, size))


def test_rcnn_is_the_authors_to_fc7() -> None:
    """For features its prototxt needs no dropout, and the SVMs and the regression of boxes are no layers of it."""
    graph = netspec.load("rcnn").graph
    ours, instead = nodes(graph)
    assert next(node.op.opname for node in graph) == "warp_regions"
    kept: list[Node] = []
    for node in ours[:-2]:
        if node.op.opname == "dropout":
            instead[node.path] = node.inputs[0]
        else:
            kept.append(node)
    check(graph, kept, list(layers("rcnn")), instead, (3, 227))
    assert [(node.path, node.op) for node in ours[-2:]] == [
        ("svm", own("linear", out_features=20)),
        ("deltas", own("linear", out_features=80)),
    ]


def test_settings_of_the_detectors() -> None:
    """rbgirshick/py-faster-rcnn, lib/fast_rcnn/config.py: RPN_* of TRAIN and TEST, and TEST.NMS."""
    graph = netspec.load("faster_rcnn").graph
    proposals: Any = next(node.op for node in graph if node.op.opname == "proposals")
    assert (proposals.pre_nms_top_n, proposals.post_nms_top_n) == (6000, 300)
    assert (proposals.pre_nms_top_n_train, proposals.post_nms_top_n_train) == (12000, 2000)
    assert (proposals.nms_thresh, proposals.min_size) == (0.7, 16)
    detections: Any = next(node.op for node in graph if node.op.opname == "detections")
    assert (detections.nms_thresh, detections.detections_per_image) == (0.3, 100)
