"""A generated module is an ordinary one: all that torch can do with a module, it can do with these."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

import netspec
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    import torchvision
    from torch import nn

    from tests.support.interpret import example_inputs, outputs_of, randomize

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # torch's own, of torch 2.15 on Python 3.11.
    pytest.mark.filterwarnings(r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated.*:FutureWarning"),
]

SMALL = """
netspec: 1
name: small
params: {classes: 5}
inputs: {image: [N, 3, 16, 16]}
blocks:
  basic:
    params: {width: int, stride: 1}
    body:
      - add:
          branches:
            residual:
              - {conv2d: {out_channels: width, kernel_size: 3, stride: stride, padding: 1, bias: false}}
              - batch_norm
              - relu
              - {conv2d: {out_channels: width, kernel_size: 3, padding: 1, bias: false}}
              - batch_norm
            shortcut:
              - conv2d: {out_channels: width, kernel_size: 1, stride: stride}
                when: stride != 1 or input.channels != width
      - relu
network:
  - {basic: 8, name: a}
  - {basic: {width: 8, stride: 2}, repeat: 2, name: b}
  - {adaptive_avg_pool2d: 1}
  - flatten
  - {dropout: 0.5, name: drop}
  - {linear: classes, name: fc}
"""

SEVERAL = """
netspec: 1
name: several
inputs: {left: [N, 3, 8, 8], right: [N, 3, 8, 8]}
blocks:
  unit:
    params: {width: int, n: 1, joined: true}
    body:
      - {conv2d: {out_channels: width, kernel_size: 1}, name: stem}
      - add: {branches: {a: [{conv2d: {out_channels: width, kernel_size: 3, padding: 1}}], b: [{tanh, from: stem}]}}
        repeat: n
        name: layers
      - {batch_norm, name: norm}
      - {add, from: [norm, stem], when: joined}
network:
  - {add, from: [left, right], name: sum}
  - {unit: {width: 4, n: 2}, name: first}
  - {unit: {width: 4, joined: false}, name: second}
  - {unit: {width: 4, n: 3}, name: third}
