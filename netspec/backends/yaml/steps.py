"""The body of a definition as the steps of a spec: their arguments, and the names that values go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netspec.backends.collapse import collapse
from netspec.backends.yaml.definitions import Definition, Definitions, Match, Token
from netspec.backends.yaml.initial import fillings, plain_fillings
from netspec.backends.yaml.layout import Expr, WrittenStep
from netspec.backends.yaml.parts import OTHERWISE, UNSAYABLE, Branch, Part
from netspec.backends.yaml.values import WHOLE, Chooser, Occurrence, same
from netspec.errors import fail
from netspec.expression import Expression, ListOf, Literal, Name, expression_text
from netspec.graph.model import SpecParameter
from netspec.ops.attributes import literal_words, make_op
from netspec.ops.base import Op
from netspec.ops.shape import Identity


class NeedsNameError(Exception):
    """A merge whose branches have no name before theirs has to be called by one: it must be written apart."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(slots=True)
class WrittenBlock:
    """A block as it is written."""

    name: str
    parameters: list[SpecParameter]
    inputs: list[str]
    outputs: dict[str, str]
    """Its outputs with the steps they are; none where the last step's value is the only one."""
    body: list[WrittenStep]


@dataclass(slots=True)
class CallNames:
    """How values are called in a body: what enters it, and what the steps so far give.

    `entry` is what `input` stands for; `referred` are the values that some step or output refers to by name.
    """

    names: dict[str, str]
    entry: str
    referred: set[str]
    owners: set[str] = field(default_factory=set[str])
    """The steps whose weights others share."""
    counts: dict[str, int] = field(default_factory=dict[str, int])


