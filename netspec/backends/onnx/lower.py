"""A graph as ONNX nodes, op by op, with readable names; weights are named and not yet there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from netspec.backends.onnx.narrow import HALF, Array, Narrowing, TooLarge, is_coarse, need_in_range
from netspec.dims import Dim
from netspec.errors import choices, fail
from netspec.graph.infer import located
from netspec.graph.model import Graph, Node, Output
from netspec.graph.rebuild import Editor, rebuild
from netspec.graph.walk import live_nodes
from netspec.ops.base import RuleError, is_float
from netspec.ops.check import said
from netspec.types import Tensor, Weight

IR_VERSION = 10
OPSETS = (20, 21)
"""What ONNX Runtime's CUDA provider and TensorRT run whole; opset 22 has no CUDA kernel of MaxPool there."""


@dataclass(slots=True)
class Lowered:
    """ONNX nodes of a graph in inference, with the weights they name and the constants they have."""

    nodes: list[onnx.NodeProto]
    weights: dict[str, Weight]
    """By their keys in the state dict; they are the initializers."""
    constants: list[onnx.TensorProto]
    inputs: list[onnx.ValueInfoProto]
    outputs: list[onnx.ValueInfoProto]
    values: list[onnx.ValueInfoProto] = field(default_factory=list[onnx.ValueInfoProto])
    sums: dict[str, float] = field(default_factory=dict[str, float])
    """By the keys of weights, what is added to them: half precision must keep the sums."""
    narrow: Narrowing = field(default_factory=Narrowing)
    """What constants have lost in half precision, and weights are going to lose."""


def lower(graph: Graph, opset: int = OPSETS[-1], *, half: bool = False) -> Lowered:
    """The nodes of a graph that its outputs in inference need.

    A node is called after its path and its ONNX op, `/layer1/0/conv1/Conv`, and the value it gives after the path.
    With `half`, what is in between is float16, and inputs and outputs are what they are. Raises NetspecError NS401 at
    the place of an op that has no form in ONNX.
    """
    return _Lowering(_halved(graph) if half else graph, graph, opset).run()


def _halved(graph: Graph) -> Graph:
    """The graph on inputs of float16 for float32: all else follows."""
    halves = [
        replace(i, type=Tensor(i.type.shape, "float16")) if i.type.dtype == "float32" else i for i in graph.inputs
    ]
    return rebuild(replace(graph, inputs=tuple(halves)), Editor.keep)


