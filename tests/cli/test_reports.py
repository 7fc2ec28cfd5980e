"""`netspec rf` and `netspec params`: figures of papers, formats, and totals that agree with the summary."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import Any

import pytest

import netspec

from .conftest import Run


def report(run: Run, *arguments: str) -> Any:
    result = run(*arguments, "--format", "json")
    assert (result.status, result.err) == (0, "")
    return json.loads(result.out)


def test_rf_gives_the_figures_of_distill(run: Run) -> None:
    # Araujo, Norris & Sim 2019: VGG-16's pool5 sees 212 pixels, 32 apart, with 90 of padding.
    layers = {layer["name"]: layer for layer in report(run, "rf", "vgg_d")["layers"]}
    pool5 = layers["pool5"]
    assert (pool5["size"], pool5["stride"], pool5["start"]) == ([212, 212], [32, 32], [-90, -90])
    assert pool5["share"] == [round(212 / 224, 4)] * 2
    assert "conv1.0.relu" not in layers
    assert "conv1.0.relu" in {layer["name"] for layer in report(run, "rf", "vgg_d", "--all")["layers"]}


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "vgg_c"])
def test_rf_agrees_with_the_summary(run: Run, name: str) -> None:
    fields = {layer["name"]: layer["receptive_field"] for layer in netspec.load(name).summary()["layers"]}
    found = report(run, "rf", name, "--all")["layers"]
    assert {layer["name"] for layer in found} == set(fields)
    for layer in found:
        assert {key: layer[key] for key in fields[layer["name"]]} == fields[layer["name"]]


def test_rf_of_an_open_size_has_no_share(run: Run) -> None:
    found = report(run, "rf", "resnet18", "--input", "3xHxW")["layers"]
    assert found[0]["share"] == [None, None]
    assert found[0]["size"] == [7, 7]
    text = run("rf", "resnet18", "--input", "3xHxW").out
    assert "(H + 1)//2 x (W + 1)//2" in text


def test_rf_of_two_inputs_names_them(run: Run) -> None:
    text = (
        "netspec: 1\nname: two\ninputs: {left: [N, 3, 8, 8], right: [N, 3, 8, 8]}\nnetwork:\n"
        "  - {add, from: [left, right], name: sum}\n  - {max_pool2d: 2}\n"
    )
    result = run("rf", "-", stdin=text)
    assert result.status == 0
    assert [line.split()[:1] + line.split()[5:6] for line in result.out.splitlines()[4:6]] == [
        ["max_pool2d", "left"],
        ["max_pool2d", "right"],
    ]


@pytest.mark.parametrize("by", ["layer", "op", "block"])
@pytest.mark.parametrize("name", ["alexnet", "resnet50"])
def test_params_add_up(run: Run, name: str, by: str) -> None:
    found = report(run, "params", name, "--by", by)
    total = netspec.load(name).summary()["totals"]["parameters"]
    assert found["total"] == total == sum(row["parameters"] for row in found["rows"])
    assert sum(row["share"] for row in found["rows"]) == pytest.approx(1, abs=1e-4)


def test_params_by_block_and_op(run: Run) -> None:
    blocks = {row["name"]: row["parameters"] for row in report(run, "params", "resnet50", "--by", "block")["rows"]}
    # The stem is 64 filters of 7x7x3 with a batch norm; the classifier is 2048 x 1000 and a bias.
    assert blocks["conv_bn"] == 64 * 7 * 7 * 3 + 2 * 64
    assert blocks["resnet50"] == 2048 * 1000 + 1000
    ops = {row["name"]: row["layers"] for row in report(run, "params", "resnet50", "--by", "op")["rows"]}
    assert ops == {"conv2d": 53, "batch_norm": 53, "linear": 1}


@pytest.mark.parametrize("command", [("rf", "vgg_a"), ("params", "vgg_a"), ("params", "vgg_a", "--by", "op")])
def test_other_formats(run: Run, command: tuple[str, ...]) -> None:
    rows = list(csv.reader(StringIO(run(*command, "--format", "csv").out)))
    assert len({len(row) for row in rows}) == 1
    lines = run(*command, "--format", "markdown").out.splitlines()
    assert sum(line.startswith("| ") for line in lines) >= len(rows)


def test_params_of_a_network_without_any(run: Run) -> None:
    text = "netspec: 1\nname: bare\ninputs: {x: [N, 3, 8, 8]}\nnetwork: [relu]\n"
    result = run("params", "-", stdin=text)
    assert (result.status, result.err) == (0, "")
    assert "total" in result.out
