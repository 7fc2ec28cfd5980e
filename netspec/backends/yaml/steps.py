"""Writes the body of a definition as the steps of a spec, with their arguments and the names of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from netspec.backends.collapse import collapse
from netspec.backends.yaml.definitions import Definition, Definitions, Match
from netspec.backends.yaml.initial import fillings, plain_fillings
from netspec.backends.yaml.layout import Expr, WrittenStep
from netspec.backends.yaml.parts import NOT_IN_YAML, WAY_OUT, Part
from netspec.backends.yaml.step_values import StepValues, follows, output_name
from netspec.backends.yaml.values import COMPLETE, Chooser, Occurrence, same
from netspec.errors import fail
from netspec.expression import Expression, ListOf, Literal, Name, expression_text
from netspec.graph.model import SpecParameter
from netspec.ops.attributes import literal_words, make_op
from netspec.ops.base import Op
from netspec.ops.shape import Identity


class NeedsNameError(Exception):
    """An unnamed merge needs a name: its branches must be written as separate steps.

    A name would move the branches to paths below that of the merge.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(slots=True)
class WrittenBlock:
    """A block as it is written in the file."""

    name: str
    parameters: list[SpecParameter]
    inputs: list[str]
    outputs: dict[str, str]
    """The names of its outputs' values by output; empty if its only output is the value of the last step."""
    body: list[WrittenStep]


@dataclass(slots=True)
class BodyNames:
    """The names of the values in a body: its inputs, and the outputs of the steps written so far.

    `entry` is the value that `input` means; `referred` are the values that some step or output refers to by name.
    """

    names: dict[str, str]
    entry: str
    referred: set[str]
    owners: set[str] = field(default_factory=set[str])
    """The names of steps that others `share`: they need a `name`."""
    counts: dict[str, int] = field(default_factory=dict[str, int])
    """How many steps so far have their default name, by op or block: after `conv2d` comes `conv2d_2`."""


