"""Terminals, files and pipes: the width of tables, colours, and which characters reach what."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from netspec.printable import display_width
from netspec.tables import Table

from .conftest import TINY, Run

pty = pytest.importorskip("pty", reason="no terminals to pretend on this system")
fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")

Show = Callable[..., str]
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def show(folder: Path) -> Show:
    """What a command shows on a terminal of so many columns."""

    def call(*arguments: str, width: int = 100, **environment: str) -> str:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        drop = ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "LC_ALL")
        inherited = {name: value for name, value in os.environ.items() if name not in drop}
        process = subprocess.Popen(
            [sys.executable, "-m", "netspec", *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs, env={**inherited, "TERM": "xterm", **environment},
        )  # fmt: skip
        os.close(theirs)
        said = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other side has closed
                break
            if not part:
                break
            said += part
        process.wait(timeout=60)
        os.close(ours)
        return said.decode().replace("\r\n", "\n")

    return call


# Widths.


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
@pytest.mark.parametrize("command", ["summary resnet50", "summary googlenet --depth all", "memory resnet18 --train",
                                     "list", "rf resnet18", "params resnet50", "diff resnet34 resnet50",
                                     "explain resnet50 layer2.0", "summary alexnet vgg_e"])  # fmt: skip
def test_tables_fit_the_terminal(command: str, width: int, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netspec.cli.terminal._is_terminal", lambda _: True)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    text = run(*command.split()).out
    lines = text.split("\n")
    assert max(map(display_width, lines)) <= width
    left_out = re.search(r"Left out, to fit \d+ columns: (.*?)\. --format csv has all\.", text.replace("\n", " "))
    head = next(above for above, line in pairwise(lines) if line.startswith("-----"))
    if left_out is not None:
        assert not [name for name in left_out[1].split(", ") if re.search(rf"(^|  ){re.escape(name)}( |$)", head)]


def test_what_is_left_out_first(show: Show) -> None:
    assert "parameters           MACs\n" in show("summary", "resnet50", width=80, NO_COLOR="1")
    assert "Left out, to fit 80 columns: sees. --format csv has all." in show("summary", "resnet50", width=80)
    assert "Left out" not in show("summary", "resnet50", width=110)


@pytest.mark.parametrize("command", ["memory resnet18", "memory resnet18 --train", "memory vgg16 --batch 64"])
def test_what_the_totals_stand_in_stays(command: str, show: Show) -> None:
    peak = next(line for line in show(*command.split(), width=140, NO_COLOR="1").split("\n") if line.startswith("peak"))
    for width in (40, 60, 80):
        text = show(*command.split(), width=width, NO_COLOR="1")
        assert peak.split()[-1] in next(line for line in text.split("\n") if line.startswith("peak"))


def test_files_and_pipes_have_the_whole_table(run: Run, spawn: Run, show: Show, folder: Path) -> None:
    whole = run("summary", "googlenet").out
    assert spawn("summary", "googlenet", COLUMNS="40").out == whole
    assert "wrote" in show("summary", "googlenet", "-o", "g.txt", width=40)
    assert (folder / "g.txt").read_text() == whole
    assert COLOUR.sub("", show("summary", "googlenet", width=200)) == whole


def test_cells_are_folded_at_words_and_dots() -> None:
    table = Table(["layer", "kind", "n"], [["  layer1.0.residual.conv_bn.conv2d", "a kind of many words", 12]])
    assert [text for kind, text in table.lines(50) if kind == "row"] == [
        "  layer1.0.residual.      a kind of many words  12",
        "  conv_bn.conv2d",
    ]


def test_wide_characters_take_two_columns() -> None:
    table = Table(["name", "n"], [["試験", 1], ["abcdef", 22], ["e\u0301", 3]])
    rows = [text for kind, text in table.lines() if kind == "row"]
    assert [display_width(row) for row in rows] == [10, 10, 10]
    assert all(display_width(text) <= 40 for _, text in Table(["name", "n"], [["試" * 40, 1]]).lines(40))


# Colours.


def test_colours(show: Show) -> None:
    table = show("summary", "alexnet")
    assert table.startswith("\x1b[1mAlexNet\x1b[0m\n")
    assert re.search(r"^\x1b\[1mlayer .*\x1b\[0m$", table, re.MULTILINE)
    assert re.search(r"^\x1b\[1mtotal .*\x1b\[0m$", table, re.MULTILINE)
    error = show("summary", "tests.yaml")
    assert error.startswith("\x1b[1;31merror NS213\x1b[0m: there is no file")
    usage = show("summary", "--nope")
    assert "\x1b[1;31mError\x1b[0m: " in usage


def test_carets_in_colour(show: Show, folder: Path) -> None:
    (folder / "bad.yaml").write_text(TINY.replace("- relu", "- rellu"))
    assert re.search(r"\| +\x1b\[1;31m\^\^\^\^\^\x1b\[0m\n", show("validate", "bad.yaml"))


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
    ],
)
def test_who_wants_colours(environment: dict[str, str], coloured: bool, show: Show) -> None:
    for arguments in (("hash", "nope"), ("summary", "alexnet")):
        assert bool(COLOUR.search(show(*arguments, **environment))) is coloured


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"CLICOLOR_FORCE": "1"}, True), ({"FORCE_COLOR": "0"}, False),
     ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False)],
)  # fmt: skip
def test_colours_in_pipes(environment: dict[str, str], coloured: bool, spawn: Run) -> None:
    assert bool(COLOUR.search(spawn("summary", "alexnet", **environment).out)) is coloured
    assert bool(COLOUR.search(spawn("summary", "nope", **environment).err)) is coloured
    for form in ("json", "csv", "markdown") if coloured else ():
        assert not COLOUR.search(spawn("summary", "alexnet", "--format", form, **environment).out)


def test_the_sign_of_work_takes_names_as_they_are(show: Show, folder: Path) -> None:
    (folder / "[red]w[").mkdir()
    (folder / "[red]w[" / "nope].safetensors").write_bytes(b"")
    said = show("weights", "check", "tiny.yaml", "[red]w[/nope].safetensors")
    assert "error NS501" in COLOUR.sub("", said)
    assert "Traceback" not in said


# Characters.

LOCALES = [
    {"PYTHONIOENCODING": "cp1252"},
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "latin-1"},
]
TEXT = "Un réseau 試 ∞"


@pytest.mark.parametrize("environment", LOCALES, ids=[" ".join(locale) for locale in LOCALES])
def test_pipes_have_utf8_whatever_the_locale(environment: dict[str, str], spawn: Run, folder: Path) -> None:
    spec = TINY.replace("A tiny network", TEXT)
    (folder / "réseau.yaml").write_text(spec, encoding="utf-8")
    for name in ("réseau.yaml", "-"):
        assert TEXT in spawn("explain", name, stdin=spec, **environment).out
    root = ET.fromstring(spawn("diagram", "-", stdin=spec, **environment).out)
    assert TEXT in "".join(root.itertext())
    assert spawn("show", "réseau.yaml", **environment).out == spec
    assert TEXT in spawn("transform", "-", stdin=spec, **environment).out
    assert spawn("summary", "réseau.yaml", "-o", "é.txt", **environment).err == "wrote é.txt\n"
    assert (folder / "é.txt").read_text(encoding="utf-8").startswith(TEXT)


def test_terminals_that_know_few_characters_get_escapes(show: Show, folder: Path) -> None:
    (folder / "net.yaml").write_text(TINY.replace("A tiny network", TEXT), encoding="utf-8")
    few = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "NO_COLOR": "1"}
    assert show("summary", "net.yaml", **few).startswith("Un r\\xe9seau \\u8a66 \\u221e\n")
    assert "there is no file n\\xf6.yaml" in show("summary", "nö.yaml", **few)
