"""Tables as HTML, for notebooks: every cell is there as text, and none of it is markup."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import netspec
from netspec.tables import Table


def parsed(html: str) -> ET.Element:
    return ET.fromstring(f"<div>{html.replace('<br>', '<br/>')}</div>")


def test_html() -> None:
    table = Table(
        ["a<b", "n", "share"],
        [["<script>", 1234, 0.5], ["  inner & outer", None, 12.25]],
        ["<title>", "below"],
        [["total", 1234, ""]],
        ["a note"],
    )
    root = parsed(table.to_html())
    cells = [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]
    assert cells == [
        ["a<b", "n", "share"],
        ["<script>", "1,234", "0.5"],
        ["\u2003inner & outer", "-", "12.2"],
        ["total", "1,234", ""],
    ]
    texts = ["".join(p.itertext()) for p in root.iter("p")]
    assert texts == ["<title>below", "a note"]
    aligned = [cell.get("style") for cell in next(iter(root.iter("tr")))]
    assert aligned == ["text-align: left", "text-align: right", "text-align: right"]


def test_every_report_shows_itself_in_a_notebook() -> None:
    net = netspec.load("resnet18")
    for report in (
        net.summary(),
        net.memory("train"),
        net.parameter_counts("op"),
        net.receptive_fields(),
        net.explain("layer2.0"),
    ):
        root = parsed(report._repr_html_())
        assert len(list(root.iter("tr"))) > 2
