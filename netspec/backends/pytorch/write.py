"""One class as source: its constructor, found by verifying expressions on every use, and its forward."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netspec.backends.pytorch.arguments import Argument, Arguments, same, written
from netspec.backends.pytorch.bodies import Body, Item
from netspec.backends.pytorch.classes import Class, Member, uniform
from netspec.backends.pytorch.layout import Bracket, Choice, Doc, Generator, flat, statement
from netspec.expression import Attribute, Binary, Expression, Literal, Name, names_in, rewrite, simplify
from netspec.graph.model import Graph, Parameter
from netspec.types import Call, Layer

Matched = Sequence[tuple[Member, Item]]


@dataclass(slots=True)
class Written:
    """A class that is written: its arguments, its output's channels in their terms, and its lines."""

    cls: Class
    arguments: list[Argument]
    channels: Expression | None
    constructor: list[str]
    conditions: dict[str, str]
    """Functions that not every use has, with the attribute that says whether this one does."""
    imports: set[str] = field(default_factory=set[str])


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands inside a class: the value that enters its scope, and its copy's number, if it is one."""

    entering: str | None
    index: int | None = None


class ClassWriter:
    """Writes one class; the classes it uses are written before."""

    def __init__(
        self, cls: Class, graph: Graph, of_body: Mapping[int, Class], done: Mapping[int, Written], free: Iterable[str]
    ) -> None:
        self.cls = cls
        self.graph = graph
        self.of_body = of_body
        self.done = done
        self.free = frozenset(free)
        """The spec's parameters that may be arguments of the network's own class; all others are numbers here."""
        self.is_network = cls.template.body.scope is None
        names = {p.name for p in cls.parameters}
        channels = "in_channels" if "in_channels" not in names else "input_channels"
        if self.is_network:
            cls.parameters = [Parameter(n, type(v).__name__, v) for n, v in graph.params.items() if n in self.free]
        self.arguments = Arguments(cls, graph, channels)
        own = {p.name for p in cls.parameters}
        self.constants = {n: v for n, v in graph.params.items() if n not in own and n not in self.free}
        # The parameters of a block shadow the file's, in the scopes within it too.
        self.constants = {n: v for n, v in self.constants.items() if n not in names}
        self.channels: dict[str, Expression | None] = {}
        self.tainted: dict[str, set[str]] = {}
        self.fixed: set[str] = set()
        """Parameters that some literal depends on, so that they can't be arguments."""
        self.imports: set[str] = set()

    def write(self) -> Written:
        body = self.cls.template.body
        for number, value in enumerate(body.inputs):
            self.channels[value] = self.entering(value, number)
        lines: list[str] = []
        conditions: dict[str, str] = {}
        place = Place(body.inputs[0] if body.inputs else None)
        for item in body.items:
            matched = self.matched(item)
            if not item.is_module:
                self.function(item, place, matched, lines, conditions)
                continue
            lines += self.module(item, place, matched)
        channels = self.channels.get(body.outputs[0]) if body.outputs else None
        extra = [n for n in ("index", *(p.name for p in self.cls.parameters)) if n not in self.constants]
        arguments = self.arguments.listed(extra)
        known = {argument.name for argument in arguments}
        if channels is not None and not names_in(channels) <= known:
            channels = None
        return Written(self.cls, arguments, channels, lines, conditions, self.imports)

    def entering(self, value: str, number: int) -> Expression | None:
        type = self.graph.types[value]
        if type.rank < 2:
            return None
        if self.is_network:
            return Literal(type.channels)
        return Name(self.arguments.channels) if number == 0 else None

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
            return self.sequential_with_conditions(item, item.body, matched)
        doc = self.doc(item, place, matched)
        if len(matched) == len(self.cls.members):
            return statement(f"self.{item.name} = ", doc, 8)
        condition = written(self.condition(item, place))
        return statement(f"self.{item.name} = ", Choice(doc, condition, "nn.Identity()"), 8)

    def function(
        self, item: Item, place: Place, matched: Matched, lines: list[str], conditions: dict[str, str]
    ) -> None:
        """A merge has no module; where not every use has it, an attribute says whether this one does."""
        self.follow(item, self.merged_channels(item))
        if len(matched) != len(self.cls.members):
            attribute = f"with_{item.name}"
            conditions[item.name] = attribute
            lines += statement(f"self.{attribute} = ", written(self.condition(item, place)), 8)

    def merged_channels(self, item: Item) -> Expression | None:
        sources = [self.channels.get(value) for value in item.inputs]
        if isinstance(item.printed, Call) and item.printed.arguments.get("dim") == 1:
            total: Expression | None = sources[0]
            for source in sources[1:]:
                total = None if total is None or source is None else simplify(Binary("+", total, source), {})
            return total
        return sources[0]

    def follow(self, item: Item, channels: Expression | None, names: Iterable[str] = ()) -> None:
        """What is known of an item's outputs: their channels, and the parameters they depend on."""
        taint = set(names).union(*(self.tainted.get(value, set()) for value in item.inputs)) & self.free
        for value in item.outputs:
            self.channels[value] = channels
            self.tainted[value] = taint

    def partial(self, body: Body) -> bool:
        return any(len(self.matched(part)) != len(self.cls.members) for part in body.items) if body.kind != "repeat" else False

    def sequential_with_conditions(self, item: Item, body: Body, matched: Matched) -> list[str]:
        """A chain some of whose steps not every use has: they are added one by one, under their conditions."""
        place = Place(body.inputs[0])
        always = len(self.cls.members)
        first: list[Item] = []
        for part in body.items:
            if len(self.matched(part)) != always:
                break
            first.append(part)
        lines = statement(f"self.{item.name} = ", self.sequential(first, place), 8)
        for part in body.items[len(first) :]:
            found = self.matched(part)
            doc = Bracket(f"self.{item.name}.add_module(", [f'"{part.name}"', self.doc(part, place, found)])
            if len(found) == always:
                lines += statement("", doc, 8)
            else:
                lines += statement("if ", written(self.condition(part, place)), 8, ":")
                lines += statement("", doc, 12)
        self.follow(item, self.channels.get(body.outputs[0]))
        return lines

    def condition(self, item: Item, place: Place) -> Expression:
        """When an item is there: the spec's `when` where it says so for every use, else an argument."""
        values = [(member, member.items.get(id(item)) is not None) for member in self.cls.members]
        candidate = self.resolve(item.when, place) if item.when is not None else None
        return self.arguments.choose(values, [candidate], f"with_{item.name}")

    def doc(self, item: Item, place: Place, matched: Matched) -> Doc:
        """The call that makes an item's module."""
        if item.body is None:
            return self.layer(item, place, matched)
        if item.body.is_class:
            return self.instance(item, item.body, place, matched)
        if item.body.kind == "repeat":
            doc = self.repeat(item.body, matched)
        else:
            doc = self.sequential(item.body.items, Place(item.body.inputs[0], place.index))
        self.follow(item, self.channels.get(item.body.outputs[0]), self.used_in(doc))
        return doc

    def used_in(self, doc: Doc) -> set[str]:
        return {name for name in self.free if name in flat(doc)}

    def sequential(self, items: Sequence[Item], place: Place) -> Doc:
        """`nn.Sequential` with the steps' names; numbers are what it gives by itself."""
        docs = [self.doc(part, place, self.matched(part)) for part in items]
        names = [part.name for part in items]
        return self.named_sequential(names, docs)

    def named_sequential(self, names: Sequence[str], docs: Sequence[Doc]) -> Doc:
        if list(names) == [str(n) for n in range(len(docs))]:
            return Bracket("nn.Sequential(", docs)
        self.imports.add("OrderedDict")
        if all(name.isidentifier() for name in names):
            pairs: list[Doc] = [_keyword(name, doc) for name, doc in zip(names, docs, strict=True)]
            return Bracket("nn.Sequential(", [Bracket("OrderedDict(", pairs)])
        pairs = [_keyword(f'"{name}"', doc, ": ") for name, doc in zip(names, docs, strict=True)]
        return Bracket("nn.Sequential(", [Bracket("OrderedDict(", [Bracket("{", pairs, "}")])])

    def repeat(self, body: Body, matched: Matched) -> Doc:
        """The copies of a repeat, equal ones in a row as a generator."""
        groups = [item.body.items for _, item in matched if item.body is not None]
        if not uniform(body, self.of_body):
            return self.copies(body.items, [self.matched(part) for part in body.items])
        counts = {len(group) for group in groups}
        if len(counts) == 1:
            each = [[(member, group[n]) for (member, _), group in zip(matched, groups, strict=True)] for n in range(len(body.items))]
            return self.copies(body.items, each)
        return self.counted(body, matched, groups)

    def copies(self, items: Sequence[Item], matched: Sequence[Matched]) -> Doc:
        docs = [
            self.doc(item, Place(item.inputs[0], int(item.name) if item.name.isdigit() else None), found)
            for item, found in zip(items, matched, strict=True)
        ]
        names = [item.name for item in items]
        if names != [str(n) for n in range(len(items))]:
            return self.named_sequential(names, docs)
        runs: list[tuple[Doc, int]] = []
        for doc in docs:
            if runs and flat(runs[-1][0]) == flat(doc):
                runs[-1] = (doc, runs[-1][1] + 1)
            else:
                runs.append((doc, 1))
        return Bracket("nn.Sequential(", [doc if n == 1 else Generator(doc, str(n)) for doc, n in runs])

    def counted(self, body: Body, matched: Matched, groups: Sequence[Sequence[Item]]) -> Doc:
        """Copies whose number differs from use to use: the first, and as many more as the count says."""
        head = body.items[0]
        first = self.doc(head, Place(head.inputs[0], 0), [(m, g[0]) for (m, _), g in zip(matched, groups, strict=True)])
        rest = [(m, copy) for (m, _), g in zip(matched, groups, strict=True) for copy in g[1:]]
        more = self.doc(body.items[1], Place(body.items[1].inputs[0], 1), rest)
        for item in body.items[2:]:
            self.follow(item, self.channels.get(body.items[1].outputs[0]))
        counts = [(m, len(g)) for (m, _), g in zip(matched, groups, strict=True)]
        written_count = body.scope.count if body.scope else None
        candidate = self.resolve(written_count, Place(body.inputs[0])) if written_count is not None else None
        count = self.arguments.choose(counts, [candidate], "depth")
        if flat(first) == flat(more):
            return Bracket("nn.Sequential(", [Generator(more, written(count))])
        less = simplify(Binary("-", count, Literal(1)), {})
        return Bracket("nn.Sequential(", [first, Generator(more, written(less))])

    def layer(self, item: Item, place: Place, matched: Matched) -> Doc:
        """`nn.Conv2d(in_channels, width, 3, padding=1)`: only what differs from torch's defaults is said."""
        node, printed = item.node, item.printed
        assert node is not None
        assert isinstance(printed, Layer)
        attributes = type(node.op).model_fields
        parts: list[Doc] = []
        names: set[str] = set()
        out: Expression | None = None
        for number, name in enumerate(printed.arguments):
            values = [(m, _layer(i).arguments[name]) for m, i in matched]
            if name in attributes:
                tree = node.written.get(name)
                candidates = [self.resolve(tree, place) if tree is not None else None]
                chosen = self.arguments.choose(values, candidates, _hint(item, name))
            else:
                chosen = self.sized(item, values, _hint(item, name))
            names |= names_in(chosen)
            if name in ("out_channels", "out_features"):
                out = chosen
            if number < printed.positional:
                parts.append(written(chosen))
            elif not (isinstance(chosen, Literal) and same(chosen.value, node.op.default(name))):
                parts.append(f"{name}={written(chosen)}")
        if out is None:
            # A flattened map has as many features as channels only while it is 1x1.
            rigid = node.op.opname == "flatten" and self.taint(item)
            out = None if rigid else self.channels.get(item.inputs[0])
        self.follow(item, out, names)
        return Bracket(f"{printed.target}(", parts)

    def sized(self, item: Item, values: Sequence[tuple[Member, Any]], hint: str) -> Expression:
        """An argument that follows from the input's shape, such as `in_channels`."""
        candidate = self.channels.get(item.inputs[0])
        chosen = self.arguments.choose(values, [candidate], hint)
        if chosen is not candidate:
            self.fixed |= self.taint(item)
        return chosen

    def taint(self, item: Item) -> set[str]:
        return set[str]().union(*(self.tainted.get(value, set()) for value in item.inputs))

    def instance(self, item: Item, body: Body, place: Place, matched: Matched) -> Doc:
        """`Bottleneck(in_channels, width, stride=stride)`: a call of another class."""
        child = self.done[id(self.of_body[id(body)])]
        scope = body.scope
        parts: list[Doc] = []
        given: dict[str, Expression] = {}
        for argument in child.arguments:
            values = [(m, argument.values[id(i.body)]) for m, i in matched]
            if argument.name in ("in_channels", "input_channels"):
                chosen = self.sized(item, values, argument.name)
            else:
                tree = scope.written.get(argument.name) if scope else None
                own = Name(argument.name) if argument.name in self.own_names() else None
                candidates = [self.resolve(tree, place) if tree is not None else None, own if not scope or not scope.block else None]
                chosen = self.arguments.choose(values, candidates, argument.name)
            given[argument.name] = chosen
            if argument.required:
                parts.append(written(chosen))
            elif not (isinstance(chosen, Literal) and same(chosen.value, argument.default)):
                parts.append(f"{argument.name}={written(chosen)}")
        channels = child.channels
        if channels is not None:
            channels = simplify(rewrite(channels, lambda leaf: given.get(leaf.name, leaf)), {})
        self.follow(item, channels, set[str]().union(*(names_in(tree) for tree in given.values())))
        return Bracket(f"{child.cls.name}(", parts)

    def own_names(self) -> set[str]:
        return {p.name for p in self.cls.parameters} | {"index"}

    def resolve(self, tree: Expression, place: Place) -> Expression | None:
        """A spec's expression in the terms of this class, or None where it can't be said in them."""
        known = dict(self.constants)
        if place.index is not None:
            known["index"] = place.index
        failed = False

        def leaf(found: Name | Attribute) -> Expression:
            nonlocal failed
            if isinstance(found, Name):
                return Literal(known[found.name]) if found.name in known else found
            channels = self.channels.get(place.entering) if place.entering else None
            rank = self.graph.types[place.entering].rank if place.entering else 0
            sized = found.attribute == "channels" or (found.attribute == "features" and rank == 2)
            if found.name == "input" and sized and channels is not None:
                return channels
            failed = True
            return found

        resolved = rewrite(tree, leaf)
        if failed:
            return None
        resolved = simplify(resolved, {})
        reachable = self.own_names() | {self.arguments.channels} | self.free
        return resolved if names_in(resolved) <= reachable else None


def _layer(item: Item) -> Layer:
    assert isinstance(item.printed, Layer)
    return item.printed


def _hint(item: Item, name: str) -> str:
    return name if name in ("in_channels", "out_channels", "kernel_size", "stride", "padding") else f"{item.name}_{name}"


def _keyword(name: str, doc: Doc, sign: str = "=") -> Doc:
    if isinstance(doc, Bracket):
        return Bracket(f"{name}{sign}{doc.head}", doc.items, doc.tail)
    return f"{name}{sign}{flat(doc)}"
