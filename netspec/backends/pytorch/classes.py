"""Which classes a module has: uses of one block that share a structure become one class.

A use that lacks steps whose `when` was false still fits the class of a use that has them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from netspec.backends.pytorch.bodies import BodyItem, ScopeBody
from netspec.dims import Dim
from netspec.errors import fail
from netspec.graph.lexicon import Lexicon
from netspec.graph.model import Graph, SpecParameter
from netspec.naming import class_name
from netspec.types import Layer

Label = tuple[str, ...]


@dataclass(slots=True, eq=False)
class ClassUse:
    """One use of a class: its body, and what the spec's expressions read there."""

    body: ScopeBody
    names: Mapping[str, Any]
    file: Mapping[str, Any]
    """The parameters of the spec that it belongs to."""
    items: dict[int, BodyItem | None] = field(default_factory=lambda: dict[int, "BodyItem | None"]())
    """By the id of the template's item, the item here; None where it is left out."""
    index: int | None = None
    """Of which copy a value is, where the copies of a repeat are written in one expression."""
    widths: tuple[Dim | None, ...] = ()
    """How many channels each of its inputs has."""


@dataclass(eq=False)
class Class:
    """A class to print: the use with the most steps is its template."""

    label: Label
    template: ClassUse
    parameters: list[SpecParameter]
    members: list[ClassUse] = field(default_factory=list[ClassUse])
    name: str = ""

    def widths(self, number: int) -> int | None:
        """How many channels the input at a place has, if all uses agree on it."""
        found = {member.widths[number : number + 1] for member in self.members}
        size = found.pop() if len(found) == 1 else ()
        return size[0] if size and isinstance(size[0], int) else None

    @cached_property
    def channels(self) -> dict[str, int]:
        """The names of the arguments that say how many channels enter, with the places of these inputs."""
        body = self.template.body
        if body.kind == "network" and body.scope is not None and self.widths(0) is not None:
            return {}
        return self._entering("channels")

    @cached_property
    def features(self) -> dict[str, int]:
        """The names of the arguments that say how many features each place of a sequence has, with their inputs."""
        return self._entering("features")

    def _entering(self, size: str) -> dict[str, int]:
        """Arguments for a size of what enters: one for each input where they have names, else one for the first."""
        taken = {p.name for p in self.parameters}
        scope, inputs = self.template.body.scope, self.template.body.inputs
        if scope is not None and scope.block is not None and len(scope.block.inputs) > 1:
            found = {f"{name}_{size}": place for place, name in enumerate(scope.block.inputs[: len(inputs)])}
            return {f"{name}_" if name in taken else name: place for name, place in found.items()}
        names = (f"in_{size}", f"input_{size}", f"entering_{size}", f"_in_{size}")
        return {next(name for name in names if name not in taken): 0}

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The names of the arguments that follow from what enters, with the places of these inputs."""
        return {**self.channels, **self.features}


@dataclass(slots=True)
class _Found:
    label: Label
    member: ClassUse
    parameters: list[SpecParameter]


def find_classes(
    graph: Graph, root: ScopeBody, exact: AbstractSet[Label] = frozenset()
) -> tuple[list[Class], dict[int, Class]]:
    """The classes in an order in which each comes after those it uses, and by the id of a body its class.

    Uses whose label is in `exact` share a class only where their repeats have equal numbers of copies.
    """
    found = list(_collect(Lexicon(graph), root, ("",), []))
    for entry in found:
        types = [graph.types[value] for value in entry.member.body.inputs]
        entry.member.widths = tuple([type.channels if type.rank > 1 else None for type in types])
    kinds = _kinds(found)
    by_kind: dict[_Kind, list[_Found]] = {}
    for entry in found:
        by_kind.setdefault(kinds[id(entry.member.body)], []).append(entry)
    classes: list[Class] = []
    of_body: dict[int, Class] = {}
    for kind in _dependencies_first(by_kind, kinds):
        label = kind[0]
        entries = sorted(by_kind[kind], key=_most_general)
        made: list[Class] = []
        for entry in entries:
            matcher = _Matcher(of_body, label in exact)
            alike = [c for c in made if _names(c.parameters) == _names(entry.parameters)]
            home = next((c for c in alike if matcher.fits(c, entry.member)), None)
            if home is None:
                home = Class(label, entry.member, entry.parameters)
                matcher.fits(home, entry.member)
                made.append(home)
            home.members.append(entry.member)
            of_body[id(entry.member.body)] = home
        classes += made
    _name_classes(graph, classes)
    return classes, of_body


def _names(parameters: Sequence[SpecParameter]) -> list[str]:
    return [parameter.name for parameter in parameters]


def agreed_parameters(cls: Class) -> dict[str, Any]:
    """The parameters of the spec that have one value in all uses of a class."""
    first, *others = [member.file for member in cls.members]
    others = list({id(file): file for file in others if file is not first}.values())
    return {
        name: value
        for name, value in first.items()
        if all(name in file and _equal(file[name], value) for file in others)
    }


def _equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b


RESERVED = frozenset(("Tensor", "OrderedDict", "NamedTuple", "None", "True", "False", "I", "O"))
"""Names that the code needs for itself, or that linters take for a mistake."""


def network_class_name(graph: Graph) -> str:
    """The name of the class of a whole network."""
    name = class_name(graph.name)
    return f"{name}Network" if name in RESERVED else name


def output_class_name(graph: Graph) -> str:
    """The name of the class of what a network gives, which no input may hide in `forward`."""
    name = f"{network_class_name(graph)}Output"
    while any(i.name == name for i in graph.inputs):
        name += "s"
    return name


def _name_classes(graph: Graph, classes: list[Class]) -> None:
    """Blocks take their names first, then the scopes that print as classes too."""
    network = network_class_name(graph)
    taken = {*RESERVED, network, output_class_name(graph)}
    classes[-1].name = network
    for cls in sorted(classes[:-1], key=lambda cls: (cls.label[:1], len(cls.label)) != (("block",), 2)):
        base = cls.name = "".join(class_name(part) for part in cls.label[1:])
        number = 1
        while cls.name in taken:
            number += 1
            cls.name = f"{base}_{number}" if base[-1].isdigit() else f"{base}{number}"
        taken.add(cls.name)


def _collect(lexicon: Lexicon, body: ScopeBody, label: Label, parameters: list[SpecParameter]) -> Iterator[_Found]:
    """All bodies that print as classes, with the label that says which may share one."""
    scope = body.scope
    if scope is not None and scope.block is not None:
        label = ("block", scope.block.name)
        parameters = list(scope.block.parameters)
    if body.is_class:
        member = ClassUse(body, lexicon.names(body.path), lexicon.file_parameters(body.path))
        yield _Found(label, member, parameters)
    for item in body.items:
        if item.body is not None:
            # A step that shares weights is a call of a module there is, and has its class.
            copy = body.kind == "repeat" and item.name.isdigit()
            yield from _collect(lexicon, item.body, label if copy else (*label, item.shares or item.name), parameters)


def _most_general(found: _Found) -> tuple[int, int]:
    """Templates are the uses with the most steps, and of these those in which no two values that enter are one."""
    return -_size(found.member.body), -len(set(found.member.body.inputs))


def _size(body: ScopeBody) -> int:
    return sum(1 + (_size(item.body) if item.body is not None and not item.body.is_class else 0) for item in body.items)


_Kind = tuple[Label, int]
"""Uses that may share a class: their label, and how deep other classes stand in them where that matters."""


def _kinds(found: Sequence[_Found]) -> dict[int, _Kind]:
    """The kind of every body by its id. A block that takes steps may stand in itself: then depth tells uses apart."""
    labels = {id(entry.member.body): entry.label for entry in found}
    inner = {id(entry.member.body): [id(body) for body in _inner_classes(entry.member.body)] for entry in found}
    uses: dict[Label, set[Label]] = {label: set() for label in labels.values()}
    heights: dict[int, int] = {}
    # What stands in a body was found after it.
    for body in reversed(inner):
        uses[labels[body]].update(labels[other] for other in inner[body])
        heights[body] = 1 + max((heights[other] for other in inner[body]), default=0)
    # What uses nothing but what is done is done: what remains is a round, or uses one.
    done: set[Label] = set()
    while ready := [label for label in uses if label not in done and uses[label] <= done]:
        done.update(ready)
    return {body: (label, 0 if label in done else heights[body]) for body, label in labels.items()}


def _dependencies_first(by_kind: dict[_Kind, list[_Found]], kinds: dict[int, _Kind]) -> list[_Kind]:
    uses: dict[_Kind, dict[_Kind, None]] = {kind: {} for kind in by_kind}
    for kind, entries in by_kind.items():
        for entry in entries:
            for inner in _inner_classes(entry.member.body):
                uses[kind][kinds[id(inner)]] = None
    done: dict[_Kind, None] = {}

    def visit(kind: _Kind) -> None:
        for inner in uses[kind]:
            if inner not in done:
                visit(inner)
        done.setdefault(kind)

    for kind in by_kind:
        visit(kind)
    return list(done)


def _inner_classes(body: ScopeBody) -> Iterator[ScopeBody]:
    for item in body.items:
        if item.body is None:
            continue
        if item.body.is_class:
            yield item.body
        else:
            yield from _inner_classes(item.body)


class _Matcher:
    """Matches uses with a class's template; `exact`: only with as many copies in each repeat."""

    def __init__(self, of_body: Mapping[int, Class], exact: bool) -> None:
        self.of_body = of_body
        self.exact = exact

    def fits(self, home: Class, member: ClassUse) -> bool:
        """Match a use with a class's template, step by step; on success the member knows its items."""
        items: dict[int, BodyItem | None] = {}
        if self.match(home.template.body, member.body, items):
            member.items = items
            return True
        return False

    def match(self, t: ScopeBody, m: ScopeBody, items: dict[int, BodyItem | None]) -> bool:
        if len(t.inputs) != len(m.inputs) or len(t.outputs) != len(m.outputs):
            return False
        by_key = {item.key: item for item in m.items}
        if not by_key.keys() <= {item.key for item in t.items}:
            return False
        t_tokens: dict[str, Any] = {value: ("input", k) for k, value in enumerate(t.inputs)}
        # Two values of the template may be one here.
        m_tokens: defaultdict[str, set[Any]] = defaultdict(set)
        for k, value in enumerate(m.inputs):
            m_tokens[value].add(("input", k))

        def alike(ours: Sequence[str], others: Sequence[str]) -> bool:
            pairs = zip(ours, others, strict=False)
            return len(ours) == len(others) and all(t_tokens[a] in m_tokens[b] for a, b in pairs)

        for own in t.items:
            other = by_key.get(own.key)
            items[id(own)] = other
            if other is None:
                if not self.leave_out(own, items):
                    return False
                t_tokens[own.outputs[0]] = t_tokens[own.inputs[0]]
                continue
            if not alike(own.inputs, other.inputs) or not self.same(own, other, items):
                return False
            if len(own.outputs) != len(other.outputs):
                return False
            for k, (a, b) in enumerate(zip(own.outputs, other.outputs, strict=True)):
                t_tokens[a] = (own.key, k)
                m_tokens[b].add((own.key, k))
        return alike(t.outputs, m.outputs)

    def leave_out(self, item: BodyItem, items: dict[int, BodyItem | None]) -> bool:
        """Whether a step may be missing: it has a condition or copies, or is a chain of steps that all may be."""
        # In its place stands `nn.Identity`, which is called on one value.
        if len(item.outputs) != 1 or not item.inputs or item.shares:
            return False
        if item.is_module and (len(item.inputs) > 1 or item.code):
            return False
        if item.body is not None and not item.body.is_class:
            inner = [self.leave_out(part, items) for part in item.body.items]
            for part in item.body.items:
                items[id(part)] = None
            counted = item.body.kind == "repeat" and not self.exact and copies_alike(item.body, self.of_body)
            return counted or item.when is not None or all(inner)
        return item.when is not None

    def same(self, own: BodyItem, other: BodyItem, items: dict[int, BodyItem | None]) -> bool:
        if own.shares != other.shares or own.loops != other.loops:
            return False
        if own.body is None or other.body is None:
            return own.body is other.body and _same_op(own, other)
        if own.body.is_class != other.body.is_class:
            return False
        if own.body.is_class:
            return self.of_body[id(own.body)] is self.of_body[id(other.body)]
        if own.body.kind != other.body.kind:
            return False
        if own.body.kind != "repeat":
            return self.match(own.body, other.body, items)
        if own.loops:
            return len(own.body.items) == len(other.body.items) and self.match(own.body, other.body, items)
        if len(own.body.items) == 1 < len(other.body.items):
            # The template shows no second copy, and what enters that may differ from what enters the first.
            return False
        if not self.exact and copies_alike(own.body, self.of_body) and copies_alike(other.body, self.of_body):
            return self.same(own.body.items[0], other.body.items[0], {})
        # Copies that differ are written one by one, so that every use has all of them.
        names = [item.name for item in own.body.items]
        return names == [item.name for item in other.body.items] and self.match(own.body, other.body, items)


