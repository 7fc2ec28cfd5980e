"""`netspec summary`: formats, depth, settings, sizes, and files that are written whole or not at all."""

from __future__ import annotations

import csv
import errno
import json
import os
import stat
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import netspec

from .conftest import TINY, Result, Run

TWO_INPUTS = """\
netspec: 1
name: two
inputs: {left: [N, 3, 8, 8], right: [N, 3, 8, 8]}
network:
  - {add, from: [left, right]}
"""


def summary(run: Run, *arguments: str, **options: str) -> Any:
    result = run("summary", *arguments, "--format", "json", **options)
    assert (result.status, result.err) == (0, "")
    return json.loads(result.out)


def refused(result: Result, status: int, *words: str) -> None:
    assert (result.status, result.out) == (status, "")
    for word in words:
        assert word in result.err


# Formats.


def test_json_is_the_contract(run: Run) -> None:
    found = summary(run, "vgg_e")
    assert found == netspec.load("vgg_e").summary()
    assert list(found) == ["network", "inputs", "outputs", "at", "complete", "totals", "layers"]
    assert list(found["totals"]) == ["parameters", "parameters_training", "buffers", "macs"]
    assert list(found["layers"][0]) == [
        "name",
        "op",
        "inputs",
        "output_shape",
        "parameters",
        "macs",
        "receptive_field",
    ]
    assert list(found["layers"][0]["receptive_field"])[:3] == ["size", "stride", "start"]
    assert {**found, "layers": found["layers"][:1]} == {
        "network": "vgg_e",
        "inputs": {"image": ["N", 3, 224, 224]},
        "outputs": {"logits": ["N", 1000]},
        "at": {"N": 1},
        "complete": True,
        "totals": {"parameters": 143667240, "parameters_training": 143667240, "buffers": 0, "macs": 19632062464},
        "layers": [
            {
                "name": "conv1.0.conv2d",
                "op": "conv2d",
                "inputs": ["image"],
                "output_shape": ["N", 64, 224, 224],
                "parameters": 1792,
                "macs": 86704128,
                "receptive_field": {"size": [3, 3], "stride": [1, 1], "start": [-1, -1]},
            }
        ],
    }


def test_csv_parses(run: Run) -> None:
    rows = list(csv.DictReader(StringIO(run("summary", "tiny.yaml", "--depth", "all", "--format", "csv").out)))
    layers = {row["layer"]: row for row in rows}
    assert layers["fc"]["parameters"] == "50"
    assert layers["conv"]["MACs"] == "110592"
    assert "total" not in layers


def test_markdown_is_a_table(run: Run) -> None:
    lines = [line for line in run("summary", "tiny.yaml", "--format", "markdown").out.splitlines() if line[:1] == "|"]
    assert len({line.count(" |") for line in lines}) == 1
    assert lines[0].startswith("| layer | kind |")
    assert set(lines[1]) <= set("|-: ")
    assert lines[-1].startswith("| **total** |")


def test_table(run: Run) -> None:
    lines = run("summary", "vgg_e").out.splitlines()
    assert lines[0] == "VGG-19 (configuration E)"
    assert "143,667,240" in next(line for line in lines if line.startswith("total"))
    assert lines == str(netspec.load("vgg_e").summary()).splitlines()


# Options.


def test_depth(run: Run) -> None:
    def layers(depth: str) -> list[str]:
        rows = csv.reader(StringIO(run("summary", "vgg_e", "--depth", depth, "--format", "csv").out))
        return [row[0] for row in rows]

    assert layers("1") == [r[0] for r in csv.reader(StringIO(run("summary", "vgg_e", "--format", "csv").out))]
    assert len(layers("1")) < len(layers("2")) < len(layers("all"))
    assert layers("9") == layers("3")
    for wrong in ("0", "-1", "two", "1.5", "", "²", "9" * 5000):
        refused(run("summary", "vgg_e", "--depth", wrong), 2, "--depth takes a number from 1, or `all`")


