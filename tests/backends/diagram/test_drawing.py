"""Diagrams as DOT, SVG and PNG: well-formed for every name, the same every time, and of the form of a page."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.backends.diagram.render import bundled_dot, system_dot
from netspec.backends.diagram.theme import PALETTES, Palette
from tests.backends.diagram.svg import SVG, run, size, texts
from tests.support.networks import TEXTS


@pytest.mark.parametrize("name", netspec.names())
def test_a_folded_network_fits_a_page(name: str) -> None:
    width, height = size(netspec.load(name).diagram().svg)
    assert height <= 2 * width
    assert width <= 1.8 * height
    assert width <= 16 * 72  # a page of A4, lying: 11 points are then 7
    assert height <= 11.7 * 72  # a page of A4, upright


LONG_BLOCKS = {
    *("densenet121", "mobilenet_v3_large", "ror3_56_cifar", "ror3_110_cifar", "ror3_164_cifar"),
    *("fast_rcnn", "faster_rcnn", "rcnn"),
}
"""Networks with blocks or networks that are strips by themselves when all copies are drawn: no cut divides a block."""


@pytest.mark.parametrize("name", [name for name in netspec.names() if name not in LONG_BLOCKS])
@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_an_expanded_network_is_no_strip(name: str, direction: Any) -> None:
    width, height = size(netspec.load(name).diagram(9, expand=("all",), direction=direction).svg)
    assert height <= 2 * width
    assert width <= 3.2 * height or name in TEXTS  # a line of eight boxes


def test_what_stands_on_it() -> None:
    words = texts(netspec.load("resnet34").diagram().svg)
    for text in (
        "ResNet-34",
        "21,797,672 parameters · 3.66 G MACs",
        "image \xa0",
        "3 × 224 × 224",
        "7x7 conv, 64, /2",
        "stem · bn, relu",
        "layer3 × 6",
        "basic 256",
        "256 × 14 × 14",
        "6.82 M params, 1.34 G MACs",
        "linear, 1000",
        "logits \xa0",
    ):
        assert text in words
    assert words.count("3x3 conv, 64") == 2
    assert "bn: batch norm; dashed: in some of the copies" in words
    assert not any("dashed" in text or "bn:" in text for text in texts(netspec.load("vgg_e").diagram().svg))


def centres(svg: str) -> dict[str, float]:
    """By the name of each node, the middle of what is drawn for it, from the left."""
    found: dict[str, float] = {}
    for group in ET.fromstring(svg.encode()).iter(f"{SVG}g"):
        if group.get("class") == "node":
            shapes = [*group.iter(f"{SVG}path"), *group.iter(f"{SVG}polygon")]
            corners = [x for shape in shapes for x in re.findall(r"(-?[\d.]+),", shape.get("d") or shape.get("points"))]
            places = [float(x) for x in corners or [text.get("x") for text in group.iter(f"{SVG}text")]]
            if places:
                found[group.findtext(f"{SVG}title", "")] = sum(places) / len(places)
    return found


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg_e"])
@pytest.mark.parametrize("depth", [None, 0, 9])
@pytest.mark.parametrize("expand", [(), ("all",)], ids=str)
def test_figures_stand_left_of_their_boxes(name: str, depth: Any, expand: Any) -> None:
    places = centres(netspec.load(name).diagram(depth, expand=expand).svg)
    figures = [node for node in places if node.endswith("i")]
    assert figures
    assert [node for node in figures if places[node] > places[node[:-1]]] == []


NESTED = """
netspec: 1
name: nested
inputs: {image: [N, 8, 16, 16]}
blocks:
  inner:
    body:
      - add: {branches: {f: [conv2d: {out_channels: 8, kernel_size: 3, padding: 1}], s: []}}
  outer:
    body:
      - add: {branches: {f: [{inner, repeat: 3, name: inners}, relu], s: []}}
