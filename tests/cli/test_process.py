"""How the process ends: by Ctrl-C and other signals, on full disks, without memory; and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netspec.files import replacing

from .conftest import Run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and devices of POSIX")

# Waits where a file has been written and not yet put in its place.
SLOW = """
import os, sys, time
from netspec.cli.main import main

def wait(*_):
    said = False
    while True:
        try:
            said = said or not print("now", flush=True)
            time.sleep(60)
        except BaseException:
            if not DEAF:
                raise

DEAF = sys.argv.pop(1) == "deaf"
os.replace = wait
main()
"""


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start the command in a process that hangs while it writes; return when it does."""
    begun: list[subprocess.Popen[bytes]] = []

    def call(*arguments: str, deaf: bool = False) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", SLOW, "deaf" if deaf else "", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        begun.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        return process

    yield call
    for process in begun:
        process.kill()
        process.communicate()


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@pytest.mark.parametrize(
    ("name", "status", "said"), [("SIGINT", 130, b"interrupted\n"), ("SIGTERM", 143, b""), ("SIGHUP", 129, b"")]
)
def test_signals_leave_nothing(name: str, status: int, said: bytes, start: Start, folder: Path) -> None:
    (folder / "out.json").touch()
    process = start("summary", "tiny.yaml", "-o", "out.json")
    assert len(hidden(folder)) == 1
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (status, said)
    assert hidden(folder) == []
    assert (folder / "out.json").read_bytes() == b""


def test_the_second_signal_ends_at_once(start: Start, folder: Path) -> None:
    process = start("summary", "tiny.yaml", "-o", "out.json", deaf=True)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"")
    assert hidden(folder) == []


