"""`netspec explain`: every value is followed to the place where it was written."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

import netspec
from netspec.cli.main import main

SPEC = """\
netspec: 1
name: little
title: A little network
params: {classes: 10, wide: false, deep: 2, scale: 2}
inputs: {image: [N, 3, 8*scale, 16]}
defaults:
  conv2d: {bias: wide, init: {weight: {normal: {std: 0.01}}, bias: 0}}
blocks:
  conv:
    params: {width: int, kernel: 3}
    body:
      - conv2d: {out_channels: width, kernel_size: kernel, padding: kernel // 2}
      - relu
  unit:
    params: {width: int, stride: 1}
    body:
      - add:
          branches:
            main: [conv: "2*width if wide else width"]
            side:
              - conv2d: {out_channels: width, kernel_size: 1}
                when: input.channels != width
      - max_pool2d: stride
        when: stride > 1
network:
  - {conv: 4, name: stem}
  - unit: {width: 4, stride: 2 if index == 0 else 1}
    name: units
    repeat: deep
  - {conv: 4, name: extra, repeat: 0}
  - adaptive_avg_pool2d: 1
  - flatten
  - {linear: classes, name: head}
outputs: {logits: head}
"""


@pytest.fixture(scope="module")
def net() -> netspec.Network:
    return netspec.loads(SPEC, name="little.yaml")


def line_of(text: str) -> int:
    return next(n for n, line in enumerate(SPEC.splitlines(), start=1) if text in line)


def values(report: Any) -> dict[str, tuple[Any, str]]:
    return {"  " * v["depth"] + v["name"]: (v["value"], v["from"]) for v in report["values"]}


def test_an_op(net: netspec.Network) -> None:
    report = net.explain("units.1.main.conv.conv2d")
    assert report["what"] == "op `conv2d`"
    assert report["place"] == f"little.yaml:{line_of('kernel_size: kernel')}:9"
    assert values(report) == {
        "out_channels": (4, "spec"),
        "  width": (4, "argument of units.1.main.conv"),
        "    wide": (False, "params"),
        "    width": (4, "argument of units.1"),
        "kernel_size": ([3, 3], "spec"),
        "  kernel": (3, "default of conv"),
        "stride": ([1, 1], "default"),
        "padding": ([1, 1], "spec"),
        "dilation": ([1, 1], "default"),
        "groups": (1, "default"),
        "bias": (False, "defaults"),
        "  wide": (False, "params"),
        "padding_mode": ("zeros", "default"),
    }
    assert report["inputs"] == [{"name": "input", "value": "units.0.max_pool2d", "shape": ["N", 4, 8, 8]}]
    assert report["weights"] == [
        {"name": "weight", "shape": [4, 4, 3, 3], "kind": "parameter", "init": "normal {std: 0.01}"}
    ]


def test_every_place_is_where_the_text_stands(net: netspec.Network) -> None:
    """Whatever is explained: the place of a value holds what is said to be written there."""
    lines = SPEC.splitlines()
    count = 0
    for part in [*net.graph.by_path, *net.graph.scopes, *net.params, "image", ""]:
        for value in net.explain(part)["values"]:
            if value["place"]:
                name, line, column = value["place"].split(":")
                text = lines[int(line) - 1][int(column) - 1 :].strip("\"'")
                assert name == "little.yaml"
                assert text.startswith(value["written"])
                count += 1
    assert count > 60


def test_values_are_those_of_the_graph(net: netspec.Network) -> None:
    for path, node in net.graph.by_path.items():
        shown = {v["name"]: v["value"] for v in net.explain(path)["values"] if not v["depth"]}
        shown.pop("when", None)
        theirs = {k: list(v) if isinstance(v, tuple) else v for k, v in dict(node.op).items()}
        assert shown == theirs
    for path, scope in net.graph.scopes.items():
        if scope.kind == "block":
            top = [v for v in net.explain(path)["values"] if not v["depth"] and v["name"] not in ("when", "repeat")]
            assert {v["name"]: v["value"] for v in top} == dict(scope.params)


def test_scopes(net: netspec.Network) -> None:
    unit = net.explain("units.0")
    assert unit["what"] == "a use of block `unit`"
    assert values(unit) == {
        "width": (4, "spec"),
        "stride": (2, "spec"),
        "  index": (0, "copy of units"),
    }
    assert [(h["name"], h["left_out"]) for h in unit["holds"]] == [
        ("main", False),
        ("add", False),
        ("max_pool2d", False),
        ("side.conv2d", True),
    ]
    assert unit["parameters"] == 4 * 4 * 9
    copies = net.explain("units")
    assert copies["what"] == "the copies of `unit`"
    assert values(copies) == {"repeat": (2, "spec"), "  deep": (2, "params")}
    assert net.explain("units.0.main")["what"] == "a branch"


def test_what_is_there_says_its_condition(net: netspec.Network) -> None:
    pool = net.explain("units.0.max_pool2d")
    assert values(pool)["when"] == (True, "spec")
    assert ("    index", (0, "copy of units")) in values(pool).items()


def test_what_was_left_out(net: netspec.Network) -> None:
    pool = net.explain("units.1.max_pool2d")
    assert pool["what"] == "a step that was left out"
    assert values(pool) == {
        "when": (False, "spec"),
        "  stride": (1, "argument of units.1"),
        "    index": (1, "copy of units"),
    }
    side = net.explain("units.0.side.conv2d")
    assert values(side) == {
        "when": (False, "spec"),
        "  input.channels": (4, "stem.relu is N x 4 x 16 x 16"),
        "  width": (4, "argument of units.0"),
    }
    assert values(net.explain("extra")) == {"repeat": (0, "spec")}
    assert [h["name"] for h in net.explain()["holds"] if h["left_out"]] == ["extra"]


def test_inputs_outputs_parameters_weights(net: netspec.Network) -> None:
    assert values(net.explain("image")) == {
        "axis 0": ("N", "spec"),
        "axis 1": (3, "spec"),
        "axis 2": (16, "spec"),
        "  scale": (2, "params"),
        "axis 3": (16, "spec"),
    }
    assert net.explain("logits")["part"] == net.explain("head.weight")["part"] == "head"
    assert values(net.explain("deep")) == {"deep": (2, "params")}
    assert net.explain()["what"] == "a network"
    assert net.explain("little") == net.explain()


def test_what_was_given_from_outside() -> None:
    net = netspec.loads(SPEC, params={"deep": 1, "classes": 5}, inputs={"image": ["N", 3, 16, 24]})
    assert values(net.explain()) == {
        "classes": (5, "--set"),
        "wide": (False, "params"),
        "deep": (1, "--set"),
        "scale": (2, "params"),
    }
    assert values(net.explain("units"))["  deep"] == (1, "--set")
    assert values(net.explain("image"))["axis 3"] == (24, "--input")


def test_specs_that_extend() -> None:
    net = netspec.load("resnet152")
    stages = next(v for v in net.explain()["values"] if v["name"] == "stages")
    assert stages["place"].endswith("resnet152.yaml:6:18")
    assert net.explain("layer3")["values"][1]["place"] == stages["place"]
    assert net.explain()["what"] == "a network that extends resnet50"


@pytest.mark.parametrize("name", netspec.names())
def test_every_part_of_every_network(name: str) -> None:
    net = netspec.load(name)
    parts = [*net.graph.by_path, *net.graph.scopes]
    for part in parts[:: max(1, len(parts) // 25)]:
        report = net.explain(part)
        assert report["part"] == part
        assert report["output"]["shape"]
        assert f"{part} of {net.title}" in str(report)
    totals = net.summary()["totals"]
    assert (net.explain()["parameters"], net.explain()["macs"]) == (totals["parameters"], totals["macs"])


def test_no_such_part(net: netspec.Network) -> None:
    with pytest.raises(netspec.NetspecError, match=r"has no part `unit`\n.*a block, used as `units\.0`"):
        net.explain("unit")
    with pytest.raises(netspec.NetspecError, match=r"did you mean `units\.0\.side\.conv2d`"):
        net.explain("units.0.side.conv")
    with pytest.raises(netspec.NetspecError, match="it is an op, of `"):
        net.explain("conv2d")
    with pytest.raises(netspec.NetspecError, match="without a part lists what stands at the top"):
        net.explain("x" * 40)


@pytest.mark.parametrize(("path", "owner"), [("rpn.rois", "rpn"), ("detections.labels", "detections")])
def test_an_output_is_told_by_its_part(path: str, owner: str) -> None:
    with pytest.raises(netspec.NetspecError, match=rf"no part `{path}`\n.* is an output of `{owner}`, which is a part"):
        netspec.load("faster_rcnn").explain(path)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["explain", "resnet50", "layer2.0", "--format", "json"])
    data = json.loads(capsys.readouterr().out)
    assert data["output"] == {"value": "layer2.0.relu", "shape": ["N", 512, 28, 28]}
    main(["explain", "vgg_e", "fc8", "--set", "classes=10", "--format", "csv"])
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "value of,is,from,written,at"
    assert out.splitlines()[2].startswith("classes,10,--set,,")


ODD = """\
netspec: 1
name: odd
params: {deep: false}
inputs: {left: [N, 3, 8, 8], right: [N, 3, 8, 8]}
network:
  - {add, from: [left, right], name: both}
  - concat:
      branches:
        one: [{relu, when: deep, name: extra}]
        two: [conv2d: {out_channels: 2, kernel_size: 1}]
    name: joined
  - {linear: 5, name: fc}
outputs: {logits: fc, middle: both, given: left}
"""


def test_what_was_left_out_of_a_branch_that_is_empty() -> None:
    net = netspec.loads(ODD)
    assert [item["name"] for item in net.explain()["holds"] if item["left_out"]] == ["joined.one.extra"]
    report = net.explain("joined.one.extra")
    assert report["what"] == "a step that was left out"
    assert [(v["name"], v["value"]) for v in report["values"]] == [("when", False), ("deep", False)]


def test_every_output_of_a_network_is_told() -> None:
    report = netspec.loads(ODD).explain()
    assert [(o["name"], o["value"]) for o in report["outputs"]] == [
        ("logits", "fc"),
        ("middle", "both"),
        ("given", "left"),
    ]
    assert "output middle: N x 3 x 8 x 8 from both" in str(report).splitlines()


def test_what_becomes_of_an_image() -> None:
    origins = values(netspec.load("resnet18").explain("image"))
    assert origins["preprocess.resize"] == (256, "spec")
    assert origins["preprocess.mean"] == ([0.485, 0.456, 0.406], "spec")
    origins = values(netspec.load("resnet18", inputs={"image": ["N", 3, 288, 288]}).explain("image"))
    assert origins["preprocess.resize"] == (329, "its size")
    assert origins["preprocess.crop"] == (288, "its size")


def test_a_merge_that_is_repeated_is_not_left_out() -> None:
    text = """\
netspec: 1
name: merges
inputs: {image: [N, 4, 8, 8]}
network:
  - add: {branches: {a: [relu], b: []}}
    name: twice
    repeat: 2
  - add: {branches: {a: [relu], b: []}}
    name: never
    repeat: 0
"""
    held = netspec.loads(text).explain()["holds"]
    assert [(item["name"], item["left_out"]) for item in held] == [("twice", False), ("never", True)]


def test_an_explanation_goes_to_another_process() -> None:
    report = netspec.loads(SPEC).explain("stem")
    again = pickle.loads(pickle.dumps(report))
    assert again == report
    assert str(again) == str(report)


def test_behind_upsampling_windows_have_no_start() -> None:
    assert "\nsees: windows of at most 204 x 204, stride 1 x 1; units differ\n" in str(netspec.load("unet").explain())
