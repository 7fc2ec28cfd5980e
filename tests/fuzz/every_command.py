"""Every command on one random spec: it is taken, or refused in words, and all that is made of it agrees."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import netspec
from netspec.analysis.compare import compare
from netspec.graph import Graph
from netspec.passes import fold_batch_norm, strip_dropout, truncate
from tests.fuzz.lasting import COUNTS, forget_modules
from tests.fuzz.reports import check_reports
from tests.support.lazy import lazy_imports
from tests.support.round_trip import assert_same

with lazy_imports():
    import onnxruntime
    import torch

    from netspec.backends.pytorch.runtime.prove import prove_module
    from tests.support.interpret import assert_equal, example_inputs, interpret, outputs_of, randomize

FUZZER = COUNTS["every command"]
MOST_NODES = 300


def check_commands(data: dict[str, Any], folder: Path) -> None:
    """Reports, source, model, spec and passes of a spec's network; `folder` is for the model."""
    FUZZER["specs"] += 1
    net = netspec.loads(json.dumps(data))
    graph = net.graph
    if len(graph) > MOST_NODES:
        return
    FUZZER["nodes"] += len(graph)
    check_reports(net)
    str(compare([net.graph, net.graph]))
    if check_source(graph):
        check_model(net, folder / "model.onnx")
    check_spec(graph)
    check_passes(graph)
    forget_modules()


def refused(error: netspec.NetspecError, *codes: str) -> None:
    """Count a refusal, which is for one of these reasons."""
    (diagnostic,) = error.diagnostics
    if diagnostic.code not in codes:
        raise error
    FUZZER[f"{diagnostic.code} of a command"] += 1


def inputs_of(graph: Graph) -> list[torch.Tensor]:
    """Random inputs of the graph's dtypes."""
    found = zip(example_inputs(graph), graph.inputs, strict=True)
    return [(value * 3).to(getattr(torch, i.type.dtype)) for value, i in found]


def precision_of(graph: Graph) -> torch.dtype:
    """The dtype of a module's floats: that of its inputs."""
    return torch.float64 if any(i.type.dtype == "float64" for i in graph.inputs) else torch.float32


def check_source(graph: Graph) -> bool:
    """The module has the graph's weights and gives what its nodes give one by one; whether there is a module."""
    try:
        source = netspec.to_source(graph)
    except netspec.NetspecError as error:
        refused(error, "NS401")
        return False
    try:
        prove_module(graph, source)
    except netspec.NetspecError as error:
        if "a module of PyTorch works in one dtype" not in str(error):
            raise
        return False
    module = netspec.compile(graph).to(precision_of(graph))
    randomize(module)
    inputs = inputs_of(graph)
    values = dict(zip((o.name for o in graph.outputs), interpret(graph, module.state_dict(), *inputs), strict=True))
    found = tuple(value for value in outputs_of(module, inputs) if value is not None)
    assert_equal(found, tuple(values[o.name] for o in graph.outputs if o.mode == "inference"))
    FUZZER["modules compared"] += 1
    return True


def check_model(net: netspec.Network, path: Path) -> None:
    """The ONNX model gives what the module does, where there is one."""
    module = net.compile()
    if precision_of(net.graph) != torch.float32 or any(i.type.dtype == "bool" for i in net.graph.inputs):
        return  # ONNX Runtime has few ops of these.
    randomize(module)
    try:
        net.to_onnx(path, module)
    except netspec.NetspecError as error:
        refused(error, "NS401")
        return
    FUZZER["models"] += 1
    inputs = inputs_of(net.graph)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = {i.name: value.numpy() for i, value in zip(session.get_inputs(), inputs, strict=True)}
    results = session.run(None, given)
    wanted = [value for value in outputs_of(module, inputs) if value is not None]
    assert len(results) == len(wanted)
    for a, b in zip(results, wanted, strict=True):
        torch.testing.assert_close(torch.from_numpy(a), b, rtol=1e-3, atol=1e-3, equal_nan=True)


def check_spec(graph: Graph) -> None:
    """Written as a spec and read again it is the same."""
    try:
        text = netspec.to_yaml(graph)
    except netspec.NetspecError as error:
        if "a spec can't say that" not in str(error):
            raise
        FUZZER["not for a spec"] += 1
        return
    FUZZER["written as specs"] += 1
    assert_same(graph, netspec.loads(text).graph)


def check_passes(graph: Graph) -> None:
    """What passes make is a graph like any other."""
    chance = random.Random(len(graph))
    names = [chance.choice([node.path for node in graph])] if len(graph) else []
    made = [strip_dropout(graph), fold_batch_norm(graph)]
    try:
        made += [truncate(graph, names)] if names else []
    except netspec.NetspecError as error:
        refused(error, "NS401", "NS209")
    for each in made:
        if each.graph != graph:
            FUZZER["graphs of passes"] += 1
            check_source(each.graph)
            check_spec(each.graph)
