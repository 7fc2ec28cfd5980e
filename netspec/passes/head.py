"""Another number of classes: the layers that give the outputs their width, replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from netspec.errors import choices, fail
from netspec.graph.model import Graph, Node, Output
from netspec.graph.rebuild import Editor, rebuild
from netspec.ops.base import Elementwise, Op, RuleError
from netspec.ops.convolution import Conv2d, ConvTranspose2d
from netspec.ops.fields import MAX_INT
from netspec.ops.linear import Linear
from netspec.passes.base import Transformed
from netspec.passes.parameters import with_width
from netspec.types import Filling, Tensor

_WIDTHS: Mapping[type[Op], str] = {Linear: "out_features", Conv2d: "out_channels", ConvTranspose2d: "out_channels"}
"""The layers that give a value its width, with the attribute that says it."""


@dataclass(frozen=True, slots=True)
class _Way:
    """The way from the layer that gives an output its width to the output: that layer, and the nodes after it."""

    output: Output
    layer: Node
    after: tuple[Node, ...]
    width: int

    @property
    def nodes(self) -> tuple[Node, ...]:
        return (self.layer, *self.after)


class _Refused(Exception):
    """Says why an output can't get another width."""


def replace_head(graph: Graph, classes: int) -> Transformed:
    """Give the outputs `classes` channels or features, by the last linear layer or convolution before each.

    After that layer may stand ops that keep its width an axis of its own: activations, softmax, dropout, pooling, the
    flattening of a 1x1 map, and normalisation, which is then of the classes too. The layers' weights are fresh, and so
    are those of such normalisations; all others stay. A parameter of the spec that says the width gets the new value
    where it says nothing else. Outputs of training are outputs. Raises NetspecError NS206 for a number that is none
    of classes, NS401 where no output can change.

    `replace_head(graph, 10)`, before and after:

        fc = linear(flatten; out_features=1000): N x 1000

        fc = linear(flatten; out_features=10): N x 10
    """
    if type(classes) is not int or not 1 <= classes <= MAX_INT:
        fail("NS206", f"the number of classes is a positive integer, not {classes!r}")
    ways, declined = _ways(graph, classes)
    kept = {way.output.name: f"`{way.layer.path}` gives it {classes:,} already" for way in ways if way.width == classes}
    if not ways:
        reasons = [f"output `{name}`: {reason}" for name, reason in declined.items()]
        fail("NS401", f"no output of `{graph.name}` can get {classes:,} classes", notes=reasons)
    changed = [way for way in ways if way.width != classes]
    rebuilt = _rebuilt(graph, changed, classes) if changed else graph
    before = graph.state()
    owners = {way.layer.weights_of for way in changed}
    fresh = {
        weight.key(node.weights_of) for node in rebuilt if node.weights_of in owners for weight in rebuilt.weights(node)
    }
    fresh |= {key for key, weight in rebuilt.state().items() if weight.shape != before[key].shape}
    return Transformed(rebuilt, _done(changed, classes), {**kept, **declined}, fresh=frozenset(fresh))


def _ways(graph: Graph, classes: int) -> tuple[list[_Way], dict[str, str]]:
    """The ways to all outputs whose width can change, and by the names of the others why theirs can't."""
    ways: list[_Way] = []
    declined: dict[str, str] = {}
    for o in graph.outputs:
        try:
            ways.append(_way(graph, o, classes))
        except _Refused as reason:
            declined[o.name] = str(reason)
    # A way that is refused takes along those that it shares nodes or weights with.
    while refused := {way.output.name: reason for way in ways if (reason := _used_elsewhere(graph, way, ways))}:
        declined |= refused
        ways = [way for way in ways if way.output.name not in refused]
    return ways, declined


def _way(graph: Graph, output: Output, classes: int) -> _Way:
    value = output.value
    after: list[Node] = []
    while True:
        node = graph.by_path.get(value)
        if node is None:
            raise _Refused(f"no linear layer or convolution makes `{value}`")
        if type(node.op) in _WIDTHS:
            break
        if not _carries(graph, node):
            raise _Refused(f"it comes from `{node.path}`, which is neither linear nor a convolution")
        after.insert(0, node)
        value = node.inputs[0]
    way = _Way(output, node, tuple(after), getattr(node.op, _WIDTHS[type(node.op)]))
    if way.width != classes:
        _check_shapes(graph, way, classes)
    return way


def _carries(graph: Graph, node: Node) -> bool:
    """Whether a node has one input and one output, and no weights but of single channels."""
    one = node.op.reads == 1 or (node.op.reads is None and len(node.inputs) == 1)
    return one and len(node.types) == 1 and (isinstance(node.op, Elementwise) or not graph.weights(node))


def _check_shapes(graph: Graph, way: _Way, classes: int) -> None:
    """Refuse a way on which the new width does not stay an axis of its own."""
    entering: Tensor | None = None
    for node in way.nodes:
        types = graph.input_types(node)
        if entering is not None:
            types = (entering, *types[1:])
        try:
            inferred = (_widened(node.op, classes) if node is way.layer else node.op).infer(*types)
        except RuleError as error:
            raise _Refused(f"`{node.path}` can't have {classes:,} classes: {error.message}") from None
        entering = inferred[0] if isinstance(inferred, tuple) else inferred
        pairs = list(zip(entering.shape, node.type.shape, strict=True))
        if [pair for pair in pairs if pair[0] != pair[1]] != [(classes, way.width)]:
            raise _Refused(f"`{node.path}` mixes its channels with other axes")


def _widened(op: Op, classes: int) -> Op:
    return op.model_copy(update={_WIDTHS[type(op)]: classes})


def _used_elsewhere(graph: Graph, way: _Way, ways: Sequence[_Way]) -> str:
    """The reason why a way can't change, as a node on no way reads its values or has its weights; "" for none."""
    after = {node.path for other in ways for node in other.after}
    layers = {other.layer.path for other in ways}
    for node in way.nodes:
        other = next((user.path for user in graph.users[node.path] if user.path not in after), "")
        if other:
            return f"`{other}` reads `{node.path}` too"
        wanted = layers if node is way.layer else after
        sharing = (n.path for n in graph.nodes if n.weights_of == node.weights_of and n.path not in wanted)
        if graph.weights(node) and (other := next(sharing, "")):
            return f"`{other}` has the weights of `{node.path}` too"
    return ""


def _rebuilt(graph: Graph, ways: Iterable[_Way], classes: int) -> Graph:
    layers = {way.layer.path: _WIDTHS[type(way.layer.op)] for way in ways}
    resized = {node.path for way in ways for node in way.nodes}

    def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
        # A list fills each element, and there are others now.
        init: dict[str, Filling] = {name: f for name, f in node.init.items() if not isinstance(f, tuple)}
        op = _widened(node.op, classes) if node.path in layers else None
        return editor.keep(node, inputs, op, init=init if node.path in resized else node.init)

    names = {way.output.name for way in ways}
    # The labels are those of the old classes.
    outputs = tuple([replace(o, labels=()) if o.name in names else o for o in graph.outputs])
    return rebuild(with_width(replace(graph, outputs=outputs), layers, classes), visit)


def _done(ways: Iterable[_Way], classes: int) -> tuple[str, ...]:
    layers: dict[int, dict[str, None]] = {}
    for way in ways:
        layers.setdefault(way.width, {})[way.layer.path] = None
    return tuple(
        f"{classes:,} classes instead of {width:,}, with fresh weights: {choices(paths)}"
        for width, paths in layers.items()
    )