class _Lowering:
    """The writer that the rules of ops get, on one node after another."""

    def __init__(self, graph: Graph, outside: Graph, opset: int) -> None:
        self.opset = opset
        self.graph = graph
        self.outside = outside
        """The graph as others see it: its inputs and outputs may have other dtypes."""
        self.outputs = [o for o in graph.outputs if o.mode == "inference"]
        self.named = {o.name for o in self.outputs} | {i.name for i in graph.inputs}
        """The names that inputs and outputs have."""
        self.need_names()
        self.taken = self.named | graph.state().keys()
        """Those, and what weights are called: a parameter has the name of its step."""
        self.names: dict[str, str] = {i.name: i.name for i in graph.inputs}
        """What the graph's values are called."""
        self.types: dict[str, Tensor] = {i.name: i.type for i in graph.inputs}
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, Weight] = {}
        self.constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}
        """By what they are."""
        self.coarse: dict[str, float] = {}
        """The constants that their dtype is too coarse to multiply with, and what they are."""
        self.sums: dict[str, float] = {}
        self.narrow = Narrowing()
        self.node: Node
        self.counts: dict[str, int] = {}

    def run(self) -> Lowered:
        for inner, i in zip(self.graph.inputs, self.outside.inputs, strict=True):
            if inner.type.dtype != i.type.dtype:
                self.names[i.name] = f"{i.name}/{inner.type.dtype}"
                self.cast(i.name, self.names[i.name], i.name, inner.type)
        for node in live_nodes(self.graph, "inference"):
            self.lower(node)
        made = {value for node in self.nodes for value in node.output}
        for o in self.outputs:
            self.give(o, made)
        values = [_value(n, t) for n, t in self.types.items() if n in made and n not in self.named]
        return Lowered(
            self.nodes,
            self.weights,
            list(self.constants.values()),
            [_value(i.name, i.type) for i in self.outside.inputs],
            [_value(o.name, self.outside.types[o.value]) for o in self.outputs],
            values,
            self.sums,
            self.narrow,
        )

    def need_names(self) -> None:
        """Refuse what ONNX has no names or numbers for."""
        inputs, weights = {i.name for i in self.graph.inputs}, self.graph.state().keys()
        for i in self.graph.inputs:
            if i.type.dtype not in ONNX_DTYPES:
                help = f"{choices(list(ONNX_DTYPES)[:3])} can be exported"
                fail(
                    "NS401", f"input `{i.name}` is {i.type.dtype}, which ONNX has no convolutions of", i.span, help=help
                )
        for o in self.outputs:
            other = "an input" if o.name in inputs else "a weight" if o.name in weights else ""
            if other:
                message = f"output `{o.name}` has the name of {other}, and in ONNX both are values"
                fail("NS401", message, o.span, help="give the output another name in `outputs`")

    def lower(self, node: Node) -> None:
        """Add a node of the graph: its rule says what it is in ONNX."""
        self.node, before = node, len(self.nodes)
        self.counts = {}
        try:
            given = node.op.onnx(self, *[self.names[value] for value in node.inputs])  # pyright: ignore[reportArgumentType]
            given = given if isinstance(given, tuple) else (given,)
            outputs = list(zip(node.values(), given, strict=True))
        except RuleError as error:
            raise located(error, node.path, node.span) from None
        except Exception as error:
            if type(node.op).__module__.startswith("netspec."):
                raise
            fault = RuleError(f"op `{node.op.opname}` has a fault: {said(error)}", code="NS218")
            raise located(fault, node.path, node.span) from None
        for (value, inferred), made in outputs:
            name = value.replace(":", "/")
            own = any(made in other.output for other in self.nodes[before:])
            if own and made not in self.types:
                name = name if name not in self.taken else f"{name}/{node.op.opname}"
                self.rename(made, name, before)
                self.types[name] = inferred
            self.names[value] = name if own else made

    def rename(self, old: str, new: str, since: int) -> None:
        """Call a value otherwise, in the nodes since some number."""
        for node in self.nodes[since:]:
            for names in (node.input, node.output):
                for place, name in enumerate(names):
                    if name == old:
                        names[place] = new

    def give(self, o: Output, made: set[str]) -> None:
        """Let a value be called as the output that it is; what is an input, or two outputs, is copied."""
        name = self.names[o.value]
        type = self.outside.types[o.value]
        if type.dtype != self.graph.types[o.value].dtype:
            self.cast(name, o.name, o.name, type)
        elif name in made and name not in self.named:
            self.rename(name, o.name, 0)
            self.names = {value: o.name if other == name else other for value, other in self.names.items()}
            self.types.pop(name, None)
            made.discard(name)
        else:
            self.nodes.append(helper.make_node("Identity", [name], [o.name], name=f"/{o.name}/Identity"))

    def cast(self, old: str, new: str, where: str, type: Tensor) -> None:
        """Add a cast of what is outside to what is inside, or back."""
        dtype = ONNX_DTYPES[type.dtype]
        self.nodes.append(helper.make_node("Cast", [old], [new], name=f"/{where}/Cast", to=dtype))
        if new not in self.named:
            self.types[new] = type

    # What follows is what rules call: see `netspec.types.OnnxWriter`.

    def type(self, value: str) -> Tensor:
        """The type of a value that enters the rule."""
        place = [self.names[each] for each in self.node.inputs].index(value)
        return self.graph.types[self.node.inputs[place]]

    def weight(self, name: str, plus: float = 0.0) -> str:
        """A weight of the op, by its name in the rule `weights`; floats are as wide as those of the op's input."""
        found = {w.name: w for w in self.graph.weights(self.node)}[name]
        x = self.graph.types[self.node.inputs[0]]
        key = found.key(self.node.weights_of)
        self.weights[key] = replace(found, dtype=x.dtype) if found.dtype == "float32" and is_float(x) else found
        if plus:
            self.sums[key] = plus
        return key

    def constant(self, value: Any, dtype: str = "int64", shape: tuple[int, ...] | None = None) -> str:
        """A constant, once for all nodes that need it."""
        if dtype == "like":
            dtype = self.graph.types[self.node.inputs[0]].dtype
        wide = "float64" if dtype.startswith("float") else dtype
        given = np.asarray(value, wide) if shape is None else np.full(shape, value, wide)
        try:
            array = self.narrow.narrow(given, dtype, self.node.path)
        except TooLarge as error:
            raise self.out_of_range(error, value) from None
        key = (dtype, array.shape, array.tobytes())
        if key not in self.constants:
            name = f"constant/{dtype}/{_shown(array) or len(self.constants)}"
            self.constants[key] = numpy_helper.from_array(array, name)
        name = self.constants[key].name
        if is_coarse(given, array):
            self.coarse[name] = float(given.flat[0])
        return name

    def out_of_range(self, error: TooLarge, value: Any) -> RuleError:
        """Why a number can't stand in the model: by the attribute that it is, where it is one."""
        op = self.node.op
        names = [f"`{name}` is" for name in type(op).model_fields if getattr(op, name) == value]
        return RuleError(f"{(names or [f'`{op.opname}` needs'])[0]} {error}", code="NS401", help=error.help)

    def __getattr__(self, op_type: str) -> Callable[..., Any]:
        if not op_type[:1].isupper():
            raise AttributeError(op_type)

        def add(*inputs: str, outputs: int = 1, **attributes: Any) -> Any:
            if not onnx.defs.has(op_type, self.opset):
                raise RuleError(f"there is no op `{op_type}` in opset {self.opset} of ONNX", code="NS401")
            number = self.counts[op_type] = self.counts.get(op_type, 0) + 1
            name = f"/{self.node.path.replace('.', '/')}/{op_type}{'' if number == 1 else f'_{number}'}"
            made = [f"{name}:{k}" if outputs > 1 else f"{name}:output" for k in range(outputs)]
            kept = {key: value for key, value in attributes.items() if value is not None}
            self.need_in_range(op_type, inputs, kept)
            node = helper.make_node(op_type, inputs, made, name=name, **kept)
            helper.set_metadata_props(node, self.origin())
            self.nodes.append(node)
            return made[0] if outputs == 1 else tuple(made)

        return add

    def need_in_range(self, op_type: str, inputs: Sequence[str], attributes: Mapping[str, Any]) -> None:
        """Refuse numbers of a node that its dtype can't hold, and factors that it is too coarse for."""
        half = self.graph.types[self.node.inputs[0]].dtype == HALF
        for value in attributes.values():
            if isinstance(value, float):
                try:
                    need_in_range(value, half)
                except TooLarge as error:
                    raise self.out_of_range(error, value) from None
        for factor in inputs if op_type in ("Mul", "Div") else ():
            if factor in self.coarse:
                bits, help = ("half precision", "leave --fp16 out") if half else ("float32", "")
                what = f"{bits} is too coarse for {self.coarse[factor]:.3g}, a factor of `{self.node.op.opname}`"
                raise RuleError(what, code="NS401", help=help)

    def origin(self) -> dict[str, str]:
        """Where a node comes from."""
        found = {"netspec.path": self.node.path, "netspec.op": self.node.op.opname}
        if self.node.span is not None:
            # Where the file lies on this machine is no one else's matter.
            found["netspec.at"] = self.node.span.place.replace("\\", "/").rpartition("/")[2]
        return found


ONNX_DTYPES = {
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "float16": TensorProto.FLOAT16,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
    "bool": TensorProto.BOOL,
}


def _shown(array: Array) -> str:
    """A constant in a few words, `2/0,-1` or `3x64/1.0`; nothing where it has many elements that differ."""
    elements = [str(element) for element in array.flatten().tolist()]
    if len(elements) > 8 and len(set(elements)) > 1:
        return ""
    return (
        f"{'x'.join(map(str, array.shape)) or 'one'}/{','.join(elements if len(set(elements)) > 1 else elements[:1])}"
    )


def _value(name: str, type: Tensor) -> onnx.ValueInfoProto:
    shape: Sequence[int | str] = [_dim(size) for size in type.shape]
    return helper.make_tensor_value_info(name, ONNX_DTYPES[type.dtype], shape)


def _dim(size: Dim) -> int | str:
    return size if isinstance(size, int) else str(size)
