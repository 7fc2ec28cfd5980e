"""In half precision every op computes in the floats that it says, and says those in which it is right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from netspec import Builder, Graph, NetspecError
from netspec.ops.base import REGISTRY, Elementwise, Op, example
from netspec.ops.check import check_op
from netspec.ops.fields import Positive
from netspec.ops.linear import Linear
from netspec.types import Code, Layer, OnnxWriter, Precision, Reach, Tensor, Weight
from tests.support.contract import Case, each_case, each_op, named_op
from tests.support.lazy import lazy_imports

with lazy_imports():
    import onnx
    import torch
    from onnx.reference import ReferenceEvaluator

    from netspec.backends.onnx.lower import OPSETS, lower
    from netspec.backends.onnx.write import model_of, write_model
    from tests.ops.onnx_models import by_torch, graph_of, runtime, taken

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:torch.nn.modules.conv", "ignore::UserWarning:torch.utils._device"
)

HALF_ERROR = 1e-2
"""The share of the largest output by which an op may be wrong in half precision; one beyond it needs float32."""


def half_model(graph: Graph, weights: Any, folder: Path) -> onnx.ModelProto:
    """The model of a graph in half precision, checked, with the types of its values."""
    lowered = lower(graph, OPSETS[-1], half=True)
    path = folder / "half.onnx"

    def get(key: str) -> Any:
        array = lowered.array(key, lambda own: weights[own].numpy())
        return array.astype(lowered.weights[key].dtype)

    write_model(model_of(lowered, "half", OPSETS[-1], {}), lowered.weights, get, path, None, "data")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    return model


def dtypes(model: onnx.ModelProto) -> dict[str, str]:
    """The dtypes of all values of a model that nodes give, as onnx infers them."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True)
    names = {number: name.lower() for name, number in onnx.TensorProto.DataType.items()}
    return {info.name: names[info.type.tensor_type.elem_type] for info in inferred.graph.value_info}


def run(model: onnx.ModelProto, **values: Any) -> list[Any]:
    """The outputs of a model on inputs by name, each node computed in the dtype that it has.

    On CPUs ONNX Runtime computes in float32, and drops the casts between.
    """
    return list(ReferenceEvaluator(model).run(None, values))


@each_op
def test_every_op_says_its_precision(cls: type[Op]) -> None:
    assert any("precision" in vars(base) for base in cls.__mro__ if base is not Op)


@each_case
def test_an_op_is_right_in_half_precision(case: Case, tmp_path: Path) -> None:
    torch.manual_seed(0)
    graph, right = graph_of(case.op, case.inputs), by_torch(case.op, case.inputs)
    values = taken(case.op, case.inputs)
    found = runtime(half_model(graph, right.weights, tmp_path))(values)
    for y, wanted in zip(found, right(*values), strict=True):
        assert y.dtype == wanted.dtype
        assert np.abs(y - wanted).max(initial=0) <= HALF_ERROR * np.abs(wanted).max(initial=0)


# Ops of one's own.


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


def offset_op(said: Precision | None) -> Op:
    """An op that says its precision, or nothing: the distance from 2048, from where on float16 has integers alone."""

    class Offset(Elementwise, name="offset"):
        """x - 2048, as a position in a large image is told from a corner of a box."""

        if said is not None:
            precision = said

        def torch(self, x: Tensor) -> Code:
            return Code("{0} - 2048.0", (), "")

        def onnx(self, g: OnnxWriter, x: str) -> str:
            return g.Sub(x, g.constant(2048.0, "like"))

    return Offset()


def worst(op: Op, folder: Path) -> float:
    """The largest error of `offset_op` in a model of half precision."""
    right = torch.arange(24.0).reshape(2, 12) / 8
    (found,) = run(half_model(graph_of(op, (Tensor((2, 12)),)), {}, folder), x0=(2048 + right).numpy())
    return float(np.abs(found - right.numpy()).max())


