"""The summary: its contract (docs/summary-format.md), its figures against torch's own counts, and its table."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import netspec
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch.utils.flop_counter import FlopCounterMode

TINY = """netspec: 1
name: tiny
title: A tiny residual network
source: "Nowhere, Table 0"
inputs: {image: [N, 3, 32, 32]}
blocks:
  conv:
    params: {width: int, stride: 1}
    body:
      - conv2d: {out_channels: width, kernel_size: 3, stride: stride, padding: 1, bias: false}
      - batch_norm
      - relu
  basic:
    params: {width: int}
    body:
      - add: {branches: {residual: [conv: width, conv2d: {out_channels: width, kernel_size: 1}], shortcut: []}}
network:
  - {conv: {width: 8, stride: 2}, name: stem}
  - {basic: 8, name: layer, repeat: 2}
  - {conv2d: {out_channels: 16, kernel_size: 3, groups: 4, dilation: 2}, name: grouped}
  - {local_response_norm: 5, name: norm}
  - {max_pool2d: 2, name: pool}
  - flatten
  - {linear: 10, name: fc}
  - {dropout: 0.5, name: drop}
outputs: {logits: drop, maps: pool}
"""
OPEN = TINY.replace("[N, 3, 32, 32]", "{shape: [N, 3, H, W], nominal: {H: 64, W: 32}}").replace(
    "  - flatten\n", "  - adaptive_avg_pool2d: 1\n  - flatten\n"
)
LAYER = {
    "name": str,
    "op": str,
    "inputs": list,
    "output_shape": list,
    "parameters": int,
    "macs": int,
    "receptive_field": dict,
}


@pytest.fixture(scope="module")
def tiny() -> netspec.Network:
    return netspec.loads(TINY)


def test_the_contract(tiny: netspec.Network) -> None:
    found = tiny.summary()
    assert list(found) == ["network", "inputs", "outputs", "at", "complete", "totals", "layers"]
    assert found["network"] == "tiny"
    assert found["inputs"] == {"image": ["N", 3, 32, 32]}
    assert found["outputs"] == {"logits": ["N", 10], "maps": ["N", 16, 6, 6]}
    assert found["at"] == {"N": 1}
    assert found["complete"] is True
    assert list(found["totals"]) == ["parameters", "parameters_training", "buffers", "macs"]
    assert all(type(total) is int for total in found["totals"].values())
    for layer in found["layers"]:
        assert {key: type(value) for key, value in layer.items()} == LAYER
        assert list(layer["receptive_field"])[:3] == ["size", "stride", "start"]
    assert [layer["name"] for layer in found["layers"]] == [node.path for node in tiny.graph]


def test_json_round_trip(tiny: netspec.Network) -> None:
    for net in (tiny, netspec.loads(OPEN), netspec.load("alexnet")):
        found = net.summary()
        assert json.loads(found.to_json()) == dict(found) == json.loads(json.dumps(found))
        assert len(found.to_json().splitlines()) == len(found["layers"]) + 10


def test_an_entry(tiny: netspec.Network) -> None:
    layers = {layer["name"]: layer for layer in tiny.summary()["layers"]}
    assert layers["layer.1.add"] == {
        "name": "layer.1.add",
        "op": "add",
        "inputs": ["layer.1.residual.conv2d", "layer.0.add"],
        "output_shape": ["N", 8, 16, 16],
        "parameters": 0,
        "macs": 0,
        "receptive_field": {"size": [11, 11], "stride": [2, 2], "start": [-5, -5]},
    }
    assert layers["flatten"]["receptive_field"] == {
        "size": [21, 21],
        "stride": [None, None],
        "start": [None, None],
        "note": "unplaced: the unit's index does not tell where",
    }
    assert layers["fc"]["receptive_field"] == {"size": [32, 32], "stride": [0, 0], "start": [0, 0]}


def test_macs_are_torchs(tiny: netspec.Network) -> None:
    module = tiny.compile().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.zeros(1, 3, 32, 32))
    found = tiny.summary()
    assert 2 * found["totals"]["macs"] == counter.get_total_flops()
    assert found["totals"]["macs"] == sum(layer["macs"] for layer in found["layers"])
    assert [layer["name"] for layer in found["layers"] if layer["macs"]] == [
        node.path for node in tiny.graph if node.op.opname in ("conv2d", "linear")
    ]


def test_parameters_are_torchs(tiny: netspec.Network) -> None:
    module = tiny.compile()
    totals = tiny.summary()["totals"]
    assert totals["parameters"] == totals["parameters_training"] == sum(p.numel() for p in module.parameters())
    assert totals["buffers"] == sum(b.numel() for b in module.buffers())
    for layer in tiny.summary()["layers"]:
        if layer["parameters"]:
            assert layer["parameters"] == sum(p.numel() for p in module.get_submodule(layer["name"]).parameters())


def test_open_sizes() -> None:
    net = netspec.loads(OPEN)
    found = net.summary()
    assert found["inputs"] == {"image": ["N", 3, "H", "W"]}
    assert found["at"] == {"N": 1, "H": 64, "W": 32}
    assert found["layers"][0]["output_shape"] == ["N", 8, "(H + 1)//2", "(W + 1)//2"]
    fixed = netspec.loads(OPEN, inputs={"image": ["N", 3, 64, 32]}).summary()
    assert found["totals"] == fixed["totals"]
    assert [layer["macs"] for layer in found["layers"]] == [layer["macs"] for layer in fixed["layers"]]


def test_other_sizes_for_open_ones() -> None:
    net = netspec.loads(OPEN)
    found = net.summary(at={"H": 32, "N": 2})
    assert found["at"] == {"N": 2, "H": 32, "W": 32}
    single = netspec.loads(OPEN, inputs={"image": ["N", 3, 32, 32]}).summary()
    assert found["totals"]["macs"] == 2 * single["totals"]["macs"]
    assert found["totals"]["parameters"] == single["totals"]["parameters"]


def test_without_nominal_sizes_macs_are_unknown() -> None:
    found = netspec.loads(OPEN.replace(", nominal: {H: 64, W: 32}", "")).summary()
    assert found["totals"]["macs"] is None
    assert found["complete"] is True
    assert found["at"] == {"N": 1}
    assert found["layers"][0]["macs"] == "216*((H + 1)//2)*((W + 1)//2)"
    assert "MACs are unknown while sizes are open" in str(found)
    assert json.loads(found.to_json())["totals"]["macs"] is None


def test_several_inputs_have_a_field_each() -> None:
    text = "netspec: 1\nname: two\ninputs: {a: [N, 2, 8, 8], b: [N, 2, 8, 8]}\nnetwork: [{add, from: [a, b]}]\n"
    (layer,) = netspec.loads(text).summary()["layers"]
    field = {"size": [1, 1], "stride": [1, 1], "start": [0, 0]}
    assert layer["receptive_field"] == {"a": field, "b": field}


def test_an_input_may_be_called_as_what_a_field_has() -> None:
    """Of several inputs one was called `size`, and its field was read as a size."""
    inputs = "inputs: {size: [N, 2, 8, 8], note: [N, 2, 8, 8]}"
    net = netspec.loads(f"netspec: 1\nname: two\n{inputs}\nnetwork: [{{add, from: [size, note]}}]\n")
    assert "size 1 /1; note 1 /1" in str(net.summary())
    assert "of size windows of 1 x 1" in str(net.explain("add"))
    assert netspec.compare([net.graph])["networks"][0]["receptive_field"] is None


def test_sizes_that_an_op_can_not_take() -> None:
    net = netspec.loads(
        "netspec: 1\nname: pool\ninputs: {image: [N, 3, H, W]}\nnetwork:\n  - {avg_pool2d: 4, name: pool}\n"
    )
    assert net.summary(at={"H": 4, "W": 9})["at"] == {"N": 1, "H": 4, "W": 9}
    for sizes in ({"H": 3, "W": 9}, {"W": 1}):
        with pytest.raises(netspec.NetspecError, match=r"larger than the map of [31], at N = 1, ") as caught:
            net.summary(at=sizes)
        assert [(d.code, d.span is not None) for d in caught.value.diagnostics] == [("NS303", True)]


def test_inputs_without_positions_have_no_field() -> None:
    text = "netspec: 1\nname: flat\ninputs: {a: [N, 8]}\nnetwork: [linear: 4]\n"
    (layer,) = netspec.loads(text).summary()["layers"]
    assert layer["receptive_field"] is None


def test_what_no_output_needs_is_not_counted() -> None:
    text = TINY.replace("outputs: {logits: drop, maps: pool}", "outputs: {maps: pool}")
    found = netspec.loads(text).summary()
    assert [layer["name"] for layer in found["layers"]][-1] == "pool"
    assert found["totals"]["parameters_training"] - found["totals"]["parameters"] == 16 * 6 * 6 * 10 + 10


@pytest.mark.parametrize("depth", [1, 2, None])
def test_the_table(tiny: netspec.Network, depth: int | None) -> None:
    golden = Path(__file__).with_name(f"table_{depth or 'all'}.txt")
    text = tiny.summary().table(depth).to_text() + "\n"
    if os.environ.get("NETSPEC_REWRITE_GOLDENS"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_the_table_adds_up(tiny: netspec.Network) -> None:
    data = tiny.summary()
    for depth in (1, None):
        table: Any = data.table(depth)
        for column, total in ((3, "parameters"), (4, "macs")):
            assert sum(row[column] or 0 for row in table.rows) == data["totals"][total]
            assert table.foot[0][column] == data["totals"][total]


def test_of_words_no_column_is_empty_and_sizes_are_said() -> None:
    network = netspec.load("gpt2")
    assert network.summary().table().headings == ["layer", "kind", "output", "parameters", "MACs"]
    assert str(network.memory("train")).startswith(
        "GPT-2: memory of training, no optimizer, batch 1, T = 1024, float32\n"
    )
    assert "145,824,153,600 MACs at T = 1024\n" in str(network.explain())


def test_a_sequence_that_an_image_became_has_no_map_of_features() -> None:
    rows = {row[0]: row[2] for row in netspec.load("vit_b_16").receptive_fields().table().rows}
    assert rows == {"conv_proj": "14 x 14", "flatten": "768 x 196", "layers.0.self_attention": "197 x 768"}
