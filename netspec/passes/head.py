"""Replaces the head: changes the number of classes by new widths of the layers before the outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from netspec.errors import choices, fail
from netspec.graph.model import Graph, Node, Output
from netspec.graph.rebuild import Editor, rebuild
from netspec.ops.base import Elementwise, Op, RuleError
from netspec.ops.convolution import Convolution
from netspec.ops.fields import MAX_INT
from netspec.ops.linear import Linear
from netspec.ops.transposed_convolution import TransposedConvolution
from netspec.passes.base import Transformed
from netspec.passes.parameters import with_width
from netspec.types import Filling, Tensor

_WIDTHS: Mapping[type[Op], str] = {
    Linear: "out_features",
    Convolution: "out_channels",
    TransposedConvolution: "out_channels",
}
"""The layers that determine a value's width, with the attribute of the width."""


@dataclass(frozen=True, slots=True)
class _Head:
    """The head of an output: the layer that determines its width, and the nodes `after` it, up to the output."""

    output: Output
    layer: Node
    after: tuple[Node, ...]
    width: int

    @property
    def nodes(self) -> tuple[Node, ...]:
        return (self.layer, *self.after)


class _Refused(Exception):
    """The reason why an output can't get another width."""


def replace_head(graph: Graph, classes: int) -> Transformed:
    """Give each output `classes` channels or features: the last linear layer or convolution before it gets that width.

    That layer may be followed by ops that keep its width as a separate axis: activations, softmax, dropout, pooling,
    flattening of a 1x1 map, and normalisation. The weights of the layer, and of normalisations after it, are fresh; all
    others stay. A parameter of the spec that determines the width, and nothing else, gets the new value. Training
    outputs change, too. Raises NetspecError NS206 for an invalid number of classes, NS401 if no output can change.

    `replace_head(graph, 10)`, before and after:

        fc = linear(flatten; out_features=1000): N x 1000

        fc = linear(flatten; out_features=10): N x 10
    """
    if type(classes) is not int or not 1 <= classes <= MAX_INT:
        fail("NS206", f"the number of classes is a positive integer, not {classes!r}")
    heads, declined = _heads(graph, classes)
    kept = {
        head.output.name: f"`{head.layer.path}` gives it {classes:,} already" for head in heads if head.width == classes
    }
    if not heads:
        reasons = [f"output `{name}`: {reason}" for name, reason in declined.items()]
        fail("NS401", f"no output of `{graph.name}` can get {classes:,} classes", notes=reasons)
    changed = [head for head in heads if head.width != classes]
    rebuilt = _rebuilt(graph, changed, classes) if changed else graph
    before = graph.state()
    owners = {head.layer.weights_of for head in changed}
    fresh = {
        weight.key(node.weights_of) for node in rebuilt if node.weights_of in owners for weight in rebuilt.weights(node)
    }
    fresh |= {key for key, weight in rebuilt.state().items() if weight.shape != before[key].shape}
    return Transformed(rebuilt, _done(changed, classes), {**kept, **declined}, fresh=frozenset(fresh))


def _heads(graph: Graph, classes: int) -> tuple[list[_Head], dict[str, str]]:
    """The heads of all outputs whose width can change; and, by their names, why other outputs can't change."""
    heads: list[_Head] = []
    declined: dict[str, str] = {}
    for o in graph.outputs:
        try:
            heads.append(_head(graph, o, classes))
        except _Refused as reason:
            declined[o.name] = str(reason)
    # A head that is refused may share nodes or weights with others, which are then refused, too.
    while refused := {head.output.name: reason for head in heads if (reason := _used_elsewhere(graph, head, heads))}:
        declined |= refused
        heads = [head for head in heads if head.output.name not in refused]
    return heads, declined


