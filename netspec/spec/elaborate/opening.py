"""Steps that have bodies: uses of blocks and networks, `body` parameters, and merges with branches, opened."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import ChainMap
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from netspec.errors import Findings, NetspecError, fail
from netspec.expression import Value
from netspec.graph.assemble import Assembler, Recording
from netspec.graph.model import Scope
from netspec.spec.elaborate.binding import check_binding
from netspec.spec.elaborate.errors import ElaborationErrors, Failed, way_to_int
from netspec.spec.elaborate.evaluator import Evaluator, frozen
from netspec.spec.elaborate.frame import NO_ORIGIN, Closure, Frame, SpecScope, UseNote, origins_of
from netspec.spec.elaborate.needed import needed_steps
from netspec.spec.elaborate.nodes import NodeMaker, Values, all_known
from netspec.spec.limits import MAX_NODES, MAX_PATH_CHARACTERS, MAX_STEPS
from netspec.spec.read.body import BlockDefinition, Body, BodyParameter, Step
from netspec.spec.read.parameters import check_kind

Entering = TypeVar("Entering")


class Opener(ABC):
    """Opens the bodies of steps, each in a frame of its own."""

    def __init__(self, builder: Assembler) -> None:
        self.builder = builder
        self.findings = Findings()
        self.errors = ElaborationErrors(self.findings)
        self.evaluator = Evaluator(self.findings)
        self.maker = NodeMaker(self.builder, self.evaluator, self.errors)
        self.count = 0
        self.regions: dict[tuple[Any, ...], Recording] = {}
        self.kept: list[object] = []
        """What the keys of regions name by identity."""

    @abstractmethod
    def body(
        self, body: Body, frame: Frame, entering: Values, *, top: bool = False, only: Collection[int] | None = None
    ) -> Values:
        """Elaborate steps one after another; the values of the last, None where one can't be known.

        Of a network that is a step, `only` those steps are made whose values are wanted.
        """

    def tick(self, step: Step) -> None:
        """Count what is done, so that a small spec can't ask for endless work."""
        self.count += 1
        nodes, characters = len(self.builder.nodes), self.builder.characters
        if nodes > MAX_NODES or self.count > MAX_STEPS or characters > MAX_PATH_CHARACTERS:
            what = f"{MAX_PATH_CHARACTERS:,} characters in its paths"
            if characters <= MAX_PATH_CHARACTERS:
                what = f"{MAX_NODES:,} nodes" if nodes > MAX_NODES else f"{MAX_STEPS:,} steps"
            help = "a `repeat`, or blocks inside blocks, multiply more than was meant"
            fail("NS214", f"the network has more than {what}", step.span, help=help)

    def block(self, step: Step, block: BlockDefinition, frame: Frame, path: str, parent: str, inputs: Values) -> Values:
        """A use of a block or network: its arguments, then its body on the values that enter."""
        params: dict[str, Value] = {p.name: p.default for p in block.info.parameters}
        bodies: dict[str, Closure] = {}
        for name, argument in step.arguments.items():
            if argument.body is not None:
                bodies[name] = Closure(argument.body, dict(frame.names), frame.origins, frame.home, frame.bodies)
                del params[name]
                continue
            value = self.evaluator.value(argument, frame)
            if argument.expression is not None:
                try:
                    check_kind(block, name, argument, value, way_to_int(argument, value))
                except NetspecError as error:
                    self.errors.keep_all(error, frame)
                    raise Failed from None
            # A float parameter holds a float, also where the spec says `2`: layers are written with what it holds.
            params[name] = float(value) if block.kinds[name] == "float" and isinstance(value, int) else value
        wanted = len(block.info.inputs)
        if len(inputs) != wanted:
            count = "one input" if wanted == 1 else f"{wanted} inputs ({', '.join(block.info.inputs)})"
            help = "join the values before it, as with `concat`" if wanted == 1 else "`from` names them, in this order"
            message = f"{block.what} takes {count}, not {len(inputs)}"
            self.errors.fail("NS302", message, step.span, frame, help=help)
        entries = all_known(inputs)
        if not entries:
            return (None,) * len(step.outputs)
        if block.declared is not None:
            check_binding(block, entries, self.builder.types, step, frame, self.errors)
        self.maker.claim(path, step, frame)
        before = len(self.builder.nodes)
        values = self.inside(step, block, frame, path, entries, params, bodies)
        if len(self.builder.nodes) > before and (given := all_known(values)):
            when = step.when.expression if step.when is not None else None
            inner = named_entries(block.info.inputs, entries)
            kind = "block" if block.declared is None else "network"
            self.builder.add_scope(
                Scope(path, kind, parent, given, block.in_graph, params, step.written, inner, when, None, step.span)
            )
        return values

    def inside(
        self,
        step: Step,
        block: BlockDefinition,
        frame: Frame,
        path: str,
        entries: tuple[str, ...],
        params: dict[str, Value],
        bodies: dict[str, Closure],
    ) -> Values:
        """The body of a block's use.

        A block sees its own parameters and the file's, nothing of the place it is used in: with equal arguments,
        on values of the same types, it is the same nodes once more.
        """
        entering = [self.builder.types[entry] for entry in entries]
        given = params.values()
        named = named_entries(block.info.inputs, entries)
        origins = {name: origins_of(tree, frame) for name, tree in step.written.items()}
        for name, entry in named.items():
            origins[name] = self.maker.origin(entry)
        key = (
            *(id(block), id(frame.home), NO_ORIGIN.union(*origins.values())),
            *(*map(id, entering), *map(frozen, given), *map(type, given), *map(id, bodies.values())),
            # Two values that enter may be one.
            *map(entries.index, entries),
        )
        known = self.regions.get(key)
        if known is not None:
            values = self.builder.replay(known, path, entries)
            for new, old in zip(values, known.outputs, strict=True):
                self.maker.origins[new] = self.maker.origin(old)
            return values
        mark = self.builder.checkpoint
        hidden = {**dict.fromkeys(params, NO_ORIGIN), **origins}
        home = SpecScope(params, hidden) if block.own else frame.home
        inner = Frame(
            {**home.params, **params, **named_entries(block.info.inputs, entering)},
            dict(named),
            path,
            {**home.origins, **hidden},
            home,
            (*frame.uses, UseNote(block.what, step.span, params)),
            frame.depth + 1,
            bodies,
        )
        self.kept += [home, *bodies.values()]
        only = needed_steps(block.body, block.results) if block.declared is not None else None
        values = self.body(block.body, inner, entries if len(entries) == 1 else (), only=only)
        if block.results:
            values = tuple([inner.values.get(name) for name in block.results.values()])
        values = values[: len(step.outputs)]
        # What has sizes of its own is not the same once more.
        again = not self.findings.diagnostics and self.builder.last_sized_by_data < mark[0]
        if again and (given := all_known(values)):
            self.regions[key] = self.builder.record(path, entries, given, mark)
        return values

    def closure(
        self, step: Step, target: BodyParameter, frame: Frame, path: str, parent: str, inputs: Values
    ) -> Values:
        """The steps that a `body` parameter was given, where the block has them."""
        closure = frame.bodies[target.name]
        entries = all_known(inputs)
        if len(inputs) != 1:
            message = f"`{target.name}` holds steps that begin at one value, not {len(inputs)}"
            self.errors.fail("NS302", message, step.span, frame, help="join the values before it, as with `concat`")
        if not entries:
            return (None,)
        self.maker.claim(path, step, frame)
        before = len(self.builder.nodes)
        entry = entries[0]
        inner = Frame(
            {**closure.names, "input": self.builder.types[entry]},
            {"input": entry},
            path,
            {**closure.origins, "input": self.maker.origin(entry)},
            closure.home,
            frame.uses,
            frame.depth + 1,
            closure.bodies,
        )
        values = self.body(closure.body, inner, entries)[:1]
        if len(self.builder.nodes) > before and (given := all_known(values)):
            when = step.when.expression if step.when is not None else None
            scope = Scope(path, "body", parent, given, inputs={"input": entry}, when=when, span=closure.body.span)
            self.builder.add_scope(scope)
        return values

    def merge(self, step: Step, frame: Frame, path: str, parent: str, inputs: Values, *, named: bool) -> Values:
        """A merge with branches: each from the step's input; a named one is a scope of its own."""
        assert step.branches is not None
        assert isinstance(step.target, type)
        if len(inputs) != 1:
            self.errors.fail("NS211", "branches begin at one value, and `from` names several", step.span, frame)
        entry = inputs[0]
        if entry is None:
            return (None,)
        around = path if named else frame.scope
        if named:
            self.builder.claim_scope(path)
        when = step.when.expression if step.when is not None else None
        ends: list[str | None] = []
        for name, branch in step.branches.items():
            self.tick(step)
            branch_path = f"{around}.{name}" if around else name
            self.maker.claim(branch_path, step, frame)
            inner = Frame(
                {**frame.names, "input": self.builder.types[entry]},
                ChainMap[str, str | None]({"input": entry}, frame.values),
                branch_path,
                {**frame.origins, "input": self.maker.origin(entry)},
                frame.home,
                frame.uses,
                frame.depth + 1,
                frame.bodies,
            )
            before = len(self.builder.nodes)
            end = self.body(branch, inner, (entry,))[0]
            ends.append(end)
            if end is not None and len(self.builder.nodes) > before:
                inputs_of = {"input": entry}
                self.builder.add_scope(Scope(branch_path, "branch", around, (end,), inputs=inputs_of, span=branch.span))
        values = self.maker.add(step, step.target, frame, path, around, tuple(ends), list(step.branches))
        if named and (given := all_known(values)):
            self.builder.add_scope(
                Scope(path, "merge", parent, given, inputs={"input": entry}, when=when, span=step.span)
            )
        return values


def named_entries(names: tuple[str, ...], entries: Sequence[Entering]) -> dict[str, Entering]:
    """What enters a body by the names it has there: the only one is `input` too."""
    if len(entries) == 1:
        return {"input": entries[0], names[0]: entries[0]}
    return dict(zip(names, entries, strict=True))
