"""Rewrites expressions of the spec in the terms of a class: its constructor arguments, and literals.

Where the spec's expression does not hold for all uses, or has no form in these terms, the arguments that it depends on
are pinned: the literal that is printed in its place does not change with them.
"""

from __future__ import annotations

from netspec.backends.pytorch.arguments import UseValues
from netspec.backends.pytorch.bodies import BodyItem
from netspec.backends.pytorch.flows import NO_NAMES, UNSEEN, ArgumentNames, Flow
from netspec.backends.pytorch.state import ClassState, Place
from netspec.expression import Attribute, Conditional, Expression, Literal, Name, leaves, names_in, rewrite, simplify


def dependencies(state: ClassState, tree: Expression | None, place: Place) -> ArgumentNames:
    """The arguments of a class that an expression of the spec depends on, directly or by the sizes it reads."""
    if tree is None:
        return NO_NAMES
    names: set[str] = set()
    for leaf in leaves(tree):
        if isinstance(leaf, Name):
            names |= {leaf.name} & (state.parameters | {"index"})
        elif (value := _value_called(state, leaf.name, place)) in state.flows:
            names |= state.flows[value].dependencies
        else:
            names.add(UNSEEN)
    return frozenset(names)


def pin(state: ClassState, tree: Expression | None, place: Place) -> None:
    """Pin the arguments that an expression depends on: a literal or the structure of the source follows from it."""
    state.pinned |= dependencies(state, tree, place)


def resolve(state: ClassState, tree: Expression, place: Place) -> Expression | None:
    """An expression of the spec in the terms of a class; None if it has no form in them.

    Constants become literals, and sizes such as `input.channels` become the expressions in their flows.
    """
    if place.run:
        # If the first and last copy agree, `index` is not needed: `2 if index == 0 else 1` is 1 from copy 1 on.
        first, last = (resolve(state, tree, place.of_copy(index)) for index in place.run)
        if first is not None and first == last:
            return first
    constants = state.constants if place.index is None else {**state.constants, "index": place.index}
    unknown = False

    def in_terms(leaf: Name | Attribute) -> Expression:
        nonlocal unknown
        if isinstance(leaf, Name):
            return Literal(constants[leaf.name]) if leaf.name in constants else leaf
        size = _size(state, leaf, place)
        unknown |= size is None
        return leaf if size is None else size

    resolved = rewrite(tree, in_terms)
    if unknown:
        return None
    resolved = simplify(resolved, {})
    reachable = state.parameters | {*state.cls.sizes, "index", *state.arguments.invented}
    return resolved if names_in(resolved) <= reachable else None


def _size(state: ClassState, leaf: Attribute, place: Place) -> Expression | None:
    """The expression for a size that the spec reads, such as `input.channels`; None if it is unknown."""
    value = _value_called(state, leaf.name, place)
    flow = state.flows.get(value) if value else None
    if value is None or flow is None:
        return None
    rank = state.graph.types[value].rank
    if leaf.attribute == "channels" or (leaf.attribute == "features" and rank == 2):
        return flow.channels
    return flow.features if leaf.attribute == "features" and rank == 3 else None


def _value_called(state: ClassState, name: str, place: Place) -> str | None:
    """The value that a name in an expression of the spec means: an input, or the output of an earlier step."""
    if name in ("input", place.entering):
        return place.entering
    return state.named_values.get(name) or state.lexicon.value(place.scope, name)


def choose_written(
    state: ClassState,
    values: UseValues,
    tree: Expression | None,
    place: Place,
    hint: str,
    is_list: bool = False,
) -> Expression:
    """The expression to print for values that the spec computes by an expression: that one, if it holds."""
    candidate = resolve(state, tree, place) if tree is not None else None
    chosen = state.arguments.choose(values, [candidate], hint, is_list)
    if chosen is not candidate:
        pin(state, tree, place)
    elif tree is not None:
        read = [_value_called(state, leaf.name, place) for leaf in leaves(tree) if isinstance(leaf, Attribute)]
        state.pinned |= NO_NAMES.union(*(state.flows[value].assumed for value in read if value in state.flows))
    return chosen


def choose_size(state: ClassState, value: str, values: UseValues, hint: str, size: str) -> Expression:
    """The expression to print for the `channels` or `features` of a value, or for a fraction of them.

    `size` is "channels" or "features".
    """
    flow = state.flows[value]
    candidate = flow.channels if size == "channels" else flow.features
    conditional = flow.conditional if size == "channels" else None
    assumed = flow.assumed if size == "channels" else NO_NAMES
    share = state.arguments.share_of(candidate, values)
    chosen = state.arguments.choose(values, [candidate, conditional, share], hint)
    follows = chosen is candidate or chosen is conditional or chosen is share
    state.pinned |= assumed if follows else flow.dependencies
    return chosen


def weaken(state: ClassState, item: BodyItem, place: Place, before: Flow | None) -> None:
    """Weaken the flows after an item that only some uses have, since other uses may have other sizes there.

    `before` is the flow of the item's first input.
    """
    depends = dependencies(state, item.when, place) | (before.dependencies if before else NO_NAMES)
    if item.body is not None and item.body.scope is not None:
        depends |= dependencies(state, item.body.scope.count, place)
    condition = resolve(state, item.when, place) if item.when is not None else None
    for value in item.outputs:
        flow = state.flows[value]
        conditional = None
        if condition is not None and before is not None and flow.channels is not None and before.channels is not None:
            conditional = Conditional(flow.channels, condition, before.channels)
        names = depends | flow.dependencies
        state.flows[value] = Flow(flow.channels, names, names, flow.features, conditional)
