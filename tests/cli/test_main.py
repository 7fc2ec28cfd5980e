"""The command itself: help, hints, exit statuses, where what it says goes, and terminals of all kinds."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from PIL import Image

import netspec
from netspec.cli import group
from netspec.cli.main import COMMANDS, LazyGroup, cli
from tests.support.paths import OTHER

from .conftest import TINY, Run

BAD = """\
netspec: 1
name: bad
inputs: {image: [N, 3, 8, 8]}
network:
  - conv2d: {out_channels: 4, kernel_sise: 3}
"""
JSON = json.dumps({"netspec": 1, "name": "j", "inputs": {"x": ["N", 4]}, "network": ["relu"]})


def test_help_tells_commands_examples_and_statuses(run: Run) -> None:
    result = run("--help")
    assert (result.status, result.err) == (0, "")
    assert all(re.search(rf"^  {name} +\w", result.out, re.MULTILINE) for name in COMMANDS)
    assert "Examples:\n" in result.out
    assert "Exit status:\n" in result.out
    assert run("-h").out == run().out == result.out


def test_every_file_of_a_command_has_its_line() -> None:
    files = {path.name.removesuffix("_command.py") for path in Path(group.__file__).parent.glob("*_command.py")}
    assert sorted(files ^ COMMANDS.keys()) == [], "not in both: cli/*_command.py, COMMANDS of cli/group.py"


def test_version(run: Run) -> None:
    assert run("--version").out.split()[-1] == netspec.__version__


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_has_examples(name: str, run: Run) -> None:
    result = run(name, "--help")
    assert (result.status, result.err) == (0, "")
    _, _, examples = result.out.partition("Examples:\n")
    assert f"    netspec {name}" in examples.partition("\n\n")[0]
    assert run(name, "-h").out == result.out


def test_the_commands_help_is_what_help_lists(run: Run) -> None:
    context = cli.make_context("netspec", ["list"])
    assert isinstance(cli, LazyGroup)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert all(option.help for option in command.params if isinstance(option, click.Option))


MY_OPS = """
from netspec.ops.base import Elementwise
from netspec.types import Layer

class MyOp(Elementwise, name="my_op"):
    def torch(self, x):
        return Layer("nn.ReLU", {})
"""


def _examples() -> list[str]:
    context = cli.make_context("netspec", ["list"])
    texts = [command.help or "" for command in (cli, *(cli.get_command(context, name) for name in COMMANDS)) if command]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return [line for line in lines if line.startswith("netspec ")]


@pytest.mark.parametrize("line", [line for line in _examples() if not re.search("[>*]|safetensors|[.]pth", line)])
def test_examples_in_help_work(line: str, run: Run, folder: Path) -> None:
    (folder / "tiny.yaml").rename("mine.yaml")
    (folder / "nets").mkdir()
    (folder / "my_ops.py").write_text(MY_OPS)
    if line.startswith(("netspec import", "netspec run")):
        assert run("export", "resnet20_cifar", "-o", "resnet50.onnx").status == 0
        assert run("export", str(OTHER / "digit_detector.yaml"), "-o", "faster_rcnn.onnx").status == 0
        for name in ("cat.jpg", "dog.jpg", "street.jpg", "a.jpg", "b.jpg"):
            Image.new("RGB", (40, 50)).save(folder / name)
    result = run(*shlex.split(line)[1:])
    # The examples of diff have something to tell, and its status says so.
    assert result.status == line.startswith("netspec diff"), result.err


def test_there_are_examples() -> None:
    assert len(_examples()) >= 12


def test_unknown_command(run: Run) -> None:
    result = run("sumary", "vgg_e")
    assert (result.status, result.out) == (2, "")
    assert "there is no command `sumary`; did you mean `summary`?" in result.err
    assert "there are list, show" in run("xyz").err


@pytest.mark.parametrize(
    "arguments",
    [
        ("summary",),
        ("validate",),
        ("list", "vgg_e"),
        ("summary", "vgg_e", "--frmat", "json"),
        ("summary", "vgg_e", "--format", "xml"),
        ("--nope",),
    ],
)
def test_usage(arguments: tuple[str, ...], run: Run) -> None:
    result = run(*arguments)
    assert (result.status, result.out) == (2, "")
    assert "Error: " in result.err


@pytest.mark.parametrize("command", ["summary", "show", "validate", "compile"])
def test_unknown_network(command: str, run: Run) -> None:
    result = run(command, "goglenet")
    assert (result.status, result.out) == (1, "")
    assert result.err == "error NS213: there is no bundled spec `goglenet`\n   help: did you mean `googlenet`?\n"


@pytest.mark.parametrize("command", ["summary", "validate", "compile"])
@pytest.mark.parametrize("way", ["file", "stdin"])
def test_bad_spec(command: str, way: str, run: Run, folder: Path) -> None:
    (folder / "bad.yaml").write_text(BAD)
    result = run(command, "bad.yaml") if way == "file" else run(command, "-", stdin=BAD)
    place = "bad.yaml" if way == "file" else "<stdin>"
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"{place}:5:31: error NS204: `conv2d` has no attribute `kernel_sise`\n")
    assert "help: did you mean `kernel_size`?" in result.err
    assert not [path for path in folder.iterdir() if path.suffix in (".py", ".pt2")]


def test_a_file_that_is_not_there(run: Run) -> None:
    result = run("summary", "tony.yaml")
    assert (result.status, result.out) == (1, "")
    assert "there is no file tony.yaml" in result.err
    assert "did you mean `tiny.yaml`?" in result.err


@pytest.mark.parametrize(
    "text", [TINY, json.dumps({"netspec": 1, "name": "j", "inputs": {"x": ["N", 4]}, "network": ["relu"]})]
)
def test_stdin_as_yaml_and_json(text: str, run: Run) -> None:
    assert run("summary", "-", "--format", "json", stdin=text).status == 0
    assert run("validate", "-", stdin=text).out.startswith("-: ")
    assert run("show", "-", stdin=text).out == text.rstrip("\n") + "\n"
    assert run("compile", "-", "-o", "-", stdin=text).out.startswith('"""')


