"""Makes a classifier fully convolutional: linear layers become convolutions, and global pools sliding ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netspec.dims import Symbolic, symbol, symbols
from netspec.errors import Diagnostic, NetspecError, choices, fail
from netspec.graph.model import Graph, Input, Node
from netspec.graph.paths import node_of
from netspec.graph.rebuild import Editor, rebuild
from netspec.graph.walk import live_nodes, needed_for
from netspec.ops.activation import Activation, AlongAxis, Prelu
from netspec.ops.adaptive_pooling import AdaptiveAvgPool, AdaptivePool
from netspec.ops.base import Merge, Op, Rearranging, by_all
from netspec.ops.convolution import Conv2d
from netspec.ops.dropout import Dropping
from netspec.ops.layer_norm import LayerNorm
from netspec.ops.linear import Linear
from netspec.ops.merge import Add, Concat, Multiply
from netspec.ops.normalization import BatchNorm
from netspec.ops.parameter import Parameter
from netspec.ops.pooling import AvgPool2d, MaxPool2d
from netspec.ops.rearrange import Narrow
from netspec.ops.resize import CenterCrop, Interpolate
from netspec.ops.shape import Flatten, Identity
from netspec.ops.shuffling import ChannelShuffle, PixelShuffle
from netspec.passes.base import Derived, Transformed, counted
from netspec.passes.truncate import with_outputs
from netspec.shape_text import shape_text
from netspec.types import Init, Tensor

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

_Map = tuple[int, int, int]
"""Channels, height and width."""


class _Refused(Exception):
    """The reason why no sliding op computes the same as a node."""


def fully_convolutional(graph: Graph) -> Transformed:
    """Let the network slide over images of any height `H` and width `W`; at the old size it computes the same.

    VGG is evaluated like this (Simonyan & Zisserman 2014, section 3.2; OverFeat, Sermanet et al. 2013): a linear layer
    on a flattened C x H x W map becomes a convolution with an H x W kernel, a linear layer after it a 1x1 convolution,
    and a global pool a pool with a window as large as the map and stride 1. An output (N, classes) becomes
    (N, classes, 1, 1) at the old size, and a map of scores for larger images. A gate of the whole map, as in squeeze
    and excitation, stays one. Names and blocks stay. Training outputs that can't slide are dropped. Raises NetspecError
    NS302 for an input that is no map, NS305 for one whose size is symbolic already, NS301 or NS210 if its size can't be
    `H` x `W`, and NS401 for each inference node that can't slide.

    Before, and after:

        pool5 = max_pool2d(relu; kernel_size=(2, 2)): N x 512 x 7 x 7
        flatten = flatten(pool5): N x 25088
        fc6 = linear(flatten; out_features=4096): N x 4096

        pool5 = max_pool2d(relu; kernel_size=(2, 2)): N x 512 x (H//32) x (W//32)
        fc6 = conv2d(pool5; out_channels=4096, kernel_size=(7, 7)): N x 4096 x (H//32 - 6) x (W//32 - 6)
    """
    inputs = _opened(graph)
    plan = _Plan(graph)
    if plan.problems:
        return _without_training(graph, plan).then(fully_convolutional)

    def visit(editor: Editor, node: Node, given: tuple[str, ...]) -> str:
        op = plan.ops[node.path]
        if op is None:
            return given[0]
        return editor.keep(node, given) if op is node.op else editor.keep(node, given, op, **_fields(node, op))

    rebuilt = rebuild(replace(graph, inputs=inputs), visit)
    return Transformed(rebuilt, tuple(_done(graph, plan)), derived=_derived(plan))


def _without_training(graph: Graph, plan: _Plan) -> Transformed:
    """The graph without the training outputs and dead ends that can't slide; raises if inference can't slide."""
    if not plan.problems.keys().isdisjoint(node.path for node in live_nodes(graph, "inference")):
        raise NetspecError(*[plan.diagnostic(path) for path in plan.problems])
    stuck = [o for o in graph.outputs if not plan.problems.keys().isdisjoint(needed_for(graph, [o.value]))]
    kept = with_outputs(graph, [o for o in graph.outputs if o not in stuck])
    done = (f"outputs of training that can't slide dropped: {choices(o.name for o in stuck)}",) if stuck else ()
    return replace(kept, done=done, declined=dict(plan.problems))


def _opened(graph: Graph) -> tuple[Input, ...]:
    """The inputs, with the symbols `H` and `W` in place of their height and width."""
    opened: list[Input] = []
    for i in graph.inputs:
        if i.type.rank != 4:
            fail("NS302", f"only a map (N, C, H, W) can have any size, and input `{i.name}` is {i.type}", i.span)
        if any(isinstance(size, Symbolic) for size in i.type.spatial):
            help = "give it the size that its layers are made for, as `--input 3x224x224` does"
            fail("NS305", f"input `{i.name}` is open already: {i.type}", i.span, help=help)
        if i.type.spatial != graph.inputs[0].type.spatial:
            fail("NS301", f"inputs `{graph.inputs[0].name}` and `{i.name}` are not of one height and width", i.span)
        nominal = dict(zip("HW", i.type.spatial, strict=True))
        type = i.type.with_spatial(symbol("H"), symbol("W"))
        written = {axis: tree for axis, tree in i.written.items() if axis < 2}
        preprocess = replace(i.preprocess, crop=None) if i.preprocess is not None else None
        opened.append(replace(i, type=type, nominal={**i.nominal, **nominal}, written=written, preprocess=preprocess))
    taken = symbols([size for type in graph.types.values() for size in type.shape]) & {"H", "W"}
    if taken:
        fail("NS210", f"{choices(sorted(taken))} is a size of `{graph.name}` already, so its map can't be H x W")
    return tuple(opened)


class _Plan:
    """The new op of each node, by its path: the old op, another op, or None for a node to drop.

    `maps` has the size, for an image of the old size, of each value that was flat and becomes a map. `problems` has the
    reason why a node can't slide, by its path.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.gates = _gates(graph)
        self.maps: dict[str, _Map] = {}
        self.ops: dict[str, Op | None] = {}
        self.problems: dict[str, str] = {}
        unknown: set[str] = set()
        for node in graph:
            if unknown.isdisjoint(node_of(value) for value in node.inputs):
                try:
                    self.ops[node.path] = self.op(node)
                    continue
                except _Refused as reason:
                    self.problems[node.path] = str(reason)
            # The nodes after one with a problem are not reported.
            unknown.add(node.path)
        self.check_shared()

    def changes(self) -> Iterator[tuple[Node, Op | None]]:
        """The nodes whose ops change, with the new ops."""
        return ((node, self.ops[node.path]) for node in self.graph if self.ops[node.path] is not node.op)

    def op(self, node: Node) -> Op | None:
        """The new op of a node, or None to drop it; adds a node that was flat to `maps`."""
        flat = [self.maps[value] for value in node.inputs if value in self.maps]
        if not flat:
            return self.on_maps(node)
        if len(flat) < len(node.inputs):
            raise _Refused("it joins a flat value with a map")
        op, self.maps[node.path] = _on_flat(node.op, flat)
        return op

    def on_maps(self, node: Node) -> Op | None:
        """The new op of a node whose inputs were maps, or None to drop it."""
        op, types = node.op, self.graph.input_types(node)
        if isinstance(op, Flatten) and node.type.rank == 2 and op.start_dim % 4 == 1:
            channels, height, width = (size for size in types[0].shape[1:] if isinstance(size, int))
            self.maps[node.path] = channels, height, width
            return None
        if node.path in self.gates and types[0].spatial != (1, 1):
            # A gate of a whole map is that of the whole of a larger one, too.
            if isinstance(op, AdaptivePool):
                return op
            raise _Refused("its one position goes with every position of a map")
        if isinstance(op, AdaptivePool):
            return _sliding(op, types[0])
        for kind, stays, reason in _ON_MAPS:
            if isinstance(op, kind) and not stays(op):
                raise _Refused(reason)
        if any(type.rank != 4 for type in (*types, *node.types)):
            raise _Refused(f"it makes {node.type} of {types[0]}, and only maps have any size")
        # A gate goes with every place. Inputs of which only the size counts may differ.
        sizes = list(dict.fromkeys(type.spatial for type in types[: op.reads] if type.spatial != (1, 1)))
        if len(sizes) > 1:
            raise _Refused(f"it joins maps of {' and '.join(map(shape_text, sizes))}")
        return op

    def check_shared(self) -> None:
        """Record a problem for layers with the same weights that would become different ops.

        Layers that stay as they are may differ.
        """
        first: dict[str, Node] = {}
        for node in self.graph:
            owner = first.setdefault(node.weights_of, node)
            pair = [each for each in (owner, node) if each.path in self.ops]
            ops, stay = [self.ops[each.path] for each in pair], all(self.ops[each.path] is each.op for each in pair)
            if len(ops) == 2 and ops[0] != ops[1] and not stay:
                self.problems[node.path] = f"it has the weights of `{owner.path}` and would become another layer"

    def diagnostic(self, path: str) -> Diagnostic:
        message = f"`{self.graph.name}` can't slide because of `{path}`: {self.problems[path]}"
        return Diagnostic("NS401", message, self.graph[path].span)


def _gates(graph: Graph) -> set[str]:
    """The paths of nodes with maps of one position that go with every position of another map in a merge."""
    values: set[str] = set()
    paths: set[str] = set()
    for node in reversed(graph.nodes):
        single = node.type.rank == 4 and node.type.spatial == (1, 1)
        if single and not values.isdisjoint(value for value, _ in node.values()):
            paths.add(node.path)
        if node.path in paths or (isinstance(node.op, Merge) and not isinstance(node.op, Concat) and not single):
            values.update(value for value in node.inputs if graph.types[value].spatial == (1, 1))
    return paths


_KEEPS_AXES = CenterCrop | Narrow | ChannelShuffle | PixelShuffle
_ON_MAPS: Sequence[tuple[type[Op], Callable[[Any], bool], str]] = (
    (Linear, lambda op: False, "it is linear over the width of a map"),
    (LayerNorm, lambda op: False, "it normalises over the width of a map"),
    (Parameter, lambda op: False, "it has a size of its own"),
    (AlongAxis, lambda op: op.dim % 4 == 1, "it is a softmax over places"),
    (Interpolate, lambda op: op.size is None, "it makes a map of a fixed size"),
    (Rearranging, lambda op: isinstance(op, _KEEPS_AXES), "it moves axes"),
    (Narrow, lambda op: op.dim % 4 == 1, "it takes a part of fixed size"),
)
"""Ops that stay unchanged on maps only under a condition, with the reason if it fails; all other ops stay."""


def _sliding(op: AdaptivePool, x: Tensor) -> Op | None:
    """The sliding pool that equals an adaptive one on a map of known size; None if it is the identity."""
    kernel: list[int] = []
    stride: list[int] = []
    for wanted, size in zip(op.output_size, x.spatial, strict=True):
        count = size if wanted is None else wanted
        if not isinstance(size, int) or not isinstance(count, int) or size % count:
            raise _Refused(f"it shares a map of {size} out over {count} windows of different sizes")
        kernel.append(size // count)
        # A global pool slides with stride 1, like a linear layer on the map.
        stride.append(1 if count == 1 else size // count)
    if kernel == [1, 1]:
        return None
    kind = AvgPool2d if isinstance(op, AdaptiveAvgPool) else MaxPool2d
    return kind(kernel_size=(kernel[0], kernel[1]), stride=(stride[0], stride[1]))


def _on_flat(op: Op, maps: Sequence[_Map]) -> tuple[Op | None, _Map]:
    """The new op for one on values that were flat, or None to drop it, and the size of its output map."""
    _, height, width = maps[0]
    match op:
        case Linear():
            conv = Conv2d(out_channels=op.out_features, kernel_size=(height, width), bias=op.bias)
            return conv, (op.out_features, 1, 1)
        case Flatten():
            return None, maps[0]
        case Concat() if op.dim % 2 == 1 and all(other[1:] == (height, width) for other in maps):
            return _along_channels(op), (sum(other[0] for other in maps), height, width)
        case Add() | Multiply() if all(other == maps[0] for other in maps):
            return op, maps[0]
        case Activation() | Prelu(num_parameters=1) | Dropping() | Identity() if not isinstance(op, AlongAxis):
            return op, maps[0]
        case AlongAxis() if op.dim % 2 == 1 and (height, width) == (1, 1):
            return _along_channels(op), maps[0]
        case BatchNorm() | Prelu() if (height, width) == (1, 1):
            return op, maps[0]
        case _:
            shapes = " and ".join(map(shape_text, dict.fromkeys(maps)))
            raise _Refused(f"it has no equal on what was flattened, {shapes}")


def _along_channels(op: AlongAxis | Concat) -> Op:
    """The op along axis 1, the channels: before, `dim` may have been -1, which meant the same axis."""
    return op if op.dim == 1 else op.model_copy(update={"dim": 1})


def _fields(node: Node, op: Op) -> dict[str, Any]:
    """The expressions and initialisers that a node keeps with its new op."""
    written = dict(node.written)
    if "out_features" in written:
        written["out_channels"] = written.pop("out_features")
    kept = {n: t for n, t in written.items() if n == "out_channels" or getattr(node.op, n) == getattr(op, n, ...)}
    # `eye` fills matrices only.
    init = {n: f for n, f in node.init.items() if not (isinstance(f, Init) and f.function == "eye")}
    return {"written": kept, "init": init}


def _derived(plan: _Plan) -> dict[str, Derived]:
    """The kernels of the new convolutions, reshaped from the matrices of linear layers."""
    return {
        f"{node.weights_of}.weight": Derived((f"{node.weights_of}.weight",), _reshaped(plan.maps[node.inputs[0]]))
        for node, _ in plan.changes()
        if isinstance(node.op, Linear)
    }


def _reshaped(shape: _Map) -> Callable[[TorchTensor], TorchTensor]:
    return lambda weight: weight.reshape(-1, *shape)


def _done(graph: Graph, plan: _Plan) -> Iterator[str]:
    """Sentences about the changes."""
    height, width = graph.inputs[0].type.spatial
    yield f"images may have any height and width, not {height} x {width} alone: {choices(i.name for i in graph.inputs)}"
    layers = [f"`{node.path}` {by_all(op.kernel_size)}" for node, op in plan.changes() if isinstance(op, Conv2d)]
    if layers:
        yield f"{counted(len(layers), 'linear layer')} made {counted(len(layers), 'convolution')}: {', '.join(layers)}"
    for node, op in plan.changes():
        if isinstance(op, AvgPool2d | MaxPool2d):
            yield f"`{node.path}` slides over the map: {op.label()}"
    for kind, what in ((Flatten, Flatten.opname), (AdaptivePool, "pool")):
        gone = [node for node, op in plan.changes() if op is None and isinstance(node.op, kind)]
        if gone:
            yield f"{counted(len(gone), what)} dropped, which {'does' if len(gone) == 1 else 'do'} nothing now"
