"""`netspec list`, `show` and `validate`."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import netspec

from .conftest import TINY, Run

BATCH_NORM = {"batch_norm": True}
RESNETS = [
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *(f"resnet{depth}_cifar" for depth in (20, 32, 44, 56, 110, 1202)),
    "resnet34_plain",
]

PARTS = {f"{detector}:{part}" for detector in ("faster_rcnn", "faster_rcnn_zf") for part in ("rpn", "head")}
"""The networks beside the main one of a file."""


def test_list_in_the_order_people_expect(run: Run) -> None:
    lines = run("list").out.splitlines()
    listed = [line.split()[0] for line in lines[2:]]
    names = [name for name in listed if ":" not in name]
    assert sorted(names) == sorted(netspec.names())
    assert set(listed) - set(names) == PARTS
    assert [name for name in names if name.startswith("resnet")] == RESNETS
    assert "arXiv:1409.1556, Table 1, column E" in next(line for line in lines if line.startswith("vgg_e "))


def test_list_formats(run: Run) -> None:
    rows = json.loads(run("list", "--format", "json").out)["networks"]
    assert all(list(row) == ["name", "aliases", "title", "source"] for row in rows)
    assert all(row["name"] and row["title"] and row["source"] for row in rows)
    assert next(row["aliases"] for row in rows if row["name"] == "vgg_d") == {"vgg16": {}, "vgg16_bn": BATCH_NORM}
    parsed = list(csv.DictReader(StringIO(run("list", "--format", "csv").out)))
    assert [(row["name"], row["title"]) for row in parsed] == [(row["name"], row["title"]) for row in rows]
    assert next(row["also"] for row in parsed if row["name"] == "vgg_d") == "vgg16, vgg16_bn (batch_norm: true)"
    assert run("list", "--format", "table").out == run("list").out
    markdown = run("list", "--format", "markdown").out.splitlines()
    assert markdown[:2] == ["| name | also | title | source |", "| --- | --- | --- | --- |"]
    assert len(markdown) == 2 + len(rows)


def test_show_prints_the_text(run: Run) -> None:
    assert run("show", "tiny.yaml").out == TINY
    shown = run("show", "vgg_e")
    assert (shown.status, shown.err) == (0, "")
    assert netspec.loads(shown.out).summary() == netspec.load("vgg_e").summary()


def test_show_expanded(run: Run) -> None:
    lines = run("show", "tiny.yaml", "--expanded", "--set", "classes=7", "--input", "3xHxW").out.splitlines()
    assert lines[:2] == ["graph tiny", "  input image: N x 3 x H x W"]
    assert "  fc = linear(dropout; out_features=7): N x 7" in lines
    assert lines[-1] == "  output logits = fc"


def test_show_as_written_takes_no_settings(run: Run) -> None:
    for option in (("--set", "classes=7"), ("--input", "3x8x8")):
        result = run("show", "tiny.yaml", *option)
        assert (result.status, result.out) == (2, "")
        assert "go with --expanded" in result.err


def test_validate(run: Run, folder: Path) -> None:
    result = run("validate", "tiny.yaml", "vgg_e")
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines()[0] == "tiny.yaml: 6 ops, 1 claim holds"
    assert result.out.splitlines()[1].startswith("vgg_e: 45 ops, ")
    (folder / "none.yaml").write_text(TINY.replace("expect:", "# expect:"))
    assert run("validate", "none.yaml").out == "none.yaml: 6 ops, no claims\n"


def test_validate_all_that_is_bundled(run: Run) -> None:
    result = run("validate", *netspec.names())
    assert (result.status, result.err) == (0, "")
    assert len(result.out.splitlines()) == len(netspec.names()) + len(PARTS)


def test_validate_goes_on_after_a_wrong_one(run: Run, folder: Path) -> None:
    (folder / "bad.yaml").write_text(TINY.replace("- flatten", "- flaten"))
    (folder / "claim.yaml").write_text(TINY.replace("162", "163"))
    result = run("validate", "bad.yaml", "claim.yaml", "tiny.yaml")
    assert (result.status, result.out) == (1, "tiny.yaml: 6 ops, 1 claim holds\n")
    assert "bad.yaml:10:5: error NS203" in result.err
    assert "claim.yaml:14:22: error NS216: `parameters` is claimed to be 163 and is 162" in result.err
    assert result.err.endswith("2 of 3 specs are wrong\n")
    assert run("validate", "bad.yaml", "tiny.yaml").err.endswith("1 of 2 specs is wrong\n")


def test_claims_lapse_under_settings(run: Run, folder: Path) -> None:
    (folder / "claim.yaml").write_text(TINY.replace("162", "163"))
    for option in (("--set", "classes=7"), ("--input", "3x8x8")):
        result = run("validate", "claim.yaml", *option)
        assert (result.status, result.out, result.err) == (0, "claim.yaml: 6 ops, claims not checked\n", "")


def test_warnings_are_talk(run: Run, folder: Path) -> None:
    unused = TINY.replace(
        "  - flatten\n", "  - {flatten, name: flat}\n  - {relu, name: idle, from: flat}\n  - {relu, from: flat}\n"
    )
    (folder / "unused.yaml").write_text(unused)
    result = run("validate", "unused.yaml")
    assert result.status == 0
    assert "warning NS217" in result.err
    assert result.out == "unused.yaml: 8 ops, 1 claim holds\n"
