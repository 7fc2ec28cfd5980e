"""Which classes a module has: uses of one block that share a structure become one class.

A use that lacks steps whose `when` was false still fits the class of a use that has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from netspec.backends.pytorch.bodies import Body, Item
from netspec.graph.model import Graph, Parameter
from netspec.spec.names import class_name
from netspec.types import Call, Infix, Layer

Label = tuple[str, ...]


@dataclass(slots=True, eq=False)
class Member:
    """One use of a class: its body, and what the spec's expressions read there."""

    body: Body
    names: Mapping[str, Any]
    items: dict[int, Item | None] = field(default_factory=lambda: dict[int, "Item | None"]())
    """By the id of the template's item, the item here; None where it is left out."""


@dataclass(slots=True, eq=False)
class Class:
    """A class to print: the use with the most steps is its template. `block` is "" for the network's own."""

    name: str
    block: str
    template: Member
    parameters: list[Parameter]
    members: list[Member] = field(default_factory=list[Member])


@dataclass(slots=True)
class _Found:
    label: Label
    member: Member
    parameters: list[Parameter]


def find_classes(graph: Graph, root: Body) -> tuple[list[Class], dict[int, Class]]:
    """The classes in an order in which each comes after those it uses, and by the id of a body its class."""
    found = list(_collect(root, (), graph.params, [], graph.params))
    by_label: dict[Label, list[_Found]] = {}
    for entry in found:
        by_label.setdefault(entry.label, []).append(entry)
    labels = {id(entry.member.body): entry.label for entry in found}
    classes: list[Class] = []
    of_body: dict[int, Class] = {}
    taken = set(RESERVED)
    taken.add(class_name(graph.name))
    for label in _dependencies_first(by_label, labels):
        entries = sorted(by_label[label], key=lambda e: -_size(e.member.body))
        made: list[Class] = []
        for entry in entries:
            home = next((c for c in made if _fits(c, entry.member, of_body)), None)
            if home is None:
                block = label[0] if label and entry.member.names is not graph.params else ""
                home = Class(_class_name(label, graph, taken), block, entry.member, entry.parameters)
                _fits(home, entry.member, of_body)
                made.append(home)
            home.members.append(entry.member)
            of_body[id(entry.member.body)] = home
        classes += made
    return classes, of_body


RESERVED = frozenset(("Tensor", "OrderedDict", "NamedTuple", "None", "True", "False"))


def _class_name(label: Label, graph: Graph, taken: set[str]) -> str:
    if not label:
        return class_name(graph.name)
    base = name = "".join(class_name(part) for part in label)
    number = 1
    while name in taken:
        number += 1
        name = f"{base}{number}"
    taken.add(name)
    return name


def _collect(
    body: Body, label: Label, names: Mapping[str, Any], parameters: list[Parameter], file: Mapping[str, Any]
) -> Iterator[_Found]:
    """All bodies that print as classes, with the label that says which may share one."""
    scope = body.scope
    if scope is not None and scope.kind == "block" and scope.block is not None:
        # Expressions in a block read its own parameters and the file's.
        names = {**file, **scope.params}
        label = (scope.block.name,)
        parameters = list(scope.block.parameters)
    if body.is_class:
        yield _Found(label, Member(body, names), parameters)
    for item in body.items:
        if item.body is None:
            continue
        if body.kind == "repeat" and item.name.isdigit():
            yield from _collect(item.body, label, {**names, "index": int(item.name)}, parameters, file)
        else:
            yield from _collect(item.body, (*label, item.name), names, parameters, file)


def _size(body: Body) -> int:
    return sum(1 + (_size(item.body) if item.body is not None and not item.body.is_class else 0) for item in body.items)


