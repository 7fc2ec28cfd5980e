"""Paths of nodes and scopes."""

from __future__ import annotations

import pytest

from netspec.graph.paths import is_below, node_of


@pytest.mark.parametrize(
    ("path", "scope", "below"),
    [
        ("layer1.0.conv1", "layer1", True),
        ("layer1.0.conv1", "layer1.0", True),
        ("layer1.0.conv1", "", True),
        ("layer1", "layer1", False),
        ("layer10.0", "layer1", False),
        ("layer1", "layer1.0", False),
    ],
)
def test_below_a_scope(path: str, scope: str, below: bool) -> None:
    assert is_below(path, scope) is below


def test_the_node_of_a_value() -> None:
    assert [node_of(value) for value in ("lstm", "lstm:1", "encoder.lstm:hidden")] == ["lstm", "lstm", "encoder.lstm"]