def test_json_has_every_op_at_any_depth(run: Run) -> None:
    assert summary(run, "vgg_e", "--depth", "1") == summary(run, "vgg_e", "--depth", "all")


def test_train(run: Run) -> None:
    found = summary(run, "tiny.yaml", "--train")
    assert found["totals"]["parameters"] == found["totals"]["parameters_training"] == 162


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("classes=7", "classes", 7),
        ("drop=0.25", "drop", 0.25),
        ("widths=[2, 3]", "widths", [2, 3]),
        ("widths=2,3", "widths", [2, 3]),
        ("widths= 2, 3", "widths", [2, 3]),
        ("act='1,2'", "act", "1,2"),
        ("act=1,2", "act", "1,2"),
        ("wide=true", "wide", True),
        ("act=gelu", "act", "gelu"),
        ("act='7'", "act", "7"),
        (" classes = 7", "classes", 7),
    ],
)
def test_set(setting: str, name: str, value: Any, run: Run) -> None:
    expected = netspec.loads(TINY, params={name: value})
    assert summary(run, "tiny.yaml", "--set", setting) == expected.summary()
    assert expected.params[name] == value


def test_set_twice(run: Run) -> None:
    found = summary(run, "tiny.yaml", "--set", "classes=3", "--set", "wide=true")
    assert found["totals"]["parameters"] == 8 * 27 + 8 + 3 * 8 + 3


@pytest.mark.parametrize("setting", ["classes", "classes=", "=7", "", "classes=[1", "classes=null", "classes={a: 1"])
def test_set_malformed(setting: str, run: Run) -> None:
    refused(run("summary", "tiny.yaml", "--set", setting), 2, "--set takes NAME=VALUE", f"not `{setting}`")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("clases=7", "did you mean `classes`?"),
        ("classes=seven", "takes an int"),
        ("classes=1.5", "takes an int"),
        ("classes=true", "takes an int"),
        ("classes=[1]", "takes an int"),
        ("classes={a: 1}", "takes an int"),
        ("wide=1", "`wide`"),
        ("widths=3", "`widths`"),
        ("widths=3", "help: a list of one is written [3]"),
        ("classes=-1", "NS206"),
    ],
)
def test_set_wrong(setting: str, words: str, run: Run) -> None:
    refused(run("summary", "tiny.yaml", "--set", setting), 1, "error NS20", words)


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ("3x64x48", ["N", 3, 64, 48]),
        ("image=3x64x48", ["N", 3, 64, 48]),
        ("3xHxW", ["N", 3, "H", "W"]),
        ("8x3x64x48", [8, 3, 64, 48]),
        ("Bx3x64x48", ["B", 3, 64, 48]),
    ],
)
def test_input(sizes: str, shape: list[Any], run: Run) -> None:
    found = summary(run, "tiny.yaml", "--input", sizes)
    assert found["inputs"] == {"image": shape}
    assert found == netspec.loads(TINY, inputs={"image": shape}).summary()


def test_several_inputs(run: Run) -> None:
    refused(run("summary", "-", "--input", "3x4x4", stdin=TWO_INPUTS), 2, "NAME=SIZES: `two` has left, right")
    found = summary(run, "-", "--input", "left=3x4x4", "--input", "right=3x4x4", stdin=TWO_INPUTS)
    assert found["inputs"] == {"left": ["N", 3, 4, 4], "right": ["N", 3, 4, 4]}
    refused(run("summary", "-", "--input", "left=3x4x4", stdin=TWO_INPUTS), 1, "error NS301")


@pytest.mark.parametrize("sizes", ["", "3x", "x", "3,4,5", "3x-1x4", "3xhxw", "3x4.5x4", "²x3x3", "3x3x" + "9" * 5000])
def test_input_malformed(sizes: str, run: Run) -> None:
    refused(run("summary", "tiny.yaml", "--input", sizes), 2, "--input takes sizes such as 3x512x512 or 3xHxW")


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ("512x512", "error NS302: input `image` of `tiny` has 4 axes (N x 3 x 32 x 32), not 2"),
        ("imaje=3x32x32", "did you mean `image`?"),
        ("0x32x32", "error NS206"),
        ("3x1000000000000000000x3", ""),
    ],
)
def test_input_wrong(sizes: str, words: str, run: Run) -> None:
    result = run("summary", "tiny.yaml", "--input", sizes)
    if words:
        refused(result, 1, words)
    assert "Traceback" not in result.err