network:
  - {outer, repeat: 4, name: stage}
"""


def test_frames_that_begin_with_one_box_have_a_title_each() -> None:
    words = texts(netspec.loads(NESTED).diagram().svg)
    assert words.count("stage × 4") == words.count("inners × 3") == 1
    assert words.count("outer") == words.count("inner") == 1


def columns(svg: str, names: list[str]) -> set[float]:
    places = centres(svg)
    return {round(places[name]) for name in names}


DOWN_AND_UP = "netspec: 1\nname: u\ninputs: {image: [N, 4, 16, 16]}\nnetwork:\n" + "".join(
    [f"  - {{conv2d: {{out_channels: 4, kernel_size: 3, padding: 1}}, name: down{n}}}\n" for n in range(3)]
    + [
        f"  - {{conv2d: {{out_channels: 4, kernel_size: 1}}, name: narrow{n}}}\n"
        f"  - {{concat, from: [narrow{n}, down{n}], name: join{n}}}\n"
        for n in (1, 0)
    ]
)
DENSE = "netspec: 1\nname: dense\ninputs: {image: [N, 4, 8, 8]}\nblocks:\n  layer:\n    body:\n" + (
    "      - concat: {branches: {old: [], new: [batch_norm, relu, conv2d: {out_channels: 4, kernel_size: 1}]}}\n"
    "network:\n  - {layer, repeat: 2, name: one}\n  - {avg_pool2d: 2}\n  - {layer, repeat: 3, name: two}\n"
)


@pytest.mark.parametrize("text", [DOWN_AND_UP, DENSE, NESTED], ids=["u-net", "densenet", "nested"])
def test_ways_round_leave_the_way_down_straight(text: str) -> None:
    drawn = netspec.loads(text).diagram()
    boxes = enumerate(drawn.picture.boxes.values())
    places = columns(drawn.svg, [f"n{n}" for n, box in boxes if box.kind == "op" or box.label == "concat"])
    assert max(places) - min(places) <= 2


def test_several_values_go_on_in_another_column() -> None:
    """A U-Net is cut where several values cross, each with a number of its own."""
    conv = "  - conv2d: {out_channels: 4, kernel_size: 1}\n"
    text = "netspec: 1\nname: u\ninputs: {image: [N, 4, 16, 16]}\nnetwork:\n"
    text += "".join(f"{conv}{conv}    name: down{n}\n" for n in range(6))
    text += "".join(f"{conv}    name: up{n}\n  - {{concat, from: [up{n}, down{n}]}}\n" for n in reversed(range(5)))
    drawn = netspec.loads(text).diagram()
    said = Counter(text for text in texts(drawn.svg) if text.isdecimal())
    assert len(said) > 1
    assert min(said.values()) == 2  # where it leaves, and where it goes on


def test_the_way_down_is_that_of_the_deepest_output() -> None:
    text = DOWN_AND_UP + "outputs: {deep: join0, early: down0, raw: image}\n"
    drawn = netspec.loads(text).diagram()
    names = [f"n{number}" for number, box in enumerate(drawn.picture.boxes.values()) if box.kind == "op"]
    places = columns(drawn.svg, names)
    assert max(places) - min(places) <= 2


def test_figures_stand_in_boxes_where_ways_lead_round_them() -> None:
    svg = netspec.loads(DOWN_AND_UP).diagram().svg
    assert not [node for node in centres(svg) if node.endswith("i")]
    assert "narrow1 · 4 × 16 × 16" in texts(svg)


def test_a_chain_of_frames_is_no_strip() -> None:
    text = "netspec: 1\nname: x\ninputs: {x: [N, 4, 32, 32]}\nblocks:\n  pair: {body: [max_pool2d: 1, avg_pool2d: 1]}\n"
    text += "network:\n" + "".join(f"  - {{pair, name: p{n}, repeat: 2}}\n" for n in range(7))
    width, height = size(netspec.loads(text).diagram().svg)
    assert height <= 2 * width


def test_what_stands_side_by_side_is_not_cut() -> None:
    ways = "".join(
        f"  - {{conv2d: {{out_channels: 4, kernel_size: 1}}, from: image, name: w{n}}}\n  - {{sigmoid, name: s{n}}}\n"
        for n in range(20)
    )
    text = f"netspec: 1\nname: x\ninputs: {{image: [N, 4, 8, 8]}}\nnetwork:\n{ways}"
    text += f"  - {{concat, from: [{', '.join(f's{n}' for n in range(20))}]}}\n  - relu\n"
    assert "numbers in circles" not in netspec.loads(text).diagram().dot


def test_long_names_and_titles_are_kept_to_a_page() -> None:
    name = "a_name_that_nobody_can_read_" * 3
    text = f"netspec: 1\nname: x\ntitle: {'word ' * 40}\ninputs: {{x: [N, 4, 8, 8]}}\n"
    text += f"network:\n  - {{conv2d: {{out_channels: 4, kernel_size: 1}}, name: {name}}}\n"
    svg = netspec.loads(text).diagram().svg
    assert size(svg)[0] < 600
    assert "a_name_that_nobody…dy_can_read_" in texts(svg)


def test_the_same_every_time() -> None:
    code = "import netspec; print(netspec.load('resnet50').diagram(expand=['layer2']).dot)"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed}, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(runs) == 1


HOSTILE = """\
netspec: 1
name: n
title: "</svg><script>alert(1)</script> & \\"quoted\\" <B>bold</B> \\\\N {x|y} \\u202e"
inputs: {node: [N, 3, 8, 8]}
blocks:
  graph_1: {params: {w: int}, body: [{conv2d: {out_channels: w, kernel_size: 1}, name: edge}, {relu, name: digraph}]}
