"""Random specs against torch: the shapes, weights and MACs that netspec foretells, and what a module gives."""

from __future__ import annotations

import json
from typing import Any

import pytest

import netspec
from tests.fuzz.lasting import COUNTS, forget_modules, hold
from tests.support.lazy import lazy_imports
from tests.support.random_maps import random_map
from tests.support.random_specs import random_spec

with lazy_imports():
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from tests.fuzz.reference import Reference, layer_of
    from tests.support.interpret import assert_equal, outputs_of, randomize

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:torch.nn.modules.conv", "ignore::UserWarning:torch.utils._device"
)

FUZZER = COUNTS["random specs against torch"]
MOST_CHANNELS, MOST_NODES = 200, 400
"""What is larger takes long to run, and shows nothing more."""
FLOPS = 4
"""Two for each multiply-accumulate, in a batch of two."""


def test_random_specs() -> None:
    hold(random_spec, check, 200)


def test_random_maps() -> None:
    hold(random_map, check, 60)


def check(data: dict[str, Any]) -> None:
    FUZZER["drawn"] += 1
    reference = Reference(data)
    refused = ""
    with torch.device("meta"):
        try:
            outputs = reference(torch.empty(2, *size_of(data)))
        except RuntimeError as error:
            refused = str(error)
    try:
        net = netspec.loads(json.dumps(data))
    except netspec.NetspecError as error:
        if not refused:
            raise AssertionError("torch runs what netspec refuses") from error
        FUZZER["refused by both"] += 1
        return
    assert not refused, f"torch refuses what netspec takes: {refused}"
    check_analysis(net, reference, outputs)
    widest = max((value.shape[1] for value in reference.values.values() if value.dim() == 4), default=0)
    if widest > MOST_CHANNELS or len(net.graph) > MOST_NODES:
        FUZZER["too large to run"] += 1
        return
    check_module(net, data, reference)
    forget_modules()
    FUZZER["compared"] += 1


def check_analysis(net: netspec.Network, reference: Reference, outputs: tuple[torch.Tensor, ...]) -> None:
    """Every value's shape, every weight's name, shape and kind, and the totals of both."""
    types = net.graph.at(N=2)
    inputs = {i.name for i in net.graph.inputs}
    assert {path: type.shape for path, type in types.items() if path not in inputs} == {
        path: tuple(value.shape) for path, value in reference.values.items()
    }
    assert [types[o.value].shape for o in net.graph.outputs] == [tuple(output.shape) for output in outputs]
    parameters, buffers = weights_of(reference, "named_parameters"), weights_of(reference, "named_buffers")
    foretold = net.graph.state().items()
    assert {name: w.shape for name, w in foretold if w.kind == "parameter"} == parameters
    assert {name: w.shape for name, w in foretold if w.kind == "buffer"} == buffers
    totals = net.summary()["totals"]
    assert totals["parameters_training"] == sum(torch.Size(shape).numel() for shape in parameters.values())
    FUZZER["values compared"] += len(types)


def weights_of(reference: Reference, kind: str) -> dict[str, tuple[int, ...]]:
    return {
        f"{path}.{name}": tuple(value.shape)
        for path, layer in reference.layers.items()
        for name, value in getattr(layer, kind)()
    }


def check_module(net: netspec.Network, data: dict[str, Any], reference: Reference) -> None:
    """The compiled module: the shapes of its layers, its weights, its MACs, and what it gives."""
    module = net.compile()
    randomize(module)
    seen: dict[str, tuple[int, ...]] = {}
    for path in reference.layers:
        layer = module.get_submodule(path)
        layer.register_forward_hook(lambda _, __, y, path=path: seen.update({path: tuple(y.shape)}))
    x = torch.rand(2, *size_of(data), generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        outputs = outputs_of(module, [x])
    types = net.graph.at(N=2)
    assert {name: types[name].shape for name in seen} == seen
    FUZZER["layers seen by hooks"] += len(seen)

    # What nothing uses is no part of the network, whether the module runs it or not.
    live = reference.live()
    assert live & reference.layers.keys() <= seen.keys()
    summary = net.summary()
    totals = summary["totals"]
    assert {layer["name"] for layer in summary["layers"]} == live
    assert totals["parameters_training"] == sum(value.numel() for value in module.parameters())
    run = [module.get_submodule(name) for name in reference.layers if name in live]
    assert totals["parameters"] == sum(value.numel() for layer in run for value in layer.parameters())
    assert totals["buffers"] == sum(value.numel() for layer in run for value in layer.buffers())
    counted = {name.partition(".")[2]: sum(found.values()) for name, found in counter.get_flop_counts().items()}
    flops = {name: counted.get(name, 0) if name in seen else 0 for name in live | seen.keys()}
    assert {layer["name"]: FLOPS * layer["macs"] for layer in summary["layers"]} == {name: flops[name] for name in live}
    assert FLOPS * totals["macs"] == counter.get_total_flops() - sum(flops[name] for name in seen.keys() - live)
    FUZZER["MACs counted"] += totals["macs"]

    state = module.state_dict()

    def loaded(path: str, op: str, x: torch.Tensor, attributes: dict[str, Any]) -> torch.nn.Module:
        layer = layer_of(path, op, x, attributes)
        layer.load_state_dict({name: state[f"{path}.{name}"] for name in layer.state_dict()}, assign=True)
        return layer

    with torch.no_grad():
        assert_equal(outputs, Reference(data, loaded)(x))


def size_of(data: dict[str, Any]) -> list[int]:
    """The size of the one input, without the batch."""
    (shape,) = data["inputs"].values()
    return shape[1:]
