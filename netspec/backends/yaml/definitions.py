"""Which uses of blocks share a definition: those whose steps are alike, but for what a `when` leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netspec.backends.yaml.initial import Fillings, fillings
from netspec.backends.yaml.parts import OTHERWISE, UNSAYABLE, BlockUse, Part
from netspec.errors import fail
from netspec.graph.model import Graph, SpecParameter

Token = tuple[str, Any]
"""What a value is in any use of a definition: an input, or what a step gives, by its name and a number."""


@dataclass(slots=True, eq=False)
class Match:
    """What stands in a use, or in a copy, for the steps of a template; None for a step that is left out."""

    parts: dict[int, Part | None] = field(default_factory=lambda: dict[int, "Part | None"]())
    copies: dict[int, dict[int, Match]] = field(default_factory=lambda: dict[int, "dict[int, Match]"]())
    """By the id of a repeat, what stands for its copy, for each copy by number."""


@dataclass(slots=True, eq=False)
class DefinitionUse:
    """A use with what stands in it for the steps of its definition's template."""

    use: BlockUse
    match: Match
    tokens: dict[str, set[Token]]


@dataclass(slots=True, eq=False)
class Definition:
    """A block to be written: the use with the most steps is its template."""

    label: str
    template: BlockUse
    name: str = ""
    copied: bool = False
    members: list[DefinitionUse] = field(default_factory=list[DefinitionUse])
    by_use: dict[int, DefinitionUse] = field(default_factory=dict[int, DefinitionUse])
    outputs: list[Token] = field(default_factory=list[Token])
    copy_of: dict[int, Part] = field(default_factory=dict[int, Part])
    """By the id of a repeat of the template, the copy that stands for all."""
    parameters: list[SpecParameter] = field(default_factory=list[SpecParameter])
    values: dict[str, dict[int, Any]] = field(default_factory=lambda: dict[str, dict[int, Any]]())
    """Its parameters' values, by name and the id of the use."""

    def value_of(self, use: BlockUse, number: int) -> str:
        """What a use gives for an output of the block; "" where that is not asked of it."""
        tokens = self.by_use[id(use)].tokens
        return next((value for value in use.outputs if self.outputs[number] in tokens.get(value, ())), "")

    def values_of(self, use: BlockUse) -> list[str]:
        """What a use gives, in the order of the block's outputs."""
        return [self.value_of(use, number) for number in range(len(self.outputs))]


class Definitions:
    """Finds the definitions of all uses; `by_use` has each by the use's id."""

    def __init__(self, graph: Graph, uses: Sequence[BlockUse], common: Mapping[str, Fillings]) -> None:
        self.graph = graph
        self.common = common
        """Initialisers that the whole file has, by op."""
        self.all: list[Definition] = []
        self.by_use: dict[int, Definition] = {}
        self.inside: dict[int, set[int]] = {}
        """By the id of a definition those that stand in it."""
        self.together = _together(uses)
        for use in uses:
            self.settle(use)
        self.all = self.in_order()

    def settle(self, use: BlockUse) -> None:
        """Find the definition of a use, after those in it."""
        if id(use) in self.by_use:
            return
        # Copies are one step, and so uses of one block: the most general one says what it is.
        group = sorted(self.together.get(id(use), [use]), key=_generality, reverse=True)
        for one in group:
            for inner in uses_in(one.parts):
                self.settle(inner)
        home = self.place(group[0], any(one.path.rpartition(".")[2].isdigit() for one in group))
        for one in group[1:]:
            self.join(home, one)

    def in_order(self) -> list[Definition]:
        """The definitions, each after those that stand in it."""
        done: dict[int, Definition] = {}

        def visit(home: Definition) -> None:
            for inner in uses_in(home.template.parts):
                if id(self.by_use[id(inner)]) not in done:
                    visit(self.by_use[id(inner)])
            done[id(home)] = home

        for home in self.all:
            if id(home) not in done:
                visit(home)
        return list(done.values())

    def place(self, use: BlockUse, copied: bool) -> Definition:
        """Find a use the definition it fits, or make one; `copied`: what it gives is what its copy takes."""
        for home in self.all:
            if home.label != use.label or id(home) in self.standing_in(use):
                continue
            if (copied or home.copied) and len(home.outputs) != len(use.outputs):
                continue
            member = self.matched(home.template, use, home)
            if member is None and _generality(use) > _generality(home.template):
                member = self.matched(use, use, home)
                member = member if member is not None and self.take_over(home, member) else None
            if member is not None:
                home.copied |= copied
                return self.add(home, member)
        home = Definition(use.label, use, copied=copied)
        member = self.matched(use, use, home)
        if member is None:
            fail("NS401", f"copies of one step in {_called(use)} differ: {UNSAYABLE}", help=OTHERWISE)
        self.all.append(home)
        return self.add(home, member)

    def join(self, home: Definition, use: BlockUse) -> None:
        member = self.matched(home.template, use, home) or self.matched(home.template, use, home, force=True)
        if member is None:
            what = f"the copies of `{use.path.rpartition('.')[0]}` differ in their steps"
            fail("NS401", f"{what}: {UNSAYABLE}", help=OTHERWISE)
        self.add(home, member)

    def take_over(self, home: Definition, new: DefinitionUse) -> bool:
        """Make a use the template of a definition, if all its members fit that."""
        found = [self.matched(new.use, member.use, home) for member in home.members]
        members = [member for member in found if member is not None]
        if len(members) < len(found):
            return False
        # What its outputs are is told by the steps of the new template; their numbers stay.
        values = [home.value_of(home.template, number) for number in range(len(home.outputs))]
        old = home.template
        home.template, home.members, home.by_use = new.use, members, {id(m.use): m for m in members}
        tokens = [home.by_use[id(old)].tokens[value] for value in values]
        tokens[0] = tokens[0] & new.tokens[new.use.outputs[0]]
        home.outputs = [min(each, key=str) for each in tokens]
        return True

    def add(self, home: Definition, member: DefinitionUse) -> Definition:
        home.members.append(member)
        home.by_use[id(member.use)] = member
        self.by_use[id(member.use)] = home
        self.inside.setdefault(id(home), set()).update(self.standing_in(member.use))
        for value in member.use.outputs:
            tokens = member.tokens[value]
            if not tokens & set(home.outputs):
                home.outputs.append(min(tokens, key=str))
        return home

    def standing_in(self, use: BlockUse) -> set[int]:
        """The definitions in a use, and in these."""
        found: set[int] = set()
        for inner in uses_in(use.parts):
            home = self.by_use[id(inner)]
            found |= {id(home)} | self.inside.get(id(home), set())
        return found

    def matched(self, template: BlockUse, use: BlockUse, home: Definition, force: bool = False) -> DefinitionUse | None:
        """A use held against a template, step by step; None where it does not fit."""
        if list(template.entries) != list(use.entries) or (template.given != use.given and not force):
            return None
        if [(p.name, p.kind) for p in template.parameters] != [(p.name, p.kind) for p in use.parameters]:
            return None
        matcher = _Matcher(self, home)
        for number, (a, b) in enumerate(zip(template.entries.values(), use.entries.values(), strict=True)):
            matcher.know(a, b, ("input", number))
        match = Match()
        if not matcher.parts(template.parts, use.parts, match, force):
            return None
        if template.outputs[:1] and use.outputs[:1] and not matcher.alike(template.outputs[:1], use.outputs[:1]):
            return None
        return DefinitionUse(use, match, matcher.tokens)


