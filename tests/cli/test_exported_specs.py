"""NETWORK may be a model that netspec exported: its spec is read from its metadata, without onnx."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import netspec
from netspec.spec.limits import MAX_EXPORTED_BYTES
from tests.support.lazy import lazy_imports

from .conftest import Run

with lazy_imports():
    import onnx
    from onnx import TensorProto, helper


@pytest.fixture
def model(folder: Path) -> Path:
    network = netspec.load(folder / "tiny.yaml")
    network.to_onnx(folder / "tiny.onnx", seed=1)
    return folder / "tiny.onnx"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("summary", "tiny.onnx"), "A tiny network"),
        (("summary", "./tiny.onnx", "--format", "json"), '"parameters": 162'),
        (("summary", "tiny.onnx", "--input", "3x64x64"), "64 x 64"),
        (("params", "tiny.onnx"), "conv"),
        (("rf", "tiny.onnx"), "receptive fields"),
        (("memory", "tiny.onnx"), "memory of inference"),
        (("explain", "tiny.onnx", "fc"), "<tiny.onnx: netspec.spec>:"),
        (("diff", "tiny.onnx", "tiny.onnx"), "the same network"),
        (("hash", "tiny.onnx"), "tiny.onnx"),
        (("show", "tiny.onnx"), "netspec: 1\nname: tiny\n"),
        (("validate", "tiny.onnx"), "ops"),
        (("diagram", "tiny.onnx", "-o", "-"), "<svg"),
        (("compile", "tiny.onnx", "-o", "-"), "class Tiny(nn.Module):"),
        (("transform", "tiny.onnx", "--no-proof", "--head", "classes=3", "-o", "-"), ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_reports_on_a_model(run: Run, model: Path, command: tuple[str, ...], words: str) -> None:
    result = run(*command)
    assert result.status == 0, result.err
    assert words in result.out


def test_the_numbers_are_those_of_the_spec(run: Run, model: Path) -> None:
    ours, theirs = [json.loads(run("summary", name, "--format", "json").out) for name in ("tiny.onnx", "tiny.yaml")]
    assert ours["totals"] == theirs["totals"]
    assert netspec.load(model).graph.outputs[0].name == "logits"


def test_neither_onnx_nor_torch_is_loaded(spawn: Run, model: Path) -> None:
    code = (
        "import sys; from netspec.cli.main import main\ntry: main(['summary', 'tiny.onnx'])\n"
        "finally: assert not {'onnx', 'torch', 'numpy'} & sys.modules.keys()"
    )
    result = spawn(code=code)
    assert (result.status, "A tiny network" in result.out) == (0, True), result.err


def test_the_graph_is_passed_over(model: Path) -> None:
    """Gigabytes of weights between the spec and the end of the file are not read: here there is nothing in them."""
    tail = b"\x3a" + b"\xff\xff\xff\xff\x0f"  # another graph, of 4 GiB less a byte
    with model.open("ab") as file:
        file.write(tail)
        file.truncate(file.tell() + 2**32 - 1)
    assert netspec.load(model).summary()["totals"]["parameters"] == 162


def foreign(path: Path, producer: str, **said: str) -> None:
    """A model of another program."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
    made = helper.make_model(graph, producer_name=producer)
    helper.set_model_props(made, said)
    path.write_bytes(made.SerializeToString())


@pytest.mark.parametrize("command", [("summary",), ("validate",), ("show",), ("hash",), ("compile", "-o", "x.py")])
def test_a_model_of_another_program(run: Run, folder: Path, command: tuple[str, ...]) -> None:
    foreign(folder / "x.onnx", "pytorch", author="me")
    result = run(command[0], "x.onnx", *command[1:])
    assert result.status == 1
    assert "error NS502: x.onnx was written by pytorch, and holds no spec" in result.err
    assert "`netspec run x.onnx` runs it" in result.err


@pytest.mark.parametrize("producer", ["", "\x1b[31m", "a\nb", "\u202e"])
def test_what_no_one_can_read_is_not_shown(run: Run, folder: Path, producer: str) -> None:
    foreign(folder / "x.onnx", producer)
    assert "x.onnx was written by another program, and holds no spec" in run("summary", "x.onnx").err


def test_a_model_of_a_graph_that_no_spec_can_say(run: Run, folder: Path) -> None:
    foreign(folder / "x.onnx", "netspec")
    assert "x.onnx is of a graph that no spec can say, and holds no spec" in run("summary", "x.onnx").err


def test_a_model_that_is_damaged(run: Run, model: Path) -> None:
    whole = model.read_bytes()
    cut = [whole[:end] for end in (0, 1, 5, 60, len(whole) // 2, len(whole) - 1)]
    endless = [b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x0b", b"\xff" * 30, b"\x08\x0a" * 200_000]
    for data in (*cut, *endless, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"netspec: 1\n", os.urandom(5000)):
        model.write_bytes(data)
        result = run("summary", "tiny.onnx")
        assert (result.status, result.out) == (1, "")
        assert "error NS502: tiny.onnx " in result.err


def test_a_spec_in_a_model_that_is_wrong(run: Run, folder: Path) -> None:
    foreign(
        folder / "x.onnx", "netspec", **{"netspec.spec": "netspec: 1\nname: x\ninputs: {x: [N, 3]}\nnetwork: [rellu]"}
    )
    result = run("summary", "x.onnx")
    assert (result.status, "<x.onnx: netspec.spec>:4:" in result.err) == (1, True)
    foreign(folder / "x.onnx", "netspec", **{"netspec.spec": "# " + "x" * MAX_EXPORTED_BYTES})
    assert "error NS" in run("summary", "x.onnx").err


def test_a_spec_in_a_model_reads_no_files(run: Run, folder: Path) -> None:
    foreign(folder / "x.onnx", "netspec", **{"netspec.spec": "netspec: 1\nname: x\nextends: tiny.yaml"})
    for command in (["summary", "x.onnx"], ["import", "x.onnx", "-o", "y.yaml"]):
        result = run(*command)
        assert result.status == 1
        assert "a spec that is no file can name bundled ones only" in result.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file(run: Run, folder: Path) -> None:
    os.mkfifo(folder / "x.onnx")
    (folder / "y.onnx").mkdir()
    assert "x.onnx is not an ordinary file" in run("summary", "x.onnx").err
    assert "y.onnx is a folder" in run("summary", "y.onnx").err
    assert "there is no file none.onnx" in run("summary", "none.onnx").err


def test_a_model_is_not_replaced_by_what_is_made_of_it(run: Run, model: Path) -> None:
    """Its weights would be random ones then."""
    before = model.read_bytes()
    for arguments in (["tiny.onnx"], ["./tiny.onnx"], ["tiny.onnx", "-o", "tiny.onnx"], ["tiny.onnx", "--force"]):
        result = run("export", *arguments)
        assert result.status == 1
        assert "tiny.onnx is what is read: choose another -o" in result.err
        assert model.read_bytes() == before
    assert run("export", "tiny.onnx", "-o", "again.onnx").status == 0
    nodes = [[node.name for node in onnx.load(name).graph.node] for name in ("again.onnx", "tiny.onnx")]
    assert nodes[0] == nodes[1]