# Files.


@pytest.mark.parametrize(
    ("name", "format_"),
    [("a.json", "json"), ("a.csv", "csv"), ("a.md", "markdown"), ("a.txt", "table"), ("a", "table")],
)
def test_output_in_the_format_of_its_suffix(name: str, format_: str, run: Run, folder: Path) -> None:
    result = run("summary", "tiny.yaml", "-o", name)
    assert (result.status, result.out, result.err) == (0, "", f"wrote {name}\n")
    assert (folder / name).read_text() == run("summary", "tiny.yaml", "--format", format_).out
    run("summary", "tiny.yaml", "--format", "csv", "-o", name)
    assert (folder / name).read_text().startswith("layer,")


def test_output_to_stdout(run: Run) -> None:
    assert run("summary", "tiny.yaml", "-o", "-").out == run("summary", "tiny.yaml").out


def test_output_has_ordinary_permissions(run: Run, folder: Path) -> None:
    run("summary", "tiny.yaml", "-o", "new.txt")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((folder / "new.txt").stat().st_mode) == 0o666 & ~mask
    (folder / "new.txt").chmod(0o640)
    run("summary", "tiny.yaml", "-o", "new.txt")
    assert stat.S_IMODE((folder / "new.txt").stat().st_mode) == 0o640


def test_output_through_a_link(run: Run, folder: Path) -> None:
    (folder / "real.txt").write_text("old")
    (folder / "link.txt").symlink_to("real.txt")
    run("summary", "tiny.yaml", "-o", "link.txt", "--force")
    assert (folder / "link.txt").is_symlink()
    assert (folder / "real.txt").read_text().startswith("A tiny network")


def test_output_to_what_is_no_file(run: Run, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert run("summary", "tiny.yaml", "-o", "pipe").status == 0
    assert os.read(reader, 100).startswith(b"A tiny network")
    os.close(reader)
    assert stat.S_ISFIFO((folder / "pipe").stat().st_mode)


def test_output_that_can_not_be_written(run: Run, folder: Path) -> None:
    before = sorted(folder.iterdir())
    refused(run("summary", "tiny.yaml", "-o", "no/x.txt"), 1, "no/x.txt can't be written: there is no such folder")
    refused(run("summary", "tiny.yaml", "-o", "."), 1, f"can't be written: {os.strerror(errno.EISDIR).lower()}")
    too_long = f"can't be written: {os.strerror(errno.ENAMETOOLONG).lower()}"
    refused(run("summary", "tiny.yaml", "-o", f"{'x' * 300}.txt"), 1, too_long)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("command", [["summary", "tiny.yaml", "--force"], ["compile", "tiny.yaml", "--force"]])
@pytest.mark.parametrize("failing", ["os.replace", "pathlib.Path.write_bytes"])
def test_output_is_whole_or_not_there(
    command: list[str], failing: str, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    name = "out.py" if command[0] == "compile" else "out.txt"
    (folder / name).write_text("old")
    before = sorted(folder.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(failing, full)
        refused(run(*command, "-o", name), 1, f"{name} can't be written: no space left on device")
        refused(run(*command, "-o", f"new_{name}"), 1, f"new_{name} can't be written: no space left on device")
    assert sorted(folder.iterdir()) == before
    assert (folder / name).read_text() == "old"


def test_an_interrupt_leaves_nothing(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    before = sorted(folder.iterdir())
    monkeypatch.setattr("os.replace", interrupted)
    assert run("summary", "tiny.yaml", "-o", "out.txt").status == 130
    assert sorted(folder.iterdir()) == before
