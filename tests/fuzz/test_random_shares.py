"""Random specs of steps that share weights: each is written as a spec again, and every command takes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import netspec
from netspec.passes import fold_batch_norm, strip_dropout
from tests.fuzz.every_command import check_commands
from tests.fuzz.lasting import hold
from tests.fuzz.random_shares import random_shares
from tests.support.lazy import lazy_imports
from tests.support.round_trip import assert_same

with lazy_imports():
    import torch

    from netspec.backends.pytorch.runtime.examples import random_state
    from tests.support.interpret import assert_equal, example_inputs, interpret


def test_random_shares(tmp_path: Path) -> None:
    hold(random_shares, lambda data: check(data, tmp_path), 12)


def check(data: dict[str, Any], folder: Path) -> None:
    graph = netspec.loads(json.dumps(data)).graph
    assert_same(graph, netspec.loads(netspec.to_yaml(graph)).graph)
    assert netspec.diff(graph, graph).same
    state, inputs = random_state(graph, torch.Generator().manual_seed(0)), example_inputs(graph)
    values = dict(zip((o.name for o in graph.outputs), interpret(graph, state, *inputs), strict=True))
    for result in (strip_dropout(graph), fold_batch_norm(graph)):
        outputs = interpret(result.graph, result.weights(state), *inputs)
        assert_equal(outputs, tuple(values[o.name] for o in result.graph.outputs))
    check_commands(data, folder)
