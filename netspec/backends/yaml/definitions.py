"""Finds the block definitions of a spec: uses with the same steps share one, apart from steps left out by `when`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netspec.backends.yaml.initial import Fillings, fillings
from netspec.backends.yaml.parts import NOT_IN_YAML, WAY_OUT, BlockUse, Branch, Part
from netspec.errors import fail
from netspec.graph.model import Graph, SpecParameter

RelativeValue = tuple[str, Any]
"""A value relative to its block: `("input", 0)`, or the name of a step and the number of its output."""


@dataclass(slots=True, eq=False)
class Match:
    """For each step of a template, the corresponding step of a use or of a copy; None where it is left out."""

    parts: dict[Part, Part | None] = field(default_factory=lambda: dict[Part, "Part | None"]())
    copies: dict[Part, dict[int, Match]] = field(default_factory=lambda: dict[Part, "dict[int, Match]"]())
    """For each repeat of the template, the matches of its copies by number."""


@dataclass(slots=True, eq=False)
class DefinitionUse:
    """A use of a definition: the match of its steps, and the place of each of its values relative to the block.

    A value may have several places: where a step is left out, its input is its output too.
    """

    use: BlockUse
    match: Match
    relative: dict[str, set[RelativeValue]]


@dataclass(slots=True, eq=False)
class Definition:
    """A block to be written. Its template is the use with the most steps, from which it is printed."""

    label: str
    template: BlockUse
    name: str = ""
    copied: bool = False
    """Whether some use is a copy of a repeat, whose outputs are the inputs of the next copy."""
    members: list[DefinitionUse] = field(default_factory=list[DefinitionUse])
    by_use: dict[BlockUse, DefinitionUse] = field(default_factory=dict[BlockUse, DefinitionUse])
    outputs: list[RelativeValue] = field(default_factory=list[RelativeValue])
    copy_of: dict[Part, Part] = field(default_factory=dict[Part, Part])
    """For each repeat of the template, the copy that stands for all copies."""
    parameters: list[SpecParameter] = field(default_factory=list[SpecParameter])
    values: dict[str, dict[BlockUse, Any]] = field(default_factory=lambda: dict[str, dict[BlockUse, Any]]())
    """For each parameter, its value in each use."""

    def value_of(self, use: BlockUse, number: int) -> str:
        """The value in a use that is the block's output of a number; "" if the use lacks it."""
        relative = self.by_use[use].relative
        return next((value for value in use.outputs if self.outputs[number] in relative.get(value, ())), "")

    def values_of(self, use: BlockUse) -> list[str]:
        """The outputs of a use, in the order of the block's outputs; "" for those it lacks."""
        return [self.value_of(use, number) for number in range(len(self.outputs))]

    def add(self, member: DefinitionUse) -> None:
        """Add a use, and to the block the outputs that it lacks."""
        self.members.append(member)
        self.by_use[member.use] = member
        for value in member.use.outputs:
            relative = member.relative[value]
            if not relative & set(self.outputs):
                self.outputs.append(min(relative, key=str))

    def replace_template(self, template: DefinitionUse, members: list[DefinitionUse]) -> None:
        """Take another use as the template; `members` are all other uses, matched with it."""
        # The outputs keep their numbers, and refer to steps of the new template.
        values = [self.value_of(self.template, number) for number in range(len(self.outputs))]
        old, self.template = self.template, template.use
        self.members, self.by_use = members, {member.use: member for member in members}
        relative = [self.by_use[old].relative[value] for value in values]
        relative[0] = relative[0] & template.relative[template.use.outputs[0]]
        self.outputs = [min(each, key=str) for each in relative]


