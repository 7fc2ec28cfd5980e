"""Calls of one class in another: `Bottleneck(in_channels, width, stride=stride)`, and what is known behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from netspec.backends.pytorch.arguments import argument_of
from netspec.backends.pytorch.bodies import BodyItem, ScopeBody
from netspec.backends.pytorch.flows import SHAPE, UNSEEN, Flow, Names
from netspec.backends.pytorch.layout import Bracket, Doc
from netspec.backends.pytorch.place import Matched, Place
from netspec.backends.pytorch.sums import tidy
from netspec.expression import Expression, Name, names_in, rewrite

if TYPE_CHECKING:
    from netspec.backends.pytorch.write import ClassWriter, WrittenClass


def instance(writer: ClassWriter, item: BodyItem, body: ScopeBody, place: Place, matched: Matched) -> Doc:
    """`Bottleneck(in_channels, width, stride=stride)`: a call of another class."""
    child = writer.done[id(writer.of_body[id(body)])]
    scope = body.scope
    is_block = scope is not None and scope.block is not None
    parts: list[Doc] = []
    given: dict[str, Expression] = {}
    for argument in child.arguments:
        values = [(m, argument.values[id(i.body)]) for m, i in matched]
        if argument.name in child.cls.sizes:
            size = "channels" if argument.name in child.cls.channels else "features"
            chosen = writer.entered(item.inputs[child.cls.sizes[argument.name]], values, argument.name, size)
        else:
            tree = scope.written.get(argument.name) if scope else None
            if not is_block and argument.name in (*writer.own, "index"):
                # A scope within a block reads what the block does.
                tree = Name(argument.name)
            chosen = writer.verified(values, tree, place, argument.name, argument.is_list)
        given[argument.name] = chosen
        parts += argument_of(argument.name, chosen, argument.required, argument.default)
    for value, flow in zip(item.outputs, _behind(writer, item, body, place, child, given), strict=False):
        writer.flows[value] = flow
    return Bracket(f"{child.cls.name}(", parts)


def _behind(
    writer: ClassWriter,
    item: BodyItem,
    body: ScopeBody,
    place: Place,
    child: WrittenClass,
    given: Mapping[str, Expression],
) -> list[Flow]:
    """What is known behind a call of another class: what it says of its outputs, with `given` for its arguments."""
    scope = body.scope
    flows = [writer.flows[value] for value in item.inputs]

    def outside(names: Names) -> Names:
        """The names here that some names of the other class stand for."""
        found: set[str] = set()
        for name in names:
            if name == SHAPE:
                found = found.union(*(flow.sizes | flow.doubt for flow in flows))
                found = found.union(*(flow.names for flow in flows[1:]))
                found |= names_in(flows[0].features) if flows and flows[0].features is not None else set()
            elif name == UNSEEN:
                found.add(name)
            elif name in given:
                found |= names_in(given[name])
            elif name in child.cls.sizes and len(flows) > child.cls.sizes[name]:
                found |= flows[child.cls.sizes[name]].names
            elif scope is not None and scope.block is not None:
                found |= writer.reads(scope.written.get(name), place)
            else:
                found |= {name} & (writer.own | {"index"})
        return frozenset(found)

    def here(tree: Expression | None) -> Expression | None:
        """What the other class says, in the terms of this one."""
        if tree is None or not names_in(tree) <= given.keys():
            return None
        return tidy(rewrite(tree, lambda leaf: given.get(leaf.name, leaf)))

    def behind(flow: Flow) -> Flow:
        channels, features = here(flow.channels), here(flow.features)
        if channels is not None:
            return Flow(channels, outside(flow.doubt), outside(flow.sizes), features)
        names = outside(flow.names)
        return Flow(None, names, names, features)

    writer.fixed |= outside(child.fixed)
    if not child.cls.channels:
        # The widths that enter are numbers in it.
        writer.fixed = writer.fixed.union(*(flow.names for flow in flows))
    return [behind(flow) for flow in child.outputs]
