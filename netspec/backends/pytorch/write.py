"""One class as source: its constructor, found by verifying expressions on every use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from netspec.backends.pytorch.arguments import UNSAYABLE, Argument, Arguments, CopiesDifferError, Values, same
from netspec.backends.pytorch.bodies import Body, Item, is_chain
from netspec.backends.pytorch.classes import Class, Member, uniform
from netspec.backends.pytorch.expressions import document, written
from netspec.backends.pytorch.layout import Bracket, Choice, Doc, Generator, flat, prefixed, statement
from netspec.backends.pytorch.sums import tidy
from netspec.expression import Attribute, Binary, Conditional, Expression, Literal, Name, names_in, rewrite, simplify
from netspec.graph.model import Graph, Parameter
from netspec.ops.base import Elementwise
from netspec.ops.pooling import AdaptivePool2d
from netspec.types import Call, Layer, Tensor

Matched = Sequence[tuple[Member, Item]]
Names = frozenset[str]

NONE: Names = frozenset()
SHAPE = "the shape"
"""Stands among the names that something depends on for the sizes of what enters a class."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What the source knows of a value: its channels in the class's terms, and which names that leaves open.

    `channels` holds for every use of the class; for other arguments it may fail to where one of `doubt` is
    another. `sizes` are the names that the other axes depend on. `features` is the last axis, where it is
    neither of these.
    """

    channels: Expression | None = None
    doubt: Names = NONE
    sizes: Names = NONE
    features: Expression | None = None
    exact: Expression | None = None
    """The channels behind a step that only some uses have: of those that have it, and of those that have it not."""

    @property
    def names(self) -> Names:
        """All that the value's shape depends on."""
        trees = [tree for tree in (self.channels, self.features) if tree is not None]
        return self.doubt | self.sizes | frozenset(name for tree in trees for name in names_in(tree))