# A module that is imported early waits there; whichever it is, Ctrl-C is told in a word.
@pytest.mark.parametrize("module", ["netspec.cli.process", "click", "netspec.cli.options", "yaml", "pydantic", "torch"])
def test_interrupt_while_modules_are_imported(module: str, folder: Path) -> None:
    code = f"""
import sys, time

class Waits:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            print("now", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Waits())
from netspec.cli.main import main
main()
"""
    command = [sys.executable, "-S", "-c", f"import sys; sys.path += {sys.path[1:]!r}\n{code}", "compile", "tiny.yaml"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"now\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"interrupted\n")


def test_an_interrupt_that_a_library_turns_into_another_error(folder: Path, spawn: Run) -> None:
    code = """
import os, signal
from netspec.cli import main, terminal

def echo(*_, **__):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise ImportError("initialization failed") from None

import netspec.cli.show_command
netspec.cli.show_command.echo = echo
main.main()
"""
    result = spawn("show", "alexnet", code=code)
    assert (result.status, result.err) == (130, "interrupted\n")


def test_what_a_killed_process_left_is_swept(start: Start, run: Run, folder: Path) -> None:
    process = start("summary", "tiny.yaml", "-o", "out.json")
    left = hidden(folder)
    process.kill()
    process.communicate()
    # That of a process that is still at work, of another machine, and what only looks like one.
    living = start("summary", "tiny.yaml", "-o", "other.json")
    theirs = [".netspec-00000000-1-abc.json", ".netspec-notes", ".out.abc.json"]
    for name in theirs:
        (folder / name).touch()
    kept = sorted({*hidden(folder)} - {*left})
    assert len(left) == 1
    assert len(kept) == 4
    assert run("summary", "tiny.yaml", "-o", "out.json").status == 0
    assert hidden(folder) == kept
    old = time.time() - 48 * 3600
    os.utime(folder / theirs[0], (old, old))
    assert run("summary", "tiny.yaml", "-o", "out.json").status == 0
    assert theirs[0] not in hidden(folder)
    assert living.poll() is None


def test_temporary_names_have_room_for_any_name(folder: Path) -> None:
    path = folder / ("x" * 250 + ".json")
    with replacing(path) as file:
        file.write_text("new")
    assert path.read_text() == "new"


# Full disks.

full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
WRITERS = [
    ("summary tiny.yaml", "json"),
    ("summary tiny.yaml", "csv"),
    ("rf tiny.yaml", "md"),
    ("list", "txt"),
    ("schema", "json"),
    ("diagram tiny.yaml", "svg"),
    ("diagram tiny.yaml", "png"),
    ("diagram tiny.yaml", "dot"),
    ("compile tiny.yaml", "py"),
    ("compile tiny.yaml", "pt2"),
    ("transform tiny.yaml", "yaml"),
    ("export tiny.yaml", "onnx"),
]


@full
@pytest.mark.parametrize(("command", "suffix"), WRITERS)
def test_a_full_disk_is_told_by_every_writer(command: str, suffix: str, run: Run, folder: Path) -> None:
    (folder / f"out.{suffix}").symlink_to("/dev/full")
    result = run(*command.split(), "-o", f"out.{suffix}")
    assert (result.status, result.out) == (1, "")
    assert result.err.endswith(f"Error: out.{suffix} can't be written: no space left on device\n")
    assert hidden(folder) == []


@full
@pytest.mark.parametrize(
    "command",
    ["--help", "summary --help", "--version", "help", "list", "show tiny.yaml", "diagram tiny.yaml", "schema", "ops",
     "transform tiny.yaml", "compile tiny.yaml -o -", "hash tiny.yaml"],
)  # fmt: skip
def test_a_full_disk_behind_standard_output(command: str, folder: Path) -> None:
    with open("/dev/full", "wb") as place:
        done = subprocess.run(
            [sys.executable, "-m", "netspec", *command.split()], stdout=place, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, b"Error: no space left on device")


@full
def test_a_full_disk_behind_standard_error(folder: Path) -> None:
    with open("/dev/full", "wb") as place:
        for arguments, status in ((["summary", "tiny.yaml", "-o", "s.json"], 0), (["summary", "nope"], 1)):
            done = subprocess.run([sys.executable, "-m", "netspec", *arguments], stderr=place, check=False)
            assert done.returncode == status
    assert (folder / "s.json").exists()


# Packages that are there and can't be imported, and memory that ends.


@pytest.mark.parametrize(
    ("error", "reason", "way"),
    [
        ("OSError('libtorch.so: cannot allocate memory')", "libtorch.so: cannot allocate memory", "more memory"),
        ("ImportError('libtorch.so: failed to map segment')", "libtorch.so: failed to map segment", "more memory"),
        ("ImportError('libgomp.so: no such file')", "libgomp.so: no such file", "pip install --force-reinstall torch"),
        ("MemoryError()", "MemoryError", "more memory"),
        ("ModuleNotFoundError(name='filelock')", "ModuleNotFoundError", "pip install --force-reinstall torch"),
        ("RuntimeError('two\\nlines')", "two lines", "pip install --force-reinstall torch"),
    ],
)  # fmt: skip
def test_torch_that_can_not_be_imported(error: str, reason: str, way: str, spawn: Run, folder: Path) -> None:
    (folder / "torch.py").write_text(f"raise {error}\n")
    result = spawn("compile", "tiny.yaml", PYTHONPATH=f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    assert (result.status, result.out) == (3, "")
    assert f"error NS601: torch is installed, and can't be imported: {reason}\n" in result.err
    assert way in result.err
    assert not (folder / "tiny.py").exists()


@pytest.mark.parametrize(
    "error", ["MemoryError()", 'RuntimeError("DefaultCPUAllocator: can\'t allocate memory: you tried 8 bytes")']
)
def test_memory_that_ends(error: str, spawn: Run) -> None:
    code = f"""
import netspec.cli.show_command as command
from netspec.cli.main import main

def echo(*_):
    raise {error}

command.echo = echo
main()
"""
    result = spawn("show", "alexnet", code=code)
    assert (result.status, result.out, result.err) == (1, "", "Error: there is not enough memory\n")


def test_what_is_nested_too_deep(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def deep(_: str) -> None:
        deep(_)

    monkeypatch.setattr("netspec.spec.sources.find.find", deep)
    result = run("show", "alexnet")
    assert (result.status, result.out, result.err) == (1, "", "Error: something in it is nested too deep\n")
