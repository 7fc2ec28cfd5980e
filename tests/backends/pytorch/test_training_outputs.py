"""Outputs of training only: there in training, absent in evaluation, their weights held by both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import netspec
from netspec.graph.walk import live_nodes
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch import Tensor, nn

    from netspec.backends.pytorch.runtime.prove import prove_module
    from tests.support.interpret import interpret

AUX = """\
netspec: 1
name: aux
title: A network with two auxiliary heads
params: {classes: 10}
inputs: {image: [N, 3, 32, 32]}
blocks:
  conv:
    params: {width: int}
    body: [{conv2d: {out_channels: width, kernel_size: 3, padding: 1}}, relu]
  head:
    body:
      - avg_pool2d: {kernel_size: 5, stride: 3}
      - flatten
      - {linear: classes, name: fc}
network:
  - {conv: 8, name: a}
  - max_pool2d: 2
  - {conv: 16, name: b}
  - {head, name: head1, from: a}
  - {head, name: head2, from: b}
  - {conv: 16, name: c, from: b}
  - adaptive_avg_pool2d: 1
  - flatten
  - {linear: classes, name: fc}
outputs:
  aux1: {from: head1, mode: train}
  logits: fc
  aux2: {from: head2, mode: train}
"""


@pytest.fixture(scope="module")
def net() -> netspec.Network:
    return netspec.loads(AUX)


def test_the_source_reads_well(net: netspec.Network, tmp_path: Path) -> None:
    source = net.to_source()
    forward = source[source.index("    def forward(self, image") :]
    assert (
        forward
        == """\
    def forward(self, image: Tensor) -> Tensor | AuxOutput:
        a = self.a(image)
        x = self.max_pool2d(a)
        b = self.b(x)
        x = self.c(b)
        x = self.adaptive_avg_pool2d(x)
        x = self.flatten(x)
        x = self.fc(x)
        if self.training:
            head1 = self.head1(a)
            head2 = self.head2(b)
            return AuxOutput(x, head1, head2)
        return x
"""
    )
    assert "    logits: Tensor\n    aux1: Tensor | None = None\n    aux2: Tensor | None = None\n" in source
    (tmp_path / "aux.py").write_text(source)
    for command in (["check"], ["format", "--check"]):
        line = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", "-q", str(tmp_path)]
        assert subprocess.run(line, capture_output=True, check=False).returncode == 0


def test_what_the_module_gives(net: netspec.Network) -> None:
    module = net.compile()
    x = torch.randn(2, 3, 32, 32)
    state = module.state_dict()
    assert set(state) == set(net.graph.state())
    # The graph's outputs by an interpreter that shares nothing with the source, in the order the spec has them.
    values = dict(zip([o.name for o in net.graph.outputs], interpret(net.graph, state, x), strict=True))
    module.eval()
    alone = module(x)
    assert isinstance(alone, Tensor)
    torch.testing.assert_close(alone, values["logits"])
    module.train()  # no layer of it does otherwise in training
    given = module(x)
    assert given._fields == ("logits", "aux1", "aux2")
    for name, value in given._asdict().items():
        torch.testing.assert_close(value, values[name])
    sum(value.sum() for value in given).backward()
    assert all(p.grad is not None for p in module.parameters())


def test_the_proof_covers_both(net: netspec.Network) -> None:
    said = prove_module(net.graph, net.to_source())
    assert "logits (2, 10), aux1 (2, 10) in training, aux2 (2, 10) in training, numbers equal" in said
    wrong = net.to_source().replace("AuxOutput(x, head1, head2)", "AuxOutput(x, head1, x[:, :3])")
    with pytest.raises(netspec.NetspecError, match=r"NS402: output `aux2` is \(2, 3\)"):
        prove_module(net.graph, wrong)


def test_torch_features(net: netspec.Network) -> None:
    module = net.compile().eval()
    x = torch.randn(2, 3, 32, 32)
    program = torch.export.export(module, (x,))
    torch.testing.assert_close(program.module()(x), module(x))
    names = [node.name for node in program.graph.nodes if node.op == "call_function"]
    assert len(names) < 20
    module.train()
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    for one, other in zip(compiled(x), module(x), strict=True):
        torch.testing.assert_close(one, other)


def test_summaries(net: netspec.Network) -> None:
    module = net.compile()
    heads = sum(p.numel() for n, p in module.named_parameters() if n.startswith("head"))
    everything = sum(p.numel() for p in module.parameters())
    inference, training = net.summary()["totals"], net.summary("train")["totals"]
    assert training["parameters"] == everything == training["parameters_training"]
    assert inference["parameters"] == everything - heads
    assert inference["parameters_training"] == everything
    assert training["macs"] > inference["macs"]
    assert list(net.summary()["outputs"]) == ["logits"]
    assert list(net.summary("train")["outputs"]) == ["aux1", "logits", "aux2"]
    assert not any(node.path.startswith("head") for node in live_nodes(net.graph, "inference"))
    assert net.memory("train")["totals"]["parameters"] == 4 * everything
    assert net.memory()["totals"]["parameters"] == 4 * (everything - heads)


def test_claims(net: netspec.Network) -> None:
    totals = [net.summary(mode)["totals"]["parameters"] for mode in ("inference", "train")]
    claims = f"expect: {{parameters: {totals[0]}, train: {{parameters: {totals[1]}}}}}\n"
    assert netspec.loads(AUX + claims).check_expectations() == (2, [])
    wrong = netspec.loads(AUX + f"expect: {{train: {{parameters: {totals[0]}}}}}\n").check_expectations()[1]
    assert [d.code for d in wrong] == ["NS216"]


FORMS = {
    "a value that inference has too": ("outputs: {y: last, features: {from: first, mode: train}}", 2),
    "the same value": ("outputs: {y: last, again: {from: last, mode: train}}", 2),
    "two outputs in both": ("outputs: {y: last, z: first, t: {from: side, mode: train}}", 3),
    "a repeat for training": ("outputs: {y: last, t: {from: many, mode: train}}", 2),
}
BODY = """\
netspec: 1
name: forms
inputs: {image: [N, 3, 8, 8]}
network:
  - {conv2d: {out_channels: 4, kernel_size: 1}, name: first}
  - {add: {branches: {a: [conv2d: {out_channels: 4, kernel_size: 1}], b: []}}, name: side, from: first}
  - {conv2d: {out_channels: 4, kernel_size: 1}, repeat: 2, name: many, from: first}
  - {sigmoid, name: last, from: first}
"""


@pytest.mark.parametrize("form", FORMS)
def test_other_forms(form: str, tmp_path: Path) -> None:
    outputs, count = FORMS[form]
    net = netspec.loads(BODY + outputs)
    module: nn.Module = net.compile()
    x = torch.randn(2, 3, 8, 8)
    values = interpret(net.graph, module.state_dict(), x)
    inference = sum(o.mode == "inference" for o in net.graph.outputs)
    given = module.train()(x)
    assert len(given) == count
    for one, other in zip(given, values, strict=True):
        torch.testing.assert_close(one, other)
    alone = module.eval()(x)
    if inference == 1:
        torch.testing.assert_close(alone, values[0])
    else:
        assert alone[inference:] == (None,) * (count - inference)
        for one, other in zip(alone[:inference], values, strict=False):
            torch.testing.assert_close(one, other)
    (tmp_path / "forms.py").write_text(net.to_source())
    for command in (["check"], ["format", "--check"]):
        line = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", "-q", str(tmp_path)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + net.to_source()
