"""What `-o` does to a file that is there, and what a suffix decides: one rule for every command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import netspec
from tests.support.lazy import lazy_imports

from .conftest import TINY, Run

with lazy_imports():
    from safetensors.torch import load_file, save_file

PLAIN = TINY.replace("expect: {parameters: 162}\n", "")
WRITERS = [
    ("summary tiny.yaml -o", "a.json"),
    ("summary tiny.yaml -o", "a.csv"),
    ("summary tiny.yaml -o", "a.md"),
    ("summary tiny.yaml -o", "a.txt"),
    ("summary tiny.yaml -o", "a"),
    ("summary tiny.yaml alexnet -o", "a.csv"),
    ("params tiny.yaml -o", "a.csv"),
    ("rf tiny.yaml -o", "a.json"),
    ("memory tiny.yaml -o", "a.md"),
    ("explain tiny.yaml -o", "a.txt"),
    ("diff tiny.yaml tiny.yaml -o", "a.json"),
    ("list -o", "a.md"),
    ("schema -o", "a.json"),
    ("diagram tiny.yaml -o", "a.svg"),
    ("diagram tiny.yaml -o", "a.png"),
    ("diagram tiny.yaml -o", "a.dot"),
    ("compile tiny.yaml -o", "a.py"),
    ("compile tiny.yaml -o", "a.pt2"),
    ("transform tiny.yaml -o", "a.yaml"),
    ("transform tiny.yaml -o", "a.py"),
    ("export tiny.yaml -o", "a.onnx"),
    ("weights convert tiny.yaml w.safetensors -o", "a.safetensors"),
    ("weights check tiny.yaml w.safetensors -o", "a.json"),
    ("import tiny.onnx -o", "a.yaml"),
    ("run tiny.onnx --array image=x.npy -o", "a.json"),
    ("run tiny.onnx --array image=x.npy --save", "a.npz"),
]


@pytest.fixture
def inputs(folder: Path) -> Path:
    """The spec, weights that fit it, its model, and an array that the model takes."""
    (folder / "tiny.yaml").write_text(PLAIN)
    module = netspec.compile(netspec.load("tiny.yaml").graph)
    save_file(module.state_dict(), folder / "w.safetensors")
    netspec.load("tiny.yaml").to_onnx(folder / "tiny.onnx", seed=0)
    np.save(folder / "x.npy", np.zeros((1, 3, 32, 32), dtype="float32"))
    return folder


@pytest.mark.parametrize(("command", "name"), WRITERS, ids=[f"{c} {n}" for c, n in WRITERS])
def test_every_writer(command: str, name: str, run: Run, inputs: Path) -> None:
    words = [*command.split(), name]
    (inputs / name).write_text("mine\n")
    refused = run(*words)
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.endswith(f"Error: {name} exists and was not written by netspec; --force overwrites it\n")
    assert (inputs / name).read_text() == "mine\n"
    forced = run(*words, "--force")
    assert f"wrote {name}" in forced.err
    first = (inputs / name).read_bytes()
    assert first != b"mine\n"
    # What it wrote itself it writes again, and what is empty holds nothing to lose.
    assert f"wrote {name}" in run(*words).err
    (inputs / name).write_bytes(b"")
    assert f"wrote {name}" in run(*words).err
    # A file that is protected stays, whoever wrote it.
    (inputs / name).chmod(0o444)
    assert run(*words).err.endswith(f"Error: {name} is write-protected; --force overwrites it\n")
    assert sorted(path.name for path in inputs.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize(("command", "name"), WRITERS, ids=[f"{c} {n}" for c, n in WRITERS])
def test_places_that_can_not_be_files(command: str, name: str, run: Run, inputs: Path) -> None:
    words = command.split()
    (inputs / name).mkdir()
    before = sorted(inputs.rglob("*"))
    result = run(*words, name)
    assert (result.status, result.out) == (1, "")
    assert "is a directory" in result.err
    nowhere = run(*words, f"no/{name}")
    assert nowhere.err.endswith(f"no/{name} can't be written: there is no such folder\n")
    assert run(*words, f"{name}/").status == 2
    assert run(*words, "").status == 2
    assert sorted(inputs.rglob("*")) == before


def test_a_report_with_other_figures_is_still_ours(run: Run, folder: Path) -> None:
    for name in ("a.json", "a.csv", "a.md", "a.txt"):
        assert run("summary", "tiny.yaml", "-o", name).status == 0
        assert run("summary", "alexnet", "--depth", "all", "-o", name).status == 0
        # Of another report it is not the file.
        result = run("params", "tiny.yaml", "-o", name)
        assert (result.status, result.out) == (1, "")
        assert "--force overwrites it" in result.err


MINE = [
    ("a.md", "# My project\n\nWhat it is.\n\n", ""),
    ("a.md", "My project\n", ""),
    ("a.md", "", "\n## Results\n\n93 %\n"),
    ("a.md", "", "My remark.\n"),
    ("a.txt", "Notes of Monday\n\n", ""),
    ("a.txt", "", "\nTo do: more layers\n"),
    ("a.txt", "", "To do: more layers\n"),
    ("a.csv", "", "my remark\n"),
]


@pytest.mark.parametrize(("name", "above", "below"), MINE)
def test_a_report_within_a_text_of_ones_own(name: str, above: str, below: str, run: Run, folder: Path) -> None:
    run("summary", "alexnet", "-o", name)
    text = above + (folder / name).read_text() + below
    (folder / name).write_text(text)
    assert "was not written by netspec" in run("summary", "tiny.yaml", "-o", name).err
    assert (folder / name).read_text() == text


INPUTS = [
    ("transform tiny.yaml -o tiny.yaml", "tiny.yaml"),
    ("transform ./tiny.yaml -o same.yaml", "same.yaml"),
    ("transform tiny.yaml -o link.yaml", "link.yaml"),
    ("transform child.yaml -o tiny.yaml", "tiny.yaml"),
    ("transform child.yaml -o link.yaml", "link.yaml"),
    ("compile tiny.yaml --ops my_ops.py -o my_ops.py", "my_ops.py"),
    ("summary tiny.yaml --format csv -o tiny.yaml", "tiny.yaml"),
    ("schema --ops my_ops.py -o my_ops.json", "my_ops.json"),
    ("weights convert tiny.yaml w.safetensors -o w.safetensors", "w.safetensors"),
    ("weights check tiny.yaml w.safetensors --format json -o w.safetensors", "w.safetensors"),
    ("run tiny.onnx --array image=x.npy --format csv -o x.npy", "x.npy"),
    ("run tiny.onnx --array image=x.npy --format csv -o tiny.onnx", "tiny.onnx"),
    ("import tiny.onnx -o onnx.yaml", "onnx.yaml"),
]


@pytest.mark.parametrize(("command", "name"), INPUTS, ids=[command for command, _ in INPUTS])
def test_inputs_stay(command: str, name: str, run: Run, inputs: Path) -> None:
    # Even those that netspec wrote, and under other names.
    assert run("transform", "tiny.yaml", "--force", "-o", "tiny.yaml").status == 0
    assert run("weights", "convert", "tiny.yaml", "w.safetensors", "--force", "-o", "w.safetensors").status == 0
    (inputs / "child.yaml").write_text("netspec: 1\nname: child\nextends: tiny.yaml\n")
    (inputs / "my_ops.py").write_text(MY_OPS)
    os.link(inputs / "tiny.yaml", inputs / "same.yaml")
    (inputs / "link.yaml").symlink_to("tiny.yaml")
    (inputs / "my_ops.json").symlink_to("my_ops.py")
    (inputs / "onnx.yaml").symlink_to("tiny.onnx")
    before = (inputs / name).read_bytes()
    result = run(*command.split())
    assert (result.status, result.out) == (1, "")
    assert result.err.endswith(
        f"Error: {name} is an input of this command, and stays as it is; --force overwrites it\n"
    )
    assert (inputs / name).read_bytes() == before


MY_OPS = """
from netspec.ops.base import Elementwise
from netspec.types import Layer