class Definitions:
    """Finds the definitions of all uses.

    `all` holds them, each after the definitions used in it; `by_use` holds the definition of each use.
    """

    def __init__(self, graph: Graph, uses: Sequence[BlockUse], common: Mapping[str, Fillings]) -> None:
        self.graph = graph
        self.common = common
        """By op, the initialisers under `defaults`, which hold for the whole file."""
        self.all: list[Definition] = []
        self.by_use: dict[BlockUse, Definition] = {}
        self._nested: dict[Definition, set[Definition]] = {}
        """For each definition, the definitions used in it, directly or not."""
        self._groups = _groups_of_one_definition(uses)
        for use in uses:
            self._define(use)
        self.all = self._in_order()

    def _define(self, use: BlockUse) -> None:
        """Find the definition of a use, after those of the uses in it."""
        if use in self.by_use:
            return
        # All copies of a step are uses of one block, whose template is the most general of them.
        group = sorted(self._groups.get(use, [use]), key=_generality, reverse=True)
        for each in group:
            for inner in uses_in(each.parts):
                self._define(inner)
        definition = self._fitting(group[0], any(each.path.rpartition(".")[2].isdigit() for each in group))
        for each in group[1:]:
            member = self._match(definition, definition.template, each)
            member = member or self._match(definition, definition.template, each, any_optional=True)
            if member is None:
                what = f"the copies of `{each.path.rpartition('.')[0]}` differ in their steps"
                fail("NS401", f"{what}: {NOT_IN_YAML}", help=WAY_OUT)
            self._add(definition, member)

    def _in_order(self) -> list[Definition]:
        """The definitions in topological order: each after the definitions used in it."""
        done: dict[Definition, None] = {}

        def visit(definition: Definition) -> None:
            for inner in uses_in(definition.template.parts):
                if self.by_use[inner] not in done:
                    visit(self.by_use[inner])
            done[definition] = None

        for definition in self.all:
            if definition not in done:
                visit(definition)
        return list(done)

    def _fitting(self, use: BlockUse, copied: bool) -> Definition:
        """Add a use to a definition that it fits, or to a new one, and return that. Copies of repeats are `copied`."""
        for definition in self.all:
            if definition.label != use.label or definition in self._nested_in(use):
                continue
            if (copied or definition.copied) and len(definition.outputs) != len(use.outputs):
                continue
            member = self._match(definition, definition.template, use)
            if member is None and _generality(use) > _generality(definition.template):
                member = self._as_template(definition, use)
            if member is not None:
                definition.copied |= copied
                return self._add(definition, member)
        definition = Definition(use.label, use, copied=copied)
        member = self._match(definition, use, use)
        if member is None:
            place = f"`{use.path}`" if use.path else "the network"
            fail("NS401", f"copies of one step in {place} differ: {NOT_IN_YAML}", help=WAY_OUT)
        self.all.append(definition)
        return self._add(definition, member)

    def _as_template(self, definition: Definition, use: BlockUse) -> DefinitionUse | None:
        """Make a use the template of a definition if all members fit it, and return it as a member; else None."""
        template = self._match(definition, use, use)
        if template is None:
            return None
        matches = [self._match(definition, use, member.use) for member in definition.members]
        members = [member for member in matches if member is not None]
        if len(members) < len(matches):
            return None
        definition.replace_template(template, members)
        self._absorb(definition)
        return template

    def _absorb(self, definition: Definition) -> None:
        """Take over definitions of the same block that fit a new template: each had a step that the other lacked."""
        for other in [each for each in self.all if each is not definition and each.label == definition.label]:
            if definition.copied or other.copied or len(definition.outputs) > 1 or len(other.outputs) > 1:
                continue
            matches = [self._match(definition, definition.template, member.use) for member in other.members]
            if all(match is not None for match in matches):
                self.all.remove(other)
                for match in filter(None, matches):
                    self._add(definition, match)
                for nested in self._nested.values():
                    nested |= {definition} if other in nested else set()
                    nested.discard(other)

    def _add(self, definition: Definition, member: DefinitionUse) -> Definition:
        definition.add(member)
        self.by_use[member.use] = definition
        self._nested.setdefault(definition, set()).update(self._nested_in(member.use))
        return definition

    def _nested_in(self, use: BlockUse) -> set[Definition]:
        """The definitions that a use needs: those of the uses in it, and the definitions used in these."""
        nested: set[Definition] = set()
        for inner in uses_in(use.parts):
            definition = self.by_use[inner]
            nested |= {definition} | self._nested.get(definition, set())
        return nested

    def _match(
        self, definition: Definition, template: BlockUse, use: BlockUse, any_optional: bool = False
    ) -> DefinitionUse | None:
        """A use, matched with a template step by step; None if it does not fit.

        With `any_optional`, any step may be left out, not only steps with a `when`.
        """
        if list(template.entries) != list(use.entries) or (template.given != use.given and not any_optional):
            return None
        if [(p.name, p.kind) for p in template.parameters] != [(p.name, p.kind) for p in use.parameters]:
            return None
        matcher = _Matcher(self, definition, any_optional)
        for number, (value, other) in enumerate(zip(template.entries.values(), use.entries.values(), strict=True)):
            matcher.equate(value, other, ("input", number))
        match = Match()
        if not matcher.match_parts(template.parts, use.parts, match):
            return None
        if template.outputs[:1] and use.outputs[:1] and not matcher.agree(template.outputs[:1], use.outputs[:1]):
            return None
        return DefinitionUse(use, match, matcher.relative)


