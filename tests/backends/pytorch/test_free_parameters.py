"""Which parameters of a spec could be arguments of the network's class."""

from __future__ import annotations

import pytest

from netspec.backends.pytorch.bodies import bodies
from netspec.backends.pytorch.free_parameters import free_parameters
from netspec.backends.pytorch.source import to_source
from tests.backends.pytorch.printing import CONV_BN, graph_of

READS_FILE = CONV_BN.replace("out_channels: width", "out_channels: w")


@pytest.mark.parametrize(
    ("network", "blocks", "free"),
    [
        ("[conv2d: {out_channels: w, kernel_size: 1}]", "", {"w"}),
        ("[conv_bn: w]", CONV_BN, {"w"}),
        ("[conv_bn: 8]", READS_FILE, set[str]()),
        ("[{relu: {}, name: r, repeat: w}]", "", set[str]()),
        ("[{relu: {}, name: r, when: w > 3}]", "", set[str]()),
    ],
)
def test_structure_and_other_classes_keep_a_parameter_from_being_free(
    network: str, blocks: str, free: set[str]
) -> None:
    graph = graph_of(network, blocks, params="{w: 5}")
    assert free_parameters(graph, bodies(graph)) == free


@pytest.mark.parametrize("name", ["range", "math"])
def test_names_that_the_code_needs_are_not_free(name: str) -> None:
    graph = graph_of(f"[conv2d: {{out_channels: {name}, kernel_size: 1}}]", params=f"{{{name}: 5}}")
    assert free_parameters(graph, bodies(graph)) == set()


def test_what_is_pinned_is_a_number_in_the_source() -> None:
    network = "[conv2d: {out_channels: w, kernel_size: 1}, flatten, linear: classes]"
    source = to_source(graph_of(network, params="{w: 5, classes: 10}"))
    assert "def __init__(self, classes: int = 10) -> None:" in source
    assert "nn.Conv2d(3, 5, 1)" in source
    assert "nn.Linear(320, classes)" in source