network:
  - {graph_1: 4, name: subgraph}
  - {graph_1: 4, name: cluster_0}
  - {conv2d: {out_channels: 4, kernel_size: 1}, name: n0}
  - {linear: 2, name: strict}
"""


def test_any_name_and_title() -> None:
    net = netspec.loads(HOSTILE)
    for direction in ("TB", "LR"):
        svg = net.diagram(direction=direction).svg
        words = texts(svg)
        assert "<script" not in svg
        assert any('</svg><script>alert(1)</script> & "quoted" <B>bold</B>' in text for text in words)
        for name in ("subgraph · relu", "cluster_0 · relu"):
            assert any(text.startswith(name) for text in words), words


def test_highlight() -> None:
    net = netspec.load("resnet18")
    plain, bold = net.diagram().dot, net.diagram(highlight=["layer2", "fc"]).dot
    assert PALETTES["light"].highlight not in plain
    # The cluster, its four boxes, and fc.
    assert bold.count(PALETTES["light"].highlight) == 6


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    values = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [PALETTES["light"], PALETTES["dark"]], ids=["light", "dark"])
def test_colours_read_in_grey_and_text_on_them(palette: Palette) -> None:
    for fill in palette.families.values():
        assert contrast(palette.text, fill) >= 4.5  # WCAG 2, level AA
        assert contrast(palette.faint, fill) >= 3
    assert contrast(palette.text, palette.page) >= 7
    assert contrast(palette.line, palette.page) >= 3
    main_ones = [palette.families[family] for family in ("convolution", "pooling", "linear", "merge")]
    for place, one in enumerate(main_ones):
        for other in main_ones[place + 1 :]:
            assert contrast(one, other) >= 1.1


def test_png_and_files(tmp_path: Path) -> None:
    drawn = netspec.load("resnet18").diagram()
    for name, start in {"a.svg": b"<?xml", "a.png": b"\x89PNG", "a.dot": b"digraph resnet18"}.items():
        drawn.save(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    with pytest.raises(ValueError, match=r"ends in \.svg, \.png, \.pdf or \.dot"):
        drawn.save(tmp_path / "a.jpg")


def test_notebooks() -> None:
    net = netspec.load("vgg_a")
    for shown in (net._repr_svg_(), net.diagram()._repr_svg_(), netspec.diagram(net.graph)._repr_svg_()):
        assert shown.startswith("<svg")
        ET.fromstring(shown)


def test_a_long_chain() -> None:
    text = "netspec: 1\nname: x\ninputs: {x: [N, 4, 32, 32]}\nnetwork:\n  - {max_pool2d: 1, repeat: 1000, name: c}\n"
    width, height = size(netspec.loads(text).diagram(expand=("all",)).svg)
    assert height < 2 * width


def test_random_specs_are_laid_out() -> None:
    import json

    from tests.support.random_specs import random_spec

    for seed in range(0, 60, 2):
        try:
            net = netspec.loads(json.dumps(random_spec(random.Random(seed).choice)))
        except netspec.NetspecError:
            continue
        for depth in (0, 1, 9):
            ET.fromstring(net.diagram(depth, direction="LR" if seed % 4 else "TB").svg.encode())


# The command.


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, "diagram", "resnet34")
    assert (status, err) == (0, "")
    assert out == netspec.load("resnet34").diagram().svg
    for name in ("x.svg", "x.png", "x.dot"):
        status, out, err = run(capsys, "diagram", "resnet50", "--part", "layer2.0", "-o", name)
        assert (status, out, err) == (0, "", f"wrote {name}: 7 boxes\n")
    assert Path("x.png").read_bytes().startswith(b"\x89PNG")
    status, out, _ = run(capsys, "diagram", "vgg_e", "--set", "classes=7", "--theme", "dark", "--direction", "LR")
    assert "linear, 7" in texts(out)
    assert PALETTES["dark"].page in out


def test_what_the_command_refuses(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, status, words in (
        (("-o", "x.jpg"), 2, "-o takes a file that ends in .svg, .png, .pdf or .dot, not `x.jpg`"),
        (("--depth", "deep"), 2, "--depth takes a number from 0, or `all`"),
        (("--expand", "conv9"), 1, "NS209"),
        (("--part", "conv9"), 1, "NS209"),
        (("--part", "all"), 1, "NS209"),
        (("--highlight", "conv9"), 1, "NS209"),
        (("-o", "nowhere/x.svg"), 1, "there is no such folder"),
    ):
        found = run(capsys, "diagram", "vgg_a", *arguments)
        assert (found[0], found[1]) == (status, "")
        assert words in found[2]
    assert list(tmp_path.iterdir()) == []


def test_pdf_needs_an_installed_graphviz(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert bundled_dot() is not None
    if system_dot() is not None:
        assert run(capsys, "diagram", "vgg_a", "-o", "x.pdf")[0] == 0
        assert Path("x.pdf").read_bytes().startswith(b"%PDF")
    monkeypatch.setenv("PATH", str(tmp_path))
    for arguments in (("-o", "y.pdf"), ("--dot", "system", "-o", "y.svg")):
        status, _, err = run(capsys, "diagram", "vgg_a", *arguments)
        assert status == 3
        assert "needs an installed Graphviz" in err
        assert "apt install graphviz" in err
    assert not Path("y.pdf").exists()


def test_a_layout_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "dot"
    broken.write_text("#!/bin/sh\necho out of ink >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr("netspec.backends.diagram.render.bundled_dot", lambda: broken)
    with pytest.raises(netspec.NetspecError, match="NS403: dot gives no picture: out of ink"):
        netspec.load("vgg_a").diagram().render("svg")
    monkeypatch.setattr("netspec.backends.diagram.render.bundled_dot", lambda: None)
    with pytest.raises(netspec.NetspecError, match="NS403: SVG needs graphviz-pure"):
        netspec.load("vgg_a").diagram().render("svg")