class _Matcher:
    """Matches the steps of a use with those of a template, and finds the place of each value relative to the block."""

    def __init__(self, definitions: Definitions, definition: Definition, any_optional: bool) -> None:
        self.definitions = definitions
        self.definition = definition
        self.any_optional = any_optional
        self.prefix = ""
        """The names of the branches around the current step, such as `main.`, which make the names of steps unique."""
        self.of_template: dict[str, RelativeValue] = {}
        self.relative: dict[str, set[RelativeValue]] = {}
        """The places of the use's values: several for a value that stands for two values of the template."""

    def equate(self, value: str, other: str, relative: RelativeValue) -> None:
        """Note that a value of the template and a value of the use have the same place relative to the block."""
        self.of_template.setdefault(value, relative)
        self.relative.setdefault(other, set()).add(relative)

    def agree(self, values: Sequence[str], others: Sequence[str]) -> bool:
        """Whether values of the template and of the use have the same places relative to the block."""
        pairs = zip(values, others, strict=False)
        return len(values) == len(others) and all(self.of_template.get(a) in self.relative.get(b, ()) for a, b in pairs)

    def match_parts(self, parts: Sequence[Part], others: Sequence[Part], match: Match) -> bool:
        """Match the steps of a body in order, and fill in the match; False if they differ."""
        by_name = {part.name: part for part in others}
        if not by_name.keys() <= {part.name for part in parts}:
            return False
        for part in parts:
            other = by_name.get(part.name)
            match.parts[part] = other
            if other is None:
                if not self.leave_out(part, match):
                    return False
                continue
            if not self.agree(part.inputs, other.inputs) or not self.match_part(part, other, match):
                return False
            self.equate_outputs(part, other)
        return True

    def equate_outputs(self, part: Part, other: Part) -> None:
        name = self.prefix + part.name
        if part.use is not None and other.use is not None:
            # Outputs of uses are compared by their numbers in the definition, since some uses lack outputs.
            inner = self.definitions.by_use[part.use]
            for number, (a, b) in enumerate(zip(inner.values_of(part.use), inner.values_of(other.use), strict=True)):
                if a:
                    self.of_template.setdefault(a, (name, number))
                if b:
                    self.relative.setdefault(b, set()).add((name, number))
            return
        for number, (a, b) in enumerate(zip(part.outputs, other.outputs, strict=False)):
            self.equate(a, b, (name, number))

    def leave_out(self, part: Part, match: Match) -> bool:
        """Leave out a step, so that its outputs are its inputs; False if the step is not optional."""
        if not (part.when is not None or part.is_repeat or self.any_optional):
            return False
        if not part.inputs or len(part.outputs) > len(part.inputs) or part.shares:
            return False
        for number, (value, source) in enumerate(zip(part.outputs, part.inputs, strict=False)):
            output = self.prefix + part.name, number
            for relative in self.relative.values():
                if self.of_template[source] in relative:
                    relative.add(output)
            self.of_template.setdefault(value, output)
        for branch in part.branches:
            for inner in branch.parts:
                match.parts[inner] = None
        return True

    def match_part(self, part: Part, other: Part, match: Match) -> bool:
        """Match a step, whose inputs agree, with all steps in it; False if they differ."""
        if (part.shares, part.is_repeat, part.is_scope) != (other.shares, other.is_repeat, other.is_scope):
            return False
        if part.is_repeat:
            return self.match_copies(part, other, match)
        if part.use is not None and other.use is not None:
            return self.definitions.by_use[part.use] is self.definitions.by_use[other.use]
        if part.use is not None or other.use is not None:
            return False
        assert part.node is not None
        assert other.node is not None
        if type(part.node.op) is not type(other.node.op) or len(part.outputs) != len(other.outputs):
            return False
        graph, common = self.definitions.graph, self.definitions.common
        if fillings(graph, part.node, common) != fillings(graph, other.node, common):
            return False
        if len(part.branches) != len(other.branches):
            return False
        return all(self.match_branch(a, b, match) for a, b in zip(part.branches, other.branches, strict=True))

    def match_branch(self, branch: Branch, other: Branch, match: Match) -> bool:
        if branch.parts and other.parts and branch.name != other.name:
            return False
        if other.parts and not branch.parts:
            return False
        outer, self.prefix = self.prefix, f"{self.prefix}{branch.name}."
        fits = self.match_parts(branch.parts, other.parts, match)
        self.prefix = outer
        return fits and self.agree([branch.output], [other.output])

    def match_copies(self, part: Part, other: Part, match: Match) -> bool:
        """Match all copies with the copy of the template that has the most steps; False if one does not fit."""
        model = self.definition.copy_of.get(part)
        if model is None:
            model = max(part.copies.values(), key=lambda copy: (copy.size(), len(set(copy.reads()))))
            self.definition.copy_of[part] = model
        matches = match.copies[part] = {}
        for number, copy in other.copies.items():
            inner = _Matcher(self.definitions, self.definition, any_optional=True)
            for place, (a, b) in enumerate(zip(model.inputs, copy.inputs, strict=False)):
                inner.equate(a, b, ("input", place))
            for value in model.reads():
                if value not in inner.of_template and value in self.of_template:
                    inner.of_template[value] = ("around", self.of_template[value])
            for value, relative in self.relative.items():
                inner.relative.setdefault(value, set()).update(("around", each) for each in relative)
            matches[number] = Match({model: copy})
            if not inner.agree(model.inputs, copy.inputs) or not inner.match_part(model, copy, matches[number]):
                return False
        return True


