"""The memory of recurrent layers, against every allocation of ATen's own kernels on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import netspec
from netspec.analysis.memory_model import simulate_pass, size_of
from netspec.ops.base import REGISTRY, is_float
from netspec.types import Tensor
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch import nn

    from tests.analysis.allocations import excess, kernels_of_aten
    from tests.support.contract import flat
    from tests.support.printed import meaning

LAYERS = ("rnn", "gru", "lstm")
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no bias": {"bias": False},
    "stacked": {"num_layers": 3},
    "bidirectional": {"bidirectional": True},
    "both": {"num_layers": 2, "bidirectional": True},
    "dropout": {"num_layers": 3, "dropout": 0.5},
    "all": {"num_layers": 2, "bidirectional": True, "dropout": 0.5, "bias": False},
}
SIZES = [
    (4, 6, 5, 7),
    (1, 5, 9, 3),
    (2, 12, 3, 16),
    (8, 4, 20, 2),
    (3, 3, 4, 5),
    (3, 2, 4, 5),
    (3, 1, 4, 5),
    (1, 1, 8, 8),
]
"""N, T, features, hidden."""


def configurations() -> Iterator[Any]:
    for name in (*LAYERS, "recurrence"):
        for number, example in enumerate(REGISTRY[name].examples, start=1):
            yield pytest.param(name, example.types, dict(example.attributes), id=f"{name}-{number}")
    for place, (batch, steps, features, hidden) in enumerate(SIZES):
        x, lengths = Tensor((batch, steps, features)), Tensor((batch,), "int64")
        for given in (False, True):
            for packed in (False, True):
                ends = [f"states-{given}", f"lengths-{packed}", f"size-{place}"]
                more = (lengths,) * packed
                yield pytest.param(
                    "recurrence",
                    (x, *(Tensor((batch, features)),) * given, *more),
                    {"lengths": packed},
                    id="-".join(["recurrence", *ends]),
                )
                for name in LAYERS:
                    # Each size, and each choice of options, with every layer, with and without states and lengths.
                    option = list(OPTIONS)[(place + LAYERS.index(name) + 2 * given + 4 * packed) % len(OPTIONS)]
                    options = OPTIONS[option]
                    count = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
                    states = (Tensor((count, batch, hidden)),) * ((1 + (name == "lstm")) * given)
                    attributes = {"hidden_size": hidden, "lengths": packed, **options}
                    yield pytest.param(name, (x, *states, *more), attributes, id="-".join([name, option, *ends]))


each_configuration = pytest.mark.parametrize(("name", "types", "attributes"), list(configurations()))


def alone(name: str, types: tuple[Tensor, ...], attributes: dict[str, Any]) -> netspec.Graph:
    """An op after linear layers, which hold their inputs and nothing else and make gradients flow; with all outputs."""
    builder = netspec.Builder("alone")
    inputs = [builder.input(f"x{n}", x.shape, x.dtype) for n, x in enumerate(types)]
    before = [
        builder.add("linear", value, name=f"before{n}", out_features=x.features) if is_float(x) else value
        for n, (value, x) in enumerate(zip(inputs, types, strict=True))
    ]
    builder.add(name, *before, name="op", **attributes)
    for value, _ in builder.nodes[-1].values():
        builder.output(value.replace(":", "_"), value)
    return builder.build()


def values_of(types: tuple[Tensor, ...], steps: int, dtype: str = "float32") -> list[torch.Tensor]:
    """Ones, and for lengths the longest."""
    return [
        torch.ones(x.shape, dtype=getattr(torch, dtype)) if is_float(x) else torch.full(x.shape, steps) for x in types
    ]


@each_configuration
def test_what_a_recurrent_op_keeps(name: str, types: tuple[Tensor, ...], attributes: dict[str, Any]) -> None:
    graph = alone(name, types, attributes)
    module = netspec.compile(graph).train()
    steps = types[0].shape[1]
    assert isinstance(steps, int)
    values = [getattr(module, f"before{n}", nn.Identity())(x) for n, x in enumerate(values_of(types, steps))]
    weights = {weight.untyped_storage()._cdata for weight in module.parameters()}
    saved: dict[int, Any] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage()._cdata not in weights:
            saved[tensor.untyped_storage()._cdata] = tensor
        return tensor

    node = graph["op"]
    with kernels_of_aten(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        results = flat(meaning(node.op.torch(*graph.input_types(node)), module.op)(*values))
    names = {value.untyped_storage()._cdata: f"input {n}" for n, value in enumerate(values)}
    names |= {result.untyped_storage()._cdata: f"output {n}" for n, result in enumerate(results)}
    said = node.op.memory(True, node.type, *graph.input_types(node))
    assert said is not None
    outputs = said.output if isinstance(said.output, tuple) else ()
    assert {names[key] for key in saved if key in names} == {
        *(f"input {place}" for place in said.inputs),
        *(f"output {place}" for place in outputs),
    }
    theirs = sum(tensor.untyped_storage().nbytes() for key, tensor in saved.items() if key not in names)
    assert sum(map(size_of, said.kept)) == theirs


@each_configuration
def test_peaks_of_a_recurrent_op(name: str, types: tuple[Tensor, ...], attributes: dict[str, Any]) -> None:
    graph = alone(name, types, attributes)
    module = netspec.compile(graph)
    steps = types[0].shape[1]
    assert isinstance(steps, int)
    inputs = values_of(types, steps)
    inference, more = excess(graph, module, inputs)
    assert inference == 0
    if steps <= 3 or (types[0].batch == 1 and attributes.get("bidirectional")):
        # With so few steps it matters when a step frees the gradients of the output and of the last states. And without
        # a copy of the input, both directions free it before their gradients of it are added up.
        assert 0 <= more <= 0.1 * simulate_pass(graph, "train").peak
    elif name == "recurrence" and attributes.get("lengths"):
        assert 0 <= more <= 2 * types[0].shape[0]  # The masks of the first steps are freed then.
    else:
        assert more == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("lengths", [False, True])
def test_recurrent_memory_in_other_precisions(dtype: Any, lengths: bool) -> None:
    types = (Tensor((4, 6, 5)), *(Tensor((4,), "int64"),) * lengths)
    graph = alone("lstm", types, {"hidden_size": 7, "num_layers": 2, "bidirectional": True, "lengths": lengths})
    module = netspec.compile(graph).to(getattr(torch, dtype))
    assert excess(graph, module, values_of(types, 6, dtype), dtype=dtype) == (0, 0)


@pytest.mark.parametrize("name", LAYERS)
def test_shorter_sequences_take_less(name: str) -> None:
    """The figures are those of sequences that are as long as the batch is: an upper bound for all others."""
    types = (Tensor((4, 12, 8)), Tensor((4,), "int64"))
    graph = alone(name, types, {"hidden_size": 8, "lengths": True})
    module, x = netspec.compile(graph), values_of(types, 12)[0]
    inference, training = excess(graph, module, [x, torch.tensor([12, 3, 9, 1])])
    assert 0 < inference < 0.5 * simulate_pass(graph).peak
    assert 0 < training < 0.5 * simulate_pass(graph, "train").peak


@pytest.mark.parametrize("name", LAYERS)
def test_states_without_a_gradient(name: str) -> None:
    """Where only the last states are read, or only the output, the peak is still no less, and little more."""
    for place in (0, 1):
        builder = netspec.Builder("net")
        x = builder.add("linear", builder.input("x", (4, 12, 16)), name="before", out_features=16)
        builder.add(name, x, name="op", hidden_size=16, num_layers=2, bidirectional=True)
        builder.output("y", builder.nodes[-1].values()[place][0])
        graph = builder.build()
        inference, training = excess(graph, netspec.compile(graph), values_of((Tensor((4, 12, 16)),), 12))
        assert inference == 0
        assert 0 <= training <= 0.05 * simulate_pass(graph, "train").peak