def test_data_on_stdout_talk_on_stderr(spawn: Run, folder: Path) -> None:
    result = spawn("compile", "tiny.yaml", "-o", "-")
    assert result.status == 0
    compile(result.out, "out", "exec")
    assert result.err.startswith("proved Tiny: 4 weights")
    json.loads(spawn("summary", "tiny.yaml", "--format", "json").out)
    written = spawn("summary", "tiny.yaml", "-o", "out.json")
    assert (written.out, written.err) == ("", "wrote out.json\n")


# Terminals, pipes and interrupts.


# What is left in the buffer may go nowhere but there: some Pythons write it once more at exit, and complain.
ENDS_NOWHERE = """
import os, sys
from netspec.cli.main import main
try:
    main(sys.argv[1:])
finally:
    assert os.fstat(1).st_rdev == os.stat(os.devnull).st_rdev
"""


def test_a_reader_that_has_enough(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    for arguments in (["summary", "vgg_e", "--format", "json"], ["--help"], ["list"]):
        done = subprocess.run([sys.executable, "-c", ENDS_NOWHERE, *arguments], stdout=writer, stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (0, b"")
    os.close(writer)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk(folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", ENDS_NOWHERE, "list"], stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, f"Error: {os.strerror(errno.ENOSPC).lower()}\n".encode())


def test_closed_stdin(spawn: Run) -> None:
    code = "import os, sys; os.close(0); sys.stdin = None; from netspec.cli.main import main; main(['summary', '-'])"
    result = spawn(code=code)
    assert result.status == 1
    assert "the spec is empty" in result.err
    assert "Traceback" not in result.err


def test_interrupt(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("netspec.spec.sources.find.find", interrupted)
    result = run("show", "vgg_e")
    assert (result.status, result.out, result.err) == (130, "", "interrupted\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_terminals_that_know_few_characters(encoding: str, spawn: Run, folder: Path) -> None:
    (folder / "net.yaml").write_text(TINY.replace("A tiny", "Un réseau à 試"), encoding="utf-8")
    bad = TINY.replace("- relu", "- réseau試")
    (folder / "bad.yaml").write_text(bad, encoding="utf-8")
    compiling = [["compile", "net.yaml", "-o", "-"]] if encoding == "latin-1" else []
    for arguments in (["summary", "net.yaml"], ["show", "net.yaml"], *compiling):
        result = spawn(*arguments, PYTHONIOENCODING=encoding)
        assert result.status == 0, result.err
        assert "Traceback" not in result.err
        assert "seau" in result.out
    result = spawn("summary", "bad.yaml", PYTHONIOENCODING=encoding)
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("bad.yaml:8:5: error NS2")


def test_torch_that_is_not_installed(spawn: Run, folder: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from netspec.cli.main import main; main(sys.argv[1:])"
    result = spawn("compile", "tiny.yaml", code=code)
    assert (result.status, result.out) == (3, "")
    assert result.err == "error NS601: this command needs torch, which is not installed\n   help: pip install torch\n"
    assert not (folder / "tiny.py").exists()
    # All else works without it.
    for arguments in (["list"], ["summary", "vgg_e"], ["validate", "resnet50"], ["show", "resnet18", "--expanded"]):
        assert spawn(*arguments, code=code).status == 0