def uses_in(parts: Iterable[Part]) -> Iterable[BlockUse]:
    """The uses of blocks in a body, including its branches and repeats, but not those inside other uses."""
    for part in parts:
        if part.use is not None:
            yield part.use
        yield from uses_in([*part.copies.values(), *(inner for branch in part.branches for inner in branch.parts)])


def _generality(use: BlockUse) -> tuple[int, int, int]:
    """A sort key: uses with more steps, and then with more distinct inputs, are better templates.

    Steps in uses of other blocks count after its own: they belong to other definitions, and may be optional there.
    """
    return use.size(with_uses=False), use.size(), len(set(use.entries.values()))


def _groups_of_one_definition(uses: Sequence[BlockUse]) -> dict[BlockUse, list[BlockUse]]:
    """For each use, the uses that must share its definition: the same step in other copies and in second calls."""
    groups: dict[BlockUse, list[BlockUse]] = {}
    for parts in (parts for use in uses for parts in _equal_steps(use.parts)):
        by_place: dict[str, list[BlockUse]] = {}
        for part in parts:
            for place, use in _uses_with_places(part, ""):
                by_place.setdefault(place, []).append(use)
        for at_place in by_place.values():
            earlier = [other for use in at_place for other in groups.get(use, ())]
            group = list(dict.fromkeys([*at_place, *earlier]))
            groups.update((use, group) for use in group)
    return groups


def _equal_steps(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Groups of steps that must be equal: the copies of a repeat, and a second call with the step that it repeats."""
    by_name = {part.name: part for part in parts}
    for part in parts:
        if part.is_repeat:
            yield list(part.copies.values())
        if part.is_second_call:
            pair = part, by_name[part.shares]
            yield [copy for each in pair for copy in (each.copies.values() if each.is_repeat else (each,))]
        yield from _equal_steps(list(part.copies.values()))
        for branch in part.branches:
            yield from _equal_steps(branch.parts)


def _uses_with_places(part: Part, place: str) -> Iterator[tuple[str, BlockUse]]:
    """All uses at and below a step, each with the path of names that leads to it, such as `.body.conv`."""
    if part.use is not None:
        yield place, part.use
    inner = [*(part.use.parts if part.use is not None else ()), *part.copies.values()]
    inner += [each for branch in part.branches for each in branch.parts]
    for each in inner:
        yield from _uses_with_places(each, f"{place}.{each.name}")
