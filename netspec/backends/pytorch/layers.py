"""Prints constructor calls of layers, such as `nn.Conv2d(in_channels, width, 3, padding=1)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netspec.backends.pytorch.arguments import UseValues, argument_of_call
from netspec.backends.pytorch.bodies import BodyItem
from netspec.backends.pytorch.expressions import document
from netspec.backends.pytorch.flows import after
from netspec.backends.pytorch.layout import Bracket, Doc
from netspec.backends.pytorch.state import ClassState, ItemUses, Place
from netspec.backends.pytorch.terms import choose_size, choose_written
from netspec.expression import Expression, ListOf, Literal, names_in
from netspec.graph.model import Node
from netspec.ops.base import Op
from netspec.types import Layer


def layer_call(state: ClassState, item: BodyItem, place: Place, uses: ItemUses) -> Doc:
    """The constructor call of a layer, with arguments that differ from torch's defaults. Also sets its flows."""
    node, layer = item.node, _layer(item)
    assert node is not None
    follows = state.size_rules.arguments(node, state.graph)
    chosen = _choose_arguments(state, item, node, place, uses, follows)
    attributes = {name: tree for name, tree in chosen.items() if layer.inside or name not in follows}
    if layer.inside:
        # The arguments of an `nn.Parameter` are the items of one attribute, `shape`.
        attributes = {"shape": ListOf(tuple(attributes.values()))}
    set_flows_after_op(state, item, uses, attributes)
    parts: list[Doc] = []
    for number, (name, tree) in enumerate(chosen.items()):
        parts += argument_of_call(name, tree, number < layer.positional, node.op.default(name))
    if layer.inside:
        return Bracket(f"{layer.target}(", [_tensor(state, item, uses, parts, list(chosen.values()))])
    return Bracket(f"{layer.target}(", parts)


def _tensor(
    state: ClassState, item: BodyItem, uses: ItemUses, parts: Sequence[Doc], sizes: Sequence[Expression]
) -> Doc:
    """The tensor inside of an `nn.Parameter`: zeros, or filled with the number that the spec's `init` has for it.

    `parts` are its sizes as arguments, and `sizes` their expressions. `initialize` prints all other fillings.
    """
    inside = _layer(item).inside
    fillings = [(use, match.node.init.get("weight") if match.node is not None else None) for use, match in uses]
    values = [(use, float(filling) if isinstance(filling, int | float) else 0.0) for use, filling in fillings]
    value = state.arguments.choose(values, [], f"{item.name}_init")
    if value == Literal(0.0):
        return Bracket(f"{inside}(", parts)
    if value == Literal(1.0):
        return Bracket("torch.ones(", parts)
    return Bracket("torch.full(", [document(ListOf(tuple(sizes))), document(value)])


def _layer(item: BodyItem) -> Layer:
    assert isinstance(item.printed, Layer)
    return item.printed


def _choose_arguments(
    state: ClassState,
    item: BodyItem,
    node: Node,
    place: Place,
    uses: ItemUses,
    follows: Mapping[str, frozenset[int]],
) -> dict[str, Expression]:
    """The expressions for a layer's arguments; `follows` names those that follow from axes of the inputs."""
    layer = _layer(item)
    by_use = [(use, _layer(match).arguments) for use, match in uses]
    initialized = any(match.node is not None and match.node.init for _, match in uses)
    chosen: dict[str, Expression] = {}
    for number, name in enumerate(layer.arguments):
        values = [(use, arguments[name]) for use, arguments in by_use]
        if layer.inside:
            tree = _item_of_shape(node, number - len(layer.arguments))
            chosen[name] = choose_written(state, values, tree, place, f"{item.name}_size")
        elif name in follows:
            chosen[name] = _choose_following(state, item, values, name, follows[name])
        else:
            tree, hint = node.written.get(name), _hint(item, node.op, name)
            chosen[name] = choose_written(state, values, tree, place, hint, name in layer.lists)
        if initialized and isinstance(values[0][1], bool):
            # A flag such as `bias` may decide which weights exist, and initialisers rely on that.
            state.pinned |= names_in(chosen[name])
    return chosen


def _choose_following(
    state: ClassState, item: BodyItem, values: UseValues, name: str, axes: frozenset[int]
) -> Expression:
    """The expression for an argument that follows from axes of the inputs, such as `in_channels`."""
    value = item.inputs[0]
    if axes == frozenset((1,)):
        return choose_size(state, value, values, name, "channels")
    if axes == frozenset((state.graph.types[value].rank - 1,)):
        return choose_size(state, value, values, name, "features")
    if axes:
        state.pinned |= state.flows[value].dependencies
    return state.arguments.choose(values, [], name)


def _item_of_shape(node: Node, axis: int) -> Expression | None:
    """The spec's expression for an axis of an `nn.Parameter`, from the last; `shape` may lack the batch."""
    tree = node.written.get("shape")
    return tree.items[axis] if isinstance(tree, ListOf) and -axis <= len(tree.items) else None


def _hint(item: BodyItem, op: Op, name: str) -> str:
    """The name of a new argument for an attribute: `conv_bias` for `bias` of `conv`.

    An attribute without a default, or with a number for each axis, keeps its name: `out_channels`, `kernel_size`.
    """
    keeps_name = op.default(name) is ... or isinstance(getattr(op, name), tuple) or item.name.isdigit()
    return name if keeps_name else f"{item.name}_{name}"


def set_flows_after_op(state: ClassState, item: BodyItem, uses: ItemUses, attributes: Mapping[str, Expression]) -> None:
    """Set the flows of an op's outputs; `attributes` are the expressions that are printed for its attributes."""
    flows, ranks = [state.flows[v] for v in item.inputs], [state.graph.types[v].rank for v in item.inputs]
    varying = frozenset(name for name, tree in attributes.items() if names_in(tree))
    outputs_of_uses = [
        state.size_rules.outputs(match.node, state.graph, varying) for _, match in uses if match.node is not None
    ]
    for number, value in enumerate(item.outputs):
        state.flows[value] = after([outputs[number] for outputs in outputs_of_uses], ranks, flows, attributes)
