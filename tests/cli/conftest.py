"""The command line in the tests' own process, and in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from netspec.cli.main import main

TINY = """\
netspec: 1
name: tiny
title: A tiny network
params: {classes: 10, drop: 0.5, widths: [4, 8], wide: false, act: relu}
inputs: {image: [N, 3, 32, 32]}
network:
  - {conv2d: {out_channels: "widths[1] if wide else widths[0]", kernel_size: 3, padding: 1}, name: conv}
  - relu
  - adaptive_avg_pool2d: 1
  - flatten
  - dropout: drop
  - {linear: classes, name: fc}
outputs: {logits: fc}
expect: {parameters: 162}
"""


@dataclass
class Result:
    """What a run of the command left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_ops_forgotten: None) -> Path:
    """The current folder, with `tiny.yaml` in it; ops that a command loads are forgotten after the test."""
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process: `run("summary", "vgg_e")`, with `stdin` where it reads any."""

    def call(*arguments: str, stdin: str = "") -> Result:
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin.encode())))
        capsys.readouterr()
        status: Any = 0
        try:
            main(arguments)
        except SystemExit as stop:
            status = stop.code
        return Result(status, *capsys.readouterr())

    return call


@pytest.fixture
def spawn(folder: Path) -> Run:
    """Run the command, or `code`, in a process of its own."""

    def call(*arguments: str, stdin: str = "", code: str = "", **environment: str) -> Result:
        command = [sys.executable, *(["-c", code] if code else ["-m", "netspec"]), *arguments]
        done = subprocess.run(
            command, input=stdin.encode(), capture_output=True, env={**os.environ, **environment}, timeout=120
        )
        return Result(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))

    return call