def _dependencies_first(by_label: dict[Label, list[_Found]], labels: dict[int, Label]) -> list[Label]:
    uses: dict[Label, dict[Label, None]] = {label: {} for label in by_label}
    for label, entries in by_label.items():
        for entry in entries:
            for inner in _inner_classes(entry.member.body):
                uses[label][labels[id(inner)]] = None
    done: dict[Label, None] = {}

    def visit(label: Label) -> None:
        for inner in uses[label]:
            if inner not in done:
                visit(inner)
        done.setdefault(label)

    for label in by_label:
        visit(label)
    return list(done)


def _inner_classes(body: Body) -> Iterator[Body]:
    for item in body.items:
        if item.body is None:
            continue
        if item.body.is_class:
            yield item.body
        else:
            yield from _inner_classes(item.body)


def _fits(home: Class, member: Member, of_body: dict[int, Class]) -> bool:
    """Match a use with a class's template, step by step; on success the member knows its items."""
    items: dict[int, Item | None] = {}
    if _match(home.template.body, member.body, items, of_body):
        member.items = items
        return True
    return False


def _match(t: Body, m: Body, items: dict[int, Item | None], of_body: dict[int, Class]) -> bool:
    if len(t.inputs) != len(m.inputs) or len(t.outputs) != len(m.outputs):
        return False
    by_name = {item.name: item for item in m.items}
    if not by_name.keys() <= {item.name for item in t.items}:
        return False
    t_tokens: dict[str, Any] = {value: ("input", k) for k, value in enumerate(t.inputs)}
    m_tokens: dict[str, Any] = {value: ("input", k) for k, value in enumerate(m.inputs)}
    for own in t.items:
        other = by_name.get(own.name)
        items[id(own)] = other
        wired = [t_tokens[v] for v in own.inputs]
        if other is None:
            if not _leave_out(own, items):
                return False
            t_tokens[own.outputs[0]] = wired[0]
            continue
        if [m_tokens.get(v) for v in other.inputs] != wired or not _same(own, other, items, of_body):
            return False
        if len(own.outputs) != len(other.outputs):
            return False
        for k, (a, b) in enumerate(zip(own.outputs, other.outputs, strict=True)):
            t_tokens[a] = m_tokens[b] = (own.name, k)
    return [t_tokens[v] for v in t.outputs] == [m_tokens.get(v) for v in m.outputs]


def _leave_out(item: Item, items: dict[int, Item | None]) -> bool:
    """Whether a step may be missing: it has a condition, or is a chain of steps that all have."""
    if len(item.outputs) != 1 or not item.inputs:
        return False
    if item.body is not None and not item.body.is_class:
        inner = [_leave_out(part, items) for part in item.body.items]
        for part in item.body.items:
            items[id(part)] = None
        return item.when is not None or all(inner)
    return item.when is not None


def _same(own: Item, other: Item, items: dict[int, Item | None], of_body: dict[int, Class]) -> bool:
    if own.body is None or other.body is None:
        return own.body is other.body and _same_op(own, other)
    if own.body.is_class != other.body.is_class:
        return False
    if own.body.is_class:
        return of_body[id(own.body)] is of_body[id(other.body)]
    if own.body.kind != other.body.kind:
        return False
    if own.body.kind == "repeat" and uniform(own.body, of_body) and uniform(other.body, of_body):
        return _same(own.body.items[0], other.body.items[0], {}, of_body)
    return _match(own.body, other.body, items, of_body)


def _same_op(own: Item, other: Item) -> bool:
    a, b = own.printed, other.printed
    if isinstance(a, Layer) and isinstance(b, Layer):
        return a.target == b.target and a.positional == b.positional and a.arguments.keys() == b.arguments.keys()
    if isinstance(a, Call) and isinstance(b, Call):
        return a == b
    return isinstance(a, Infix) and a == b


def uniform(body: Body, of_body: Mapping[int, Class]) -> bool:
    """Whether the copies of a repeat are all of one class, or all of one op, and none is left out."""
    first = body.items[0]
    if [item.name for item in body.items] != [str(n) for n in range(len(body.items))]:
        return False
    if first.body is not None and not first.body.is_class:
        return False
    return all(_same(first, item, {}, of_body) for item in body.items[1:])