def _same_op(own: BodyItem, other: BodyItem) -> bool:
    a, b = own.printed, other.printed
    if isinstance(a, Layer) and isinstance(b, Layer):
        return (
            a.target == b.target and (a.call, a.lists) == (b.call, b.lists) and a.arguments.keys() == b.arguments.keys()
        )
    return a == b


def copies_alike(body: ScopeBody, of_body: Mapping[int, Class]) -> bool:
    """Whether all copies of a repeat are of one class or op, wired alike, and the last gives all that leaves it."""
    first, last = body.items[0], body.items[-1]
    if body.outputs != last.outputs:
        return False
    if [item.name for item in body.items] != [str(n) for n in range(len(body.items))]:
        return False
    if first.body is not None and not first.body.is_class:
        return False
    matcher = _Matcher(of_body, True)
    if not all(matcher.same(first, item, {}) for item in body.items[1:]):
        return False
    return wiring(body) is not None


def check_shared(item: BodyItem, body: ScopeBody, of_body: Mapping[int, Class]) -> None:
    """Refuse a step of a body whose class is another than that of the step whose module it calls."""
    owner = next(other for other in body.items if other.name == item.shares and other.is_module).body
    one = item.body.items[0].body if item.loops and item.body is not None else item.body
    if one is None or owner is None or of_body.get(id(one)) is of_body.get(id(owner)):
        return
    what = f"`{one.path}` shares the weights of `{owner.path}`"
    fail("NS401", f"{what}, and two values that enter one of them are the same: PyTorch source can't say that")


def wiring(body: ScopeBody) -> list[int | str] | None:
    """What each copy of a repeat takes: the number of a value of the last copy, or a value from around.

    None where the copies differ in that.
    """
    found: list[list[int | str]] = []
    previous = body.chained
    several = len(previous)
    for item in body.items:
        # Of two values that are one, each is taken where it is given.
        places = enumerate(item.inputs)
        found.append(
            [k if previous[k : k + 1] == [v] else previous.index(v) if v in previous else v for k, v in places]
        )
        if len(item.outputs) != several:
            return None
        previous = item.outputs
    return found[0] if all(each == found[0] for each in found) else None