def _head(graph: Graph, output: Output, classes: int) -> _Head:
    value = output.value
    after: list[Node] = []
    while True:
        node = graph.by_path.get(value)
        if node is None:
            raise _Refused(f"no linear layer or convolution makes `{value}`")
        if _width_attribute(node.op):
            break
        if not _carries(graph, node):
            raise _Refused(f"it comes from `{node.path}`, which is neither linear nor a convolution")
        after.insert(0, node)
        value = node.inputs[0]
    head = _Head(output, node, tuple(after), getattr(node.op, _width_attribute(node.op)))
    if head.width != classes:
        _check_shapes(graph, head, classes)
    return head


def _width_attribute(op: Op) -> str:
    """The attribute of the width that an op determines; "" if it determines none."""
    return next((attribute for kind, attribute in _WIDTHS.items() if isinstance(op, kind)), "")


def _carries(graph: Graph, node: Node) -> bool:
    """Return whether a node can follow the layer of a head: one input, one output, and weights per channel at most."""
    one = node.op.reads == 1 or (node.op.reads is None and len(node.inputs) == 1)
    return one and len(node.types) == 1 and (isinstance(node.op, Elementwise) or not graph.weights(node))


def _check_shapes(graph: Graph, head: _Head, classes: int) -> None:
    """Refuse a head in which the new width does not stay a separate axis."""
    entering: Tensor | None = None
    for node in head.nodes:
        types = graph.input_types(node)
        if entering is not None:
            types = (entering, *types[1:])
        try:
            inferred = (_widened(node.op, classes) if node is head.layer else node.op).infer(*types)
        except RuleError as error:
            raise _Refused(f"`{node.path}` can't have {classes:,} classes: {error.message}") from None
        entering = inferred[0] if isinstance(inferred, tuple) else inferred
        pairs = list(zip(entering.shape, node.type.shape, strict=True))
        if [pair for pair in pairs if pair[0] != pair[1]] != [(classes, head.width)]:
            raise _Refused(f"`{node.path}` mixes its channels with other axes")


def _widened(op: Op, classes: int) -> Op:
    return op.model_copy(update={_width_attribute(op): classes})


def _used_elsewhere(graph: Graph, head: _Head, heads: Sequence[_Head]) -> str:
    """The reason why a head can't change: a node outside of all heads reads its values or has its weights; else ""."""
    after = {node.path for other in heads for node in other.after}
    layers = {other.layer.path for other in heads}
    for node in head.nodes:
        other = next((user.path for user in graph.users[node.path] if user.path not in after), "")
        if other:
            return f"`{other}` reads `{node.path}` too"
        allowed = layers if node is head.layer else after
        sharing = (n.path for n in graph.nodes if n.weights_of == node.weights_of and n.path not in allowed)
        if graph.weights(node) and (other := next(sharing, "")):
            return f"`{other}` has the weights of `{node.path}` too"
    return ""


def _rebuilt(graph: Graph, heads: Iterable[_Head], classes: int) -> Graph:
    layers = {head.layer.path: _width_attribute(head.layer.op) for head in heads}
    resized = {node.path for head in heads for node in head.nodes}

    def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
        # A list has a value for each element of the old width.
        init: dict[str, Filling] = {name: f for name, f in node.init.items() if not isinstance(f, tuple)}
        op = _widened(node.op, classes) if node.path in layers else None
        return editor.keep(node, inputs, op, init=init if node.path in resized else node.init)

    names = {head.output.name for head in heads}
    # The labels of the old classes are dropped.
    outputs = tuple([replace(o, labels=()) if o.name in names else o for o in graph.outputs])
    return rebuild(with_width(replace(graph, outputs=outputs), layers, classes), visit)


def _done(heads: Iterable[_Head], classes: int) -> tuple[str, ...]:
    layers: dict[int, dict[str, None]] = {}
    for head in heads:
        layers.setdefault(head.width, {})[head.layer.path] = None
    return tuple(
        f"{classes:,} classes instead of {width:,}, with fresh weights: {choices(paths)}"
        for width, paths in layers.items()
    )
