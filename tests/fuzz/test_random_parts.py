"""Random specs of several values, shared weights, steps as arguments and networks: all that is told of them is so."""

from __future__ import annotations

import inspect
import json
import random
from typing import Any

import netspec
from tests.fuzz.lasting import COUNTS, forget_modules, hold
from tests.fuzz.reports import check_reports
from tests.fuzz.sources import keep
from tests.support.lazy import lazy_imports
from tests.support.random_parts import networks_in, random_parts
from tests.support.rewriting import flat

with lazy_imports():
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    from tests.support.interpret import assert_equal, example_inputs, interpret, outputs_of, randomize

FUZZER = COUNTS["random parts"]
MOST_CHANNELS, MOST_NODES = 200, 300
"""What is larger takes long to run, and shows nothing more."""


def test_random_parts() -> None:
    hold(random_parts, check, 150)


def check(data: dict[str, Any]) -> None:
    text = json.dumps(data)
    for name in networks_in(data):
        FUZZER["networks"] += 1
        try:
            net = netspec.loads(text, network=name)
        except netspec.NetspecError as error:
            if "the largest number is" not in str(error):
                raise
            FUZZER["too large or empty"] += 1
            continue
        widest = max(int(str(type.shape[1])) for type in net.graph.types.values())
        if widest > MOST_CHANNELS or not 0 < len(net.graph) <= MOST_NODES:
            FUZZER["too large or empty"] += 1
            continue
        try:
            check_module(net)
            check_arguments(net, text, name)
        except netspec.NetspecError as error:
            if "PyTorch source can't say that" not in str(error):
                raise
            FUZZER["not for source"] += 1
        check_reports(net)
        check_whole(net)
        FUZZER["nodes"] += len(net.graph)
    forget_modules()


def check_module(net: netspec.Network) -> None:
    """The module has the graph's weights, and gives what its nodes give one by one; its MACs are those foretold."""
    graph = net.graph
    keep(net.to_source())
    module = net.compile()
    assert_state(net, module)
    summary = net.summary()["totals"]
    assert summary["parameters_training"] == sum(value.numel() for value in module.parameters())
    randomize(module)
    inputs = [value[..., :6, :5] for value in example_inputs(graph)]
    values = dict(zip((o.name for o in graph.outputs), interpret(graph, module.state_dict(), *inputs), strict=True))
    with FlopCounterMode(display=False) as counter:
        found = tuple(value for value in outputs_of(module, inputs) if value is not None)
    assert_equal(found, tuple(values[o.name] for o in graph.outputs if o.mode == "inference"))
    # What nothing uses is run, and not counted.
    assert counter.get_total_flops() >= 4 * summary["macs"]
    if not net.warnings and all(o.mode == "inference" for o in graph.outputs):
        assert counter.get_total_flops() == 4 * summary["macs"]
        FUZZER["MACs"] += summary["macs"]


def assert_state(net: netspec.Network, module: nn.Module) -> None:
    """A module has exactly the weights of its network."""
    wanted = {name: weight.shape for name, weight in net.graph.state().items()}
    assert {name: tuple(value.shape) for name, value in module.state_dict().items()} == wanted


def check_arguments(net: netspec.Network, text: str, name: str) -> None:
    """Other arguments of the module's class are other parameters of the spec."""
    module = net.compile()
    for argument in list(inspect.signature(type(module).__init__).parameters.values())[1:]:
        value = argument.default
        other = not value if isinstance(value, bool) else value / 2 if isinstance(value, float) else value + 1
        try:
            changed = netspec.loads(text, network=name, params={argument.name: other})
        except netspec.NetspecError:
            continue
        FUZZER["arguments changed"] += 1
        assert_state(changed, type(module)(**{argument.name: other}))


def check_whole(net: netspec.Network) -> None:
    """The whole is explained by what it holds, and the hash is blind to how the network is written."""
    whole = net.explain("")
    assert whole["parameters"] == net.summary()["totals"]["parameters"]
    for held in whole["holds"]:
        str(net.explain(held["name"]))
    graph = net.graph
    assert flat(graph, random.Random(len(graph))).graph.hash() == graph.hash()
