"""Stochastic depth: torchvision's numbers in training, and its input in inference, so that no exported model has it."""

from __future__ import annotations

import pytest

import netspec
from tests.support.contract import named_op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

    from tests.support.printed import made

pytestmark = pytest.mark.usefixtures("one_thread")

SPEC = """
netspec: 1
name: deep
inputs: {image: [N, 4, 6, 6]}
blocks:
  block:
    params: {width: int, drop: float}
    body:
      - add:
          branches:
            residual:
              - conv2d: {out_channels: width, kernel_size: 3, padding: 1}
              - stochastic_depth: drop
            shortcut: []
network:
  - {block: {width: 4, drop: "0.2 * index / 2"}, repeat: 3, name: blocks}
"""


@pytest.mark.parametrize("mode", ["row", "batch"])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(64,), (32, 3), (16, 2, 5, 4)], ids=str)
def test_training_drops_and_scales_what_torchvision_does(mode: str, p: float, shape: tuple[int, ...]) -> None:
    torchvision = pytest.importorskip("torchvision")
    op, x = named_op("stochastic_depth", p=p, mode=mode), torch.randn(shape)
    ours = made(op.torch(netspec.types.Tensor(shape))).train()
    theirs = torchvision.ops.StochasticDepth(p, mode)
    for seed in range(8):
        torch.manual_seed(seed)
        y = ours(x)
        torch.manual_seed(seed)
        assert torch.equal(y, theirs(x))
    assert ours.eval()(x) is x


def test_its_gradient_is_torchvisions() -> None:
    torchvision = pytest.importorskip("torchvision")
    op, x = named_op("stochastic_depth", p=0.4), torch.randn(16, 3, 2, requires_grad=True)
    grads = []
    for module in (
        made(op.torch(netspec.types.Tensor((16, 3, 2)))).train(),
        torchvision.ops.StochasticDepth(0.4, "row"),
    ):
        torch.manual_seed(3)
        grads += torch.autograd.grad(module(x).square().sum(), x)
    assert torch.equal(*grads)


def test_it_takes_its_probability_from_the_block() -> None:
    source = netspec.loads(SPEC).to_source()
    assert source.count("class StochasticDepth(nn.Module):") == source.count("class Block(nn.Module):") == 1
    assert "stochastic_depth=StochasticDepth(drop)" in source


def test_an_exported_model_lacks_it() -> None:
    graph = netspec.loads(SPEC).graph
    stripped = netspec.strip_dropout(graph)
    assert stripped.done == ("3 dropouts dropped",)
    assert not [node for node in stripped.graph.nodes if node.op.opname == "stochastic_depth"]


def test_torch_exports_and_compiles_it() -> None:
    module, x = netspec.loads(SPEC).compile(), torch.randn(3, 4, 6, 6)
    program = torch.export.export(module.eval(), (x,))
    torch.testing.assert_close(program.module()(x), module(x))
    module.train()
    y = torch.compile(module, fullgraph=True, backend="aot_eager")(x)
    assert y.shape == x.shape


@pytest.mark.parametrize(
    ("argument", "code", "message"),
    [
        ("{}", "NS205", "`stochastic_depth` needs `p`"),
        ("1.5", "NS206", "`p` takes a probability"),
        ("{p: 0.1, mode: 3}", "NS206", "`mode` takes `row` or `batch`"),
    ],
)
def test_misuse(argument: str, code: str, message: str) -> None:
    with pytest.raises(netspec.NetspecError) as error:
        netspec.loads(SPEC.replace("stochastic_depth: drop", f"stochastic_depth: {argument}"))
    assert [d.code for d in error.value.diagnostics[:1]] == [code]
    assert message in error.value.diagnostics[0].message


def test_integers_are_refused() -> None:
    text = "netspec: 1\nname: n\ninputs: {x: {shape: [N, 3], dtype: int64}}\nnetwork: [stochastic_depth: 0.1]\n"
    with pytest.raises(netspec.NetspecError, match="`stochastic_depth` takes floats, and its input is int64"):
        netspec.loads(text)


def test_what_has_no_axis_has_no_samples_to_drop() -> None:
    spec = "netspec: 1\nname: net\ninputs: {x: [N]}\nnetwork: [{select: {dim: 0, index: 0}}, {stochastic_depth: 0.2}]\n"
    with pytest.raises(netspec.NetspecError, match=r"takes \(N, \.\.\.\), and its input has no axis"):
        netspec.loads(spec)
