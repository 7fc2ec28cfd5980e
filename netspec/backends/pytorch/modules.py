"""Prints constructor calls of submodules: a layer, a generated class, an `nn.Sequential`, or a repeat."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.backends.pytorch.bodies import BodyItem
from netspec.backends.pytorch.calls import class_call
from netspec.backends.pytorch.layers import layer_call
from netspec.backends.pytorch.layout import Doc, named_sequential
from netspec.backends.pytorch.repeats import repeat
from netspec.backends.pytorch.state import ClassState, ItemUses, Place
from netspec.backends.pytorch.terms import pin, weaken


def construct(state: ClassState, item: BodyItem, place: Place, uses: ItemUses) -> Doc:
    """The constructor call for an item's module; `uses` are the uses that have the item. Also sets its flows."""
    if item.body is None:
        return layer_call(state, item, place, uses)
    if item.body.is_class:
        return class_call(state, item, item.body, place, uses)
    if item.body.kind == "repeat":
        return repeat(state, item, item.body, place, uses, construct)[0]
    doc = sequential(state, item.body.items, Place(item.body.entry, place.index, scope=item.body.path))
    state.set_flow(item, state.flows[item.body.outputs[0]])
    return doc


def sequential(state: ClassState, items: Sequence[BodyItem], place: Place) -> Doc:
    """The `nn.Sequential` of items that exist in all uses."""
    docs: list[Doc] = []
    for item in items:
        docs.append(construct(state, item, place, state.uses_of(item)))
        pin(state, item.when, place)
    return named_sequential([item.name for item in items], docs)


def construct_optional(state: ClassState, item: BodyItem, place: Place, uses: ItemUses) -> tuple[Doc, bool]:
    """The constructor call for an item that may be missing in some uses, and whether it needs no condition."""
    before = state.flows.get(item.inputs[0])
    if item.body is not None and item.body.kind == "repeat" and not item.body.is_class:
        doc, always = repeat(state, item, item.body, place, uses, construct)
    else:
        doc, always = construct(state, item, place, uses), state.is_in_all(uses)
    if always:
        pin(state, item.when, place)
    else:
        weaken(state, item, place, before)
    return doc, always