class _Matcher:
    """Holds a use against a template: its tokens say of each of its values what it is there."""

    def __init__(self, definitions: Definitions, home: Definition) -> None:
        self.definitions = definitions
        self.home = home
        self.around = ""
        """The branch that is read, which tells its steps from others of their names."""
        self.of_template: dict[str, Token] = {}
        # Two values of the template may be one here.
        self.tokens: dict[str, set[Token]] = {}

    def know(self, ours: str, other: str, token: Token) -> None:
        self.of_template.setdefault(ours, token)
        self.tokens.setdefault(other, set()).add(token)

    def alike(self, ours: Sequence[str], others: Sequence[str]) -> bool:
        pairs = zip(ours, others, strict=False)
        return len(ours) == len(others) and all(self.of_template.get(a) in self.tokens.get(b, ()) for a, b in pairs)

    def parts(self, ours: Sequence[Part], others: Sequence[Part], match: Match, force: bool) -> bool:
        by_name = {part.name: part for part in others}
        if not by_name.keys() <= {part.name for part in ours}:
            return False
        for part in ours:
            other = by_name.get(part.name)
            match.parts[id(part)] = other
            if other is None:
                if not self.leave_out(part, match, force):
                    return False
                continue
            if not self.alike(part.inputs, other.inputs) or not self.same(part, other, match, force):
                return False
            self.give(part, other)
        return True

    def give(self, part: Part, other: Part) -> None:
        """Note what a step gives, in the template and here."""
        if part.use is not None and other.use is not None:
            # What leaves a use is told by what it is in its block, since not all uses give as much.
            home = self.definitions.by_use[id(part.use)]
            for number, (a, b) in enumerate(zip(home.values_of(part.use), home.values_of(other.use), strict=True)):
                token = self.around + part.name, number
                if a:
                    self.of_template.setdefault(a, token)
                if b:
                    self.tokens.setdefault(b, set()).add(token)
            return
        for number, (a, b) in enumerate(zip(part.outputs, other.outputs, strict=False)):
            self.know(a, b, (self.around + part.name, number))

    def leave_out(self, part: Part, match: Match, force: bool) -> bool:
        """Whether a step may be missing: then it stands for what it would take."""
        if not (part.when is not None or part.is_repeat or force):
            return False
        if not part.inputs or len(part.outputs) > len(part.inputs) or part.shares:
            return False
        for number, (value, source) in enumerate(zip(part.outputs, part.inputs, strict=False)):
            given = self.around + part.name, number
            # Whatever is that input here is also what the step would give.
            for tokens in self.tokens.values():
                if self.of_template[source] in tokens:
                    tokens.add(given)
            self.of_template.setdefault(value, given)
        for branch in part.branches:
            for inner in branch.parts:
                match.parts[id(inner)] = None
        return True

    def same(self, part: Part, other: Part, match: Match, force: bool) -> bool:
        if (part.shares, part.is_repeat, part.is_scope) != (other.shares, other.is_repeat, other.is_scope):
            return False
        if part.is_repeat:
            return self.same_copies(part, other, match, force)
        if part.use is not None or other.use is not None:
            ids = [id(self.definitions.by_use[id(p.use)]) if p.use is not None else 0 for p in (part, other)]
            return ids[0] == ids[1]
        assert part.node is not None
        assert other.node is not None
        if type(part.node.op) is not type(other.node.op) or len(part.outputs) != len(other.outputs):
            return False
        own = [fillings(self.definitions.graph, p.node, self.definitions.common) for p in (part, other) if p.node]
        if own[0] != own[1]:
            return False
        if len(part.branches) != len(other.branches):
            return False
        return all(self.same_branch(a, b, match, force) for a, b in zip(part.branches, other.branches, strict=True))

    def same_branch(self, ours: Any, other: Any, match: Match, force: bool) -> bool:
        if ours.parts and other.parts and ours.name != other.name:
            return False
        if other.parts and not ours.parts:
            return False
        around, self.around = self.around, f"{self.around}{ours.name}."
        fits = self.parts(ours.parts, other.parts, match, force)
        self.around = around
        return fits and self.alike([ours.output], [other.output])

    def same_copies(self, part: Part, other: Part, match: Match, force: bool) -> bool:
        """Whether all copies of both are as the one of ours with the most steps, which then stands for them."""
        model = self.home.copy_of.get(id(part))
        if model is None:
            model = max(part.copies.values(), key=lambda copy: (copy.size(), len(set(copy.reads()))))
            self.home.copy_of[id(part)] = model
        found = match.copies[id(part)] = {}
        for number, copy in other.copies.items():
            inner = _Matcher(self.definitions, self.home)
            for k, (a, b) in enumerate(zip(model.inputs, copy.inputs, strict=False)):
                inner.know(a, b, ("input", k))
            for value in model.reads():
                if value not in inner.of_template and value in self.of_template:
                    inner.of_template[value] = ("around", self.of_template[value])
            for value, tokens in self.tokens.items():
                inner.tokens.setdefault(value, set()).update(("around", token) for token in tokens)
            found[number] = Match({id(model): copy})
            if not inner.alike(model.inputs, copy.inputs) or not inner.same(model, copy, found[number], True):
                return False
        return True


