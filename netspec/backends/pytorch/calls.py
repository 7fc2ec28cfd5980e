"""Prints constructor calls of generated classes, such as `Bottleneck(in_channels, width, stride=stride)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netspec.backends.pytorch.arguments import argument_of_call
from netspec.backends.pytorch.bodies import BodyItem, ScopeBody
from netspec.backends.pytorch.flows import NO_NAMES, SHAPE, UNSEEN, ArgumentNames, Flow
from netspec.backends.pytorch.layout import Bracket, Doc
from netspec.backends.pytorch.state import ClassState, ItemUses, Place, WrittenClass
from netspec.backends.pytorch.sums import collect_terms
from netspec.backends.pytorch.terms import choose_size, choose_written, dependencies
from netspec.expression import Expression, Name, names_in, rewrite


def class_call(state: ClassState, item: BodyItem, body: ScopeBody, place: Place, uses: ItemUses) -> Doc:
    """The constructor call of another generated class. Also sets the flows of the item's outputs."""
    callee = state.written[state.class_of[body]]
    scope = body.scope
    is_block = scope is not None and scope.block is not None
    parts: list[Doc] = []
    chosen: dict[str, Expression] = {}
    for argument in callee.arguments:
        values = [(use, argument.values[match.body]) for use, match in uses if match.body is not None]
        if argument.name in callee.cls.sizes:
            size = "channels" if argument.name in callee.cls.channels else "features"
            value = item.inputs[callee.cls.sizes[argument.name]]
            tree = choose_size(state, value, values, argument.name, size)
        else:
            written = scope.written.get(argument.name) if scope else None
            if not is_block and argument.name in (*state.parameters, "index"):
                # A scope inside a block reads the block's parameters.
                written = Name(argument.name)
            tree = choose_written(state, values, written, place, argument.name, argument.is_list)
        chosen[argument.name] = tree
        parts += argument_of_call(argument.name, tree, argument.required, argument.default)
    _set_flows(state, item, _Translation(state, body, place, callee, chosen, [state.flows[v] for v in item.inputs]))
    return Bracket(f"{callee.cls.name}(", parts)


def _set_flows(state: ClassState, item: BodyItem, translation: _Translation) -> None:
    """Set the flows of a call's outputs, and pin the arguments that the callee's pinned arguments depend on."""
    callee = translation.callee
    state.pinned |= translation.names(callee.pinned)
    if not callee.cls.channels:
        # The callee has the widths of its inputs as literals.
        state.pinned |= NO_NAMES.union(*(flow.dependencies for flow in translation.inputs))
    for value, flow in zip(item.outputs, [translation.flow(flow) for flow in callee.outputs], strict=False):
        state.flows[value] = flow


@dataclass(frozen=True, slots=True)
class _Translation:
    """Translates the flows of a class, the callee, into the terms of a class that calls it.

    `chosen` are the expressions for the callee's arguments, and `inputs` the flows of what enters the call.
    """

    state: ClassState
    body: ScopeBody
    place: Place
    callee: WrittenClass
    chosen: Mapping[str, Expression]
    inputs: Sequence[Flow]

    def flow(self, flow: Flow) -> Flow:
        """A flow of the callee, in terms of the caller's arguments."""
        channels, features = self.expression(flow.channels), self.expression(flow.features)
        if channels is not None:
            return Flow(channels, self.names(flow.assumed), self.names(flow.others), features)
        names = self.names(flow.dependencies)
        return Flow(None, names, names, features)

    def expression(self, tree: Expression | None) -> Expression | None:
        """An expression over the callee's arguments, in terms of the caller's; None where it has no short form."""
        if tree is None or not names_in(tree) <= self.chosen.keys():
            return None
        return collect_terms(rewrite(tree, lambda leaf: self.chosen.get(leaf.name, leaf)))

    def names(self, names: ArgumentNames) -> ArgumentNames:
        """The caller's arguments that some of the callee's depend on."""
        return NO_NAMES.union(*map(self._name, names))

    def _name(self, name: str) -> ArgumentNames:
        scope = self.body.scope
        if name == SHAPE:
            return self._shape()
        if name == UNSEEN:
            return frozenset((UNSEEN,))
        if name in self.chosen:
            return frozenset(names_in(self.chosen[name]))
        number = self.callee.cls.sizes.get(name)
        if number is not None and number < len(self.inputs):
            return self.inputs[number].dependencies
        if scope is not None and scope.block is not None:
            return dependencies(self.state, scope.written.get(name), self.place)
        return frozenset((name,)) & (self.state.parameters | {"index"})

    def _shape(self) -> ArgumentNames:
        """The caller's arguments that the sizes of the inputs depend on, but for the channels of the first one.

        These have an argument of their own, on which the callee's flows depend instead.
        """
        names = NO_NAMES.union(*(flow.others | flow.assumed for flow in self.inputs))
        names = names.union(*(flow.dependencies for flow in self.inputs[1:]))
        if self.inputs and self.inputs[0].features is not None:
            names |= names_in(self.inputs[0].features)
        return names
