"""Passes that follow each other: weights, reasons and what is fresh go along, however the passes are put together."""

from __future__ import annotations

from dataclasses import replace

import netspec
from netspec import passes
from netspec.graph import Graph
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch


def small_vgg() -> Graph:
    params = {"classes": 5, "batch_norm": True}
    return netspec.load("vgg_a", params=params, inputs={"image": ["N", 3, 32, 32]}).graph


def both(graph: Graph) -> passes.Transformed:
    """Two passes as one."""
    return passes.strip_dropout(graph).then(passes.fully_convolutional)


def test_a_pass_of_passes_is_passes_one_after_the_other() -> None:
    graph = small_vgg()
    one_by_one = passes.fold_batch_norm(graph).then(passes.strip_dropout).then(passes.fully_convolutional)
    together = passes.fold_batch_norm(graph).then(both)
    assert together.done == one_by_one.done
    assert str(together.graph) == str(one_by_one.graph)
    state = netspec.compile(graph).state_dict()
    a, b = one_by_one.weights(state), together.weights(state)
    assert list(a) == list(b) == list(netspec.compile(together.graph).state_dict())
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_what_is_fresh_stays_fresh() -> None:
    graph = small_vgg()
    made = passes.replace_head(graph, 7).then(both)
    assert made.fresh == {"fc8.weight", "fc8.bias"}
    assert made.fresh.isdisjoint(made.weights(netspec.compile(graph).state_dict()))


def test_one_pass_that_computes_something_else_is_enough() -> None:
    graph = small_vgg()
    other = replace(passes.strip_dropout(graph), equal=False)
    assert passes.strip_dropout(graph).then(passes.fold_batch_norm).equal
    assert not other.then(passes.fold_batch_norm).equal
    assert not passes.fold_batch_norm(graph).then(lambda graph: replace(both(graph), equal=False)).equal
