"""`netspec diff` on the command line: exit status, formats, and what is given for one side."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import netspec

from .conftest import TINY, Run


def data(run: Run, *arguments: str, status: int = 1) -> Any:
    result = run("diff", *arguments, "--format", "json")
    assert (result.status, result.err) == (status, "")
    return json.loads(result.out)


def test_nothing_differs(run: Run) -> None:
    result = run("diff", "resnet34", "resnet34")
    assert (result.status, result.out, result.err) == (0, "the same network, 125 nodes\n", "")
    assert data(run, "resnet18", "resnet34", "--set-a", "stages=[3,4,6,3]", status=0)["same"] is True


def test_other_names_alone_are_mentioned(run: Run, folder: Path) -> None:
    (folder / "other.yaml").write_text(TINY.replace("name: conv}", "name: first}"), encoding="utf-8")
    result = run("diff", "tiny.yaml", "other.yaml")
    assert result.status == 0
    assert result.out.splitlines() == [
        "the same network, 6 nodes",
        "Names differ: 1 of 6 nodes have another path.",
    ]


def test_something_differs(run: Run) -> None:
    result = run("diff", "vgg_d", "vgg_e")
    assert (result.status, result.err) == (1, "")
    assert "conv 256 (x 3->4)" in result.out
    assert "+5,309,696" in result.out


def test_a_wrong_spec_is_no_difference(run: Run, folder: Path) -> None:
    (folder / "wrong.yaml").write_text(TINY.replace("relu", "reluu"), encoding="utf-8")
    for arguments, words in {
        ("tiny.yaml", "wrong.yaml"): "wrong.yaml",
        ("wrong.yaml", "tiny.yaml"): "wrong.yaml",
        ("vgg_d", "vgg_f"): "NS213",
        ("vgg_d", "vgg_e", "--set-b", "depth=3"): "NS204: `vgg_e` has no parameter `depth`",
        ("vgg_d", "resnet18", "--set", "batch_norm=true"): "NS204: `resnet18` has no parameter `batch_norm`",
    }.items():
        result = run("diff", *arguments)
        assert (result.status, result.out) == (1, "")
        assert words in result.err


def test_usage(run: Run) -> None:
    for arguments in (("vgg_d",), ("vgg_a", "vgg_b", "vgg_c"), ("-", "-"), ("vgg_d", "vgg_e", "--set-a", "classes")):
        result = run("diff", *arguments)
        assert (result.status, result.out) == (2, ""), arguments


def test_settings_for_both_and_for_one(run: Run) -> None:
    both = data(run, "vgg_a", "vgg_b", "--set", "classes=7", "--input", "3x64x64")
    assert [[end[side]["shape"] for side in "ab"] for end in both["ends"]] == [
        [["N", 3, 64, 64]] * 2,
        [["N", 7]] * 2,
    ]
    # What is given for one side comes after what is given for both.
    one = data(run, "vgg_a", "vgg_a", "--set", "classes=7", "--set-b", "classes=9", "--input-a", "3x64x64")
    assert [[end[side]["shape"] for side in "ab"] for end in one["ends"]] == [
        [["N", 3, 64, 64], ["N", 3, 224, 224]],
        [["N", 7], ["N", 9]],
    ]
    assert one["params"] == {"classes": [7, 9]}


def test_standard_input(run: Run) -> None:
    result = run("diff", "tiny.yaml", "-", stdin=TINY.replace("sigmoid", "relu"))
    assert (result.status, result.out) == (0, "the same network, 6 nodes\n")


def test_json_is_as_documented(run: Run) -> None:
    # docs/reports.md names these keys; programs rely on them.
    found = data(run, "googlenet", "googlenet_bn")
    assert list(found) == [
        *("same", "a", "b", "params", "difference", "counts", "names_differ", "blocks_differ"),
        *("initializers_differ", "ends", "nodes"),
    ]
    for side in (found["a"], found["b"]):
        assert list(side) == [
            *("network", "title", "hash", "at", "nodes", "parameters", "macs", "inference", "complete")
        ]
        assert list(side["inference"]) == ["parameters", "macs"]
    assert list(found["difference"]) == ["nodes", "parameters", "macs"]
    assert list(found["counts"]) == ["same", "sizes", "changed", "only_a", "only_b"]
    assert sum(found["counts"].values()) == len(found["nodes"])
    for end in found["ends"]:
        assert list(end) == ["status", "kind", "a", "b"]
        assert list(end["a"]) == ["name", "shape", "dtype"] + ["value", "mode"] * (end["kind"] == "output")
    for node in found["nodes"]:
        assert list(node) == ["status", "a", "b", "attributes", "inputs_differ", "weights_differ"]
        assert (node["a"] is None) == (node["status"] == "only_b")
        assert (node["b"] is None) == (node["status"] == "only_a")
        for side in (node["a"], node["b"]):
            assert side is None or list(side) == ["name", "op", "inputs", "output_shape", "parameters", "macs"]
    for key in "ab":
        total = sum(node[key]["parameters"] for node in found["nodes"] if node[key])
        assert total == found[key]["parameters"]
        summary = netspec.load(found[key]["network"]).summary("train")
        assert total == summary["totals"]["parameters"]
        assert found[key]["macs"] == summary["totals"]["macs"]
        assert found[key]["at"] == summary["at"]
        assert (
            found[key]["inference"]["parameters"]
            == netspec.load(found[key]["network"]).summary()["totals"]["parameters"]
        )
    assert found == json.loads(netspec.load("googlenet").diff(netspec.load("googlenet_bn")).to_json())


def test_csv_has_every_node_that_differs(run: Run, folder: Path) -> None:
    result = run("diff", "resnet18", "resnet50", "-o", "out.csv")
    assert (result.status, result.out, result.err) == (1, "", "wrote out.csv\n")
    rows = list(csv.DictReader(StringIO((folder / "out.csv").read_text(encoding="utf-8"))))
    counts = data(run, "resnet18", "resnet50")["counts"]
    assert len(rows) == sum(counts.values()) - counts["same"]
    # Nodes that are the same add nothing: the differences sum to the whole.
    assert sum(int(row["parameters_difference"]) for row in rows) == 25_557_032 - 11_689_512
    assert {row["status"] for row in rows} == {"sizes", "changed", "only_b"}
    same = run("diff", "resnet18", "resnet18", "--format", "csv")
    assert len(same.out.splitlines()) == 1


@pytest.mark.parametrize("pair", ["vgg_d vgg_e", "alexnet alexnet_owt", "resnet34 resnet50"])
def test_tables_fit_a_page(run: Run, pair: str) -> None:
    text = run("diff", *pair.split()).out
    assert max(map(len, text.splitlines())) <= 120
    markdown = run("diff", *pair.split(), "--format", "markdown").out
    assert markdown.count("\n| ") >= 10
