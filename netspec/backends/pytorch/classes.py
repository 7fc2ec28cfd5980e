"""Finds the classes of a generated module: uses of a block with the same steps share one class.

A use that lacks steps because their `when` was false can share the class of a use that has them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from netspec.backends.pytorch.bodies import BodyItem, ScopeBody
from netspec.backends.pytorch.helpers import helpers_used
from netspec.backends.pytorch.matching import ItemMatches, Matcher
from netspec.dims import Dim
from netspec.graph.lexicon import Lexicon
from netspec.graph.model import Graph, SpecParameter
from netspec.naming import class_name

Label = tuple[str, ...]
"""The name of a block, or the path of a scope inside its class. Only uses with equal labels can share a class."""


@dataclass(slots=True, eq=False)
class ClassUse:
    """A use of a class: its body, and the values of the names that the spec's expressions read there."""

    body: ScopeBody
    environment: Mapping[str, Any]
    file_parameters: Mapping[str, Any]
    """The parameters of the spec that the use is written in."""
    matches: ItemMatches = field(default_factory=lambda: dict[BodyItem, "BodyItem | None"]())
    """For each item of the template, the corresponding item in this use; None where it is left out."""
    index: int | None = None
    """The number of a copy, if this is one copy of a repeat whose copies are printed as one expression."""
    widths: tuple[Dim | None, ...] = ()
    """The number of channels of each of its inputs."""

    def copy(self, index: int) -> ClassUse:
        """This use from the view of one copy of a repeat in it: `index` in expressions is its number."""
        return replace(self, index=index)


@dataclass(eq=False)
class Class:
    """A class to print. Its template is the use with the most steps, from which it is printed."""

    label: Label
    template: ClassUse
    parameters: list[SpecParameter]
    uses: list[ClassUse] = field(default_factory=list[ClassUse])
    name: str = ""

    def agreed_width(self, number: int) -> int | None:
        """The number of channels of an input, if it is equal in all uses and no symbol; else None."""
        widths = {use.widths[number : number + 1] for use in self.uses}
        width = widths.pop() if len(widths) == 1 else ()
        return width[0] if width and isinstance(width[0], int) else None

    @cached_property
    def channels(self) -> dict[str, int]:
        """Possible arguments for the channels of inputs, by name, with the input's number: `{"in_channels": 0}`."""
        body = self.template.body
        if body.kind == "network" and body.scope is not None and self.agreed_width(0) is not None:
            return {}
        return self._size_arguments("channels")

    @cached_property
    def features(self) -> dict[str, int]:
        """Possible arguments for the last axis of inputs (N, L, F), by name, with the input's number."""
        return self._size_arguments("features")

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Possible arguments for sizes of inputs, by name, with the input's number."""
        return {**self.channels, **self.features}

    def _size_arguments(self, size: str) -> dict[str, int]:
        """Arguments for a size: one for each input of a block with several inputs, else one for the first input."""
        taken = {p.name for p in self.parameters}
        scope, inputs = self.template.body.scope, self.template.body.inputs
        if scope is not None and scope.block is not None and len(scope.block.inputs) > 1:
            numbers = {f"{name}_{size}": number for number, name in enumerate(scope.block.inputs[: len(inputs)])}
            return {f"{name}_" if name in taken else name: number for name, number in numbers.items()}
        names = (f"in_{size}", f"input_{size}", f"entering_{size}", f"_in_{size}")
        return {next(name for name in names if name not in taken): 0}

    def agreed_parameters(self) -> dict[str, Any]:
        """The parameters of the spec that have one value in all uses."""
        first, *others = [use.file_parameters for use in self.uses]
        # Most uses are written in one file, and share its parameters.
        others = list({id(parameters): parameters for parameters in others if parameters is not first}.values())
        return {
            name: value
            for name, value in first.items()
            if all(name in parameters and _equal(parameters[name], value) for parameters in others)
        }


def _equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b


@dataclass(slots=True)
class _Candidate:
    """A use that has no class yet, with the parameters of its block."""

    label: Label
    use: ClassUse
    parameters: list[SpecParameter]


def find_classes(
    graph: Graph, root: ScopeBody, equal_counts: AbstractSet[Label] = frozenset()
) -> tuple[list[Class], dict[ScopeBody, Class]]:
    """Return the classes of a graph, each after the classes it uses, and the class of each body that prints as one.

    Uses whose label is in `equal_counts` share a class only where their repeats have equal numbers of copies.
    """
    candidates = list(_candidates(Lexicon(graph), root, ("",), []))
    for candidate in candidates:
        types = [graph.types[value] for value in candidate.use.body.inputs]
        candidate.use.widths = tuple([type.channels if type.rank > 1 else None for type in types])
    kinds = _kinds(candidates)
    by_kind: dict[_Kind, list[_Candidate]] = {}
    for candidate in candidates:
        by_kind.setdefault(kinds[candidate.use.body], []).append(candidate)
    classes: list[Class] = []
    class_of: dict[ScopeBody, Class] = {}
    for kind in _dependencies_first(by_kind, kinds):
        classes += _share_classes(by_kind[kind], class_of, kind[0] in equal_counts)
    _name_classes(graph, classes, helpers_used(root))
    return classes, class_of


def _share_classes(
    candidates: Sequence[_Candidate], class_of: dict[ScopeBody, Class], equal_counts: bool
) -> list[Class]:
    """Assign each use to the first class that it fits, or to a new one, and return the new classes."""
    classes: list[Class] = []
    matcher = Matcher(class_of, equal_counts)
    for candidate in sorted(candidates, key=_most_general):
        cls = next((cls for cls in classes if _fits(candidate, cls, matcher)), None)
        if cls is None:
            cls = Class(candidate.label, candidate.use, candidate.parameters)
            _fits(candidate, cls, matcher)
            classes.append(cls)
        cls.uses.append(candidate.use)
        class_of[candidate.use.body] = cls
    return classes


