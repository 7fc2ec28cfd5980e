"""Text that others wrote: wherever it stands, nothing that netspec prints drives a terminal or becomes markup."""

from __future__ import annotations

import ast
import csv
import json
import re
import unicodedata
import xml.etree.ElementTree as ET
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import netspec
from netspec.printable import display_width, printable
from netspec.tables import Table
from tests.support.lazy import lazy_imports

from .conftest import Result, Run

with lazy_imports():
    import onnx
    import torch
    from onnx import TensorProto, helper
    from safetensors.torch import save_file

# What a terminal obeys, what no reader sees, and what is markup somewhere.
CONTROL = "\x1b]0;pwned\x07\x1b[2J\x08\r\x7f\x9b31m\x85"
UNSEEN = "\u202e\u2066\u200b\u200d\u200f\ufeff\u2028\U000e0041"
MARKUP = "<script>alert(1)</script>|`x`](https://e.org)[y](javascript:z) **b** <!-- &lt; </svg>"
HOSTILE = f"{CONTROL}{UNSEEN}{MARKUP}"
EVIL = '=cmd|" /C calc"!A0'

FORMATS = ("table", "json", "csv", "markdown")


def forbidden(text: str) -> list[str]:
    """The characters that must not be printed."""
    return [c for c in text if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


def clean(result: Result) -> None:
    assert (forbidden(result.out), forbidden(result.err)) == ([], [])
    assert "Traceback" not in result.err
    assert result.status in (0, 1, 2, 3)


def spec(text: str) -> dict[str, Any]:
    """A spec that holds text wherever a value may be free text."""
    return {
        "netspec": 1,
        "name": "p",
        "title": text,
        "source": text,
        "params": {"mode": text},
        "inputs": {"image": ["N", 3, 8, 8]},
        "blocks": {"b": {"params": {"m": "str"}, "body": ["relu", {"tanh": None, "when": "m == 'x'"}]}},
        "network": [
            {"b": text, "name": "s"},
            {"tanh": None, "when": "mode == 'x'"},
            {"adaptive_avg_pool2d": 1},
            "flatten",
            {"linear": 3, "name": "fc"},
        ],
        "outputs": {"logits": "fc"},
        "labels": {"logits": ["a", "b", MARKUP]},
        "preprocess": {"image": {"resize": 8, "crop": 8, "mean": 0.5, "std": 0.5}},
    }


@pytest.fixture
def hostile(folder: Path) -> Path:
    (folder / "p.json").write_text(json.dumps(spec(HOSTILE)))
    (folder / "q.json").write_text(json.dumps(spec(HOSTILE + "!")))
    return folder


REPORTS = ("summary p.json", "summary p.json --depth all", "summary p.json q.json", "params p.json", "rf p.json --all",
           "memory p.json", "explain p.json", "explain p.json s", "explain p.json s.relu", "explain p.json mode",
           "diff p.json q.json", "list")  # fmt: skip


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("command", REPORTS)
def test_reports(command: str, format_: str, run: Run, hostile: Path) -> None:
    result = run(*command.split(), "--format", format_)
    clean(result)
    assert result.err == ""
    if format_ == "json":
        assert json.loads(result.out)
    elif format_ == "csv":
        assert len({len(row) for row in csv.reader(StringIO(result.out))}) == 1
    elif format_ == "markdown":
        well_formed(result.out)
    # To a file it is the same, and the terminal that shows the file is as safe.
    suffix = {"table": "txt", "markdown": "md"}.get(format_, format_)
    clean(run(*command.split(), "-o", f"out.{suffix}"))
    assert forbidden((hostile / f"out.{suffix}").read_text()) == []


def well_formed(text: str) -> None:
    """Every row of a Markdown table has as many cells, and no markup but that of the table itself."""
    rows = [line for line in text.split("\n") if line.startswith("| ")]
    bare = [re.sub(r"\\.", "", row) for row in rows]
    assert len({row.count("|") for row in bare}) == 1
    for line in text.split("\n"):
        outside = re.sub(r"`[^`]*`", "", re.sub(r"\\.", "", line))
        assert not re.search(r"[<\[\]`]|&(?!nbsp;|\s)", outside), line


OTHERS = ("show p.json", "show p.json --expanded", "validate p.json q.json", "hash p.json", "diagram p.json",
          "diagram p.json --depth all --highlight s", "compile p.json -o -", "transform p.json",
          "transform p.json --until s", "schema", "ops", "ops conv2d")  # fmt: skip


@pytest.mark.parametrize("command", OTHERS)
def test_other_commands(command: str, run: Run, hostile: Path) -> None:
    result = run(*command.split())
    clean(result)
    if result.status:
        assert command == "transform p.json --until s", result.err


def test_what_is_written_means_the_same(run: Run, hostile: Path) -> None:
    assert run("transform", "p.json", "--no-proof", "-o", "back.yaml").status == 0
    assert forbidden((hostile / "back.yaml").read_text()) == []
    assert netspec.load("back.yaml").diff(netspec.load("p.json")).same
    assert run("compile", "p.json").status == 0
    assert forbidden((hostile / "p.py").read_text()) == []
    for format_ in ("svg", "dot"):
        assert run("diagram", "p.json", "-o", f"p.{format_}").status == 0
        assert forbidden((hostile / f"p.{format_}").read_text()) == []
    texts = "".join(ET.parse(hostile / "p.svg").getroot().itertext())
    assert "<script>" in texts
    assert "\\x1b]0;pwned" in texts


COMMANDS = ("summary", "show", "validate", "explain", "diff", "ops", "help", "init", "compile", "weights check", "run",
            "import", "schema -o", "diagram", "hash", "nonsense")  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_arguments(command: str, run: Run, folder: Path) -> None:
    for text in (HOSTILE, f"{HOSTILE}.yaml", f"{HOSTILE}/x.json", f"no/{CONTROL}.onnx", f"--{CONTROL}", CONTROL):
        result = run(*command.split(), text)
        clean(result)
        clean(run(*command.split(), "tiny.yaml", text))


@pytest.mark.parametrize("option", ["--set", "--input", "--format", "-o", "--ops", "--depth", "--part", "--nope"])
def test_options(option: str, run: Run, folder: Path) -> None:
    for text in (HOSTILE, f"act={HOSTILE}", f"act='{CONTROL}'", f"{CONTROL}.json", f"no/{CONTROL}.json"):
        for command in ("summary", "diagram", "compile"):
            clean(run(command, "tiny.yaml", option, text))


BROKEN = (
    {"name": HOSTILE}, {"network": [HOSTILE]}, {"network": [{HOSTILE: 1}]}, {HOSTILE: 1}, {"params": {HOSTILE: 1}},
    {"network": [{"relu": None, "name": HOSTILE}]}, {"network": [{"relu": None, "from": HOSTILE}]},
    {"network": [{"linear": HOSTILE}]}, {"inputs": {HOSTILE: ["N", 3]}}, {"inputs": {"x": ["N", HOSTILE]}},
    {"outputs": {HOSTILE: "fc"}}, {"outputs": {"x": HOSTILE}}, {"blocks": {HOSTILE: {"body": []}}},
    {"extends": HOSTILE}, {"extends": f"{HOSTILE}.yaml"}, {"use": [HOSTILE]}, {"labels": {"logits": [HOSTILE] * 3}},
    {"labels": {HOSTILE: ["a"]}}, {"preprocess": {HOSTILE: {}}}, {"weights": {HOSTILE: {"title": HOSTILE}}},
    {"expect": {HOSTILE: 1}}, {"expect": {"parameters": HOSTILE}}, {"title": [HOSTILE]}, {"netspec": HOSTILE},
    {"weights": {"a": {"title": HOSTILE, "prefix": HOSTILE}}}, {"params": {"mode": "str"}},
    {"defaults": {HOSTILE: 1}}, {"network": [{"b": f"{HOSTILE}", "name": "s", "when": f"mode == '{MARKUP}'"}]},
)  # fmt: skip


@pytest.mark.parametrize("change", BROKEN, ids=[str(number) for number in range(len(BROKEN))])
def test_errors(change: dict[str, Any], run: Run, folder: Path) -> None:
    (folder / "p.json").write_text(json.dumps({**spec("x"), **change}))
    (folder / "p.yaml").write_text(json.dumps({**spec("x"), **change}, ensure_ascii=False))
    for command in ("summary p.json", "validate p.json", "explain p.json s", "diagram p.json", "summary p.yaml",
                    "show p.yaml", "show p.json", "diff p.json tiny.yaml"):  # fmt: skip
        clean(run(*command.split()))


def test_files_whose_names_are_hostile(run: Run, folder: Path) -> None:
    name = "a\x1b[2J\u202e|<b>`.yaml"
    (folder / name).write_text((folder / "tiny.yaml").read_text())
    for command in ("summary", "validate", "hash", "explain", "transform"):
        clean(run(command, name))
    clean(run("compile", name, "-o", name.replace(".yaml", ".py")))
    clean(run("summary", name, "-o", name.replace(".yaml", ".json")))
    # What is near such a name is named too.
    clean(run("summary", name.replace("2J", "3J")))


def test_state_dicts(run: Run, folder: Path) -> None:
    save_file({"conv.weight": torch.zeros(4, 3, 3, 3), HOSTILE: torch.zeros(2), EVIL: torch.zeros(1)},
              folder / f"w{CONTROL}.safetensors")  # fmt: skip
    for format_ in FORMATS:
        result = run("weights", "check", "tiny.yaml", f"w{CONTROL}.safetensors", "--format", format_)
        assert result.status == 1
        clean(result)
        if format_ == "csv":
            assert EVIL not in [cell for row in csv.reader(StringIO(result.out)) for cell in row]
            assert f"'{EVIL}" in [cell for row in csv.reader(StringIO(result.out)) for cell in row]
        if format_ == "markdown":
            well_formed(result.out)
        if format_ == "json":
            assert {row["key"] for row in json.loads(result.out)["unused"]} == {HOSTILE, EVIL}
    clean(run("weights", "convert", "tiny.yaml", f"w{CONTROL}.safetensors", "-o", "x.safetensors"))
    clean(run("compile", "tiny.yaml", "--weights", f"w{CONTROL}.safetensors"))


def hostile_model(path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", [f"in{HOSTILE}"], [f"out{HOSTILE}"], name=HOSTILE)],
        HOSTILE,
        [helper.make_tensor_value_info(f"in{HOSTILE}", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info(f"out{HOSTILE}", TensorProto.FLOAT, [1, 3])],
        doc_string=HOSTILE,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    model.producer_name = HOSTILE
    helper.set_model_props(model, {"netspec.labels": HOSTILE, HOSTILE: HOSTILE})
    onnx.save(model, str(path))


def test_models(run: Run, folder: Path) -> None:
    hostile_model(folder / "m.onnx")
    np.save(folder / "a.npy", np.zeros((1, 3), dtype="float32"))
    for format_ in FORMATS:
        clean(run("run", "m.onnx", "--array", f"in{HOSTILE}=a.npy", "--device", "cpu", "--format", format_))
    clean(run("run", "m.onnx", "--array", f"{HOSTILE}=a.npy", "--device", "cpu"))
    clean(run("run", "m.onnx", "--image", f"{CONTROL}.png", "--device", "cpu"))
    clean(run("import", "m.onnx", "-o", "m.yaml"))


def test_labels_of_a_model(run: Run, folder: Path) -> None:
    (folder / "p.json").write_text(json.dumps(spec("x")))
    assert run("export", "p.json", "-o", "p.onnx").status == 0
    Image.new("RGB", (9, 9)).save(folder / f"{CONTROL}.png")
    for format_ in FORMATS:
        result = run("run", "p.onnx", "--image", f"{CONTROL}.png", "--device", "cpu", "--format", format_)
        assert result.status == 0, result.err
        clean(result)
        if format_ == "markdown":
            well_formed(result.out)
    model = onnx.load(folder / "p.onnx")
    for entry in model.metadata_props:
        if entry.key == "netspec.labels":
            entry.value = entry.value.replace('"a"', json.dumps(HOSTILE)).replace('"b"', json.dumps(EVIL))
    onnx.save(model, folder / "q.onnx")
    for format_ in FORMATS:
        clean(run("run", "q.onnx", "--image", f"{CONTROL}.png", "--device", "cpu", "--format", format_))


def test_notebooks(hostile: Path) -> None:
    net = netspec.load("p.json")
    for report in (net.summary(), net.explain("s"), net.memory(), net.parameter_counts()):
        assert forbidden(report._repr_html_()) == []
        assert "<script>" not in report._repr_html_()
        assert forbidden(str(report)) == []


# The functions.


def test_printable() -> None:
    assert printable("a\x1b[0m\x7f\x9b\u202e\u200b\U000e0041") == "a\\x1b[0m\\x7f\\x9b\\u202e\\u200b\\U000e0041"
    assert printable("plain é 試\u3000\u00a0 \t\n") == "plain é 試\u3000\u00a0 \t\n"
    assert printable("a\tb\nc", "") == "a\\tb\\nc"
    # A file's name that this system can't decode is read as UTF-8, and else shown as its bytes.
    assert printable("r\udcc3\udca9seau \udcff") == "réseau \\udcff"
    assert printable("\ud800") == "\\ud800"


def test_columns() -> None:
    assert [display_width(text) for text in ("abc", "試験", "e\u0301", "ｱ")] == [3, 4, 1, 1]


def test_cells_of_csv_that_a_spreadsheet_would_calculate() -> None:
    cells = ["=1+1", "+1", "-1.5", "-2,000", "@x", "-x", "+ x", "a=b", "\t=1", "'"]
    rows = list(csv.reader(StringIO(Table(["text"], [[cell] for cell in cells]).to_csv())))
    assert [row[0] for row in rows[1:]] == ["'=1+1", "+1", "-1.5", "-2,000", "'@x", "'-x", "'+ x", "a=b", "'=1", "'"]


def test_markdown_that_text_can_not_break() -> None:
    cells = ["a|b", "`c`", "[d](e)", "<f>", "g\nh", "_i_ snake_case", "https://j.org", "&lt; & k", "*l*", "\\|"]
    lines = Table(["x"], [[cell] for cell in cells], ["# m", "- n", "1. o", "`p` <q>"]).to_markdown().split("\n")
    assert lines[:5] == ["**\\# m**", "\\- n", "1\\. o", "`p` \\<q\\>", ""]
    assert lines[7:] == [
        "| a\\|b |", "| \\`c\\` |", "| \\[d\\](e) |", "| \\<f\\> |", "| g\\\\nh |", "| \\_i\\_ snake_case |",
        "| https:\\//j.org |", "| \\&lt; & k |", "| \\*l\\* |", "| \\\\\\| |",
    ]  # fmt: skip


def test_everything_is_printed_by_one_function() -> None:
    folder = Path(netspec.__file__).parent
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write"), path
                # Before anything is imported there is nothing else, and it is a constant.
                assert called != "print" or isinstance(node.args[0], ast.Constant), path
