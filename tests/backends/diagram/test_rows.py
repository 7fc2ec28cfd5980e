"""Rows from left to right, pixels per inch, titles, and parts by the names of their blocks."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

import netspec
from tests.backends.diagram.svg import SVG, run, size, texts


def rows(drawn: netspec.Diagram) -> int:
    return 1 + len(set(re.findall(r"start\d+_(\d+)", drawn.dot)))


def test_a_part_from_left_to_right_is_one_row() -> None:
    """The ten boxes of an inception module, and a ResNet's block."""
    for name, part in (("googlenet", "inception3a"), ("googlenet_bn", "inception"), ("resnet50", "layer2.0")):
        drawn = netspec.load(name).diagram(part=part, direction="LR")
        assert rows(drawn) == 1
        assert size(drawn.svg)[0] <= 16.5 * 72


def test_how_long_a_row_may_be() -> None:
    net = netspec.load("resnet34")
    sizes = {width: size(net.diagram(direction="LR", width=width).svg)[0] for width in (8, 20, 60)}
    assert sizes[8] < sizes[20] < sizes[60]
    assert rows(net.diagram(direction="LR", width=60)) == 1
    assert rows(net.diagram(direction="LR", width=8)) > 3
    with pytest.raises(ValueError, match='`width` is for direction "LR"'):
        net.diagram(width=8)
    with pytest.raises(ValueError, match="from 2 to 200 inches"):
        net.diagram(direction="LR", width=float("nan"))


def test_without_a_title() -> None:
    net = netspec.load("resnet18")
    with_, without = net.diagram(), net.diagram(title=False)
    assert "ResNet-18" in texts(with_.svg)
    assert not {"ResNet-18", with_.picture.totals} & set(texts(without.svg))
    assert size(without.svg)[1] < size(with_.svg)[1]


def pixels(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_pixels_per_inch(tmp_path: Path) -> None:
    drawn = netspec.load("alexnet").diagram()
    usual, double = pixels(drawn.render("png")), pixels(drawn.render("png", dpi=288))
    assert all(abs(more - 2 * less) <= 2 for less, more in zip(usual, double, strict=True))
    drawn.save(tmp_path / "a.png", dpi=288)
    assert pixels((tmp_path / "a.png").read_bytes()) == double
    for format, dpi in (("png", 601), ("png", 0), ("svg", 144)):
        with pytest.raises(ValueError, match="`dpi` is for PNG, from 24 to 600"):
            drawn.render(format, dpi=dpi)


def test_lines_of_a_box_do_not_touch() -> None:
    """The descenders of a line end clearly above the capitals of the one below."""
    svg = netspec.load("resnet34").diagram().svg
    checked = 0
    for group in ET.fromstring(svg.encode()).iter(f"{SVG}g"):
        if group.get("class") == "node":
            lines = {float(t.get("y", 0)): float(t.get("font-size", 0)) for t in group.iter(f"{SVG}text")}
            for (above, upper), (below, lower) in pairwise(sorted(lines.items())):
                # In Helvetica, descenders are 0.21 of the size of letters, and capitals 0.72.
                assert below - above >= 0.21 * upper + 0.72 * lower + 0.1 * lower
                checked += 1
    assert checked > 20


def test_what_the_command_says_of_rows_pixels_and_parts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = "`inception` is a block: `inception3a` is drawn, the first of its 9 uses\nwrote x.png: 10 boxes\n"
    arguments = ("--part", "inception", "--direction", "LR", "--no-title", "--dpi", "48", "-o", "x.png")
    assert run(capsys, "diagram", "googlenet", *arguments) == (0, "", wanted)
    assert pixels(Path("x.png").read_bytes())[0] < 500
    for bad, words in (
        (("--width", "8"), "--width goes with --direction LR"),
        (("--width", "1", "--direction", "LR"), "--width takes from 2 to 200 inches, not 1"),
        (("--width", "nan", "--direction", "LR"), "--width takes from 2 to 200 inches, not nan"),
        (("--dpi", "300"), "--dpi goes with a PNG, and this is SVG"),
        (("--dpi", "6000", "-o", "y.png"), "--dpi takes from 24 to 600 pixels per inch, not 6000"),
    ):
        status, out, err = run(capsys, "diagram", "googlenet", *bad)
        assert (status, out) == (2, "")
        assert words in err
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
