"""The example of localisation: run as a user would, with few scenes; and the parts that its figures depend on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.lazy import lazy_imports
from tests.support.paths import REPOSITORY

with lazy_imports():
    from PIL import Image

EXAMPLE = REPOSITORY / "examples" / "localization" / "localization.py"


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the quick run prints, in a process of one thread in which warnings are errors, and its folder."""
    folder = tmp_path_factory.mktemp("localization")
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE, "--quick", "--output", "made"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, folder


def test_it_runs_and_prints_the_table(quick: tuple[str, Path]) -> None:
    lines = quick[0].splitlines()
    assert re.fullmatch(r"128 scenes for training, 64 held out, in \d+ s", lines[0])
    assert re.fullmatch(r"classifier: error \d+\.\d%", lines[1])
    assert lines[2] == "fine-tuned layers   regression   error"
    rows = [re.fullmatch(r"(fully connected|all) +(SCR|PCR) +\d+\.\d%", line) for line in lines[3:7]]
    assert [row.groups() if row else None for row in rows] == [
        (layers, kind) for layers in ("fully connected", "all") for kind in ("SCR", "PCR")
    ]
    assert re.fullmatch(r"wrote made/boxes\.png, \d+ s in all", lines[7])


def test_its_picture_has_a_scene_in_each_place(quick: tuple[str, Path]) -> None:
    with Image.open(quick[1] / "made" / "boxes.png") as picture:
        assert picture.size == (8 * 56 * 3, 4 * 56 * 3)
        assert all(low < high for low, high in picture.crop((1176, 504, 1344, 672)).getextrema())