@dataclass(slots=True)
class Written:
    """A class that is written: its arguments, its lines, and what is known of its output in their terms.

    `fixed` are the arguments (or SHAPE) that a literal or the structure follows from: with another value the
    class would be wrong. `conditions` are functions that not every use has, with the attribute that says so.
    """

    cls: Class
    arguments: list[Argument]
    output: Flow
    constructor: list[str]
    conditions: dict[str, str]
    fixed: Names


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands inside a class: the value that enters its scope, and its copy's number, if it is one.

    `later` are the first and last number of a run of copies that print as one.
    """

    entering: str | None
    index: int | None = None
    later: tuple[int, ...] = ()


class ClassWriter:
    """Writes one class; the classes it uses are written before."""

    def __init__(
        self, cls: Class, graph: Graph, of_body: Mapping[int, Class], done: Mapping[int, Written], free: Iterable[str]
    ) -> None:
        self.cls = cls
        self.graph = graph
        self.of_body = of_body
        self.done = done
        self.is_network = cls.template.body.scope is None
        if self.is_network:
            # The spec's parameters that may be arguments of the network's own class; all others are numbers here.
            cls.parameters = [Parameter(n, type(v).__name__, v) for n, v in graph.params.items() if n in set(free)]
        self.arguments = Arguments(cls, graph)
        # The parameters of a block shadow the file's, in the scopes within it too.
        shadowed = {p.name for p in cls.parameters}
        self.constants = {n: v for n, v in graph.params.items() if n not in shadowed}
        self.own = frozenset(p.name for p in cls.parameters) - UNSAYABLE
        self.flows: dict[str, Flow] = {}
        self.fixed: set[str] = set()

    def write(self) -> Written:
        body = self.cls.template.body
        for number, value in enumerate(body.inputs):
            self.flows[value] = self.entering(value, number)
        lines: list[str] = []
        conditions: dict[str, str] = {}
        place = Place(body.entry)
        for item in body.items:
            matched = self.matched(item)
            if item.is_module:
                lines += self.module(item, place, matched)
            else:
                self.function(item, place, matched, lines, conditions)
        extra = ["index", *(n for n in self.graph.params if n not in self.constants)]
        arguments = self.arguments.listed(extra)
        output = self.flows[body.outputs[0]] if body.outputs else Flow()
        return Written(self.cls, arguments, output, lines, conditions, frozenset(self.fixed))

    def entering(self, value: str, number: int) -> Flow:
        type = self.graph.types[value]
        if self.is_network:
            return Flow(Literal(type.channels) if type.rank > 1 else None)
        shape = frozenset((SHAPE,))
        return Flow(Name(self.cls.channels) if number == 0 and type.rank > 1 else None, sizes=shape)

    def matched(self, item: Item) -> Matched:
        found: list[tuple[Member, Item]] = []
        for member in self.cls.members:
            other = member.items.get(id(item))
            if other is not None:
                found.append((member, other))
        return found

    def module(self, item: Item, place: Place, matched: Matched) -> list[str]:
        """The statement that makes a submodule; where not every use has it, with its condition."""
        if item.body is not None and not item.body.is_class and self.partial(item.body):
            return self.sequential_with_conditions(item, item.body, place, matched)
        doc, always = self.doc_or_none(item, place, matched)
        if always:
            return statement(f"self.{item.name} = ", doc, 8)
        condition = document(self.condition(item, place))
        return statement(f"self.{item.name} = ", Choice(doc, condition, "nn.Identity()"), 8)

    def doc_or_none(self, item: Item, place: Place, matched: Matched) -> tuple[Doc, bool]:
        """The call that makes an item's module, and whether it stands without a condition."""
        before = self.flows.get(item.inputs[0])
        if item.body is not None and item.body.kind == "repeat" and not item.body.is_class:
            doc, always = self.repeat(item, item.body, place, matched)
        else:
            doc, always = self.doc(item, place, matched), len(matched) == len(self.cls.members)
        if always:
            self.rely_on(item.when, place)
        else:
            self.doubt_it(item, place, before)
        return doc, always

    def doubt_it(self, item: Item, place: Place, before: Flow | None) -> None:
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
            if "." not in name:
                found |= {name} & (self.own | {"index"})
            elif place.entering in self.flows:
                found |= self.flows[place.entering].names
            else:
                found.add(SHAPE)
        return frozenset(found)

    def function(
        self, item: Item, place: Place, matched: Matched, lines: list[str], conditions: dict[str, str]
    ) -> None:
        """A merge has no module; where not every use has it, an attribute says whether this one does."""
        before = self.flows.get(item.inputs[0])
        self.merge(item)
        if len(matched) == len(self.cls.members):
            self.rely_on(item.when, place)
            return
        self.doubt_it(item, place, before)
        attribute, taken = f"with_{item.name}", {other.name for other in self.cls.template.body.items}
        while attribute in taken or attribute in conditions.values():
            attribute += "_"
        conditions[item.name] = attribute
        lines += statement(f"self.{attribute} = ", document(self.condition(item, place)), 8)

    def merge(self, item: Item) -> None:
        sources = [self.flows[value] for value in item.inputs]
        names = frozenset[str]().union(*(flow.names for flow in sources))
        doubt = frozenset[str]().union(*(flow.doubt for flow in sources))
        sizes = frozenset[str]().union(*(flow.sizes for flow in sources))
        channels, features = sources[0].channels, sources[0].features
        if isinstance(item.printed, Call):
            rank = self.graph.types[item.inputs[0]].rank
            if item.printed.arguments.get("dim", 1) % rank == 1:
                for source in sources[1:]:
                    known = channels is not None and source.channels is not None
                    channels = Binary("+", channels, source.channels) if known else None  # pyright: ignore[reportArgumentType]
                channels = tidy(channels) if channels is not None else None
            else:
                doubt, sizes, features = names, names, None
        if channels is None:
            doubt, sizes = names, names
        self.follow(item, Flow(channels, doubt, sizes, features))

    def follow(self, item: Item, flow: Flow) -> None:
        for value in item.outputs:
            self.flows[value] = flow

    def partial(self, body: Body) -> bool:
        return body.kind != "repeat" and any(len(self.matched(part)) != len(self.cls.members) for part in body.items)

    def sequential_with_conditions(self, item: Item, body: Body, place: Place, matched: Matched) -> list[str]:
        """A chain some of whose steps not every use has: they are added one by one, under their conditions."""
        inside = Place(body.entry, place.index)
        always = len(self.cls.members)
        first: list[Item] = []
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

    def condition(self, item: Item, place: Place) -> Expression:
        """When an item is there: the spec's `when` where it says so for every use, else an argument."""
        values = [(member, member.items.get(id(item)) is not None) for member in self.cls.members]
        tree = item.when
        if tree is None and item.body is not None and item.body.kind == "repeat":
            count = item.body.scope.count if item.body.scope is not None else None
            tree = item.body.items[0].when or (None if count is None else Binary(">", count, Literal(0)))
        return self.verified(values, tree, place, f"with_{item.name}")

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

    def doc(self, item: Item, place: Place, matched: Matched) -> Doc:
        """The call that makes an item's module."""
        if item.body is None:
            return self.layer(item, place, matched)
        if item.body.is_class:
            return self.instance(item, item.body, place, matched)
        if item.body.kind == "repeat":
            return self.repeat(item, item.body, place, matched)[0]
        doc = self.sequential(item.body.items, Place(item.body.entry, place.index))
        self.follow(item, self.flows[item.body.outputs[0]])
        return doc

    def sequential(self, items: Sequence[Item], place: Place) -> Doc:
        """`nn.Sequential` with the steps' names; numbers are what it gives by itself."""
        docs: list[Doc] = []
        for part in items:
            docs.append(self.doc(part, place, self.matched(part)))
            self.rely_on(part.when, place)
        return self.named_sequential([part.name for part in items], docs)

    def named_sequential(self, names: Sequence[str], docs: Sequence[Doc]) -> Doc:
        if list(names) == [str(n) for n in range(len(docs))]:
            return Bracket("nn.Sequential(", docs)
        if all(name.isidentifier() for name in names):
            pairs: list[Doc] = [prefixed(f"{name}=", doc) for name, doc in zip(names, docs, strict=True)]
            return Bracket("nn.Sequential(", [Bracket("OrderedDict(", pairs)])
        pairs = [prefixed(f'"{name}": ', doc) for name, doc in zip(names, docs, strict=True)]
        return Bracket("nn.Sequential(", [Bracket("OrderedDict(", [Bracket("{", pairs, "}")])])

    def repeat(self, item: Item, body: Body, place: Place, matched: Matched) -> tuple[Doc, bool]:
        """The copies of a repeat, equal ones in a row as a generator; and whether that stands for every use."""
        groups = [other.body.items for _, other in matched if other.body is not None]
        count = body.scope.count if body.scope else None
        every = len(matched) == len(self.cls.members)
        if not uniform(body, self.of_body):
            self.rely_on(count, place)
            doc = self.copies(body, place, [self.matched(part) for part in body.items])
        elif (every or body.items[0].when is not None) and len({len(group) for group in groups}) == 1:
            self.rely_on(count, place)
            each = [
                [(member, group[n]) for (member, _), group in zip(matched, groups, strict=True)]
                for n in range(len(body.items))
            ]
            doc = self.copies(body, place, each)
        else:
            doc, every = self.counted(body, place, matched, groups)
        self.follow(item, self.flows[body.outputs[0]])
        return (doc if is_chain(body) else _as_list(doc)), every

    def copies(self, body: Body, place: Place, matched: Sequence[Matched]) -> Doc:
        docs: list[Doc] = []
        for copy, found in zip(body.items, matched, strict=True):
            here = Place(place.entering, int(copy.name) if copy.name.isdigit() else None)
            docs.append(self.doc(copy, here, found))
            self.rely_on(copy.when, here)
        names = [copy.name for copy in body.items]
        if names != [str(n) for n in range(len(docs))]:
            return self.named_sequential(names, docs)
        runs: list[tuple[Doc, int]] = []
        for doc in docs:
            if runs and flat(runs[-1][0]) == flat(doc):
                runs[-1] = (doc, runs[-1][1] + 1)
            else:
                runs.append((doc, 1))
        return Bracket("nn.Sequential(", [doc if n == 1 else Generator(doc, f"range({n})") for doc, n in runs])

    def counted(self, body: Body, place: Place, matched: Matched, groups: Sequence[Sequence[Item]]) -> tuple[Doc, bool]:
        """Copies whose number differs from use to use: the first, and as many more as the count says."""
        head = body.items[0]
        before = {value: self.flows[value] for value in head.inputs}
        heads = [(m, g[0]) for (m, _), g in zip(matched, groups, strict=True)]
        first = self.doc(head, Place(place.entering, 0), heads)
        self.rely_on(head.when, place)
        here = {id(member.body): len(group) for (member, _), group in zip(matched, groups, strict=True)}
        # Where a condition leaves the whole repeat out, the count says nothing of that.
        optional = head.when is not None and len(here) < len(self.cls.members)
        counted = [member for member in self.cls.members if id(member.body) in here or not optional]
        counts = [(member, here.get(id(member.body), 0)) for member in counted]
        tree = body.scope.count if body.scope else None
        more, start = (first, None) if len(body.items) == 1 else self.more(body, place, matched, groups)
        count = self.verified(counts, tree, place, "depth")
        for copy in body.items[1:]:
            self.follow(copy, self.flows[body.items[min(1, len(body.items) - 1)].outputs[0]])
        last = body.items[-1].outputs[0]
        depends = self.flows[last].names | self.reads(tree, place)
        depends = depends.union(*(flow.names for flow in before.values()))
        channels, number = self.flows[last].channels, Binary("-", count, Literal(1))
        if start is not None and channels is not None:
            channels = tidy(rewrite(channels, lambda leaf: number if leaf == Name("index") else leaf))
        self.flows[last] = Flow(channels, depends, depends, self.flows[last].features)
        if start == 0:
            return Bracket("nn.Sequential(", [Generator(more, f"range({written(count)})", "index")]), not optional
        if flat(first) == flat(more):
            return Bracket("nn.Sequential(", [Generator(more, f"range({written(count)})")]), not optional
        every = len(matched) == len(self.cls.members)
        if start == 1:
            run = Generator(more, f"range(1, {written(count)})", "index")
        else:
            run = Generator(more, f"range({written(simplify(Binary('-', count, Literal(1)), {}))})")
        return Bracket("nn.Sequential(", [first, run]), every

    def more(
        self, body: Body, place: Place, matched: Matched, groups: Sequence[Sequence[Item]]
    ) -> tuple[Doc, int | None]:
        """The copies after the first in one expression, and from which on if it reads their number, `index`."""
        first, second = body.items[:2]
        rest = [
            (Member(member.body, member.names, member.items, index), copy)
            for (member, _), group in zip(matched, groups, strict=True)
            for index, copy in enumerate(group[1:], start=1)
        ]
        here = Place(place.entering, later=(1, max(2, *(len(group) for group in groups))))
        self.rely_on(second.when, here)
        # What enters a copy is what the one before gave: with a number less by one, or more by as much each time.
        entering = {value: self.flows[value] for value in second.inputs}
        arguments = self.arguments
        saved = set(arguments.used), dict(arguments.invented), dict(arguments.environments), set(self.fixed)
        arguments.trying = True
        self.doc(second, here, rest)
        arguments.used, arguments.invented, arguments.environments, self.fixed = saved
        arguments.trying = False
        given = self.flows[second.outputs[0]].channels
        previous = first.outputs[0]
        flow, base = entering.get(previous), self.flows[first.inputs[0]].channels
        if given is not None and flow is not None and flow.channels is not None:
            earlier: Expression | None = flow.channels
            if "index" in names_in(given):
                less = Binary("-", Name("index"), Literal(1))
                earlier = tidy(rewrite(given, lambda leaf: less if leaf == Name("index") else leaf))
            elif base is not None and given != flow.channels:
                step = tidy(Binary("-", given, flow.channels))
                earlier = tidy(Binary("+", base, Binary("*", Name("index"), step))) if step is not None else None
            self.flows[previous] = Flow(earlier, flow.doubt, flow.sizes, flow.features)
        whole = [
            (Member(member.body, member.names, member.items, index), copy)
            for (member, _), group in zip(matched, groups, strict=True)
            for index, copy in enumerate(group)
        ]
        saved = set(arguments.used), dict(arguments.invented), dict(arguments.environments), set(self.fixed)
        # The first copy may be as the others are, once `index` is 0.
        with suppress(CopiesDifferError):
            doc = self.doc(second, here, whole)
            if "index" in _words(doc) and len(arguments.invented) == len(saved[1]):
                return doc, 0
        arguments.used, arguments.invented, arguments.environments, self.fixed = saved
        doc = self.doc(second, here, rest)
        return doc, 1 if "index" in _words(doc) else None

    def layer(self, item: Item, place: Place, matched: Matched) -> Doc:
        """`nn.Conv2d(in_channels, width, 3, padding=1)`: only what differs from torch's defaults is said."""
        node, printed = item.node, item.printed
        assert node is not None
        assert isinstance(printed, Layer)
        attributes = type(node.op).model_fields
        parts: list[Doc] = []
        sizes: set[str] = set()
        out: Expression | None = None
        for number, name in enumerate(printed.arguments):
            values = [(m, _layer(i).arguments[name]) for m, i in matched]
            if name in attributes:
                chosen = self.verified(values, node.written.get(name), place, _hint(item, name))
            else:
                chosen = self.sized(item, values, name)
            if name in ("bias", "affine") and any(i.node is not None and i.node.init for _, i in matched):
                # The initialisers take it as known which weights there are.
                self.fixed |= names_in(chosen)
            if name in ("out_channels", "out_features"):
                out = chosen
            elif name not in ("in_channels", "groups", "bias"):
                sizes |= names_in(chosen)
            if number < printed.positional:
                parts.append(document(chosen))
            elif not (isinstance(chosen, Literal) and same(chosen.value, node.op.default(name))):
                parts.append(prefixed(f"{name}=", document(chosen)))
        self.follow(item, self.after(item, out, frozenset(sizes), matched))
        return Bracket(f"{printed.target}(", parts)

    def after(self, item: Item, out: Expression | None, names: Names, matched: Matched) -> Flow:
        """What is known behind a layer, from its output's channels if it has some of its own, and what it reads."""
        node, flow = item.node, self.flows[item.inputs[0]]
        assert node is not None
        x, y = self.graph.types[item.inputs[0]], node.type
        if node.op.opname == "linear":
            return Flow(out) if x.rank == 2 else Flow(flow.channels, flow.doubt, flow.sizes, out)
        if node.op.opname == "flatten":
            return self.flattened(flow, x, y, matched)
        if isinstance(node.op, AdaptivePool2d) and None not in node.op.output_size:
            return Flow(flow.channels, flow.doubt, names)
        if isinstance(node.op, Elementwise):
            return flow
        if out is not None:
            return Flow(out, NONE, flow.sizes | names)
        return Flow(flow.channels, flow.doubt, flow.sizes | names)

    def flattened(self, flow: Flow, x: Tensor, y: Tensor, matched: Matched) -> Flow:
        """A flattened map has as many features as channels only while it is 1x1."""
        pairs = [(self.graph.types[i.inputs[0]], i.node.type) for _, i in matched if i.node is not None]
        if y.rank > 1 and all(a.rank > 1 and b.rank > 1 and a.shape[1] == b.shape[1] for a, b in pairs):
            # With axis 1 as it was, either nothing is merged into it or all that is are ones.
            return Flow(flow.channels, flow.doubt | flow.sizes, flow.sizes)
        return Flow(None, flow.names, flow.names)

    def sized(self, item: Item, values: Sequence[tuple[Member, Any]], name: str) -> Expression:
        """An argument that follows from the input's shape, such as `in_channels`."""
        flow = self.flows[item.inputs[0]]
        wide = name == "in_features" and self.graph.types[item.inputs[0]].rank > 2
        candidate = flow.features if wide else flow.channels
        chosen = self.arguments.choose(values, [candidate, None if wide else flow.exact], name)
        if chosen is candidate or chosen is flow.exact:
            self.fixed |= NONE if wide else flow.doubt
        else:
            self.fixed |= flow.names
        return chosen

    def instance(self, item: Item, body: Body, place: Place, matched: Matched) -> Doc:
        """`Bottleneck(in_channels, width, stride=stride)`: a call of another class."""
        child = self.done[id(self.of_body[id(body)])]
        scope = body.scope
        is_block = scope is not None and scope.block is not None
        parts: list[Doc] = []
        given: dict[str, Expression] = {}
        for argument in child.arguments:
            values = [(m, argument.values[id(i.body)]) for m, i in matched]
            if argument.name == child.cls.channels:
                chosen = self.sized(item, values, argument.name)
            else:
                tree = scope.written.get(argument.name) if scope else None
                if not is_block and argument.name in (*self.own, "index"):
                    # A scope within a block reads what the block does.
                    tree = Name(argument.name)
                chosen = self.verified(values, tree, place, argument.name, argument.is_list)
            given[argument.name] = chosen
            if argument.required:
                parts.append(document(chosen))
            elif not (isinstance(chosen, Literal) and same(chosen.value, argument.default)):
                parts.append(prefixed(f"{argument.name}=", document(chosen)))
        flows = [self.flows[value] for value in item.inputs]

        def outside(names: Names) -> Names:
            """The names here that some names of the other class stand for."""
            found: set[str] = set()
            for name in names:
                if name == SHAPE:
                    found = found.union(*(flow.sizes | flow.doubt for flow in flows))
                    found = found.union(*(flow.names for flow in flows[1:]))
                    found |= names_in(flows[0].features) if flows and flows[0].features is not None else set()
                elif name in given:
                    found |= names_in(given[name])
                elif name == child.cls.channels and flows:
                    found |= flows[0].names
                elif is_block and scope is not None:
                    found |= self.reads(scope.written.get(name), place)
                else:
                    found |= {name} & (self.own | {"index"})
            return frozenset(found)

        self.fixed |= outside(child.fixed)
        channels = child.output.channels
        names = outside(child.output.names)
        if channels is None or not names_in(channels) <= given.keys():
            flow = Flow(None, names, names)
        else:
            channels = tidy(rewrite(channels, lambda leaf: given.get(leaf.name, leaf)))
            doubt, sizes = outside(child.output.doubt), outside(child.output.sizes)
            flow = Flow(channels, doubt, sizes) if channels is not None else Flow(None, names, names)
        self.follow(item, flow)
        return Bracket(f"{child.cls.name}(", parts)

    def resolve(self, tree: Expression, place: Place) -> Expression | None:
        """A spec's expression in the terms of this class, or None where it can't be said in them."""
        if place.later:
            # What is the same for early and late copies needs no number: `2 if index == 0 else 1` is 1 for all.
            first, last = (self.resolve(tree, Place(place.entering, index)) for index in place.later)
            if first is not None and first == last:
                return first
        known = dict(self.constants)
        if place.index is not None:
            known["index"] = place.index
        failed = False

        def leaf(found: Name | Attribute) -> Expression:
            nonlocal failed
            if isinstance(found, Name):
                return Literal(known[found.name]) if found.name in known else found
            flow = self.flows.get(place.entering) if place.entering else None
            rank = self.graph.types[place.entering].rank if place.entering else 0
            sized = found.attribute == "channels" or (found.attribute == "features" and rank == 2)
            if flow is not None and found.name in ("input", place.entering) and sized and flow.channels is not None:
                return flow.channels
            failed = True
            return found

        resolved = rewrite(tree, leaf)
        if failed:
            return None
        resolved = simplify(resolved, {})
        reachable = self.own | {self.cls.channels, "index", *self.arguments.invented}
        return resolved if names_in(resolved) <= reachable else None


def _layer(item: Item) -> Layer:
    assert isinstance(item.printed, Layer)
    return item.printed


def _hint(item: Item, name: str) -> str:
    plain = ("out_channels", "out_features", "kernel_size", "stride", "padding")
    return name if name in plain else f"{item.name}_{name}"


def _words(doc: Doc) -> set[str]:
    """The words of a doc, as names are told from others."""
    return set("".join(c if c.isalnum() or c == "_" else " " for c in flat(doc)).split())


def _as_list(doc: Doc) -> Doc:
    """Copies that `forward` goes through: a list of modules, unless they have names of their own."""
    if isinstance(doc, Bracket) and not flat(doc).startswith("nn.Sequential(OrderedDict("):
        return Bracket("nn.ModuleList(", [Bracket("[", doc.items, "]")])
    return doc