def uses_in(parts: Iterable[Part]) -> Iterable[BlockUse]:
    """The uses of blocks that are steps of a body, or of its branches and repeats."""
    for part in parts:
        if part.use is not None:
            yield part.use
        yield from uses_in([*part.copies.values(), *(inner for branch in part.branches for inner in branch.parts)])


def _called(use: BlockUse) -> str:
    return f"`{use.path}`" if use.path else "the network"


def _generality(use: BlockUse) -> tuple[int, int]:
    """How much a use tells of its block: by its steps, and by how many values enter it that are not one."""
    return use.size(), len(set(use.entries.values()))


def _together(uses: Sequence[BlockUse]) -> dict[int, list[BlockUse]]:
    """By the id of a use, all that have its definition: uses at its place in copies, and those that share weights."""
    found: dict[int, list[BlockUse]] = {}
    for group in (group for use in uses for group in _alike(use.parts)):
        places: dict[str, list[BlockUse]] = {}
        for part in group:
            for place, use in _places(part, ""):
                places.setdefault(place, []).append(use)
        for one in places.values():
            known = [other for use in one for other in found.get(id(use), ())]
            whole = list({id(use): use for use in (*one, *known)}.values())
            found.update((id(use), whole) for use in whole)
    return found


def _alike(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Steps that are one: the copies of a repeat, and second calls with the step that they call again."""
    by_name = {part.name: part for part in parts}
    for part in parts:
        if part.is_repeat:
            yield list(part.copies.values())
        if part.is_second_call:
            pair = part, by_name[part.shares]
            yield [copy for one in pair for copy in (one.copies.values() if one.is_repeat else (one,))]
        yield from _alike(list(part.copies.values()))
        for branch in part.branches:
            yield from _alike(branch.parts)


def _places(part: Part, place: str) -> Iterator[tuple[str, BlockUse]]:
    """All uses at and below a step, each with how it is reached."""
    if part.use is not None:
        yield place, part.use
    inner = [*(part.use.parts if part.use is not None else ()), *part.copies.values()]
    inner += [each for branch in part.branches for each in branch.parts]
    for each in inner:
        yield from _places(each, f"{place}.{each.name}")