class BodyWriter:
    """Writes one definition, after the definitions used in it."""

    def __init__(self, definitions: Definitions, definition: Definition, taken: frozenset[str]) -> None:
        self.definitions = definitions
        self.definition = definition
        self.values = StepValues(definitions)
        self.chooser = Chooser(definition, taken)

    def write(self, outputs: Mapping[str, str] | None = None) -> tuple[list[WrittenStep], dict[str, str]]:
        """The steps of the body, and the names of its outputs' values; for the network, `outputs` are its outputs."""
        use = self.definition.template
        leaving = outputs if outputs is not None else self.outputs()
        last = self.values.of(use.parts[-1]) if use.parts else []
        implicit = list(leaving.values()) == last[:1] and (
            outputs is None or (list(leaving) == ["output"] and not last[1:])
        )
        entering = list(use.entries.values()) if len(use.entries) == 1 else []
        referred = self.values.referred(use.parts, entering) | self.values.sized(use.parts, {})
        if not implicit:
            referred |= set(leaving.values())
        names = {value: name for name, value in reversed(use.entries.items()) if name != "input"}
        local = BodyNames(names, use.entries.get("input", ""), referred)
        occurrences = [Occurrence(m.use, m.match, m.use.names) for m in self.definition.members]
        steps = self.steps(use.parts, occurrences, local, entering)
        if not steps:
            steps.append(_left_out(next(iter(use.entries))))
        return steps, {} if implicit else {name: self.reference(value, local) for name, value in leaving.items()}

    def outputs(self) -> dict[str, str]:
        """The block's outputs in the template: the values by the outputs' names."""
        use = self.definition.template
        relative_of = self.definition.by_use[use].relative
        outputs: dict[str, str] = {}
        for number, output in enumerate(self.definition.outputs):
            value = next(value for value, relative in relative_of.items() if output in relative)
            outputs[output_name(self.definition, number)] = value
        return outputs

    def steps(
        self, parts: Sequence[Part], occurrences: Sequence[Occurrence], local: BodyNames, previous: Sequence[str]
    ) -> list[WrittenStep]:
        steps: list[WrittenStep] = []
        local.owners = {part.shares for part in parts}
        for part in parts:
            steps.append(self.step(part, occurrences, local, previous))
            previous = self.values.of(part)
            if not local.referred.isdisjoint(previous):
                occurrences = [self.after(each, part) for each in occurrences]
        return steps

    def after(self, each: Occurrence, part: Part) -> Occurrence:
        """An occurrence of a body after a step: expressions can read the sizes of its values."""
        other, types = each.part(part), self.definitions.graph.types
        values = self.values.by_name(part, other) if other is not None else {}
        # An output that only other uses of the block give has no value here.
        sizes = {name: types[value] for name, value in values.items() if value in types}
        return replace(each, names={**sizes, **each.names})

    def step(
        self, part: Part, occurrences: Sequence[Occurrence], local: BodyNames, previous: Sequence[str]
    ) -> WrittenStep:
        present = [(each, match) for each in occurrences if (match := each.part(part)) is not None]
        step = self.repeat(part, present, local) if part.is_repeat else self.single(part, present, local)
        beside: dict[str, Any] = {}
        name = self.explicit_name(part, step.key, local)
        if name:
            beside["name"] = name
        if not follows(part, previous):
            names = [self.reference(value, local) for value in part.inputs]
            beside["from"] = names[0] if len(names) == 1 and part.takes is not None else names
        if part.is_repeat:
            beside["repeat"] = self.count(part, occurrences)
        if (when := self.when(part, occurrences)) is not None:
            beside["when"] = when
        if part.shares:
            beside["share"] = part.shares
            # The owner initialises shared weights.
            step.beside.pop("init", None)
        # Keys such as `name` come before those that `single` has set, such as `init`.
        step.beside = {**beside, **step.beside}
        values, names = self.values.of(part), self.values.names(part)
        if len(values) != len(names):
            fail("NS401", f"the copies of `{part.name}` give less than their block does: {NOT_IN_YAML}", help=WAY_OUT)
        for value, name in zip(values, names, strict=True):
            # A value that a step returns unchanged has a name already.
            local.names.setdefault(value, name)
        return step

    def reference(self, value: str, local: BodyNames) -> str:
        """The name by which steps of this body refer to a value."""
        if value == local.entry:
            return "input"
        if value not in local.names:
            fail("NS401", f"`{value}` has no name where it is used: {NOT_IN_YAML}", help=WAY_OUT)
        return local.names[value]

    def explicit_name(self, part: Part, key: str, local: BodyNames) -> str:
        """The `name` to write beside a step; "" if its default name, such as `conv2d_2`, is the right one."""
        number = local.counts.get(key, 0) + 1
        default = key if number == 1 else f"{key}_{number}"
        named = part.is_scope or part.name in local.owners or not local.referred.isdisjoint(self.values.of(part))
        if default == part.name and not named:
            local.counts[key] = number
            return ""
        if part.branches and not part.is_scope and not part.is_repeat and part.node is not None:
            raise NeedsNameError(part.node.path)
        return part.name

    def repeat(self, part: Part, present: Sequence[tuple[Occurrence, Part]], local: BodyNames) -> WrittenStep:
        """A repeat, written as the copy that stands for all copies."""
        model = self.definition.copy_of[part]
        inner: list[tuple[Occurrence, Part]] = []
        for each, _ in present:
            for number, match in each.match.copies[part].items():
                copy = match.parts[model]
                assert copy is not None
                types = self.definitions.graph.types
                names = {**each.names, "index": number}
                if len(copy.inputs) == 1 and len(each.use.entries) == 1 and copy.branches:
                    names["input"] = types[copy.inputs[0]]
                inner.append((Occurrence(each.use, match, names, (*each.copies, number)), copy))
        return self.single(model, inner, local)

    def single(self, part: Part, present: Sequence[tuple[Occurrence, Part]], local: BodyNames) -> WrittenStep:
        """A step that is no repeat; `present` are the occurrences that have it, with the step there."""
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
                inner = BodyNames(dict(local.names), part.inputs[0], local.referred)
                steps = step.branches[branch.name] = self.steps(branch.parts, inside, inner, part.inputs)
                if not self.values.ends_as(part, branch):
                    steps.append(_left_out(self.reference(branch.output, inner)))
        rule = fillings(self.definitions.graph, part.node, self.definitions.common)
        if rule:
            step.beside["init"] = plain_fillings(rule)
        return step

    def attributes(self, cls: type[Op], present: Sequence[tuple[Occurrence, Part]]) -> Any:
        """The argument of a step with an op: the attributes that differ from their defaults."""
        arguments: dict[str, Any] = {}
        for name, field_ in cls.model_fields.items():
            nodes = [other.node for _, other in present if other.node is not None]
            written = _shortest(cls, name, [node.op for node in nodes])
            values = [(each, value) for (each, _), value in zip(present, written, strict=True)]
            candidates = dict.fromkeys(node.written.get(name) for node in nodes)
            chosen = self.chooser.choose(values, candidates, name)
            if isinstance(chosen, Literal):
                if not field_.is_required() and same(chosen.value, field_.default):
                    continue
                arguments[name] = _argument(cls, name, chosen.value)
            else:
                arguments[name] = _written(chosen, literal_words(cls, name), values)
        return _principal(arguments, cls.principal)

    def use(self, part: Part, present: Sequence[tuple[Occurrence, Part]]) -> WrittenStep:
        """A step that uses a block, with the arguments that differ from their defaults."""
        assert part.use is not None
        definition = self.definitions.by_use[part.use]
        arguments: dict[str, Any] = {}
        for parameter in definition.parameters:
            uses = [(each, other.use) for each, other in present if other.use is not None]
            values = [(each, definition.values[parameter.name][use]) for each, use in uses]
            candidates = {use.scope.written.get(parameter.name): None for _, use in uses if use.scope is not None}
            if part.use.scope is not None and part.use.scope.block is None:
                candidates = {Name(parameter.name): None}
            chosen = self.chooser.choose(values, candidates, parameter.name)
            if isinstance(chosen, Literal):
                if not parameter.required and same(chosen.value, parameter.default):
                    continue
                arguments[parameter.name] = _plain(chosen.value)
            else:
                arguments[parameter.name] = _written(chosen, frozenset(), values, parameter.kind == "str")
        required = [p.name for p in definition.parameters if p.required]
        first = definition.parameters[0].name if definition.parameters and not required else None
        return WrittenStep(definition.name, _principal(arguments, required[0] if len(required) == 1 else first))

    def count(self, part: Part, occurrences: Sequence[Occurrence]) -> Any:
        """The `repeat` of a step: a number or an expression."""
        values: list[tuple[Occurrence, Any]] = []
        candidates: dict[Expression | None, None] = {}
        for each in occurrences:
            other = each.part(part)
            values.append((each, max(other.copies) + 1 if other is not None else 0))
            candidates[other.count if other is not None else None] = None
        chosen = self.chooser.choose(values, candidates, "copies")
        return chosen.value if isinstance(chosen, Literal) else Expr(expression_text(chosen))

    def when(self, part: Part, occurrences: Sequence[Occurrence]) -> Any:
        """The `when` of a step; None if all occurrences have the step."""
        values: list[tuple[Occurrence, Any]] = []
        candidates: dict[Expression | None, None] = {}
        for each in occurrences:
            other = each.part(part)
            if part.is_repeat:
                self.copies_when(part, each, other, values, candidates)
            else:
                values.append((each, other is not None))
                candidates[other.when if other is not None else part.when] = None
        if not values:
            return None
        chosen = self.chooser.choose(values, candidates, COMPLETE)
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
        """Add to `values` whether each copy of an occurrence exists, and to `candidates` its `when`."""
        if other is None:
            return
        for number in range(max(other.copies) + 1):
            names = {**each.names, "index": number}
            copy = other.copies.get(number)
            of_copy = Occurrence(each.use, Match(), names, (*each.copies, number))
            values.append((of_copy, copy is not None))
            if copy is not None:
                candidates[copy.when] = None