def test_an_op_that_needs_float32_gets_it(tmp_path: Path) -> None:
    assert worst(offset_op("half"), tmp_path) > 0.5
    assert worst(offset_op("float32"), tmp_path) == 0


def test_an_op_that_says_nothing_stays_in_float32(tmp_path: Path) -> None:
    assert worst(offset_op(None), tmp_path) == 0


def between(*steps: str) -> Graph:
    """A convolution, steps, and another one: `offset` needs float32."""
    builder = Builder("one")
    x = builder.add("conv2d", builder.input("x", ["N", 3, 8, 8]), name="before", out_channels=4, kernel_size=1)
    for number, step in enumerate(steps):
        x = builder.add(offset_op("float32") if step == "offset" else step, x, name=f"{step}_{number}")
    builder.output("y", builder.add("conv2d", x, name="after", out_channels=4, kernel_size=1))
    return builder.build()


def test_only_what_needs_it_is_float32(tmp_path: Path) -> None:
    graph = between("relu", "offset", "relu")
    weights = {key: torch.ones(weight.shape) for key, weight in graph.state().items()}
    model = half_model(graph, weights, tmp_path)
    casts = [(node.name, node.input[0], node.output[0]) for node in model.graph.node if node.op_type == "Cast"]
    assert casts == [
        ("/x/Cast", "x", "x/float16"),
        ("/relu_0/Cast_float32", "relu_0", "relu_0/float32"),
        ("/offset_1/Cast_float16", "offset_1", "offset_1/float16"),
        ("/y/Cast", "after", "y"),
    ]
    values = dtypes(model)
    assert {name: values[name] for name in ("before", "relu_0", "offset_1", "relu_2", "after")} == {
        "before": "float16",
        "relu_0": "float16",
        "offset_1": "float",
        "relu_2": "float16",
        "after": "float16",
    }
    assert {tensor.data_type for tensor in model.graph.initializer if tensor.name in weights} == {10}


def test_ops_that_move_values_between_such_ops_are_float32(tmp_path: Path) -> None:
    graph = between("relu", "identity", "offset", "identity", "offset", "relu")
    weights = {key: torch.ones(weight.shape) for key, weight in graph.state().items()}
    model = half_model(graph, weights, tmp_path)
    casts = [node.name for node in model.graph.node if node.op_type == "Cast"]
    assert casts == ["/x/Cast", "/relu_0/Cast_float32", "/offset_4/Cast_float16", "/y/Cast"]


def test_an_input_that_is_read_in_float32_alone_is_not_cast(tmp_path: Path) -> None:
    builder = Builder("one")
    moved = builder.add("flatten", builder.input("boxes", ["N", 4, 3]))
    builder.output("y", builder.add(offset_op("float32"), moved))
    model = half_model(builder.build(), {}, tmp_path)
    assert [node.op_type for node in model.graph.node if node.op_type == "Cast"] == []
    x = np.arange(12.0, dtype="float32").reshape(1, 4, 3) * 100 + 0.125
    (found,) = run(model, boxes=x)
    np.testing.assert_array_equal(found, x.reshape(1, 12) - 2048)


class Embedding(Op, name="embedding_of_mine", principal="features"):
    """A learned vector for each of ten words: integers are read, and floats are given."""

    features: Positive

    precision = "half"
    examples = (example((2, 5), features=4),)

    def infer(self, x: Tensor) -> Tensor:
        return Tensor((*x.shape, self.features))

    def weights(self, x: Tensor) -> tuple[Weight, ...]:
        return (Weight("weight", (10, self.features)),)

    def macs(self, y: Tensor, x: Tensor) -> int:
        return 0

    def window(self, x: Tensor) -> Reach:
        return Reach.POINT

    def torch(self, x: Tensor) -> Layer:
        return Layer("nn.Embedding", {"num_embeddings": 10, "embedding_dim": self.features}, positional=2)

    def onnx(self, g: OnnxWriter, x: str) -> str:
        return g.Gather(g.weight("weight"), x, axis=0)


