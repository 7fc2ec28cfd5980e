"""Layers with nested outputs, such as an LSTM: `output, (h_n, c_n) = self.lstm(x)`."""

from __future__ import annotations

import pytest

import netspec
from netspec.errors import NetspecError
from netspec.ops.base import REGISTRY
from netspec.ops.check import check_op
from netspec.types import Layer, Tensor
from tests.support.lazy import lazy_imports
from tests.support.own_lstm import OwnLstm

with lazy_imports():
    import torch

    from netspec.backends.pytorch.layout import nested, unpacked
    from netspec.backends.pytorch.runtime.prove import prove_module
    from netspec.backends.pytorch.source import to_source

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def own_lstm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY, "own_lstm", OwnLstm)


BLOCKS = """
  layer:
    params: {width: int}
    body: [{own_lstm: width}, relu]
"""


def network(steps: str) -> netspec.Network:
    inputs = "{x: [N, 7, 12], h: [1, N, 12], c: [1, N, 12]}"
    return netspec.loads(f"netspec: 1\nname: net\ninputs: {inputs}\nblocks:{BLOCKS}network: {steps}\n")


def statements(steps: str) -> list[str]:
    """The statements of the network's `forward`; its source is proved."""
    graph = network(steps).graph
    source = to_source(graph)
    prove_module(graph, source)
    return [line[8:] for line in source.rpartition("def forward")[2].splitlines()[1:]]


STATES = "from: [x, h, c]"


@pytest.mark.parametrize(
    ("steps", "lines"),
    [
        ("[{own_lstm: 5, from: x}]", ["output, (h_n, c_n) = self.own_lstm(x)", "return NetOutput(output, h_n, c_n)"]),
        (
            "[{own_lstm: 5, from: x, name: a}, {relu: {}, from: a.output}]",
            ["output, _ = self.a(x)", "return self.relu(output)"],
        ),
        (
            "[{own_lstm: 5, from: x, name: a}, {relu: {}, from: a.h_n}]",
            ["_, (h_n, _) = self.a(x)", "return self.relu(h_n)"],
        ),
        (
            f"[{{own_lstm: 12, {STATES}, name: a}}, {{concat: 2, from: [a.h_n, a.c_n]}}]",
            ["_, (h_n, c_n) = self.a(x, (h, c))", "return torch.cat([h_n, c_n], dim=2)"],
        ),
        (
            f"[{{own_lstm: 12, {STATES}, name: a, repeat: 3}}, {{relu: {{}}, from: a.output}}]",
            [
                "output, h_n, c_n = x, h, c",
                "for layer in self.a:",
                "    output, (h_n, c_n) = layer(output, (h_n, c_n))",
                "return self.relu(output)",
            ],
        ),
        (
            f"[{{own_lstm: 12, {STATES}, name: a}},"
            " {own_lstm: 12, from: [a.output, a.h_n, a.c_n], name: b, share: a}, {relu: {}, from: b.c_n}]",
            [
                "output, (h_n, c_n) = self.a(x, (h, c))",
                "_, (_, c_n) = self.a(output, (h_n, c_n))",
                "return self.relu(c_n)",
            ],
        ),
    ],
    ids=["all", "first", "second", "states", "repeat", "second call"],
)
def test_outputs_come_out_of_their_brackets(steps: str, lines: list[str]) -> None:
    assert statements(steps) == lines


def test_no_sequential_holds_a_layer_with_several_outputs() -> None:
    graph = network("[{layer: 12, repeat: 2, from: x}, {own_lstm: 3, name: last}, {relu: {}, from: last.output}]").graph
    source = to_source(graph)
    prove_module(graph, source)
    assert "        output, _ = self.own_lstm(x)\n        return self.relu(output)" in source
    assert "self.layer = nn.Sequential(*(Layer(12, 12) for _ in range(2)))" in source
    assert "        output, _ = self.last(x)" in source


@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")  # torch says it of each LSTM
def test_torch_exports_and_compiles_it() -> None:
    module = network(f"[{{own_lstm: 12, {STATES}, name: a, repeat: 2}}, {{relu: {{}}, from: a.h_n}}]").compile().eval()
    inputs = torch.randn(2, 7, 12), torch.randn(1, 2, 12), torch.randn(1, 2, 12)
    assert torch.equal(torch.export.export(module, inputs).module()(*inputs), module(*inputs))
    whole = torch.compile(module, backend="aot_eager")
    torch.testing.assert_close(whole(*inputs), module(*inputs))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("_, (h_n, c_n) = self.a(x, (h, c))", "_, (c_n, h_n) = self.a(x, (h, c))"),
        ("(x, (h, c))", "(x, (c, h))"),
        ("(x, (h, c))", "(x)"),
    ],
)
def test_the_proof_tells_outputs_and_states_apart(right: str, wrong: str) -> None:
    graph = network(f"[{{own_lstm: 12, {STATES}, name: a}}, {{concat: 2, from: [a.h_n, a.c_n]}}]").graph
    source = to_source(graph)
    assert right in source
    with pytest.raises(NetspecError, match="NS402"):
        prove_module(graph, source.replace(right, wrong))


def test_brackets_open_where_a_line_is_too_long() -> None:
    names = [letter * 30 for letter in "abc"]
    targets = nested(f"{names[0]}, ({names[1]}, {names[2]})")
    assert unpacked(targets, "f(x)", 0) == ["(", f"    {names[0]},", f"    ({names[1]}, {names[2]}),", ") = f(x)"]


@pytest.mark.parametrize("unpack", ["{0}, ({1})", "{0}, {2}, {1}", "{0}", "{0}, [{1}, {2}]", "{0}, ({1}, {2}", "a{0}"])
def test_a_pattern_without_each_output_in_order_is_refused(unpack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def layer(self: OwnLstm, x: Tensor) -> Layer:
        return Layer("nn.LSTM", {"input_size": 5, "hidden_size": 6}, unpack=unpack)

    monkeypatch.setattr(OwnLstm, "torch", layer)
    with pytest.raises(NetspecError, match="`torch` gives an `unpack` of 3 outputs"):
        check_op(OwnLstm)
