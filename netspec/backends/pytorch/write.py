"""Writes one class as source: the statements of its constructor, and the flows of its outputs."""

from __future__ import annotations

from netspec.backends.pytorch.bodies import BodyItem, ScopeBody
from netspec.backends.pytorch.expressions import document
from netspec.backends.pytorch.flows import NO_NAMES, SHAPE, Flow
from netspec.backends.pytorch.layers import set_flows_after_op
from netspec.backends.pytorch.layout import Bracket, Choice, statement
from netspec.backends.pytorch.matching import check_shared
from netspec.backends.pytorch.modules import construct, construct_optional, sequential
from netspec.backends.pytorch.state import ClassState, ItemUses, Place, WrittenClass
from netspec.backends.pytorch.terms import choose_written, dependencies, pin, weaken
from netspec.expression import Binary, Expression, Literal, Name
from netspec.graph.model import Node

_INDENT = 8
"""The indentation of statements in a method."""


def write_class(state: ClassState) -> WrittenClass:
    """A class as source, from the state of which no item is printed yet (`initial_state`)."""
    body = state.cls.template.body
    for number, value in enumerate(body.inputs):
        state.flows[value] = _entering_flow(state, value, number)
    lines: list[str] = []
    conditions: dict[str, str] = {}
    place = Place(body.entry, scope=body.path)
    for item in body.items:
        uses = state.uses_of(item)
        if item.shares:
            _call_again(state, item, place, uses)
        elif item.is_module:
            lines += _module(state, item, place, uses)
        else:
            lines += _function(state, item, place, uses, conditions)
    arguments = state.arguments.listed(["index", *(name for name in state.graph.params if name not in state.constants)])
    outputs = [state.flows[value] for value in (*body.outputs, *body.training)] or [Flow()]
    return WrittenClass(state.cls, arguments, outputs, lines, conditions, frozenset(state.pinned))


def _entering_flow(state: ClassState, value: str, number: int) -> Flow:
    """The flow of an input of the class, whose sizes are arguments such as `in_channels` where possible."""
    cls, type = state.cls, state.graph.types[value]
    if state.is_network:
        return Flow(Literal(type.channels) if type.rank > 1 else None)
    if not cls.channels and (width := cls.agreed_width(number)) is not None:
        return Flow(Literal(width), others=frozenset((SHAPE,)))
    channels = {place: name for name, place in cls.channels.items()}.get(number)
    features = {place: name for name, place in cls.features.items()}.get(number)
    return Flow(
        Name(channels) if channels is not None and type.rank > 1 else None,
        others=frozenset((SHAPE,)),
        features=Name(features) if features is not None and type.rank == 3 else None,
    )


def _module(state: ClassState, item: BodyItem, place: Place, uses: ItemUses) -> list[str]:
    """The statement that creates a submodule, with a condition if only some uses have it."""
    if item.body is not None and not item.body.is_class and _has_optional_items(state, item.body):
        return _chain_with_conditions(state, item, item.body, place)
    doc, always = construct_optional(state, item, place, uses)
    if not always:
        doc = Choice(doc, document(_condition(state, item, place)), "nn.Identity()")
    return statement(f"self.{item.name} = ", doc, _INDENT)


def _has_optional_items(state: ClassState, body: ScopeBody) -> bool:
    return body.kind != "repeat" and not all(state.is_in_all(state.uses_of(item)) for item in body.items)


def _chain_with_conditions(state: ClassState, item: BodyItem, body: ScopeBody, place: Place) -> list[str]:
    """The statements for an `nn.Sequential` with optional items: from the first of these on, items are added singly."""
    inside = Place(body.entry, place.index, scope=body.path)
    uses = {part: state.uses_of(part) for part in body.items}
    first = next(n for n, part in enumerate(body.items) if not state.is_in_all(uses[part]))
    lines = statement(f"self.{item.name} = ", sequential(state, body.items[:first], inside), _INDENT)
    for part in body.items[first:]:
        doc, always = construct_optional(state, part, inside, uses[part])
        doc = Bracket(f"self.{item.name}.add_module(", [f'"{part.name}"', doc])
        if always:
            lines += statement("", doc, _INDENT)
        else:
            lines += statement("if ", document(_condition(state, part, inside)), _INDENT, ":")
            lines += statement("", doc, _INDENT + 4)
    pin(state, item.when, place)
    state.set_flow(item, state.flows[body.outputs[0]])
    return lines


def _call_again(state: ClassState, item: BodyItem, place: Place, uses: ItemUses) -> None:
    """Set the flows after an item that calls another item's module, and so has no statement."""
    check_shared(item, state.cls.template.body, state.class_of)
    pinned: set[str] = set()
    with state.dry_run():
        if item.loops and item.body is not None:
            for number, copy in enumerate(item.body.items):
                construct(state, copy, place.of_copy(number), state.uses_of(copy))
            pin(state, item.body.scope.count if item.body.scope else None, place)
            pinned = state.pinned
        else:
            construct(state, item, place, uses)
    state.pinned |= pinned


def _function(state: ClassState, item: BodyItem, place: Place, uses: ItemUses, conditions: dict[str, str]) -> list[str]:
    """The statements for an item that is no module, such as a merge.

    An item that all uses have needs none. Otherwise an attribute such as `with_add`, which is also added to
    `conditions`, says whether an instance has the item.
    """
    before = state.flows.get(item.inputs[0])
    if item.node is not None and item.node.weights_of != item.node.path:
        _set_flow_after_borrower(state, item, item.node, place)
    else:
        set_flows_after_op(state, item, uses, {})
    if state.is_in_all(uses):
        pin(state, item.when, place)
        return []
    weaken(state, item, place, before)
    attribute, taken = f"with_{item.word}", {other.name for other in state.cls.template.body.items}
    while attribute in taken or attribute in conditions.values():
        attribute += "_"
    conditions[item.name] = attribute
    return statement(f"self.{attribute} = ", document(_condition(state, item, place)), _INDENT)


def _set_flow_after_borrower(state: ClassState, item: BodyItem, node: Node, place: Place) -> None:
    """Set the flow after an op that borrows the weights of another layer; its attributes are literals in `forward`."""
    for tree in node.written.values():
        pin(state, tree, place)
    names = NO_NAMES.union(*(state.flows[value].dependencies for value in item.inputs))
    names = names.union(*(dependencies(state, tree, place) for tree in node.written.values()))
    state.set_flow(item, Flow(None, names, names))


def _condition(state: ClassState, item: BodyItem, place: Place) -> Expression:
    """The condition under which an item exists: the spec's `when` or count if that holds, else an argument."""
    values = [(use, use.matches.get(item) is not None) for use in state.cls.uses]
    tree = item.when
    if tree is None and item.body is not None and item.body.kind == "repeat":
        count = item.body.scope.count if item.body.scope is not None else None
        tree = item.body.items[0].when or (None if count is None else Binary(">", count, Literal(0)))
    return choose_written(state, values, tree, place, f"with_{item.word}")