class BodyWriter:
    """Writes one definition; those that stand in it are written already."""

    def __init__(self, definitions: Definitions, definition: Definition, taken: frozenset[str]) -> None:
        self.definitions = definitions
        self.definition = definition
        self.chooser = Chooser(definition, taken)

    def write(self, outputs: Mapping[str, str] | None = None) -> tuple[list[WrittenStep], dict[str, str]]:
        """The steps, and what outputs are called; those of the network are given, those of a block found."""
        use = self.definition.template
        given = outputs if outputs is not None else self.outputs()
        last = self.values_of(use.parts[-1]) if use.parts else []
        implicit = list(given.values()) == last[:1] and (
            outputs is None or (list(given) == ["output"] and not last[1:])
        )
        entering = list(use.entries.values()) if len(use.entries) == 1 else []
        referred = self.referred(use.parts, entering)
        if not implicit:
            referred |= set(given.values())
        names = {value: name for name, value in reversed(use.entries.items()) if name != "input"}
        reach = CallNames(names, use.entries.get("input", ""), referred)
        here = [Occurrence(m.use, m.match, m.use.names) for m in self.definition.members]
        steps = self.steps(use.parts, here, reach, entering)
        if not steps:
            steps.append(_left_out(next(iter(use.entries))))
        return steps, {} if implicit else {name: self.reference(value, reach) for name, value in given.items()}

    def outputs(self) -> dict[str, str]:
        """The values of the template that are the block's outputs, by the names these have."""
        use = self.definition.template
        tokens_of = self.definition.by_use[id(use)].tokens
        found: dict[str, str] = {}
        for number, token in enumerate(self.definition.outputs):
            value = next(value for value, tokens in tokens_of.items() if token in tokens)
            found[output_name(self.definition, number)] = value
        return found

    def referred(self, parts: Sequence[Part], entering: Sequence[str]) -> set[str]:
        """The values that steps have to name, since they take others than what comes before them."""
        found: set[str] = set()
        previous = entering
        for part in parts:
            if not follows(part, previous):
                # What enters is called `input`.
                found.update(value for value in part.inputs if value not in entering)
            for branch in part.branches:
                found |= self.referred(branch.parts, part.inputs)
                if not self.ends_as(part, branch) and branch.output not in part.inputs:
                    found.add(branch.output)
            for copy in part.copies.values():
                found |= self.referred([copy], copy.inputs)
            previous = self.values_of(part)
        return found

    def ends_as(self, part: Part, branch: Branch) -> bool:
        """Whether what a branch gives is what its last step does."""
        return branch.output == (self.values_of(branch.parts[-1]) if branch.parts else part.inputs)[0]

    def values_of(self, part: Part) -> list[str]:
        """What a step gives, in the order in which the next step takes it."""
        if part.use is None:
            return part.outputs
        return self.definitions.by_use[id(part.use)].values_of(part.use)

    def steps(
        self, parts: Sequence[Part], here: Sequence[Occurrence], reach: CallNames, previous: Sequence[str]
    ) -> list[WrittenStep]:
        found: list[WrittenStep] = []
        reach.owners = {part.shares for part in parts}
        for part in parts:
            found.append(self.step(part, here, reach, previous))
            previous = self.values_of(part)
        return found

    def step(self, part: Part, here: Sequence[Occurrence], reach: CallNames, previous: Sequence[str]) -> WrittenStep:
        present = [(each, other) for each in here if (other := each.part(part)) is not None]
        step = self.repeat(part, present, reach) if part.is_repeat else self.one(part, present, reach)
        beside: dict[str, Any] = {}
        called = self.called(part, step.key, reach)
        if called:
            beside["name"] = called
        if not follows(part, previous):
            names = [self.reference(value, reach) for value in part.inputs]
            beside["from"] = names[0] if len(names) == 1 and not _joins(part) else names
        if part.is_repeat:
            beside["repeat"] = self.count(part, here)
        if (when := self.when(part, here)) is not None:
            beside["when"] = when
        if part.shares:
            beside["share"] = part.shares
            # Weights that are shared are initialised where they are.
            step.beside.pop("init", None)
        # What a step says of its own stands before what it has from `one`.
        step.beside = {**beside, **step.beside}
        values, names = self.values_of(part), self.value_names(part)
        if len(values) != len(names):
            fail("NS401", f"the copies of `{part.name}` give less than their block does: {UNSAYABLE}", help=OTHERWISE)
        for value, name in zip(values, names, strict=True):
            # What a step gives back unchanged has its name already.
            reach.names.setdefault(value, name)
        return step

    def value_names(self, part: Part) -> list[str]:
        """What a step's values are called: its name is the first."""
        inner = next(iter(part.copies.values())) if part.copies else part
        if inner.use is not None:
            home = self.definitions.by_use[id(inner.use)]
            names = [output_name(home, number) for number in range(len(home.outputs))]
        else:
            names = list(inner.node.op.output_names) if inner.node is not None else []
        return [part.name, *(f"{part.name}.{name}" for name in names[1:])]

    def reference(self, value: str, reach: CallNames) -> str:
        """What a value is called here."""
        if value == reach.entry:
            return "input"
        if value not in reach.names:
            fail("NS401", f"`{value}` has no name where it is used: {UNSAYABLE}", help=OTHERWISE)
        return reach.names[value]

    def called(self, part: Part, key: str, reach: CallNames) -> str:
        """The name that a step is given; "" where it has it of itself."""
        number = reach.counts.get(key, 0) + 1
        alone = key if number == 1 else f"{key}_{number}"
        named = part.is_scope or part.name in reach.owners or not reach.referred.isdisjoint(self.values_of(part))
        if alone == part.name and not named:
            reach.counts[key] = number
            return ""
        if part.branches and not part.is_scope and not part.is_repeat and part.node is not None:
            raise NeedsNameError(part.node.path)
        return part.name

    def repeat(self, part: Part, present: Sequence[tuple[Occurrence, Part]], reach: CallNames) -> WrittenStep:
        """A step with copies, by the copy that stands for all."""
        model = self.definition.copy_of[id(part)]
        inner: list[tuple[Occurrence, Part]] = []
        for each, _ in present:
            for number, match in each.match.copies[id(part)].items():
                copy = match.parts[id(model)]
                assert copy is not None
                types = self.definitions.graph.types
                names = {**each.names, "index": number}
                if len(copy.inputs) == 1 and len(each.use.entries) == 1 and copy.branches:
                    names["input"] = types[copy.inputs[0]]
                inner.append((Occurrence(each.use, match, names, (*each.copies, number)), copy))
        return self.one(model, inner, reach)

    def one(self, part: Part, present: Sequence[tuple[Occurrence, Part]], reach: CallNames) -> WrittenStep:
        """A step that is no repeat."""
        if part.use is not None:
            return self.use(part, present)
        assert part.node is not None
        op = part.node.op
        step = WrittenStep(op.opname, self.attributes(type(op), present))
        if part.branches:
            step.branches = {}
            for branch in part.branches:
                inside: list[Occurrence] = []
                for each, other in present:
                    entry = other.inputs[0]
                    names = {**each.names, "input": self.definitions.graph.types[entry]}
                    inside.append(Occurrence(each.use, each.match, names, each.copies))
                inner = CallNames(dict(reach.names), part.inputs[0], reach.referred)
                steps = step.branches[branch.name] = self.steps(branch.parts, inside, inner, part.inputs)
                if not self.ends_as(part, branch):
                    steps.append(_left_out(self.reference(branch.output, inner)))
        rule = fillings(self.definitions.graph, part.node, self.definitions.common)
        if rule:
            step.beside["init"] = plain_fillings(rule)
        return step

    def attributes(self, cls: type[Op], present: Sequence[tuple[Occurrence, Part]]) -> Any:
        """The arguments of an op: those that say other than the default."""
        found: dict[str, Any] = {}
        for name, field_ in cls.model_fields.items():
            nodes = [other.node for _, other in present if other.node is not None]
            written = _shortest(cls, name, [node.op for node in nodes])
            values = [(each, value) for (each, _), value in zip(present, written, strict=True)]
            candidates = dict.fromkeys(node.written.get(name) for node in nodes)
            chosen = self.chooser.choose(values, candidates, name)
            if isinstance(chosen, Literal):
                if not field_.is_required() and same(chosen.value, field_.default):
                    continue
                found[name] = _argument(cls, name, chosen.value)
            else:
                found[name] = _written(chosen, literal_words(cls, name), values)
        return _principal(found, cls.principal)

    def use(self, part: Part, present: Sequence[tuple[Occurrence, Part]]) -> WrittenStep:
        """A use of a block, with its arguments."""
        assert part.use is not None
        home = self.definitions.by_use[id(part.use)]
        found: dict[str, Any] = {}
        for parameter in home.parameters:
            uses = [(each, other.use) for each, other in present if other.use is not None]
            values = [(each, home.values[parameter.name][id(use)]) for each, use in uses]
            candidates = {use.scope.written.get(parameter.name): None for _, use in uses if use.scope is not None}
            if part.use.scope is not None and part.use.scope.block is None:
                candidates = {Name(parameter.name): None}
            chosen = self.chooser.choose(values, candidates, parameter.name)
            if isinstance(chosen, Literal):
                if not parameter.required and same(chosen.value, parameter.default):
                    continue
                found[parameter.name] = _plain(chosen.value)
            else:
                found[parameter.name] = _written(chosen, frozenset(), values, parameter.kind == "str")
        required = [p.name for p in home.parameters if p.required]
        first = home.parameters[0].name if home.parameters and not required else None
        return WrittenStep(home.name, _principal(found, required[0] if len(required) == 1 else first))

    def count(self, part: Part, here: Sequence[Occurrence]) -> Any:
        """How many copies there are."""
        values: list[tuple[Occurrence, Any]] = []
        candidates: dict[Expression | None, None] = {}
        for each in here:
            other = each.part(part)
            values.append((each, max(other.copies) + 1 if other is not None else 0))
            candidates[other.count if other is not None else None] = None
        chosen = self.chooser.choose(values, candidates, "copies")
        return chosen.value if isinstance(chosen, Literal) else Expr(expression_text(chosen))

    def when(self, part: Part, here: Sequence[Occurrence]) -> Any:
        """The condition that lets a step stand; None where it always does."""
        values: list[tuple[Occurrence, Any]] = []
        candidates: dict[Expression | None, None] = {}
        for each in here:
            other = each.part(part)
            if part.is_repeat:
                self.copies_when(part, each, other, values, candidates)
            else:
                values.append((each, other is not None))
                candidates[other.when if other is not None else part.when] = None
        if not values:
            return None
        chosen = self.chooser.choose(values, candidates, WHOLE)
        if isinstance(chosen, Literal):
            return None if chosen.value is True else chosen.value
        return Expr(expression_text(chosen))

    def copies_when(
        self,
        part: Part,
        each: Occurrence,
        other: Part | None,
        values: list[tuple[Occurrence, Any]],
        candidates: dict[Expression | None, None],
    ) -> None:
        """Which copies are there: what is missing between two is left out by a condition."""
        if other is None:
            return
        for number in range(max(other.copies) + 1):
            names = {**each.names, "index": number}
            copy = other.copies.get(number)
            one = Occurrence(each.use, Match(), names, (*each.copies, number))
            values.append((one, copy is not None))
            if copy is not None:
                candidates[copy.when] = None