def _fits(candidate: _Candidate, cls: Class, matcher: Matcher) -> bool:
    """Whether a use fits the template of a class. If so, the matches of its items are stored in the use."""
    if _names(cls.parameters) != _names(candidate.parameters):
        return False
    matches = matcher.match(cls.template.body, candidate.use.body)
    if matches is None:
        return False
    candidate.use.matches = matches
    return True


def _names(parameters: Sequence[SpecParameter]) -> list[str]:
    return [parameter.name for parameter in parameters]


_RESERVED = frozenset(("Tensor", "OrderedDict", "NamedTuple", "None", "True", "False", "I", "O"))
"""Class names that generated code uses itself, or that linters reject."""


def network_class_name(graph: Graph) -> str:
    """The name of the class of a whole network."""
    name = class_name(graph.name)
    return f"{name}Network" if name in _RESERVED else name


def output_class_name(graph: Graph) -> str:
    """The name of the named tuple that a network returns; it differs from all inputs, which would hide it."""
    name = f"{network_class_name(graph)}Output"
    while any(i.name == name for i in graph.inputs):
        name += "s"
    return name


def _name_classes(graph: Graph, classes: list[Class], helpers: Collection[str]) -> None:
    """Name the classes, unlike `helpers`: those of blocks first, after their block, then those of other scopes."""
    network = network_class_name(graph)
    taken = {*_RESERVED, network, output_class_name(graph), *helpers}
    classes[-1].name = network
    for cls in sorted(classes[:-1], key=lambda cls: (cls.label[:1], len(cls.label)) != (("block",), 2)):
        base = cls.name = "".join(class_name(part) for part in cls.label[1:])
        number = 1
        while cls.name in taken:
            number += 1
            cls.name = f"{base}_{number}" if base[-1].isdigit() else f"{base}{number}"
        taken.add(cls.name)


def _candidates(
    lexicon: Lexicon, body: ScopeBody, label: Label, parameters: list[SpecParameter]
) -> Iterator[_Candidate]:
    """The uses whose bodies print as classes, at or below a body, each before those inside it."""
    scope = body.scope
    if scope is not None and scope.block is not None:
        label = ("block", scope.block.name)
        parameters = list(scope.block.parameters)
    if body.is_class:
        use = ClassUse(body, lexicon.names(body.path), lexicon.file_parameters(body.path))
        yield _Candidate(label, use, parameters)
    for item in body.items:
        if item.body is not None:
            # An item that shares weights is a call of the owner's module, and has the owner's class.
            is_copy = body.kind == "repeat" and item.name.isdigit()
            inner = label if is_copy else (*label, item.shares or item.name)
            yield from _candidates(lexicon, item.body, inner, parameters)


def _most_general(candidate: _Candidate) -> tuple[int, int]:
    """A sort key: uses with more steps come first, then uses with more distinct inputs."""
    body = candidate.use.body
    return -_count_steps(body), -len(set(body.inputs))


def _count_steps(body: ScopeBody) -> int:
    inner = (item.body for item in body.items if item.body is not None and not item.body.is_class)
    return len(body.items) + sum(map(_count_steps, inner))


_Kind = tuple[Label, int]
"""A kind of uses that may share a class: their label, and the depth of classes nested in them (0 if irrelevant)."""


def _kinds(candidates: Sequence[_Candidate]) -> dict[ScopeBody, _Kind]:
    """The kind of every body.

    A block with a body parameter may be used inside itself. A class can't contain itself, so uses of such a block are
    of different kinds if the depth of the classes nested in them differs.
    """
    labels = {candidate.use.body: candidate.label for candidate in candidates}
    inner = {body: list(_inner_classes(body)) for body in labels}
    uses: dict[Label, set[Label]] = {label: set() for label in labels.values()}
    depths: dict[ScopeBody, int] = {}
    # Bodies come before those inside them.
    for body in reversed(inner):
        uses[labels[body]].update(labels[other] for other in inner[body])
        depths[body] = 1 + max((depths[other] for other in inner[body]), default=0)
    # Labels that use only labels without cycles are without cycles; the rest is in a cycle, or uses one.
    acyclic: set[Label] = set()
    while ready := [label for label in uses if label not in acyclic and uses[label] <= acyclic]:
        acyclic.update(ready)
    return {body: (label, 0 if label in acyclic else depths[body]) for body, label in labels.items()}


def _dependencies_first(by_kind: Mapping[_Kind, Sequence[_Candidate]], kinds: Mapping[ScopeBody, _Kind]) -> list[_Kind]:
    """The kinds in topological order: each after the kinds used in it."""
    uses: dict[_Kind, dict[_Kind, None]] = {kind: {} for kind in by_kind}
    for kind, candidates in by_kind.items():
        for candidate in candidates:
            for inner in _inner_classes(candidate.use.body):
                uses[kind][kinds[inner]] = None
    ordered: dict[_Kind, None] = {}

    def visit(kind: _Kind) -> None:
        for inner in uses[kind]:
            if inner not in ordered:
                visit(inner)
        ordered.setdefault(kind)

    for kind in by_kind:
        visit(kind)
    return list(ordered)


def _inner_classes(body: ScopeBody) -> Iterator[ScopeBody]:
    """The bodies that print as classes and are called directly in the class of a body."""
    for item in body.items:
        if item.body is None:
            continue
        if item.body.is_class:
            yield item.body
        else:
            yield from _inner_classes(item.body)