outputs: {deep: third, shallow: first}
"""


def small() -> netspec.Network:
    return netspec.loads(SMALL)


def several() -> netspec.Network:
    return netspec.loads(SEVERAL)


def resnet18() -> netspec.Network:
    return netspec.load("resnet18", inputs={"image": ["N", 3, 64, 64]})


NETWORKS = pytest.mark.parametrize("make", [small, several, resnet18], ids=lambda make: make.__name__)
Make = Callable[[], netspec.Network]


def prepared(make: Make) -> tuple[nn.Module, list[torch.Tensor]]:
    net = make()
    module = net.compile()
    randomize(module)
    return module.eval(), example_inputs(net.graph)


def assert_same(a: tuple[torch.Tensor, ...], b: tuple[torch.Tensor, ...], **tolerance: float) -> None:
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y, **{"rtol": 1e-4, "atol": 1e-5, **tolerance})


@NETWORKS
def test_compiles_without_a_graph_break(make: Make) -> None:
    module, inputs = prepared(make)
    wanted = outputs_of(module, inputs)
    torch._dynamo.reset()
    found = torch.compile(module, fullgraph=True, backend="aot_eager")(*inputs)
    assert_same(tuple(found) if isinstance(found, tuple) else (found,), wanted)


@NETWORKS
def test_exports(make: Make) -> None:
    module, inputs = prepared(make)
    exported = torch.export.export(module, tuple(inputs))
    assert_same(outputs_of_exported(exported, inputs), outputs_of(module, inputs))


def test_exports_with_any_batch() -> None:
    module, inputs = prepared(small)
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(module, tuple(inputs), dynamic_shapes=({0: batch},))
    more = [torch.cat([value, value, value]) for value in inputs]
    assert_same(outputs_of_exported(exported, more), outputs_of(module, more))


def outputs_of_exported(exported: Any, inputs: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        found = exported.module()(*inputs)
    return tuple(found) if isinstance(found, tuple) else (found,)


@NETWORKS
def test_builds_on_the_meta_device(make: Make) -> None:
    module, inputs = prepared(make)
    with torch.device("meta"):
        empty = make().compile()
    assert all(value.is_meta for value in empty.state_dict().values())
    with torch.no_grad():
        shapes = empty.eval()(*[value.to("meta") for value in inputs])
    for a, b in zip(shapes if isinstance(shapes, tuple) else (shapes,), outputs_of(module, inputs), strict=True):
        assert a.shape == b.shape
    empty.load_state_dict(module.state_dict(), assign=True)
    assert_same(outputs_of(empty, inputs), outputs_of(module, inputs))


@NETWORKS
def test_state_dict_goes_round(make: Make, tmp_path: Any) -> None:
    module, inputs = prepared(make)
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    other = make().compile(weights=tmp_path / "weights.pt")
    assert_same(outputs_of(other, inputs), outputs_of(module, inputs), rtol=0, atol=0)


@NETWORKS
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies(make: Make, copied: Callable[[nn.Module], nn.Module]) -> None:
    module, inputs = prepared(make)
    other = copied(module)
    assert_same(outputs_of(other, inputs), outputs_of(module, inputs), rtol=0, atol=0)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert any(parameter.any() for parameter in module.parameters())


@NETWORKS
@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_other_dtypes(make: Make, dtype: str) -> None:
    kind = getattr(torch, dtype)
    module, inputs = prepared(make)
    wanted = outputs_of(module, inputs)
    found = outputs_of(module.to(kind), [value.to(kind) for value in inputs])
    assert all(value.dtype == kind for value in found)
    for a, b in zip(found, wanted, strict=True):
        rough = 1e-3 if kind == torch.float64 else 0.1
        assert (a.float() - b).abs().max() <= rough * b.abs().max()


@NETWORKS
def test_learns(make: Make) -> None:
    torch.manual_seed(0)
    net = make()
    module = net.compile().train()
    inputs = example_inputs(net.graph, batch=4)
    before = {name: value.clone() for name, value in module.named_parameters()}
    optimiser = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)
    losses: list[float] = []
    for _ in range(6):
        torch.manual_seed(1)
        found = module(*inputs)
        results = found if isinstance(found, tuple) else (found,)
        loss = sum((value - 1).square().mean() for value in results)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    # A bias that batch norm takes away again has no gradient but rounding.
    assert all((value != before[name]).any() for name, value in module.named_parameters() if value.dim() > 1)


def test_modes_differ_by_dropout_and_statistics() -> None:
    module, inputs = prepared(small)
    assert isinstance(module.drop, nn.Dropout)
    torch.manual_seed(0)
    assert torch.equal(module(*inputs), module(*inputs))
    module.train()
    assert not torch.equal(module(*inputs), module(*inputs))
    module.drop.eval()
    trained = module(*inputs)
    assert int(module.a.residual.batch_norm.num_batches_tracked) == 3
    assert not torch.allclose(trained, module.eval()(*inputs))


def test_gradients_under_checkpointing_and_autocast() -> None:
    module, inputs = prepared(small)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert module(*inputs).dtype == torch.bfloat16
    found = torch.utils.checkpoint.checkpoint(module, *inputs, use_reentrant=False)
    found.sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


# Equal to torchvision's networks


def op_list(module: nn.Module, *inputs: torch.Tensor) -> list[str]:
    """The ops that run, as torch.export gives them: equal lists run equally fast."""
    program = torch.export.export(module.eval(), inputs).run_decompositions({})
    return [str(node.target) for node in program.graph.nodes if node.op == "call_function"]


@pytest.mark.parametrize(
    ("name", "theirs"), [("vgg_a", "vgg11"), ("vgg_b", "vgg13"), ("vgg_d", "vgg16"), ("vgg_e", "vgg19")]
)
def test_vgg_is_torchvisions(name: str, theirs: str) -> None:
    with torch.device("meta"):
        reference = torchvision.models.get_model(theirs)
        net = netspec.load(name)
        module = net.compile()
    image = torch.empty(1, 3, 224, 224, device="meta")
    ours = op_list(module, image)
    pool = "aten.adaptive_avg_pool2d.default"
    wanted = op_list(reference, image)
    # At 224 x 224 torchvision's adaptive pool to 7 x 7 takes 7 x 7 as it is.
    assert wanted.count(pool) == 1
    wanted.remove(pool)
    assert ours == wanted
    assert [v.shape for v in module.state_dict().values()] == [v.shape for v in reference.state_dict().values()]


def test_vgg_gives_torchvisions_numbers() -> None:
    reference = torchvision.models.vgg11(init_weights=False)
    randomize(reference)
    net = netspec.load("vgg_a")
    module = net.compile(weights=dict(zip(net.graph.state(), reference.state_dict().values(), strict=True)))
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    assert_same(outputs_of(module, [image]), outputs_of(reference, [image]))


NAMES = {
    "conv1": "residual.conv_bn.conv2d",
    "bn1": "residual.conv_bn.batch_norm",
    "conv2": "residual.conv_bn_2.conv2d",
    "bn2": "residual.conv_bn_2.batch_norm",
    "conv3": "residual.conv_bn_3.conv2d",
    "bn3": "residual.conv_bn_3.batch_norm",
    "downsample.0": "shortcut.conv_bn.conv2d",
    "downsample.1": "shortcut.conv_bn.batch_norm",
}


def renamed(key: str) -> str:
    """A key of torchvision's ResNets as ours."""
    found = re.match(r"(layer\d\.\d+)\.(conv\d|bn\d|downsample\.\d)\.(.*)", key)
    if found:
        return f"{found[1]}.{NAMES[found[2]]}.{found[3]}"
    return key.replace("conv1.", "stem.conv2d.").replace("bn1.", "stem.batch_norm.")


@pytest.mark.parametrize(
    ("name", "params"), [("resnet18", {}), ("resnet50", {"stride_in_3x3": True})], ids=["resnet18", "resnet50"]
)
def test_resnet_is_torchvisions(name: str, params: dict[str, Any]) -> None:
    reference = torchvision.models.get_model(name)
    randomize(reference)
    net = netspec.load(name, params=params)
    module = net.compile(weights={renamed(key): value for key, value in reference.state_dict().items()})
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    assert_same(outputs_of(module, [image]), outputs_of(reference, [image]))
    assert op_list(module, image) == op_list(reference, image)


@pytest.mark.parametrize(("name", "params"), [("resnet34", {}), ("resnet152", {"stride_in_3x3": True})])
def test_deep_resnets_run_the_same_ops(name: str, params: dict[str, Any]) -> None:
    with torch.device("meta"):
        reference = torchvision.models.get_model(name)
        module = netspec.load(name, params=params).compile()
    image = torch.empty(1, 3, 224, 224, device="meta")
    assert op_list(module, image) == op_list(reference, image)