del REGISTRY["embedding_of_mine"]


def test_floats_that_are_read_by_integers_are_half(tmp_path: Path) -> None:
    """Its weights and its output are as wide as other floats, and not as its input, which is none."""
    builder = Builder("words")
    words = builder.input("words", ["N", 5], dtype="int64")
    x = builder.add(Embedding(features=4), words, name="embedding")
    y = builder.add("linear", builder.input("x", ["N", 5, 3]), name="linear", out_features=4)
    builder.output("sum", builder.add("add", x, y))
    graph = builder.build()
    weights = {key: torch.arange(float(w.size)).reshape(w.shape) / 8 for key, w in graph.state().items()}
    model = half_model(graph, weights, tmp_path)
    assert {tensor.data_type for tensor in model.graph.initializer} == {onnx.TensorProto.FLOAT16}
    values = {"words": torch.tensor([[1, 0, 9, 3, 3]]), "x": torch.ones(1, 5, 3)}
    (found,) = run(model, **{name: value.numpy() for name, value in values.items()})
    right = torch.nn.functional.embedding(values["words"], weights["embedding.weight"])
    right += torch.nn.functional.linear(values["x"], weights["linear.weight"], weights["linear.bias"])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, right.numpy(), rtol=1e-3)


def test_weights_that_a_node_in_float32_shares(tmp_path: Path) -> None:
    class Wide(Linear, name="wide"):
        """A linear layer in float32."""

        precision = "float32"

    builder = Builder("shared")
    x = builder.add("linear", builder.input("x", ["N", 4]), name="narrow", out_features=4)
    builder.output("y", builder.add(Wide(out_features=4), x, name="wide", weights_of="narrow"))
    graph = builder.build()
    weights = {
        key: torch.eye(*w.shape) if len(w.shape) == 2 else torch.zeros(w.shape) for key, w in graph.state().items()
    }
    model = half_model(graph, weights, tmp_path)
    assert dtypes(model)["narrow.weight/float32"] == "float"
    x = np.arange(8.0, dtype="float32").reshape(2, 4)
    np.testing.assert_array_equal(run(model, x=x)[0], x)


def test_squares_that_half_precision_lacks(tmp_path: Path) -> None:
    """A root mean square norm squares 300, which is infinite in float16, in float32."""
    graph = graph_of(named_op("rms_norm"), (Tensor((2, 8)),))
    model = half_model(graph, {"node.weight": torch.ones(8)}, tmp_path)
    (y,) = run(model, x0=np.full((2, 8), 300, dtype="float32"))
    np.testing.assert_allclose(y, 1, rtol=1e-3)


def test_squares_of_a_response_norm_within_each_map(tmp_path: Path) -> None:
    """300 squared is infinite in float16, and 300 is nothing unusual behind a first convolution."""
    op = named_op("local_response_norm", size=3, alpha=5e-5, norm_region="within_channel")
    graph, x = graph_of(op, (Tensor((1, 2, 4, 4)),)), np.full((1, 2, 4, 4), 300, dtype="float32")
    (y,) = run(half_model(graph, {}, tmp_path), x0=x)
    (right,) = by_torch(op, (Tensor(x.shape),))(torch.from_numpy(x))
    np.testing.assert_allclose(y, right, rtol=1e-2)


def test_no_other_precision() -> None:
    class Wrong(Elementwise, name="wrong"):
        """Half of a half."""

        precision: ClassVar[Any] = "quarter"
        examples = (example((2, 3)),)

        def torch(self, x: Tensor) -> Code:
            return Code("{0}", (), "")

    with pytest.raises(NetspecError, match=r"NS218.*`precision` gives 'half' or 'float32' or 'either'"):
        check_op(Wrong)
