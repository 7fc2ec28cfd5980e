"""Folded pictures against an oracle that works out from the graph what they must show."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.backends.diagram.fold import fold

sys.path[:0] = [str(Path(__file__).parent), *(str(Path(__file__).parents[1] / name) for name in ("fuzz", "pytorch"))]
from oracle import Oracle

OTHER = Path(__file__).parents[1] / "specs" / "other"
VIEWS: list[tuple[int | None, tuple[str, ...]]] = [(None, ()), (0, ()), (1, ()), (2, ()), (64, ()), (1, ("all",))]


def complaints(graph: netspec.Graph, *view: Any) -> list[str]:
    return Oracle(graph, fold(graph, *view)).check()


@pytest.mark.parametrize("name", netspec.names())
@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_bundled_networks(name: str, view: Any) -> None:
    graph = netspec.load(name).graph
    if view[1] and len(graph) > 2500:
        pytest.skip("more boxes than are drawn")
    assert complaints(graph, *view) == []


@pytest.mark.parametrize("file", sorted(OTHER.glob("*.yaml")), ids=lambda file: file.stem)
@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_other_networks(file: Path, view: Any) -> None:
    assert complaints(netspec.load(file).graph, *view) == []