def _left_out(value: str) -> WrittenStep:
    """An identity with `when: false`, whose output is a value: it makes that value the last one of a body."""
    return WrittenStep(Identity.opname, beside={"from": value, "when": False})


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _shortest(cls: type[Op], name: str, ops: Sequence[Op]) -> list[Any]:
    """The values of an attribute, `(3, 3)` shortened to `3` if the op accepts that and all values are such."""
    values = [getattr(op, name) for op in ops]
    short: list[Any] = [collapse(value) for value in values]
    if isinstance(short[0], tuple) or any(type(value) is not type(short[0]) for value in short):  # pyright: ignore[reportUnknownArgumentType]
        return values
    attributes = {n: _plain(getattr(ops[0], n)) for n in cls.model_fields}
    for new, old in dict(zip(short, values, strict=True)).items():
        op, _ = make_op(cls, {**attributes, name: new})
        if op is None or not same(getattr(op, name), old):
            return values
    return short


def _argument(cls: type[Op], name: str, value: Any) -> Any:
    """A literal as the argument of an attribute: text that is no word of the attribute is quoted."""
    value = _plain(value)
    return Expr(f"'{value}'") if isinstance(value, str) and value not in literal_words(cls, name) else value


def _written(tree: Expression, words: frozenset[str], values: Sequence[tuple[Any, Any]], is_text: bool = False) -> Any:
    """An expression as an argument: `$name` for a name that holds text, since `name` alone is text."""
    if isinstance(tree, ListOf):
        return [_written(item, words, ()) for item in tree.items]
    text = expression_text(tree)
    dollar = (
        is_text
        or text in words
        or (isinstance(tree, Name) and bool(values) and all(isinstance(v, str) for _, v in values))
    )
    return Expr(f"${text}" if dollar else text)


def _principal(arguments: dict[str, Any], principal: str | None) -> Any:
    """The argument of a step: `64` if the only one is the principal argument, else a mapping of all; None for none."""
    if not arguments:
        return None
    only = arguments.get(principal or "")
    if len(arguments) == 1 and only is not None and not isinstance(only, list):
        return only
    return arguments
