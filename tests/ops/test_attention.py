"""Attention with masks: what it refuses, and that PyTorch and ONNX Runtime agree, also where nothing may be seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.dims import symbol
from netspec.ops.base import RuleError
from netspec.types import Reach, Tensor
from tests.support.contract import inferred, named_op, random, written
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from tests.ops.onnx_models import graph_of, model_for, runtime, same

pytestmark = pytest.mark.usefixtures("one_thread")
N, T = symbol("N"), symbol("T")
BOOL = "bool"


def refusal(name: str, *xs: Any, **attributes: Any) -> tuple[str, str]:
    types = tuple([x if isinstance(x, Tensor) else Tensor(x) for x in xs])
    error = inferred(named_op(name, **attributes), types)
    assert isinstance(error, RuleError)
    return error.code, error.message


Q = (2, 3, 4, 8)
SDPA = "scaled_dot_product_attention"


@pytest.mark.parametrize(
    ("xs", "attributes", "code", "message"),
    [
        ((Q, Q, Q[1:]), {}, "NS302", "query, key and value are (N, ..., length, features)"),
        ((Q[2:],) * 3, {}, "NS302", "query, key and value are (N, ..., length, features)"),
        ((Q, (2, 2, 4, 8), Q), {}, "NS301", "need one batch and number of heads"),
        ((Q, (2, 3, 4, 6), Q), {}, "NS301", "query and key need one width"),
        ((Q, Q, (2, 3, 5, 8)), {}, "NS301", "key and value need one length"),
        ((Q, (2, 3, T, 8), Q), {}, "NS305", "key and value need one length"),
        ((Q, Q, Tensor(Q, "float64")), {}, "NS302", "need one dtype"),
        ((Q, Q, Q, (2, 3, 4, 5)), {}, "NS301", "the mask of `scaled_dot_product_attention` is 2 x 3 x 4 x 4, or 1 on"),
        ((Q, Q, Q, (4,)), {}, "NS301", "the mask of"),
        ((Q, Q, Q, (5, 4)), {}, "NS301", "the mask of `scaled_dot_product_attention` is 4 x 4, or 1 on some axes"),
        ((Q, Q, Q, Tensor((4, 4), "int64")), {}, "NS302", "is bool or float32, not int64"),
        ((Q, Q, Q, (4, 4)), {"is_causal": True}, "NS304", "a mask says what a query looks at"),
    ],
)
def test_queries_keys_and_masks_that_do_not_fit(xs: Any, attributes: Any, code: str, message: str) -> None:
    found = refusal(SDPA, *xs, **attributes)
    assert (found[0], message in found[1]) == (code, True), found


X = (2, 4, 8)


@pytest.mark.parametrize(
    ("xs", "attributes", "code", "message"),
    [
        ((X, X), {}, "NS302", "takes 1 input, or query, key and value, not 2 in all"),
        ((X,), {"attn_mask": True}, "NS302", "takes 1 input, or query, key and value, then `attn_mask`, not 1 in all"),
        ((X, X, X, X, X), {"attn_mask": True}, "NS302", "then `attn_mask`, not 5 in all"),
        ((X, (4, 5)), {"attn_mask": True}, "NS301", "`attn_mask` of `multihead_attention` is 4 x 4, not 4 x 5"),
        ((X, Tensor((1, 4), BOOL)), {"key_padding_mask": True}, "NS301", "`key_padding_mask` of `multihead_attention`"),
        ((X, (2, 4)), {"key_padding_mask": True}, "NS302", "is bool, not float32"),
        (
            (X, Tensor((2, 4), BOOL), (4, 4)),
            {"key_padding_mask": True, "attn_mask": True},
            "NS302",
            "`attn_mask` of `multihead_attention` is bool, not float32",
        ),
        ((X, (4, 4)), {"attn_mask": True, "is_causal": True}, "NS304", "`attn_mask` says what a query looks at"),
        ((X, (2, 5, 8), (2, 5, 8)), {"is_causal": True}, "NS301", "`is_causal` takes as many keys as queries"),
    ],
)
def test_masks_of_heads_that_do_not_fit(xs: Any, attributes: Any, code: str, message: str) -> None:
    found = refusal("multihead_attention", *xs, num_heads=2, **attributes)
    assert (found[0], message in found[1]) == (code, True), found


def test_macs_are_those_of_both_products() -> None:
    """Torch's counter knows no product of the kernel that runs on a CPU; where it has two matrix products it agrees."""
    op, xs = named_op(SDPA, is_causal=True), (Tensor((2, 3, 5, 8)),) * 3
    counted: dict[str, float] = {}
    for device in ("cpu", "meta"):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            written(op, xs, device=device)(*random(xs, device=device))
        counted[device] = counter.get_total_flops() / 2
    assert op.macs(op.infer(*xs), *xs) == 2 * 3 * 5 * 5 * (8 + 8) == counted["meta"]
    assert counted["cpu"] == 0


