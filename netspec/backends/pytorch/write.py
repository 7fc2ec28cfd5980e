"""One class as source: its constructor, found by verifying expressions on every use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netspec.backends.pytorch.arguments import UNSAYABLE, Arguments, ConstructorArgument, Values, argument_of
from netspec.backends.pytorch.bodies import BodyItem, ScopeBody, named_values
from netspec.backends.pytorch.classes import Class, ClassUse, agreed_parameters, check_shared
from netspec.backends.pytorch.expressions import document
from netspec.backends.pytorch.flows import NONE, SHAPE, UNSEEN, Flow, Names, SizeRules, behind, item_of
from netspec.backends.pytorch.instances import instance
from netspec.backends.pytorch.layout import Bracket, Choice, Doc, named_sequential, statement
from netspec.backends.pytorch.place import Matched, Place
from netspec.backends.pytorch.repeats import repeat
from netspec.expression import (
    Attribute,
    Binary,
    Conditional,
    Expression,
    ListOf,
    Literal,
    Name,
    names_in,
    rewrite,
    simplify,
)
from netspec.graph.model import Graph, Node, SpecParameter
from netspec.ops.base import Op
from netspec.types import Layer


@dataclass(slots=True)
class WrittenClass:
    """A class that is written: its arguments, its lines, and what is known of its outputs in their terms.

    `fixed` are the arguments (or SHAPE) that a literal or the structure follows from: with another value the
    class would be wrong. `conditions` are functions that not every use has, with the attribute that says so.
    """

    cls: Class
    arguments: list[ConstructorArgument]
    outputs: list[Flow]
    constructor: list[str]
    conditions: dict[str, str]
    fixed: Names


class ClassWriter:
    """Writes one class; the classes it uses are written before."""

    def __init__(
        self,
        cls: Class,
        graph: Graph,
        of_body: Mapping[int, Class],
        done: Mapping[int, WrittenClass],
        free: Iterable[str],
        sizes: SizeRules,
    ) -> None:
        self.cls = cls
        self.graph = graph
        self.of_body = of_body
        self.done = done
        self.is_network = cls.template.body.scope is None
        if self.is_network:
            # The spec's parameters that may be arguments of the network's own class; all others are numbers here.
            cls.parameters = [SpecParameter(n, type(v).__name__, v) for n, v in graph.params.items() if n in set(free)]
        self.arguments = Arguments(cls, graph)
        # The parameters of a block shadow the file's, in the scopes within it too.
        shadowed = {p.name for p in cls.parameters}
        self.constants = {n: v for n, v in agreed_parameters(cls).items() if n not in shadowed}
        self.named = named_values(graph, cls.template.body)
        self.own = frozenset(p.name for p in cls.parameters) - UNSAYABLE
        self.flows: dict[str, Flow] = {}
        self.sizes = sizes
        self.fixed: set[str] = set()

    def write(self) -> WrittenClass:
        body = self.cls.template.body
        for number, value in enumerate(body.inputs):
            self.flows[value] = self.entering(value, number)
        lines: list[str] = []
        conditions: dict[str, str] = {}
        place = Place(body.entry)
        for item in body.items:
            matched = self.matched(item)
            if item.shares:
                self.shared(item, place, matched)
            elif item.is_module:
                lines += self.module(item, place, matched)
            else:
                self.function(item, place, matched, lines, conditions)
        extra = ["index", *(n for n in self.graph.params if n not in self.constants)]
        arguments = self.arguments.listed(extra)
        outputs = [self.flows[value] for value in (*body.outputs, *body.training)] or [Flow()]
        return WrittenClass(self.cls, arguments, outputs, lines, conditions, frozenset(self.fixed))

    def entering(self, value: str, number: int) -> Flow:
        type = self.graph.types[value]
        if self.is_network:
            return Flow(Literal(type.channels) if type.rank > 1 else None)
        if not self.cls.channels and (width := self.cls.widths(number)) is not None:
            return Flow(Literal(width), sizes=frozenset((SHAPE,)))
        names = {place: name for name, place in self.cls.channels.items()}
        lasts = {place: name for name, place in self.cls.features.items()}
        channels = Name(names[number]) if number in names and type.rank > 1 else None
        features = Name(lasts[number]) if number in lasts and type.rank == 3 else None
        return Flow(channels, sizes=frozenset((SHAPE,)), features=features)

    def matched(self, item: BodyItem) -> Matched:
        found = [(member, member.items.get(id(item))) for member in self.cls.members]
        return [(member, other) for member, other in found if other is not None]

    def module(self, item: BodyItem, place: Place, matched: Matched) -> list[str]:
        """The statement that makes a submodule; where not every use has it, with its condition."""
        if item.body is not None and not item.body.is_class and self.partial(item.body):
            return self.sequential_with_conditions(item, item.body, place, matched)
        doc, always = self.doc_or_none(item, place, matched)
        if always:
            return statement(f"self.{item.name} = ", doc, 8)
        condition = document(self.condition(item, place))
        return statement(f"self.{item.name} = ", Choice(doc, condition, "nn.Identity()"), 8)

    def shared(self, item: BodyItem, place: Place, matched: Matched) -> None:
        """A module that is called again: what is known behind it, and nothing to make."""
        arguments = self.arguments
        saved = set(arguments.used), dict(arguments.invented), dict(arguments.environments), set(self.fixed)
        arguments.trying = True
        check_shared(item, self.cls.template.body, self.of_body)
        if item.loops and item.body is not None:
            for number, copy in enumerate(item.body.items):
                self.doc(copy, Place(place.entering, number), self.matched(copy))
            self.rely_on(item.body.scope.count if item.body.scope else None, place)
            saved[3].update(self.fixed)
        else:
            self.doc(item, place, matched)
        arguments.used, arguments.invented, arguments.environments, self.fixed = saved
        arguments.trying = False

    def doc_or_none(self, item: BodyItem, place: Place, matched: Matched) -> tuple[Doc, bool]:
        """The call that makes an item's module, and whether it stands without a condition."""
        before = self.flows.get(item.inputs[0])
        if item.body is not None and item.body.kind == "repeat" and not item.body.is_class:
            doc, always = repeat(self, item, item.body, place, matched)
        else:
            doc, always = self.doc(item, place, matched), len(matched) == len(self.cls.members)
        if always:
            self.rely_on(item.when, place)
        else:
            self.doubt_it(item, place, before)
        return doc, always

    def doubt_it(self, item: BodyItem, place: Place, before: Flow | None) -> None:
        """After a step that only some uses have, what is known holds for those uses, and may for no others."""
        for value in item.outputs:
            flow = self.flows[value]
            depends = flow.names | (before.names if before else NONE) | self.reads(item.when, place)
            if item.body is not None and item.body.scope is not None:
                depends |= self.reads(item.body.scope.count, place)
            exact = self.resolve(item.when, place) if item.when is not None else None
            if exact is not None and before is not None and flow.channels is not None and before.channels is not None:
                exact = Conditional(flow.channels, exact, before.channels)
            self.flows[value] = Flow(flow.channels, depends, depends, flow.features, exact)

    def rely_on(self, tree: Expression | None, place: Place) -> None:
        """What the structure of the source follows from can't be an argument."""
        self.fixed |= self.reads(tree, place)

    def reads(self, tree: Expression | None, place: Place) -> Names:
        """The names of this class that an expression of the spec depends on."""
        if tree is None:
            return NONE
        found: set[str] = set()
        for name in names_in(tree):
            value = self.value_called(name.partition(".")[0], place)
            if "." not in name:
                found |= {name} & (self.own | {"index"})
            elif value in self.flows:
                found |= self.flows[value].names
            else:
                found.add(UNSEEN)
        return frozenset(found)

    def value_called(self, name: str, place: Place) -> str | None:
        """The value that an expression of the spec calls by a name."""
        return place.entering if name in ("input", place.entering) else self.named.get(name)

    def function(
        self, item: BodyItem, place: Place, matched: Matched, lines: list[str], conditions: dict[str, str]
    ) -> None:
        """A merge has no module; where not every use has it, an attribute says whether this one does."""
        before = self.flows.get(item.inputs[0])
        node = item.node
        if node is not None and node.weights_of != node.path:
            self.pin_borrowed(item, node, place)
        else:
            self.pass_through(item, matched, {})
        if len(matched) == len(self.cls.members):
            self.rely_on(item.when, place)
            return
        self.doubt_it(item, place, before)
        attribute, taken = f"with_{item.word}", {other.name for other in self.cls.template.body.items}
        while attribute in taken or attribute in conditions.values():
            attribute += "_"
        conditions[item.name] = attribute
        lines += statement(f"self.{attribute} = ", document(self.condition(item, place)), 8)

    def pass_through(self, item: BodyItem, matched: Matched, given: Mapping[str, Expression]) -> None:
        """What is known behind an op, whose attributes are given as expressions."""
        flows, ranks = [self.flows[v] for v in item.inputs], [self.graph.types[v].rank for v in item.inputs]
        varying = frozenset(name for name, tree in given.items() if names_in(tree))
        uses = [self.sizes.of(other.node, self.graph, varying) for _, other in matched if other.node is not None]
        for number, value in enumerate(item.outputs):
            self.flows[value] = behind([outputs[number] for outputs in uses], ranks, flows, given)

    def pin_borrowed(self, item: BodyItem, node: Node, place: Place) -> None:
        """Nothing is known behind an op with the weights of another layer, whose attributes are numbers."""
        for tree in node.written.values():
            self.rely_on(tree, place)
        names = NONE.union(*(self.flows[value].names for value in item.inputs))
        names = names.union(*(self.reads(tree, place) for tree in node.written.values()))
        self.follow(item, Flow(None, names, names))

    def follow(self, item: BodyItem, flow: Flow) -> None:
        for value in item.outputs:
            self.flows[value] = flow

    def partial(self, body: ScopeBody) -> bool:
        return body.kind != "repeat" and any(len(self.matched(part)) != len(self.cls.members) for part in body.items)

    def sequential_with_conditions(self, item: BodyItem, body: ScopeBody, place: Place, matched: Matched) -> list[str]:
        """A chain some of whose steps not every use has: they are added one by one, under their conditions."""
        inside = Place(body.entry, place.index)
        always = len(self.cls.members)
        first: list[BodyItem] = []
        for part in body.items:
            if len(self.matched(part)) != always:
                break
            first.append(part)
        lines = statement(f"self.{item.name} = ", self.sequential(first, inside), 8)
        for part in body.items[len(first) :]:
            made, unconditional = self.doc_or_none(part, inside, self.matched(part))
            doc = Bracket(f"self.{item.name}.add_module(", [f'"{part.name}"', made])
            if unconditional:
                lines += statement("", doc, 8)
            else:
                lines += statement("if ", document(self.condition(part, inside)), 8, ":")
                lines += statement("", doc, 12)
        self.rely_on(item.when, place)
        self.follow(item, self.flows[body.outputs[0]])
        return lines

    def condition(self, item: BodyItem, place: Place) -> Expression:
        """When an item is there: the spec's `when` where it says so for every use, else an argument."""
        values = [(member, member.items.get(id(item)) is not None) for member in self.cls.members]
        tree = item.when
        if tree is None and item.body is not None and item.body.kind == "repeat":
            count = item.body.scope.count if item.body.scope is not None else None
            tree = item.body.items[0].when or (None if count is None else Binary(">", count, Literal(0)))
        return self.verified(values, tree, place, f"with_{item.word}")

    def verified(
        self, values: Values, tree: Expression | None, place: Place, hint: str, is_list: bool = False
    ) -> Expression:
        """The spec's expression where it holds for every use; where not, what it depends on can't be an argument."""
        candidate = self.resolve(tree, place) if tree is not None else None
        chosen = self.arguments.choose(values, [candidate], hint, is_list)
        if chosen is not candidate:
            self.rely_on(tree, place)
        elif tree is not None and any("." in name for name in names_in(tree)) and place.entering in self.flows:
            self.fixed |= self.flows[place.entering].doubt
        return chosen

    def doc(self, item: BodyItem, place: Place, matched: Matched) -> Doc:
        """The call that makes an item's module."""
        if item.body is None:
            return self.layer(item, place, matched)
        if item.body.is_class:
            return instance(self, item, item.body, place, matched)
        if item.body.kind == "repeat":
            return repeat(self, item, item.body, place, matched)[0]
        doc = self.sequential(item.body.items, Place(item.body.entry, place.index))
        self.follow(item, self.flows[item.body.outputs[0]])
        return doc

    def sequential(self, items: Sequence[BodyItem], place: Place) -> Doc:
        """`nn.Sequential` with the steps' names; numbers are what it gives by itself."""
        docs: list[Doc] = []
        for part in items:
            docs.append(self.doc(part, place, self.matched(part)))
            self.rely_on(part.when, place)
        return named_sequential([part.name for part in items], docs)

    def layer(self, item: BodyItem, place: Place, matched: Matched) -> Doc:
        """`nn.Conv2d(in_channels, width, 3, padding=1)`: only what differs from torch's defaults is said."""
        node, printed = item.node, item.printed
        assert node is not None
        assert isinstance(printed, Layer)
        follows = self.sizes.arguments(node, self.graph)
        parts: list[Doc] = []
        given: dict[str, Expression] = {}
        arguments = [(m, _layer(i).arguments) for m, i in matched]
        for number, name in enumerate(printed.arguments):
            values = [(m, own[name]) for m, own in arguments]
            if printed.inside:
                chosen = self.verified(values, item_of(node, number), place, f"{item.name}_size")
            elif name in follows:
                chosen = self.sized(item, values, name, follows[name])
            else:
                listed = name in printed.lists
                chosen = self.verified(values, node.written.get(name), place, _hint(item, node.op, name), listed)
            if isinstance(values[0][1], bool) and any(i.node is not None and i.node.init for _, i in matched):
                # A flag may say which weights there are, and the initialisers take that as known.
                self.fixed |= names_in(chosen)
            if printed.inside or name not in follows:
                given[name] = chosen
            parts += argument_of(name, chosen, number < printed.positional, node.op.default(name))
        if printed.inside:
            # The list of sizes is one attribute.
            given = dict.fromkeys(type(node.op).model_fields, ListOf(tuple(given.values())))
        self.pass_through(item, matched, given)
        made = Bracket(f"{printed.inside or printed.target}(", parts)
        return Bracket(f"{printed.target}(", [made]) if printed.inside else made

    def sized(
        self, item: BodyItem, values: Sequence[tuple[ClassUse, Any]], name: str, axes: frozenset[int]
    ) -> Expression:
        """An argument that follows from axes of the inputs, such as `in_channels`."""
        value = item.inputs[0]
        if not axes:
            return self.arguments.choose(values, [], name)
        if axes == frozenset((1,)):
            return self.entered(value, values, name, "channels")
        if axes == frozenset((self.graph.types[value].rank - 1,)):
            return self.entered(value, values, name, "features")
        self.fixed |= self.flows[value].names
        return self.arguments.choose(values, [], name)

    def entered(self, value: str, values: Sequence[tuple[ClassUse, Any]], name: str, size: str) -> Expression:
        """An argument that follows from the channels of a value, or from its features."""
        flow, wide = self.flows[value], size == "features"
        candidate = flow.features if wide else flow.channels
        share = self.arguments.share_of(candidate, values)
        chosen = self.arguments.choose(values, [candidate, None if wide else flow.exact, share], name)
        if chosen is candidate or chosen is flow.exact or chosen is share:
            self.fixed |= NONE if wide else flow.doubt
        else:
            self.fixed |= flow.names
        return chosen

    def resolve(self, tree: Expression, place: Place) -> Expression | None:
        """A spec's expression in the terms of this class, or None where it can't be said in them."""
        if place.later:
            # What is the same for early and late copies needs no number: `2 if index == 0 else 1` is 1 for all.
            first, last = (self.resolve(tree, Place(place.entering, index)) for index in place.later)
            if first is not None and first == last:
                return first
        known = self.constants if place.index is None else {**self.constants, "index": place.index}
        failed = False

        def leaf(found: Name | Attribute) -> Expression:
            nonlocal failed
            if isinstance(found, Name):
                return Literal(known[found.name]) if found.name in known else found
            value = self.value_called(found.name, place)
            flow = self.flows.get(value) if value else None
            rank = self.graph.types[value].rank if value else 0
            sized = found.attribute == "channels" or (found.attribute == "features" and rank == 2)
            if flow is not None and sized and flow.channels is not None:
                return flow.channels
            if flow is not None and found.attribute == "features" and rank == 3 and flow.features is not None:
                return flow.features
            failed = True
            return found

        resolved = rewrite(tree, leaf)
        if failed:
            return None
        resolved = simplify(resolved, {})
        reachable = self.own | {*self.cls.sizes, "index", *self.arguments.invented}
        return resolved if names_in(resolved) <= reachable else None


def _layer(item: BodyItem) -> Layer:
    assert isinstance(item.printed, Layer)
    return item.printed


def _hint(item: BodyItem, op: Op, name: str) -> str:
    """What an argument for an attribute is called: by its name alone if that has no default, or is of a window."""
    plain = op.default(name) is ... or isinstance(getattr(op, name), tuple) or item.name.isdigit()
    return name if plain else f"{item.name}_{name}"
