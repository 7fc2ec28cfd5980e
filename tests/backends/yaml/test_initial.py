"""Initialisers: for all layers of an op, or beside each step."""

from __future__ import annotations

import netspec
from netspec.backends.yaml.initial import common_fillings, fillings, fillings_of, plain_fillings
from netspec.graph import Graph
from netspec.types import Init

HEAD = "netspec: 1\nname: net\ninputs: {x: [N, 4]}\n"


def graph_of(steps: str, more: str = "") -> Graph:
    return netspec.loads(f"{HEAD}{more}network: {steps}\n").graph


def test_one_rule_for_all_layers_is_the_op_s() -> None:
    graph = graph_of("[{linear: 4}, {linear: 4}]", "defaults: {linear: {init: {bias: 0}}}\n")
    assert common_fillings(graph) == {"linear": {"bias": 0.0}}


def test_layers_of_different_rules_have_none_in_common() -> None:
    graph = graph_of("[{linear: 4, name: a, init: {bias: 0}}, {linear: 4, name: b, init: {bias: 1}}]")
    common = common_fillings(graph)
    assert common == {}
    assert fillings(graph, graph["b"], common) == {"bias": 1.0}


def test_a_layer_without_bias_does_not_break_the_rule() -> None:
    graph = graph_of(
        "[{linear: 4}, {linear: {out_features: 4, bias: false}}]", "defaults: {linear: {init: {bias: 0}}}\n"
    )
    assert common_fillings(graph) == {"linear": {"bias": 0.0}}
    assert fillings_of(graph, graph["linear_2"]) == {}


def test_a_layer_with_the_weights_of_another_has_no_say() -> None:
    graph = graph_of("[{linear: 4, name: a, init: {bias: 0}}, {linear: 4, share: a}]")
    assert common_fillings(graph) == {"linear": {"bias": 0.0}}


def test_what_the_file_says_is_not_said_beside_a_step() -> None:
    graph = graph_of("[{linear: 4, init: {bias: 0}}]")
    assert fillings(graph, graph["linear"], common_fillings(graph)) == {}
    assert fillings(graph, graph["linear"], {}) == {"bias": 0.0}


def test_as_a_spec_writes_them() -> None:
    rule = {"weight": Init("normal", {"std": 0.01}), "scale": Init("zeros"), "bias": 1.0, "mean": (0.5, 1.0)}
    assert plain_fillings(rule) == {"weight": {"normal": {"std": 0.01}}, "scale": "zeros", "bias": 1, "mean": [0.5, 1]}
