"""The contract of every op's rule for ONNX: the nodes that it writes compute what torch does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netspec import Builder, Graph, NetspecError
from netspec.dims import Dim, symbol
from netspec.ops.base import REGISTRY, Elementwise, Op, RuleError
from netspec.types import Call, OnnxWriter, Tensor
from tests.support.contract import OPSETS, Case, each_case, each_op, inferred, op_of, with_open_batch
from tests.support.lazy import lazy_imports

with lazy_imports():
    import torch

    from netspec.backends.onnx import lower as lowering
    from netspec.backends.onnx.lower import lower
    from tests.ops.onnx_models import (
        at,
        by_torch,
        check,
        expressible,
        graph_of,
        model_for,
        opened,
        random,
        reference,
        runtime,
        same,
        taken,
    )

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:torch.nn.modules.conv", "ignore::UserWarning:torch.utils._device"
)

each_opset = pytest.mark.parametrize("opset", OPSETS)


@pytest.fixture(autouse=True)
def same_numbers(one_thread: None) -> None:
    torch.manual_seed(0)


def beyond_reference(op: Any) -> bool:
    """What onnx's own evaluator computes wrongly (1.23).

    LRN: it goes over as many channels as there are samples. ConvTranspose: it can't reshape groups of channels.
    GlobalMaxPool: it takes the largest of (N, C, H, W) alone. Recurrent ops: it does not read the lengths, and has no
    ReLU. MaxRoiPool: it has none.
    """
    if op.opname == "roi_pool":
        return True
    if op.family == "recurrent":
        return getattr(op, "lengths", False) or getattr(op, "nonlinearity", "") == "relu"
    if op.opname.startswith("conv_transpose"):
        return op.groups > 1
    if op.opname in ("adaptive_max_pool1d", "adaptive_max_pool3d"):
        return set(op.output_size) == {1}
    return op.opname == "local_response_norm" and op.size % 2 and op.norm_region == "across_channels"


def test_all_opsets_are_tried() -> None:
    assert lowering.OPSETS == OPSETS


@each_op
def test_every_op_has_a_rule(cls: type[Op]) -> None:
    assert cls.onnx is not Op.onnx


@each_opset
@each_case
def test_onnx_is_torch(case: Case, opset: int, tmp_path: Path) -> None:
    graph, right = graph_of(case.op, case.inputs), by_torch(case.op, case.inputs)
    model = model_for(graph, right.weights, tmp_path, opset)
    check(model, graph)
    values = taken(case.op, case.inputs)
    same(runtime(model)(values), right(*values))
    if beyond_reference(case.op):
        with pytest.raises((AssertionError, RuntimeError, ValueError)):
            same(reference(model)(values), right(*values))
    else:
        same(reference(model)(values), right(*values))


@each_opset
@each_case
def test_one_model_is_for_every_size(case: Case, opset: int, tmp_path: Path) -> None:
    """With an open batch, and open sizes where the op can have them, one model runs at several of each."""
    right, ran = by_torch(case.op, case.inputs), 0
    batch = case.inputs[0].shape[0]
    open_batch, open_length = (
        tuple([opening(x, batch) for x in case.inputs]) for opening in (with_open_batch, with_open_length)
    )
    for xs in (tuple(map(opened, case.inputs)), open_length, open_batch):
        if isinstance(inferred(case.op, xs), RuleError):
            continue
        graph = graph_of(case.op, xs)
        if not expressible(graph):
            continue
        model = model_for(graph, right.weights, tmp_path, opset)
        check(model, graph)
        run = runtime(model)
        for sizes in several(case, xs):
            numbers = tuple(at(x, sizes) for x in xs)
            if not isinstance(inferred(case.op, numbers), RuleError):
                values = taken(case.op, numbers)
                same(run(values), right(*values))
                ran += 1
    assert ran > 1


def with_open_length(x: Tensor, batch: Dim) -> Tensor:
    """(N, length, features) with an open batch and length; other types with an open batch."""
    if x.rank != 3 or x.shape[0] != batch:
        return with_open_batch(x, batch)
    return Tensor((symbol("N"), symbol(f"L_{x.shape[1]}"), x.shape[2]), x.dtype)


def several(case: Case, xs: tuple[Tensor, ...]) -> Iterator[dict[str, Dim]]:
    """The sizes of the example, and larger ones."""
    pairs = [pair for x, own in zip(xs, case.inputs, strict=True) for pair in zip(x.shape, own.shape, strict=True)]
    for more in (0, 1, 2, 4, 6, 12):
        yield {str(open): size + more for open, size in pairs if not isinstance(open, int)}


# Dtypes.

MAP = (2, 3, 5, 6)


@pytest.mark.parametrize("dtype", ["int64", "int32", "bool"])
@pytest.mark.parametrize(
    ("name", "count", "attributes"),
    [
        ("relu", 1, {}),
        ("relu6", 1, {}),
        ("add", 2, {}),
        ("add", 3, {}),
        ("multiply", 3, {}),
        ("concat", 2, {}),
        ("max_pool2d", 1, {"kernel_size": 3, "padding": 1, "stride": 2, "ceil_mode": True}),
        ("max_pool2d", 1, {"kernel_size": 2, "dilation": 2}),
        ("pad", 1, {"padding": [1, 2, 0, 1], "value": 1}),
        ("flatten", 1, {}),
        ("permute", 1, {"dims": [0, 2, 3, 1]}),
        ("select", 1, {"dim": 1, "index": -1}),
        ("narrow", 1, {"dim": 2, "start": 1, "length": 3}),
        ("unflatten", 1, {"dim": 3, "unflattened_size": [2, -1]}),
        ("identity", 1, {}),
        ("subtract", 2, {}),
        ("sum", 1, {"dim": [2, 3]}),
        ("amax", 1, {"dim": [2, 3], "keepdim": True}),
        ("amin", 1, {"dim": 1}),
        ("parameter", 1, {"shape": [4]}),
    ],
)
def test_integers(name: str, count: int, attributes: dict[str, Any], dtype: str, tmp_path: Path) -> None:
    op, xs = op_of(REGISTRY[name], attributes), (Tensor(MAP, dtype),) * count
    if isinstance(inferred(op, xs), RuleError):
        assert dtype == "bool"
        return
    graph, right, values = graph_of(op, xs), by_torch(op, xs), random(xs)
    model = model_for(graph, right.weights, tmp_path, OPSETS[0])
    check(model, graph)
    same(runtime(model)(values), right(*values))


@pytest.mark.parametrize("name", ["linear", "batch_norm", "layer_norm", "max_pool2d"])
def test_weights_are_as_wide_as_inputs(name: str, tmp_path: Path) -> None:
    sample = REGISTRY[name].examples[0]
    op, xs = op_of(REGISTRY[name], sample.attributes), tuple(Tensor(x.shape, "float64") for x in sample.types)
    graph, right, values = graph_of(op, xs), by_torch(op, xs), random(xs)
    model = model_for(graph, right.weights, tmp_path, OPSETS[0])
    check(model, graph)
    same(runtime(model)(values), right(*values))


# Names.


def test_weights_go_by_their_keys_and_values_by_their_paths() -> None:
    b = Builder("two")
    x = b.input("image", ["N", 3, 8, 8])
    with b.scope("stem"):
        x = b.add("conv2d", x, name="conv", out_channels=4, kernel_size=3)
        x = b.add("dropout", x, name="drop")
    y = b.add("parameter", x, name="token", shape=[4])
    b.output("map", x)
    b.output("token_out", y)
    lowered = lower(b.build())
    assert list(lowered.weights) == ["stem.conv.weight", "stem.conv.bias", "token"]
    assert [n.name for n in lowered.nodes] == ["/stem/conv/Conv", "/token/Shape", "/token/Concat", "/token/Expand"]
    assert [o.name for o in lowered.outputs] == ["map", "token_out"]
    assert lowered.nodes[0].output == ["map"]


def test_shared_weights_are_there_once(tmp_path: Path) -> None:
    b = Builder("shared")
    x = b.input("x0", ["N", 4])
    linear = op_of(REGISTRY["linear"], {"out_features": 4})
    x = b.node("one", linear, (x,))
    b.output("y", b.node("two", linear, (x,), weights_of="one"))
    graph = b.build()
    weights = {"one.weight": torch.randn(4, 4), "one.bias": torch.randn(4)}
    model = model_for(graph, weights, tmp_path, OPSETS[0])
    assert [tensor.name for tensor in model.graph.initializer] == ["one.weight", "one.bias"]
    value = torch.randn(2, 4)
    once = torch.nn.functional.linear(value, *weights.values())
    same(runtime(model)([value]), (torch.nn.functional.linear(once, *weights.values()).numpy(),))


# What has no form in ONNX.


def refused(graph: Graph) -> tuple[str, str]:
    """The code of the one error that lowering gives, and what it says."""
    with pytest.raises(NetspecError) as caught:
        lower(graph)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code, diagnostic.message


@pytest.mark.parametrize(
    ("name", "attributes", "shape", "message"),
    [
        ("adaptive_avg_pool2d", {"output_size": 7}, [2, 3, "H", "W"], "no adaptive pool of a map of H to 7"),
        ("adaptive_max_pool2d", {"output_size": [1, 7]}, [2, 3, 8, "W"], "no adaptive pool of a map of W to 7"),
        ("interpolate", {"size": 7, "mode": "area"}, [2, 3, 8, "W"], "no adaptive pool of a map of W to 7"),
        ("interpolate", {"scale_factor": 1.1, "mode": "bicubic"}, [1, 2, 5, 5], "no `bicubic` by 1.1 from 5 x 5 to"),
    ],
)
def test_what_onnx_can_not_say(name: str, attributes: dict[str, Any], shape: list[Any], message: str) -> None:
    b = Builder("one")
    b.output("y", b.add(name, b.input("x", shape), name="node", **attributes))
    code, said = refused(b.build())
    assert code == "NS401"
    assert said.startswith("node: ")
    assert message in said


def test_bfloat16_is_refused() -> None:
    b = Builder("one")
    b.output("y", b.add("relu", b.input("x", ["N", 3], dtype="bfloat16")))
    assert refused(b.build()) == ("NS401", "input `x` is bfloat16, which ONNX has no convolutions of")


def test_names_that_meet_are_refused() -> None:
    b = Builder("one")
    x = b.input("x", ["N", 3])
    b.output("token", b.add("concat", b.add("parameter", x, name="token", shape=[3]), x))
    code, said = refused(b.build())
    assert code == "NS401"
    assert "output `token` has the name of a weight" in said


@pytest.fixture
def own_ops() -> Iterator[None]:
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.mark.usefixtures("own_ops")
@pytest.mark.parametrize(
    ("rule", "code", "message"),
    [
        (None, "NS401", "node: `halve` has no rule for ONNX"),
        (lambda _, g, x: g.Halve(x), "NS401", "node: there is no op `Halve` in opset 21 of ONNX"),
        (lambda _, g, x: g.Swish(x), "NS401", "node: there is no op `Swish` in opset 21 of ONNX"),
        (lambda _, g, x: g.Mul(x, 1 // 0), "NS218", "node: op `halve` has a fault: ZeroDivisionError: "),
        (lambda _, g, x: (g.Relu(x), x), "NS218", "node: op `halve` has a fault: ValueError: "),
        (lambda _, g, x: g.weight("none"), "NS218", "node: op `halve` has a fault: "),
    ],
)
def test_ops_of_ones_own(rule: Any, code: str, message: str) -> None:
    class Halve(Elementwise, name="halve"):
        def torch(self, x: Tensor) -> Call:
            return Call("torch.neg")

        if rule is not None:

            def onnx(self, g: OnnxWriter, x: str) -> Any:
                return rule(self, g, x)

    b = Builder("one")
    b.output("y", b.add(Halve(), b.input("x", ["N", 3]), name="node"))
    found, said = refused(b.build())
    assert found == code
    assert said.startswith(message)
