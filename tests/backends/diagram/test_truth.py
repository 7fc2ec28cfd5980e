"""Folded pictures against an oracle that works out from the graph what they must show."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.backends.diagram.fold import fold
from tests.backends.diagram.oracle import Oracle
from tests.support.paths import OTHER

VIEWS: list[tuple[int | None, tuple[str, ...]]] = [(None, ()), (0, ()), (1, ()), (2, ()), (64, ()), (1, ("all",))]


def complaints(graph: netspec.Graph, *view: Any) -> list[str]:
    return Oracle(graph, fold(graph, *view)).check()


# The oracle takes long for thousands of ops; ResNet-110 has the blocks of ResNet-1202.
NAMES = [name for name in netspec.names() if name != "resnet1202_cifar"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_bundled_networks(name: str, view: Any) -> None:
    assert complaints(netspec.load(name).graph, *view) == []


@pytest.mark.parametrize("file", sorted(OTHER.glob("*.yaml")), ids=lambda file: file.stem)
@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_other_networks(file: Path, view: Any) -> None:
    assert complaints(netspec.load(file).graph, *view) == []


def test_random_specs() -> None:
    from tests.support.random_maps import random_map
    from tests.support.random_parts import random_parts
    from tests.support.random_specs import random_spec

    drawn = 0
    for seed in range(24):
        for make in (random_map, random_parts, random_spec):
            try:
                graph = netspec.loads(json.dumps(make(random.Random(seed).choice))).graph
            except netspec.NetspecError:
                continue
            for view in VIEWS:
                assert complaints(graph, *view) == [], (make.__name__, seed, view)
                drawn += 1
    assert drawn > 250


def test_random_copies() -> None:
    """Copies that differ in arguments, counts and steps, in repeats within repeats."""
    from tests.backends.diagram.random_copies import random_copies

    dashed = 0
    for seed in range(150):
        try:
            graph = netspec.loads(json.dumps(random_copies(seed))).graph
        except netspec.NetspecError:
            continue
        for view in VIEWS:
            picture = fold(graph, *view)
            assert Oracle(graph, picture).check() == [], (seed, view)
            dashed += any(edge.partial for edge in picture.edges)
    assert dashed > 80


def spoiled(change: Any) -> list[str]:
    graph = netspec.load("resnet34").graph
    picture = fold(graph)
    change(picture)
    return Oracle(graph, picture).check()


def test_the_oracle_sees_what_is_wrong() -> None:
    identity = ("layer1.*.add", "layer2.*.add")

    def line(picture: Any) -> Any:
        return next(edge for edge in picture.edges if (edge.tail, edge.head) == identity)

    def box(picture: Any) -> Any:
        return picture.boxes["layer2.*.residual.conv_bn.conv2d"]

    assert spoiled(lambda picture: None) == []
    assert spoiled(lambda picture: picture.edges.remove(line(picture))) == [f"no line {identity}"]
    assert spoiled(lambda picture: setattr(line(picture), "partial", False))[0] == f"{identity} is solid"
    assert spoiled(lambda picture: setattr(line(picture), "tail", "pool"))[1].startswith("a line too many")
    assert spoiled(lambda picture: setattr(line(picture), "size_only", True))[0].endswith("carries more than its size")
    assert "says `first only`" in spoiled(lambda picture: setattr(box(picture), "only", "first only"))[0]
    assert "not (2,)" in spoiled(lambda picture: setattr(box(picture), "counts", (2,)))[0]
    assert "not 7" in spoiled(lambda picture: setattr(box(picture), "shape", "7"))[0]
    assert "and says 3x3 conv" in spoiled(lambda picture: setattr(box(picture), "label", "3x3 conv, 128"))[0]
    assert "not (5,)" in spoiled(lambda picture: setattr(picture.clusters["layer2"], "counts", (5,)))[0]


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("name", ["googlenet", "googlenet_bn"])
def test_what_is_built_in_training_only(name: str, depth: int) -> None:
    graph = netspec.load(name).graph
    picture = fold(graph, depth, mode="train")
    assert {"to aux1", "to aux2"} <= picture.boxes.keys()
    assert Oracle(graph, picture, "train").check() == []
