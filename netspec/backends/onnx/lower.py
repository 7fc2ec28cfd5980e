"""Lowers a graph to ONNX nodes, op by op, with readable names. Weights are only named; `write` adds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from netspec.backends.onnx.narrow import HALF, Array, Narrowing, TooLarge, is_coarse, need_in_range
from netspec.backends.onnx.precision import float32_nodes
from netspec.backends.onnx.stacked import stack
from netspec.dims import Dim
from netspec.errors import choices, fail
from netspec.graph.infer import located
from netspec.graph.model import Graph, Node, Output
from netspec.graph.walk import live_nodes
from netspec.ops.base import RuleError, is_float
from netspec.ops.check import said
from netspec.types import Rows, Tensor, Weight

IR_VERSION = 10
FLOAT = "float32"
OPSETS = (20, 21)
"""The opsets that ONNX Runtime's CUDA provider and TensorRT fully support; opset 22 lacks a CUDA MaxPool."""


@dataclass(slots=True)
class Lowered:
    """The ONNX nodes of a graph for inference, with their constants and the weights that they refer to."""

    nodes: list[onnx.NodeProto]
    weights: dict[str, Weight]
    """The weights by their keys in the state dict, which are the names of initializers."""
    constants: list[onnx.TensorProto]
    inputs: list[onnx.ValueInfoProto]
    outputs: list[onnx.ValueInfoProto]
    values: list[onnx.ValueInfoProto] = field(default_factory=list[onnx.ValueInfoProto])
    sums: dict[str, float] = field(default_factory=dict[str, float])
    """By the key of a weight, the number that an op adds to it, such as `eps`: half precision must keep the sum."""
    stacked: dict[str, tuple[Rows, ...]] = field(default_factory=dict[str, tuple[Rows, ...]])
    """By the key of a weight that is in no state dict, the rows of those that it consists of, by their keys."""
    narrow: Narrowing = field(default_factory=Narrowing)
    """Counts numbers for which half precision is too coarse: in constants now, in weights when they are written."""

    def array(self, key: str, get: Callable[[str], Array]) -> Array:
        """The numbers of a weight; `get` returns those in the state dict by their keys."""
        return stack(get, self.stacked[key], self.weights[key].shape) if key in self.stacked else get(key)


def lower(graph: Graph, opset: int = OPSETS[-1], *, half: bool = False) -> Lowered:
    """Lower the nodes that the outputs of inference need.

    An ONNX node is named after its path and op, `/layer1/0/conv1/Conv`, and its output after the path. With `half`,
    floats are float16 between the inputs and outputs, which keep their dtypes, except around nodes that need float32.
    Raises NetspecError NS401, at the place of the step, for an op that has no form in ONNX.
    """
    return _Lowering(graph, opset, half).run()


