"""The way back through a network: unpooling, one kept channel, and transposed convolutions to the size of a map."""

from __future__ import annotations

from pathlib import Path

import pytest

import netspec
from netspec.dims import symbol
from netspec.ops.base import RuleError
from netspec.types import Tensor
from tests.support.contract import named_op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch.nn import functional

    from tests.ops.onnx_models import by_torch, graph_of, model_for, runtime, same

INDICES = Tensor((2, 3, 4, 4), "int64")
MAP = Tensor((2, 3, 4, 4))

BACK = """
netspec: 1
name: back
inputs: {image: {shape: [N, 2, H, W], nominal: {H: 17, W: 20}}, feature: {shape: [N], dtype: int64}}
network:
  - {conv2d: {out_channels: 4, kernel_size: 3, stride: 2, padding: 1}, from: image, name: conv}
  - {relu, name: act}
  - {max_pool2d_with_indices: {kernel_size: 3, stride: 2}, name: pool}
  - {keep_channel: true, from: [pool, feature], name: kept}
  - {unpool, from: [kept, pool.indices, act], name: unpooled}
  - {relu, name: rectified}
  - conv_transpose2d: {out_channels: 2, kernel_size: 3, stride: 2, padding: 1, bias: false}
    from: [rectified, image]
    share: conv
    name: pixels
outputs: {pixels: pixels}
"""


@pytest.mark.parametrize(
    "options", [{"kernel_size": 3, "stride": 2}, {"kernel_size": 2}, {"kernel_size": 3, "padding": 1}]
)
def test_unpool_is_the_gradient_of_the_pool(options: dict[str, int]) -> None:
    """Where windows overlap, too: torch's max_unpool2d keeps one of the values there."""
    torch.manual_seed(0)
    pool, unpool = named_op("max_pool2d_with_indices", **options), named_op("unpool")
    x = torch.randn(2, 3, 9, 8, requires_grad=True)
    y, indices = by_torch(pool, (Tensor((2, 3, 9, 8)),)).function(x)
    values = torch.randn_like(y)
    (gradient,) = torch.autograd.grad(y, x, values)
    types = (Tensor(tuple(y.shape)), Tensor(tuple(y.shape), "int64"), Tensor((2, 3, 9, 8)))
    assert torch.equal(by_torch(unpool, types).function(values, indices, x), gradient)


def test_the_strongest_unit_of_a_channel() -> None:
    op, xs = named_op("keep_channel", strongest=True), (Tensor((2, 3, 2, 2)), Tensor((2,), "int64"))
    x = torch.tensor([[[[1.0, 2], [3, 4]], [[5, 8], [8, 7]], [[9, 9], [9, 9]]]]).repeat(2, 1, 1, 1)
    channel = torch.tensor([1, 7])
    kept = by_torch(op, xs).function(x, channel)
    right = torch.zeros_like(x)
    right[0, 1, 0, 1] = 8  # the first of two; the second sample has no channel 7
    assert torch.equal(kept, right)


def test_back_through_a_network_of_open_sizes(tmp_path: Path) -> None:
    """The transposed convolution has the filters of the convolution, and its output the size of the image."""
    net = netspec.loads(BACK)
    assert net.summary().totals.parameters == 4 * 2 * 9 + 4
    source = net.to_source()
    assert "image, self.conv.weight, stride=(2, 2), padding=(1, 1)" in source
    module = net.compile()
    model = net.to_onnx(tmp_path / "back.onnx", module)
    assert model is not None
    session = netspec.Session(tmp_path / "back.onnx", "cpu")
    for height, width in ((17, 20), (18, 31), (24, 12)):
        image, feature = torch.randn(3, 2, height, width), torch.tensor([2, 0, 1])
        with torch.no_grad():
            pixels = module(image, feature)
            act = functional.relu(module.conv(image))
        pooled, indices = functional.max_pool2d(act, 3, 2, return_indices=True)
        kept = torch.zeros_like(pooled)
        for n, channel in enumerate(feature):
            flat = pooled[n, channel].flatten()
            kept[n, channel].view(-1)[flat.argmax()] = flat.max()
        spread = torch.zeros_like(act).flatten(2).scatter_add(2, indices.flatten(2), kept.flatten(2)).view_as(act)
        (right,) = torch.autograd.grad(
            functional.conv2d(image.requires_grad_(), module.conv.weight, stride=2, padding=1), image, spread
        )
        torch.testing.assert_close(pixels, right, rtol=1e-4, atol=1e-5)
        values = {"image": image.detach().numpy(), "feature": feature.numpy()}
        torch.testing.assert_close(torch.from_numpy(session.run(values)["pixels"]), pixels, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"stride": 3, "kernel_size": 2}, {"stride": 2, "kernel_size": 3, "padding": 1}])
@pytest.mark.parametrize("bias", [True, False])
def test_open_sizes_that_the_kernel_does_not_reach(options: dict[str, int], bias: bool, tmp_path: Path) -> None:
    """Rows that no tap reaches have the bias alone."""
    op = named_op("conv_transpose2d", out_channels=2, bias=bias, **options)
    n, g, w, h, v = map(symbol, "NGWHV")
    xs = (Tensor((n, 4, g, w)), Tensor((n, 1, h, v)))
    right = by_torch(op, (Tensor((1, 4, 3, 3)), Tensor((1, 1, 8, 9))))
    run = runtime(model_for(graph_of(op, xs), right.weights, tmp_path, 21))
    for height, width in ((3, 4), (5, 2)):
        least = [int(str(size)) for size in op.infer(Tensor((1, 4, height, width))).spatial]
        for more in range(options["stride"]):
            values = [torch.randn(2, 4, height, width), torch.zeros(2, 1, least[0] + more, least[1])]
            same(run(values), right(*values))


def refusal(name: str, *xs: Tensor, **attributes: object) -> RuleError:
    with pytest.raises(RuleError) as raised:
        named_op(name, **attributes).infer(*xs)
    return raised.value


def test_misuse() -> None:
    assert "int64 indices" in refusal("unpool", MAP, MAP, MAP).message
    assert "pool.indices" in refusal("unpool", MAP, MAP, MAP).help
    error = refusal("unpool", Tensor((2, 3, 2, 2)), INDICES, MAP)
    assert (error.code, error.message) == (
        "NS301",
        "there is an index for each value, and here 2 x 3 x 4 x 4 for 2 x 3 x 2 x 2",
    )
    assert refusal("unpool", MAP, INDICES, Tensor((1, 3, 8, 8))).code == "NS301"
    assert refusal("unpool", MAP, INDICES, Tensor((2, 3, 8))).code == "NS302"
    assert "an int64 for each of 2 samples" in refusal("keep_channel", MAP, Tensor((3,), "int64")).message
    assert refusal("keep_channel", MAP, Tensor((2,))).help.startswith("`inputs: {feature")
    up = {"out_channels": 2, "kernel_size": 3, "stride": 2}
    error = refusal("conv_transpose2d", MAP, Tensor((2, 1, 11, 9)), **up)
    assert (error.code, error.message) == (
        "NS303",
        "it gives a map of at least 9 x 9, and the second input is 2 x 1 x 11 x 9",
    )
    error = refusal("conv_transpose2d", MAP, Tensor((2, 1, 10, 9)), output_padding=1, **up)
    assert (error.at, error.help) == ("output_padding", "leave out one of them")
    assert refusal("max_pool2d_with_indices", Tensor((1, 2, 4, 4), "int64"), kernel_size=2).code == "NS302"
