"""What a diagram shows, read from its SVG, and the command that draws it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from netspec.cli.main import main

SVG = "{http://www.w3.org/2000/svg}"


def size(svg: str) -> tuple[float, float]:
    found = re.search(r'<svg width="([\d.]+)pt" height="([\d.]+)pt"', svg)
    assert found is not None
    return float(found[1]), float(found[2])


def texts(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ET.fromstring(svg.encode()).iter(f"{SVG}text")]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    try:
        main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0), *capsys.readouterr()
    return 0, *capsys.readouterr()