def test_what_a_mask_hides_depends_on_data() -> None:
    xs = (Tensor(Q),) * 3
    assert named_op(SDPA).window(*xs, Tensor((4, 4), BOOL)) is Reach.DATA
    assert named_op(SDPA, is_causal=True).window(*xs) is Reach.VARIES
    assert not named_op(SDPA).per_sample(*xs, Tensor((4, 4), BOOL))
    assert named_op(SDPA).per_sample(*xs, Tensor((2, 1, 1, 4), BOOL))


def holds(name: str, types: tuple[Tensor, ...], values: list[torch.Tensor], folder: Path, **attributes: Any) -> None:
    """ONNX Runtime gives what torch gives on these values, with an open length."""
    op = named_op(name, **attributes)
    graph = graph_of(op, types)
    module = netspec.compile(graph).eval()
    with torch.no_grad():
        right = module.train()(*values)  # without its fast path, which gives nan where nothing may be seen
    model = model_for(graph, module.state_dict(), folder, 20)
    same(runtime(model)(values), (right.numpy(),))


def hidden(*shape: int) -> torch.Tensor:
    """A mask of random booleans whose first row is all true."""
    mask = torch.rand(shape) > 0.5
    mask[0] = True
    return mask


OPEN = Tensor((N, 3, T, 8))


@pytest.mark.parametrize("shape", [(5, 5), (2, 3, 5, 5), (2, 1, 1, 5), (1, 3, 5, 1)])
@pytest.mark.parametrize("dtype", ["bool", "float32"])
def test_masks_of_queries_and_keys(shape: tuple[int, ...], dtype: str, tmp_path: Path) -> None:
    """Also where a query may look at no key: it has zeros."""
    torch.manual_seed(0)
    mask = ~hidden(*shape) if dtype == "bool" else torch.randn(shape)
    sizes = {2: N, 3: 3, 5: T} if len(shape) == 4 else {5: T}
    types = (OPEN, OPEN, OPEN, Tensor(tuple([sizes.get(size, size) for size in shape]), dtype))
    values = [torch.randn(2, 3, 5, 8) for _ in range(3)]
    holds(SDPA, types, [*values, mask], tmp_path)


TOKENS = Tensor((N, T, 8))


@pytest.mark.parametrize("masks", [("key_padding_mask",), ("attn_mask",), ("key_padding_mask", "attn_mask")])
@pytest.mark.parametrize("inputs", [1, 3])
@pytest.mark.parametrize("is_causal", [False, True])
def test_masks_of_heads(masks: tuple[str, ...], inputs: int, is_causal: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    if is_causal and "attn_mask" in masks:
        return
    types = {"key_padding_mask": Tensor((N, T), BOOL), "attn_mask": Tensor((T, T), BOOL)}
    values = {"key_padding_mask": hidden(2, 5), "attn_mask": hidden(5, 5)}
    holds(
        "multihead_attention",
        (*(TOKENS,) * inputs, *[types[name] for name in masks]),
        [*[torch.randn(2, 5, 8) for _ in range(inputs)], *[values[name] for name in masks]],
        tmp_path,
        **dict.fromkeys(masks, True),
        num_heads=2,
        is_causal=is_causal,
    )


def test_a_float_mask_is_added(tmp_path: Path) -> None:
    torch.manual_seed(0)
    values = [torch.randn(2, 5, 8), torch.randn(5, 5)]
    holds("multihead_attention", (TOKENS, Tensor((T, T))), values, tmp_path, num_heads=2, attn_mask=True)


CAUSAL = """
netspec: 1
name: decoder
inputs: {x: [N, T, 8], padding: {shape: [N, T], dtype: bool}}
network:
  - {multihead_attention: {num_heads: 2, is_causal: true, key_padding_mask: true}, from: [x, padding], name: attention}
"""


def test_a_spec_says_which_inputs_are_masks() -> None:
    net = netspec.loads(CAUSAL)
    module = net.compile().eval()
    x, padding = torch.randn(2, 5, 8), torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    with torch.no_grad():
        y = module(x, padding)
        torch.testing.assert_close(y[1, :3], module(x[1:, :3], padding[1:, :3])[0])
        torch.testing.assert_close(y[0, :2], module(x[:1, :2], padding[:1, :2])[0])
    source = net.to_source()
    assert "key_padding_mask=padding" in source
    assert "is_causal=True" in source
    with pytest.raises(netspec.NetspecError, match="takes 1 input, or query, key and value, not 2 in all"):
        netspec.loads(CAUSAL.replace(", key_padding_mask: true", ""))


DROPPED = """
netspec: 1
name: dropped
inputs: {q: [N, 2, L, 8], k: [N, 2, S, 8]}
network:
  - {scaled_dot_product_attention: {dropout_p: 0.5}, from: [q, k, k], name: attention}
"""


def test_dropout_is_for_training_alone() -> None:
    torch.manual_seed(0)
    module = netspec.loads(DROPPED).compile()
    q, k = torch.randn(2, 2, 3, 8), torch.randn(2, 2, 4, 8)
    right = torch.nn.functional.scaled_dot_product_attention(q, k, k)
    torch.testing.assert_close(module.eval()(q, k), right)
    assert not torch.allclose(module.train()(q, k), right)
