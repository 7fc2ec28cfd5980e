"""Passes after each other, in any order that makes sense: one graph, and weights through all of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import netspec
from netspec.graph import Graph
from netspec.passes import (
    Transformed,
    fold_batch_norm,
    fully_convolutional,
    replace_head,
    strip_dropout,
    truncate,
)
from tests.support.lazy import lazy_imports

with lazy_imports():
    from tests.passes.modules import assert_same, assert_whole, images, made_of, run, trained

ORDERS: dict[str, Callable[[Graph], Transformed]] = {
    "all": lambda graph: (
        Transformed(graph)
        .then(fold_batch_norm)
        .then(strip_dropout)
        .then(replace_head, 7)
        .then(fully_convolutional)
        .then(truncate, ["layer3", "logits"])
    ),
    "the other way round": lambda graph: (
        Transformed(graph)
        .then(truncate, ["layer3", "logits"])
        .then(fully_convolutional)
        .then(replace_head, 7)
        .then(strip_dropout)
        .then(fold_batch_norm)
    ),
}


@pytest.mark.parametrize("order", ORDERS)
def test_passes_after_each_other(order: str) -> None:
    graph = netspec.load("resnet18", inputs={"image": ["N", 3, 64, 64]}).graph
    before, made = trained(graph), ORDERS[order](graph)
    assert_whole(made.graph)
    assert made.fresh == {"fc.weight", "fc.bias"}
    state = before.state_dict()
    rows = {"fc.weight": state["fc.weight"][:7].reshape(7, -1, 1, 1), "fc.bias": state["fc.bias"][:7]}
    after = netspec.compile(made.graph).double().eval()
    after.load_state_dict({**made.weights(state), **rows}, strict=True)
    image = images(graph)
    maps, scores = run(after, *image)
    (wanted,) = run(before, *image)
    assert_same([scores.flatten(1)], [wanted[:, :7]])
    feature = Transformed(graph).then(truncate, ["layer3"])
    assert_same([maps], run(made_of(before, feature), *image))
    assert "BatchNorm" not in netspec.to_source(made.graph)
