"""The example on a photograph, at a small size; README.md runs it whole."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import netspec
from tests.support.paths import REPOSITORY

EXAMPLE = REPOSITORY / "examples" / "photograph.py"
SMALL = ["--network", "resnet18", "--set", "classes=10", "--width", "160"]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("photograph", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["photograph"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_says_what_it_did_and_draws_it(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.png"
    example.main([*SMALL, "--layers", "stem", "layer2", "-o", str(target)])
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("resnet18: scores (1, 10), probabilities from ")
    assert lines[1].startswith("stem: channel ")
    assert "sees 7 x 7 pixels" in lines[1]
    assert "sees 99 x 99 pixels" in lines[2]
    assert lines[-1] == f"wrote {target}"
    assert err.count(" ...\n") == 3
    with Image.open(target) as image:
        pixels = np.asarray(image)
    assert pixels.shape[1] == 3 * example.TILE + 2 * example.GAP + 2 * example.MARGIN
    assert pixels.std() > 20


def test_the_window_is_all_that_a_unit_sees(example: ModuleType) -> None:
    network = netspec.load("resnet18", params={"classes": 10})
    module = network.compile().eval()
    photo = example.open_photo(None, 160)
    fields = example.receptive_fields(network)
    for unit in example.most_active(module, example.to_tensor(photo), ["stem", "layer1", "layer2"], fields):
        kept, lost = example.check_window(module, photo, unit)
        assert kept == pytest.approx(unit.activation, rel=1e-4)
        assert lost != pytest.approx(unit.activation, rel=1e-2)


def test_windows_reach_into_the_padding(example: ModuleType) -> None:
    photo = example.open_photo(None, 160)
    unit = example.Unit("x", 0, 0, 0, 1.0, (-20, -20, 20, 20), np.ones((4, 4)))
    tile = np.asarray(example.window(photo, unit))
    assert example.clip(unit.box, photo) == (0, 0, 20, 20)
    assert tile.shape == (example.TILE, example.TILE, 3)
    assert (tile[0, 0] == 0xE8).all()
    assert not (tile[-1, -1] == 0xE8).all()


def test_a_step_that_is_not_there_is_named(example: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"resnet18 has no step `conv9`.*stem"):
        example.main([*SMALL, "--layers", "conv9", "-o", str(tmp_path / "out.png")])
