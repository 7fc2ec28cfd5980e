"""Reports on the command line: figures of papers, formats, and totals that agree with the summary."""

from __future__ import annotations

import csv
import json
from importlib import import_module
from io import StringIO
from typing import Any

import pytest

import netspec
from netspec.cli.main import COMMANDS

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


REPORTS = (
    "rf vgg_a",
    "params vgg_a",
    "params vgg_a --by op",
    "memory vgg_a",
    "memory vgg_a --train",
    "summary vgg_a vgg_b",
    "diff vgg_a vgg_b",
    "explain resnet18 layer2.0",
    "explain vgg_a fc6",
    "list",
)


def test_every_command_with_a_report_is_among_these() -> None:
    commands = {name: import_module(f"netspec.cli.{name}_command").command for name in COMMANDS}
    reports = {
        name
        for name, command in commands.items()
        if {"format_", "output"} <= {parameter.name for parameter in command.params}
    }
    # `run` needs a model.
    assert sorted(reports - {line.split()[0] for line in REPORTS}) == ["run"], "commands without a line in REPORTS"


@pytest.mark.parametrize("command", REPORTS)
def test_every_report_has_every_format(run: Run, command: str) -> None:
    rows = list(csv.reader(StringIO(run(*command.split(), "--format", "csv").out)))
    assert all(rows[0])
    assert len(rows) > 1
    assert len({len(row) for row in rows}) == 1
    assert json.loads(run(*command.split(), "--format", "json").out)
    assert "FLOP" not in run(*command.split()).out
    lines = run(*command.split(), "--format", "markdown").out.splitlines()
    assert sum(line.startswith("| ") for line in lines) >= len(rows)


def test_params_of_a_network_without_any(run: Run) -> None:
    text = "netspec: 1\nname: bare\ninputs: {x: [N, 3, 8, 8]}\nnetwork: [relu]\n"
    result = run("params", "-", stdin=text)
    assert (result.status, result.err) == (0, "")
    assert "total" in result.out


def test_networks_side_by_side(run: Run) -> None:
    found = report(run, "summary", *netspec.names())["networks"]
    assert [row["network"] for row in found] == netspec.names()
    for row in found:
        alone = netspec.load(row["network"]).summary()
        assert {key: row[key] for key in ("inputs", "outputs", "at", "complete")} == {
            key: alone[key] for key in ("inputs", "outputs", "at", "complete")
        }
        assert (row["parameters"], row["macs"]) == (alone["totals"]["parameters"], alone["totals"]["macs"])
        assert row["ops"] == len(alone["layers"])
    # The papers count layers so: the number in the name.
    depth = {row["network"]: row["depth"] for row in found}
    for name, number in (("resnet", (18, 34, 50, 101, 152)),):
        assert [depth[f"{name}{n}"] for n in number] == list(number)
    assert [depth[f"vgg_{letter}"] for letter in "abcde"] == [11, 13, 16, 16, 19]
    assert (depth["alexnet"], depth["zfnet"]) == (8, 8)
    assert next(r for r in found if r["network"] == "vgg_d")["receptive_field"]["size"] == [212, 212]


def test_side_by_side_takes_settings_for_all(run: Run) -> None:
    found = report(run, "summary", "vgg_a", "tiny.yaml", "--set", "classes=7")["networks"]
    assert [list(row["outputs"].values()) for row in found] == [[["N", 7]], [["N", 7]]]
    result = run("summary", "vgg_a", "resnet18", "--set", "ceil_mode=true")
    assert result.status == 1
    assert "NS204: `resnet18` has no parameter `ceil_mode`" in result.err
    result = run("summary", "vgg_a", "resnet18", "--depth", "2")
    assert result.status == 2
    assert "--depth is for one network" in result.err
    assert run("summary").status == 2


def test_side_by_side_of_open_sizes(run: Run) -> None:
    found = report(run, "summary", "resnet18", "resnet34", "--input", "3xHxW")["networks"]
    assert [row["macs"] for row in found] == [None, None]


def test_memory(run: Run) -> None:
    found = report(run, "memory", "vgg_e", "--batch", "32", "--train", "--dtype", "float16", "--optimizer", "adam")
    assert (found["mode"], found["batch"], found["dtype"], found["optimizer"]) == ("train", 32, "float16", "adam")
    assert found["totals"]["parameters"] == 2 * 143_667_240
    assert found["totals"]["optimizer"] == 4 * 143_667_240
    lines = run("memory", "vgg_e", "--batch", "32").out.splitlines()
    assert lines[0] == "VGG-19 (configuration E): memory of inference, batch 32, float32"
    assert "kept MB" not in lines[2]
    # Two maps of 64 x 224 x 224 for 32 images, the weights and the images: by hand.
    peak = 2 * 32 * 64 * 224 * 224 * 4 + 143_667_240 * 4 + 32 * 3 * 224 * 224 * 4
    assert report(run, "memory", "vgg_e", "--batch", "32")["totals"]["peak"] == peak


def test_memory_refuses_what_makes_no_sense(run: Run) -> None:
    for arguments, words in {
        ("--optimizer", "adam"): "--optimizer goes with --train",
        ("--batch", "0"): "'--batch': 0",
        ("--batch", "many"): "'--batch': 'many'",
        ("--dtype", "int8"): "'--dtype': 'int8'",
    }.items():
        result = run("memory", "vgg_a", *arguments)
        assert result.status == 2
        assert words in result.err
    result = run("memory", "resnet18", "--input", "3xHxW")
    assert result.status == 1
    assert "NS305: memory follows from sizes, and H, W of `resnet18` are open" in result.err


def test_hash(run: Run) -> None:
    digest = netspec.load("resnet34").graph.hash()
    assert run("hash", "resnet34", "alexnet").out.splitlines()[0] == f"{digest}  resnet34"
    assert run("hash", "resnet18", "--set", "stages=[3,4,6,3]").out == f"{digest}  resnet18\n"
    wrong = run("hash", "resnet34", "resnet35")
    assert (wrong.status, wrong.out) == (1, "")