class _Lowering:
    """Lowers one node after another. The rules `onnx` of ops get it as their `OnnxWriter`."""

    def __init__(self, graph: Graph, opset: int, half: bool) -> None:
        self.opset = opset
        self.graph = graph
        self.half = half
        self.live = live_nodes(graph, "inference")
        self.wide = float32_nodes(self.live) if half else set[str]()
        self.outputs = [o for o in graph.outputs if o.mode == "inference"]
        self.boundary = {o.name for o in self.outputs} | {i.name for i in graph.inputs}
        """The names of inputs and outputs."""
        self.check_boundary()
        self.taken = self.boundary | graph.state().keys()
        """Names that no other value can have: those of inputs, outputs and weights."""
        self.names: dict[str, str] = {i.name: i.name for i in graph.inputs}
        """By value of the graph, its name in the model."""
        self.value_types: dict[str, Tensor] = {i.name: i.type for i in graph.inputs}
        """By value of the graph, its type in the model."""
        self.types: dict[str, Tensor] = {i.name: i.type for i in graph.inputs}
        """By name in the model, its type, which is written to the model."""
        self.casts: dict[tuple[str, str], str] = {}
        """By name in the model and dtype, the name of the cast value."""
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, Weight] = {}
        self.constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}
        """The constants, by dtype, shape and bytes."""
        self.coarse: dict[str, float] = {}
        """Constants that are too inexact in their dtype to multiply with, with their exact numbers."""
        self.sums: dict[str, float] = {}
        self.rows: dict[str, tuple[Rows, ...]] = {}
        self.narrow = Narrowing()
        self.node: Node
        self.entering: list[tuple[str, Tensor]] = []
        """The names and types of the current node's inputs, as its rule gets them."""
        self.counts: dict[str, int] = {}
        """The number of ONNX nodes that the rule of the current node has added, by ONNX op."""

    def run(self) -> Lowered:
        for i in self.graph.inputs if self.half else ():
            readers = {node.path for node in self.live if i.name in node.inputs}
            if i.type.dtype == FLOAT and not (readers and readers <= self.wide):
                self.cast_to(i.name, replace(i.type, dtype=HALF), f"/{i.name}/Cast")
        for node in self.live:
            self.lower(node)
        computed = {value for node in self.nodes for value in node.output}
        for o in self.outputs:
            self.name_output(o, computed)
        values = [_value(n, t) for n, t in self.types.items() if n in computed and n not in self.boundary]
        return Lowered(
            self.nodes,
            self.weights,
            list(self.constants.values()),
            [_value(i.name, i.type) for i in self.graph.inputs],
            [_value(o.name, self.graph.types[o.value]) for o in self.outputs],
            values,
            self.sums,
            self.rows,
            self.narrow,
        )

    def check_boundary(self) -> None:
        """Raise NetspecError NS401 for inputs of dtypes without ONNX ops, and outputs named like an input or weight."""
        inputs, weights = {i.name for i in self.graph.inputs}, self.graph.state().keys()
        for i in self.graph.inputs:
            if i.type.dtype not in ONNX_DTYPES:
                help = f"{choices(list(ONNX_DTYPES)[:3])} can be exported"
                fail(
                    "NS401", f"input `{i.name}` is {i.type.dtype}, which ONNX has no convolutions of", i.span, help=help
                )
        for o in self.outputs:
            owner = "an input" if o.name in inputs else "a weight" if o.name in weights else ""
            if owner:
                message = f"output `{o.name}` has the name of {owner}, and in ONNX both are values"
                fail("NS401", message, o.span, help=f"call it `next_{o.name}` in `outputs`, say")

    def lower(self, node: Node) -> None:
        """Lower a node of the graph by the rule of its op, and name its outputs."""
        self.node, self.counts = node, {}
        self.entering = [self.enter(value, number) for number, value in enumerate(node.inputs)]
        before = len(self.nodes)
        try:
            names = node.op.onnx(self, *[name for name, _ in self.entering])  # pyright: ignore[reportArgumentType]
            names = names if isinstance(names, tuple) else (names,)
            outputs = list(zip(node.values(), names, strict=True))
        except RuleError as error:
            raise located(error, node.path, node.span) from None
        except Exception as error:
            if type(node.op).__module__.startswith("netspec."):
                raise
            fault = RuleError(f"op `{node.op.opname}` has a fault: {said(error)}", code="NS218")
            raise located(fault, node.path, node.span) from None
        for (value, inferred), computed in outputs:
            name = value.replace(":", "/")
            # A rule may return one of its inputs, as that of an identity does.
            is_new = any(computed in added.output for added in self.nodes[before:])
            if is_new and computed not in self.types:
                name = name if name not in self.taken else f"{name}/{node.op.opname}"
                self.rename(computed, name, before)
                self.types[name] = self.stored(inferred)
            self.value_types[value] = self.stored(inferred)
            self.names[value] = name if is_new else computed

    def stored(self, type: Tensor) -> Tensor:
        """A type in the dtype in which the current node computes: with `half`, floats are float16 or float32."""
        if not self.half or type.dtype not in (FLOAT, HALF):
            return type
        return replace(type, dtype=FLOAT if self.node.path in self.wide else HALF)

    def enter(self, value: str, number: int) -> tuple[str, Tensor]:
        """The name and type of an input of the current node, cast to the dtype in which the node computes."""
        name, type, reads = self.names[value], self.value_types[value], self.node.op.reads
        stored = self.stored(type)
        if stored.dtype == type.dtype or (reads is not None and number >= reads):
            return name, type
        return self.cast_to(name, stored, f"/{value.replace('.', '/').replace(':', '/')}/Cast_{stored.dtype}"), stored

    def cast_to(self, name: str, type: Tensor, node: str) -> str:
        """The name of a value cast to another dtype; `node` names the Cast node, which all readers share."""
        if (name, type.dtype) not in self.casts:
            self.casts[name, type.dtype] = f"{name}/{type.dtype}"
            self.cast(name, f"{name}/{type.dtype}", node, type)
        return self.casts[name, type.dtype]

    def rename(self, old: str, new: str, since: int) -> None:
        """Rename a value in the ONNX nodes from index `since` on."""
        for node in self.nodes[since:]:
            for names in (node.input, node.output):
                for place, name in enumerate(names):
                    if name == old:
                        names[place] = new

    def name_output(self, o: Output, computed: set[str]) -> None:
        """Rename an output's value to the output's name; a value that is also an input or another output is copied.

        `computed` are the names of values that nodes compute.
        """
        name = self.names[o.value]
        type = self.graph.types[o.value]
        if type.dtype != self.value_types[o.value].dtype:
            self.cast(name, o.name, f"/{o.name}/Cast", type)
        elif name in computed and name not in self.boundary:
            self.rename(name, o.name, 0)
            self.names = {value: o.name if current == name else current for value, current in self.names.items()}
            self.types.pop(name, None)
            computed.discard(name)
        else:
            self.nodes.append(helper.make_node("Identity", [name], [o.name], name=f"/{o.name}/Identity"))

    def cast(self, old: str, new: str, node: str, type: Tensor) -> None:
        """Add a Cast node with a name, which casts the value `old` to a type as the value `new`."""
        self.nodes.append(helper.make_node("Cast", [old], [new], name=node, to=ONNX_DTYPES[type.dtype]))
        if new not in self.boundary:
            self.types[new] = type

    @property
    def first(self) -> Tensor:
        """The type of the current node's first input, in the dtype in which the node computes."""
        return self.stored(self.entering[0][1])

    # The interface for rules of ops: see `netspec.types.OnnxWriter`.

    def type(self, value: str) -> Tensor:
        """The type of an input of the rule."""
        return dict(self.entering)[value]

    def weight(self, name: str, plus: float = 0.0) -> str:
        """The name of a weight of the op, by its name in the rule `weights`, in the dtype in which the op computes."""
        weight = self.own_weights()[name]
        key = weight.key(self.node.weights_of)
        if plus:
            self.sums[key] = plus
        return self.initializer(key, replace(weight, dtype=self.dtype_of(weight)))

    def stacked(self, name: str, rows: Sequence[Rows], groups: int) -> str:
        """The name of a weight that consists of rows of the op's weights: (groups, rows, ...)."""
        weights, key = self.own_weights(), f"{self.node.weights_of}.{name}"
        first = next(weights[each.weight] for each in rows if each.weight is not None)
        count = sum(each.stop - each.start for each in rows)
        keys: dict[str | None, str] = {name: weight.key(self.node.weights_of) for name, weight in weights.items()}
        self.rows[key] = tuple([replace(each, weight=keys.get(each.weight)) for each in rows])
        shape = (groups, count // groups, *first.shape[1:])
        return self.initializer(key, Weight(name, shape, dtype=self.dtype_of(first)))

    def initializer(self, key: str, weight: Weight) -> str:
        """The name of a weight in its dtype: its key, or a cast of it."""
        stored = self.weights.setdefault(key, weight)
        if stored.dtype == weight.dtype:
            return key
        # Two nodes share the weight, and one of them needs float32.
        type = Tensor(weight.shape, weight.dtype)
        return self.cast_to(key, type, f"/{key.replace('.', '/')}/Cast_{weight.dtype}")

    def own_weights(self) -> dict[str, Weight]:
        """The weights of the current node by their names in the rule `weights`."""
        return {weight.name: weight for weight in self.graph.weights(self.node)}

    def dtype_of(self, weight: Weight) -> str:
        """The dtype of a weight of the current node in the model: that in which the node computes."""
        if weight.dtype != FLOAT:
            return weight.dtype
        return self.first.dtype if is_float(self.first) else self.stored(Tensor(weight.shape)).dtype

    def constant(self, value: Any, dtype: str = "int64", shape: tuple[int, ...] | None = None) -> str:
        """The name of a constant, which all nodes share; the dtype "like" is that of the op's input."""
        if dtype == "like":
            dtype = self.first.dtype
        wide = "float64" if dtype.startswith("float") else dtype
        exact = np.asarray(value, wide) if shape is None else np.full(shape, value, wide)
        try:
            array = self.narrow.narrow(exact, dtype, self.node.path)
        except TooLarge as error:
            raise self.out_of_range(error, value) from None
        key = (dtype, array.shape, array.tobytes())
        if key not in self.constants:
            name = f"constant/{dtype}/{_shown(array) or len(self.constants)}"
            self.constants[key] = numpy_helper.from_array(array, name)
        name = self.constants[key].name
        if is_coarse(exact, array):
            self.coarse[name] = float(exact.flat[0])
        return name

    def out_of_range(self, error: TooLarge, value: Any) -> RuleError:
        """The error for a number that the model can't hold, which names the attribute with this value."""
        op = self.node.op
        names = [f"`{name}` is" for name in type(op).model_fields if getattr(op, name) == value]
        return RuleError(f"{(names or [f'`{op.opname}` needs'])[0]} {error}", code="NS401", help=error.help)

    def __getattr__(self, op_type: str) -> Callable[..., Any]:
        """A function that adds a node of an ONNX op: `writer.Relu(x)` returns the name of its output."""
        if not op_type[:1].isupper():
            raise AttributeError(op_type)

        def add(*inputs: str, outputs: int = 1, **attributes: Any) -> Any:
            if not onnx.defs.has(op_type, self.opset):
                raise RuleError(f"there is no op `{op_type}` in opset {self.opset} of ONNX", code="NS401")
            number = self.counts[op_type] = self.counts.get(op_type, 0) + 1
            name = f"/{self.node.path.replace('.', '/')}/{op_type}{'' if number == 1 else f'_{number}'}"
            values = [f"{name}:{k}" if outputs > 1 else f"{name}:output" for k in range(outputs)]
            kept = {key: value for key, value in attributes.items() if value is not None}
            self.need_in_range(op_type, inputs, kept)
            node = helper.make_node(op_type, inputs, values, name=name, **kept)
            helper.set_metadata_props(node, self.origin())
            self.nodes.append(node)
            return values[0] if outputs == 1 else tuple(values)

        return add

    def need_in_range(self, op_type: str, inputs: Sequence[str], attributes: Mapping[str, Any]) -> None:
        """Raise RuleError for attributes that the node's dtype can't hold, and for factors that become too inexact."""
        half = self.first.dtype == HALF
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
        """The metadata of an ONNX node: the path, op and line of the spec from which it was lowered."""
        origin = {"netspec.path": self.node.path, "netspec.op": self.node.op.opname}
        if self.node.span is not None:
            # The folder of the spec is private.
            origin["netspec.at"] = self.node.span.place.replace("\\", "/").rpartition("/")[2]
        return origin


ONNX_DTYPES = {
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "float16": TensorProto.FLOAT16,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
    "bool": TensorProto.BOOL,
}


def _shown(array: Array) -> str:
    """A constant as part of a name, such as `2/0,-1` or `3x64/1.0`; "" if it has many different elements."""
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
