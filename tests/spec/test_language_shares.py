"""Rules of the language: steps that use the weights of steps of another kind, or with other arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

import netspec
from netspec.network import Network
from tests.support.lazy import lazy_imports
from tests.support.round_trip import round_trip

with lazy_imports():
    import onnx
    import torch

    from netspec.backends.pytorch.runtime.prove import prove_module
    from tests.support.interpret import assert_means

HEAD = "netspec: 1\nname: net\ninputs: {image: [N, 4, 12, 12]}\n"
CONV = "conv2d: {out_channels: 4, kernel_size: 3, padding: 1%s}"
DECONVNET = """
  - {conv2d: {out_channels: 6, kernel_size: 3, stride: 2, padding: 1}, name: conv1}
  - relu
  - {conv_transpose2d: {out_channels: 4, kernel_size: 3, stride: 2, padding: 1, bias: false}, share: conv1}
"""
BLOCK = f"blocks: {{b: {{params: {{d: int}}, body: [{{{CONV % ', dilation: d'}, name: c}}, relu]}}}}\n"


def network(steps: str, more: str = "") -> Network:
    return netspec.loads(f"{HEAD}{more}network:{steps}")


def owners(net: Network) -> dict[str, str]:
    """Whose weights each node with weights uses."""
    return {node.path: node.weights_of for node in net.graph if net.graph.weights(node)}


def listed(*steps: str) -> str:
    return "".join(f"\n  - {{{step}}}" for step in steps)


PRINTED: dict[str, tuple[str, str, int]] = {
    "a transposed convolution": (
        DECONVNET,
        "conv_transpose2d(self.relu(x), self.conv1.weight, stride=2, padding=1)",
        2,
    ),
    "another dilation": (
        listed(f"{CONV % ''}, name: a", f"{CONV % ', dilation: 2'}, share: a"),
        "conv2d(self.a(image), self.a.weight, self.a.bias, padding=1, dilation=2)",
        2,
    ),
    "the owner of an owner": (
        listed(f"{CONV % ''}, name: a", f"{CONV % ', stride: 2'}, name: b, share: a", f"{CONV % ''}, share: b"),
        "self.a(x)",
        2,
    ),
    "copies of one": (
        listed(f"{CONV % ''}, name: a", f"{CONV % ', dilation: 1 + index'}, share: a, repeat: 2", "relu: {}"),
        "self.a(self.a(image))\n x = nn.functional.conv2d(x, self.a.weight, self.a.bias, padding=1, dilation=2)",
        2,
    ),
    "copies one by one": (
        listed(f"{CONV % ''}, name: a, repeat: 2", f"{CONV % ', dilation: 2'}, share: a, repeat: 2"),
        "conv2d(x, self.a[1].weight, self.a[1].bias, padding=1, dilation=2)",
        4,
    ),
    "a norm over other axes": (
        listed("batch_norm: {}, name: n", "flatten: {start_dim: 2}", "batch_norm: {eps: 0.1}, share: n"),
        "training=self.n.training,eps=0.1",
        5,
    ),
}


@pytest.mark.parametrize("name", PRINTED)
def test_weights_of_another_kind(name: str, tmp_path: Path) -> None:
    steps, printed, count = PRINTED[name]
    net = network(steps)
    assert len(net.graph.state()) == count
    source = netspec.to_source(net.graph)
    assert "".join(printed.split()) in "".join(source.split())
    prove_module(net.graph, source)
    module = netspec.compile(net.graph)
    assert_means(net.graph, module)
    round_trip(net.graph)
    path = tmp_path / "net.onnx"
    netspec.loads(f"{HEAD}network:{steps}").to_onnx(path)
    weights = [i for i in onnx.load(path).graph.initializer if i.name in module.state_dict()]
    assert len({i.name for i in weights}) == len(weights)


def test_what_is_said_of_it() -> None:
    net = network(DECONVNET)
    assert owners(net) == {"conv1": "conv1", "conv_transpose2d": "conv1"}
    assert net.summary()["totals"]["parameters"] == 4 * 6 * 9 + 6
    assert "weights of conv1" in net.diagram().dot
    assert "with the weights of `conv1`" in str(net.explain("conv_transpose2d"))
    other = network(DECONVNET.replace(", share: conv1", ""))
    assert net.graph.hash() != other.graph.hash()
    assert "weights of conv1 -> its own" in str(netspec.diff(net, other))
    assert netspec.diff(net, network(DECONVNET)).same


@pytest.mark.parametrize("repeat", ["", ", repeat: 2"])
def test_a_block_with_other_arguments(repeat: str, tmp_path: Path) -> None:
    net = network(listed("b: 1, name: p", "b: 2, name: q, share: p" + repeat), BLOCK)
    assert {*owners(net).values()} == {"p.c"}
    assert net.graph.scopes["q"].weights_of == "p"
    round_trip(net.graph)
    net.to_onnx(tmp_path / "net.onnx")
    names = [i.name for i in onnx.load(tmp_path / "net.onnx").graph.initializer]
    assert sorted(name for name in names if name in net.graph.state()) == ["p.c.bias", "p.c.weight"]
    with pytest.raises(netspec.NetspecError, match="NS401: `q` is no second call of `p`"):
        netspec.to_source(net.graph)


def test_steps_of_a_body_parameter_that_differ() -> None:
    blocks = "blocks: {b: {params: {inner: body}, body: [inner, relu]}}\n"
    steps = listed(f"b: {{inner: [{{{CONV % ''}}}]}}, name: p", f"b: {{inner: [tanh, {{{CONV % ''}}}]}}, share: p")
    net = network(steps, blocks)
    assert owners(net) == {"p.inner.conv2d": "p.inner.conv2d", "b.inner.conv2d": "p.inner.conv2d"}
    round_trip(net.graph)


def test_two_blocks_whose_steps_correspond() -> None:
    """A stage and the stage that undoes it: what has no weights may differ."""
    blocks = (
        "blocks:\n  down: {body: [{conv2d: {out_channels: 6, kernel_size: 3}, name: c}, relu]}\n"
        "  up: {body: [{conv_transpose2d: {out_channels: 4, kernel_size: 3, bias: false}, name: c}]}\n"
    )
    net = network(listed("down: {}, name: first", "up: {}, name: last, share: first"), blocks)
    assert owners(net) == {"first.c": "first.c", "last.c": "first.c"}
    assert round_trip(net.graph).scopes["last"].weights_of == "first"


def test_a_block_that_does_less_is_no_second_call() -> None:
    """All its ops are those of the other, which goes on with a step without weights."""
    blocks = (
        f"blocks: {{long: {{body: [{{{CONV % ''}, name: c}}, relu]}}, short: {{body: [{{{CONV % ''}, name: c}}]}}}}\n"
    )
    net = network(listed("long: {}, name: first", "short: {}, name: last, share: first"), blocks)
    round_trip(net.graph)
    with pytest.raises(netspec.NetspecError, match="NS401: `last` is no second call of `first`"):
        netspec.to_source(net.graph)


def test_networks_that_are_steps(tmp_path: Path) -> None:
    """A file's network with other parameters has the weights of the first use, where they fit."""
    (tmp_path / "inner.yaml").write_text(
        "netspec: 1\nname: inner\nparams: {d: 1}\ninputs: {image: [N, 4, H, W]}\n"
        f"network: [{{{CONV % ', dilation: d'}, name: c}}]\n"
    )
    path = tmp_path / "outer.yaml"
    path.write_text(
        HEAD
        + "network:"
        + listed("network: inner.yaml, name: p", "network: {spec: inner.yaml, params: {d: 2}}, share: p")
    )
    net = netspec.load(path)
    assert owners(net) == {"p.c": "p.c", "network.c": "p.c"}


def test_an_owner_that_training_alone_needs() -> None:
    steps = listed(f"{CONV % ''}, name: a, from: image", f"{CONV % ', stride: 2'}, name: b, from: image, share: a")
    net = network(f"{steps}\noutputs: {{y: b, z: {{from: a, mode: train}}}}")
    prove_module(net.graph, net.to_source())
    module = net.compile()
    assert [tuple(y.shape) for y in module.train()(torch.zeros(1, 4, 12, 12))] == [(1, 4, 6, 6), (1, 4, 12, 12)]
    assert module.eval()(torch.zeros(1, 4, 12, 12)).shape == (1, 4, 6, 6)
    round_trip(net.graph)


def test_what_is_left_out_shares_nothing() -> None:
    steps = listed(f"{CONV % ''}, name: a, when: false", f"{CONV % ', stride: 2'}, share: a, when: false", "relu: {}")
    assert owners(network(steps)) == {}


def test_training_moves_the_weights_of_both() -> None:
    module = network(DECONVNET).compile()
    module(torch.randn(2, 4, 12, 12)).sum().backward()
    assert [name for name, weight in module.named_parameters() if weight.grad is not None] == [
        "conv1.weight",
        "conv1.bias",
    ]