def follows(part: Part, previous: Sequence[str]) -> bool:
    """Whether a step takes just what the one before gives, and need not name it."""
    return part.takes is not None and len(part.inputs) == part.takes and part.inputs == list(previous)[: part.takes]


def _left_out(value: str) -> WrittenStep:
    """A step that is left out, and so stands for what it would take."""
    return WrittenStep(Identity.opname, beside={"from": value, "when": False})


def output_name(home: Definition, number: int) -> str:
    """The name of a block's output: its own where it has several, else that of the step it is."""
    use = home.template
    names = use.output_names
    if len(home.outputs) == 1:
        return "output"
    taken: list[str] = []
    for place, token in enumerate(home.outputs[: number + 1]):
        name = names[place] if place < len(names) and names[place] else _name_of(token)
        while name in taken:
            name = f"{name}_{place + 1}"
        taken.append(name)
    return taken[number]


def _name_of(token: Token) -> str:
    return "x" if token[0] == "input" else token[0].replace(".", "_")


def _joins(part: Part) -> bool:
    return part.takes is None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _shortest(cls: type[Op], name: str, ops: Sequence[Op]) -> list[Any]:
    """The values of an attribute: one number for each pair of equal ones, if the op takes that and all are such."""
    values = [getattr(op, name) for op in ops]
    short: list[Any] = [collapse(value) for value in values]
    if isinstance(short[0], tuple) or any(type(value) is not type(short[0]) for value in short):  # pyright: ignore[reportUnknownArgumentType]
        return values
    given = {n: _plain(getattr(ops[0], n)) for n in cls.model_fields}
    for new, old in dict(zip(short, values, strict=True)).items():
        op, _ = make_op(cls, {**given, name: new})
        if op is None or not same(getattr(op, name), old):
            return values
    return short


def _argument(cls: type[Op], name: str, value: Any) -> Any:
    """A value as it is written where it is no expression."""
    value = _plain(value)
    return Expr(f"'{value}'") if isinstance(value, str) and value not in literal_words(cls, name) else value


def _written(tree: Expression, words: frozenset[str], values: Sequence[tuple[Any, Any]], is_text: bool = False) -> Any:
    """An expression where it stands for an argument: a name that holds text has a dollar."""
    if isinstance(tree, ListOf):
        return [_written(item, words, ()) for item in tree.items]
    text = expression_text(tree)
    dollar = (
        is_text
        or text in words
        or (isinstance(tree, Name) and bool(values) and all(isinstance(v, str) for _, v in values))
    )
    return Expr(f"${text}" if dollar else text)


def _principal(found: dict[str, Any], principal: str | None) -> Any:
    """Arguments as a step has them: one that is the principal stands alone."""
    if not found:
        return None
    only = found.get(principal or "")
    if len(found) == 1 and only is not None and not isinstance(only, list):
        return only
    return found
