"""One op as an ONNX model, with random weights and inputs, and who runs it: torch, ONNX Runtime, onnx itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx.reference import ReferenceEvaluator

from netspec import Builder, Graph, NetspecError
from netspec.backends.onnx.lower import lower
from netspec.backends.onnx.write import model_of, write_model
from netspec.dims import Dim, substitute, symbol
from netspec.types import Layer, Tensor
from tests.support.contract import flat
from tests.support.contract import random as positive
from tests.support.printed import made as module
from tests.support.printed import meaning, state

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-5


def graph_of(op: Any, xs: tuple[Tensor, ...]) -> Graph:
    """A graph of one node, `node`, on inputs `x0`, `x1`, ..., with an output for each that it has."""
    builder = Builder("one")
    inputs = [builder.input(f"x{n}", x.shape, x.dtype) for n, x in enumerate(xs)]
    builder.add(op, *inputs, name="node")
    for n, (value, _) in enumerate(builder.nodes[0].values()):
        builder.output(f"y{n}", value)
    return builder.build()


@dataclass(frozen=True)
class ByTorch:
    """What `op.torch` describes, with random weights."""

    function: Callable[..., Any]
    weights: Mapping[str, torch.Tensor]
    """By their keys in the graph of one node."""

    def __call__(self, *values: torch.Tensor) -> tuple[Array, ...]:
        with torch.no_grad():
            return tuple([y.detach().numpy() for y in flat(self.function(*values))])


def by_torch(op: Any, xs: tuple[Tensor, ...]) -> ByTorch:
    form = op.torch(*xs)
    built = module(form) if isinstance(form, Layer) else None
    weights = state(built) if built is not None else {}
    if built is not None and xs[0].dtype == "float64":
        built.double()
        weights = state(built)
    for name, weight in weights.items():
        if weight.is_floating_point():
            # Variances are positive.
            torch.nn.init.uniform_(weight, 0.2 if name.endswith("var") else -1.0, 1.5)
    return ByTorch(meaning(form, built), {f"node.{name}" if name else "node": w for name, w in weights.items()})


def expressible(graph: Graph) -> bool:
    """Whether ONNX has a form for a graph; if not, its error says so."""
    try:
        lower(graph)
    except NetspecError as error:
        if [diagnostic.code for diagnostic in error.diagnostics] != ["NS401"]:
            raise
        return False
    return True


def model_for(graph: Graph, weights: Mapping[str, torch.Tensor], folder: Path, opset: int) -> onnx.ModelProto:
    """The model of a graph, from the file that it is written to."""
    lowered = lower(graph, opset)
    path = folder / "one.onnx"
    write_model(
        model_of(lowered, "one", opset, {}),
        lowered.weights,
        lambda key: lowered.array(key, lambda own: weights[own].numpy()),
        path,
        None,
        "data",
    )
    return onnx.load(path)


def check(model: onnx.ModelProto, graph: Graph) -> None:
    """The checker takes the model, and infers the shapes that netspec has."""
    onnx.checker.check_model(model, full_check=True)
    used = {name for node in model.graph.node for name in node.input}
    assert {tensor.name for tensor in model.graph.initializer} <= used
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True)
    for output, given in zip(inferred.graph.output, graph.outputs, strict=True):
        type = graph.types[given.value]
        assert onnx.helper.tensor_dtype_to_np_dtype(output.type.tensor_type.elem_type) == np.dtype(type.dtype)
        dims = output.type.tensor_type.shape.dim
        assert len(dims) == type.rank
        for dim, size in zip(dims, type.shape, strict=True):
            assert not dim.HasField("dim_value") or dim.dim_value == size
            # Behind Shape ops it may not know what netspec knows; it never knows otherwise.
            assert not dim.dim_param or dim.dim_param == str(size) or dim.dim_param.startswith("unk")


def runtime(model: onnx.ModelProto) -> Callable[[list[torch.Tensor]], list[Array]]:
    """ONNX Runtime on the CPU, for inputs `x0`, `x1`, ..."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda values: session.run(None, feeds(values))


def reference(model: onnx.ModelProto) -> Callable[[list[torch.Tensor]], list[Array]]:
    """The evaluator that comes with onnx."""
    evaluator = ReferenceEvaluator(model)
    return lambda values: evaluator.run(None, feeds(values))


def feeds(values: list[torch.Tensor]) -> dict[str, Array]:
    return {f"x{n}": value.numpy() for n, value in enumerate(values)}


def same(found: list[Array], expected: tuple[Array, ...]) -> None:
    """Both are equal, but for rounding."""
    for y, right in zip(found, expected, strict=True):
        assert y.shape == right.shape
        assert y.dtype == right.dtype
        if right.dtype.kind == "f":
            most = float(np.abs(right).max(initial=0.0))
            np.testing.assert_allclose(y, right, rtol=TOLERANCE, atol=TOLERANCE * max(1.0, most))
        else:
            np.testing.assert_array_equal(y, right)


def random(xs: tuple[Tensor, ...]) -> list[torch.Tensor]:
    """Values of both signs, integers too."""
    values: list[torch.Tensor] = []
    for x in xs:
        dtype = getattr(torch, x.dtype)
        wide = torch.randn(x.shape, dtype=torch.float64) * 3
        values.append(wide > 0 if dtype == torch.bool else wide.to(dtype))
    return values


def taken(op: Any, xs: tuple[Tensor, ...]) -> list[torch.Tensor]:
    """Values that an op takes: floats of both signs, integers from 1 to 3, which are indices, labels or lengths.

    Regions are of any of the images, and some of them reach beyond it.
    """
    counts = positive(xs)
    values = [value if x.dtype.startswith("float") else n for x, value, n in zip(xs, random(xs), counts, strict=True)]
    if op.regions is not None:
        count = len(values[op.regions])
        images, _, height, width = next(value.shape for value in values if value.ndim == 4)
        numbers = torch.randint(images, (count, 1))
        corners = (torch.rand(count, 2, 2) * 2 - 0.5) * torch.tensor([width, height])
        values[op.regions] = torch.cat([numbers, corners.sort(1).values.flatten(1)], 1).to(values[op.regions].dtype)
    return values


def opened(x: Tensor) -> Tensor:
    """A type whose batch and spatial axes are symbols, equal sizes of one axis being one symbol."""
    spatial = (symbol(f"S{axis}_{size}") for axis, size in enumerate(x.spatial))
    return Tensor((symbol("N"), *x.shape[1:2], *spatial), x.dtype)


def at(x: Tensor, sizes: dict[str, Dim]) -> Tensor:
    return Tensor(tuple(substitute(dim, sizes) for dim in x.shape), x.dtype)
