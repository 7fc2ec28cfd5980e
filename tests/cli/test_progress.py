"""Signs of work: on a terminal's standard error, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pty = pytest.importorskip("pty", reason="no terminals to pretend on this system")


def run(*arguments: str, terminal: bool) -> tuple[str, str]:
    """Standard output and error of a command whose standard error is a terminal, or is none."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if not terminal:
        ours, theirs = min(ours, theirs), max(ours, theirs)
    done = subprocess.Popen(
        [sys.executable, "-m", "netspec", *arguments],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # a terminal whose other side has closed
            break
        if not part:
            break
        said += part
    out, _ = done.communicate(timeout=120)
    os.close(ours)
    assert done.returncode == 0, said.decode()
    return out.decode(), said.decode()


def test_only_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("compile", "resnet18", "--set", "classes=2", "-o", "-")
    quiet_out, quiet = run(*arguments, terminal=False)
    out, shown = run(*arguments, terminal=True)
    assert out == quiet_out
    assert "building resnet18 with torch" in shown
    assert "building" not in quiet
    assert quiet.startswith("proved Resnet18")
    assert "proved Resnet18" in shown