class MyOp(Elementwise, name="my_op"):
    def torch(self, x):
        return Layer("nn.ReLU", {})
"""


def test_an_input_that_is_meant(run: Run, inputs: Path) -> None:
    assert run("transform", "tiny.yaml", "--strip-dropout", "-o", "tiny.yaml", "--force").status == 0
    assert "- dropout" not in (inputs / "tiny.yaml").read_text()


# Weights beside a file.


def test_weights_beside_a_file_are_of_that_file(run: Run, inputs: Path) -> None:
    weights = ("--weights", "w.safetensors")
    assert run("transform", "tiny.yaml", *weights, "--until", "conv", "-o", "feat.yaml").status == 0
    before = (inputs / "feat.safetensors").read_bytes()
    result = run("transform", "tiny.yaml", *weights, "-o", "feat.py")
    assert (result.status, result.out) == (1, "")
    assert "feat.safetensors holds the weights of feat.yaml: choose another -o; --force overwrites it" in result.err
    assert ((inputs / "feat.safetensors").read_bytes(), (inputs / "feat.py").exists()) == (before, False)
    for command in (("compile", "tiny.yaml", *weights), ("weights", "convert", "tiny.yaml", "w.safetensors")):
        suffix = "py" if command[0] == "compile" else "safetensors"
        assert "feat.safetensors holds the weights of feat.yaml" in run(*command, "-o", f"feat.{suffix}").err
    # Its own are written again; and where the file that they were of is gone, they are nobody's.
    assert run("transform", "tiny.yaml", *weights, "-o", "feat.yaml").status == 0
    assert set(load_file(inputs / "feat.safetensors")) == {"conv.weight", "conv.bias", "fc.weight", "fc.bias"}
    (inputs / "feat.yaml").unlink()
    assert run("transform", "tiny.yaml", *weights, "-o", "feat.py").status == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("compile tiny.yaml --weights w.safetensors", "a.py"),
        ("transform tiny.yaml --weights w.safetensors", "a.yaml"),
        ("import tiny.onnx", "a.yaml"),
    ],
)
def test_no_weights_without_the_file_that_they_are_beside(command: str, name: str, run: Run, inputs: Path) -> None:
    (inputs / name).symlink_to("/dev/full")
    assert f"{name} can't be written: no space left" in run(*command.split(), "-o", name).err
    assert not (inputs / "a.safetensors").exists()
    (inputs / name).unlink()
    assert run(*command.split(), "-o", name).status == 0
    assert (inputs / "a.safetensors").exists()


def test_converted_weights_are_not_overwritten_by_those_beside_a_file(run: Run, inputs: Path) -> None:
    assert run("weights", "convert", "tiny.yaml", "w.safetensors", "-o", "net.safetensors").status == 0
    result = run("compile", "tiny.yaml", "--weights", "w.safetensors", "-o", "net.py")
    assert (result.status, result.out) == (1, "")
    assert "net.safetensors holds weights that were converted: choose another -o" in result.err
    assert not (inputs / "net.py").exists()
    assert run("compile", "tiny.yaml", "--weights", "w.safetensors", "-o", "net.py", "--force").status == 0


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff" * 100, (8).to_bytes(8, "little") + b"[[[[[[[[", b"\x10" + bytes(7)]
)
def test_files_of_weights_that_are_none(content: bytes, run: Run, inputs: Path) -> None:
    (inputs / "net.safetensors").write_bytes(content)
    result = run("compile", "tiny.yaml", "--weights", "w.safetensors", "-o", "net.py")
    assert result.status == (1 if content else 0)
    assert "Traceback" not in result.err


def test_the_weights_of_the_command_are_never_overwritten(run: Run, inputs: Path) -> None:
    for command in (("compile", "tiny.yaml"), ("transform", "tiny.yaml")):
        before = (inputs / "w.safetensors").read_bytes()
        result = run(*command, "--weights", "w.safetensors", "-o", "w.py", "--force")
        assert "w.safetensors is the file of weights, and would be overwritten: choose another -o" in result.err
        assert (inputs / "w.safetensors").read_bytes() == before


def test_the_file_beside_a_large_model(run: Run, inputs: Path) -> None:
    (inputs / "a.onnx.data").write_text("mine")
    result = run("export", "tiny.yaml", "-o", "a.onnx")
    assert "a.onnx.data exists and was not written by netspec" in result.err
    assert not (inputs / "a.onnx").exists()


# Suffixes.


@pytest.mark.parametrize("name", ["t.tex", "t.html", "o.xlsx", "a.yaml", "a.jsonl", "a.py", "net.v2", "a.JSONX"])
@pytest.mark.parametrize("command", ["summary tiny.yaml", "params tiny.yaml", "rf tiny.yaml", "memory tiny.yaml",
                                     "explain tiny.yaml", "diff tiny.yaml tiny.yaml", "summary tiny.yaml alexnet",
                                     "list", "weights check tiny.yaml w.safetensors"])  # fmt: skip
def test_unknown_suffixes_are_refused(command: str, name: str, run: Run, folder: Path) -> None:
    result = run(*command.split(), "-o", name)
    assert (result.status, result.out) == (2, "")
    assert (
        f"-o takes a file that ends in .json, .csv, .md, .txt or nothing, or anything with --format, not `{name}`"
        in (result.err)
    )
    assert not (folder / name).exists()


def test_a_format_that_is_said_needs_no_suffix(run: Run, folder: Path) -> None:
    assert run("summary", "tiny.yaml", "--format", "json", "-o", "a.log").status == 0
    assert json.loads((folder / "a.log").read_text())["network"] == "tiny"
    # What is said goes before what a suffix tells.
    assert run("summary", "tiny.yaml", "--format", "csv", "-o", "a.txt").status == 0
    assert (folder / "a.txt").read_text().startswith("layer,kind")


@pytest.mark.parametrize(
    ("name", "begins"), [("a.JSON", "{"), ("a.Csv", "layer,"), ("a.MD", "**"), ("a.TXT", "A tiny")]
)
def test_suffixes_in_capitals(name: str, begins: str, run: Run, folder: Path) -> None:
    assert run("summary", "tiny.yaml", "-o", name).status == 0
    assert (folder / name).read_text().startswith(begins)


OTHER_SUFFIXES = [
    ("diagram tiny.yaml", "a.jpg"),
    ("diagram tiny.yaml", "a"),
    ("compile tiny.yaml", "a.onnx"),
    ("transform tiny.yaml", "a.json"),
    ("export tiny.yaml", "a.pt"),
    ("schema", "a.yaml"),
    ("import tiny.onnx", "a.py"),
    ("weights convert tiny.yaml w.safetensors", "a.pt"),
]


@pytest.mark.parametrize(("command", "name"), OTHER_SUFFIXES)
def test_suffixes_of_other_files(command: str, name: str, run: Run, folder: Path) -> None:
    result = run(*command.split(), "-o", name)
    assert (result.status, result.out) == (2, "")
    assert "-o takes a file that ends in ." in result.err
    assert not (folder / name).exists()


def test_standard_output_by_its_name(run: Run, spawn: Run, folder: Path) -> None:
    assert run("summary", "tiny.yaml", "-o", "/dev/stdout").out == run("summary", "tiny.yaml").out
    assert run("summary", "tiny.yaml", "--format", "csv", "-o", os.devnull).status == 0


def test_the_mark_of_a_picture_is_not_seen(run: Run, folder: Path) -> None:
    from PIL import Image

    assert run("diagram", "tiny.yaml", "-o", "a.png").status == 0
    with Image.open(folder / "a.png") as picture:
        picture.load()
        assert picture.info["Software"] == "drawn by netspec"
    svg = netspec.diagram(netspec.load("tiny.yaml").graph)._repr_svg_()
    assert svg.startswith("<svg")


def test_two_outputs_are_two_files(run: Run, inputs: Path) -> None:
    words = "run tiny.onnx --array image=x.npy --format json --save"
    refused = run(*words.split(), "a.npz", "-o", "./a.npz")
    assert refused.status == 2
    assert "-o and --save name the same file, `a.npz`" in refused.err
    assert not (inputs / "a.npz").exists()


def test_arrays_are_read_by_numpy(run: Run, inputs: Path) -> None:
    assert run("run", "tiny.onnx", "--array", "image=x.npy", "--save", "o.npz").status == 0
    with np.load(inputs / "o.npz") as arrays:
        assert arrays["logits"].shape == (1, 10)
