"""The state of one class while it is printed: its arguments, the flows of its values, and what is pinned."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from netspec.backends.pytorch.arguments import NOT_ARGUMENTS, Arguments, ConstructorArgument
from netspec.backends.pytorch.bodies import BodyItem, ScopeBody, named_values
from netspec.backends.pytorch.classes import Class, ClassUse
from netspec.backends.pytorch.flows import ArgumentNames, Flow, SizeRules
from netspec.backends.pytorch.layout import Doc
from netspec.graph.model import Graph, SpecParameter

ItemUses = Sequence[tuple[ClassUse, BodyItem]]
"""The uses of a class that have an item of its template, each with the item there."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of an item in a class, which decides what the spec's expressions mean there."""

    entering: str | None
    """The value that they call `input`."""
    index: int | None = None
    """The number of the copy, for the copy of a repeat."""
    run: tuple[int, ...] = ()
    """The numbers of the first and last copy, where one expression is printed for several copies."""


@dataclass(slots=True)
class WrittenClass:
    """A class as source: its arguments, the statements of its constructor, and what callers have to know."""

    cls: Class
    arguments: list[ConstructorArgument]
    outputs: list[Flow]
    """The flows of its outputs, in terms of its arguments."""
    constructor: list[str]
    conditions: dict[str, str]
    """For each function that not every use calls, the attribute that tells whether this one does."""
    pinned: ArgumentNames
    """The arguments (or SHAPE, UNSEEN) for which the class is wrong with other values than its uses give."""


class _Trial:
    """A change of a class's state that is undone when it ends, unless it is kept."""

    kept = False

    def keep(self) -> None:
        """Let what was chosen and pinned stay."""
        self.kept = True


@dataclass(slots=True)
class ClassState:
    """A class that is being printed. The classes that it uses are written before."""

    cls: Class
    graph: Graph
    class_of: Mapping[ScopeBody, Class]
    written: Mapping[Class, WrittenClass]
    size_rules: SizeRules
    arguments: Arguments
    constants: Mapping[str, Any]
    """The parameters of the spec that are numbers in this class, since all uses agree on them."""
    named_values: Mapping[str, str]
    """The values that expressions read by name."""
    parameters: frozenset[str]
    """The parameters of the block, which can be constructor arguments."""
    flows: dict[str, Flow] = field(default_factory=dict[str, Flow])
    """The flows of the values that were computed so far."""
    pinned: set[str] = field(default_factory=set[str])

    @property
    def is_network(self) -> bool:
        return self.cls.template.body.scope is None

    def uses_of(self, item: BodyItem) -> ItemUses:
        """The uses that have an item of the template."""
        matches = [(use, use.matches.get(item)) for use in self.cls.uses]
        return [(use, match) for use, match in matches if match is not None]

    def is_in_all(self, uses: ItemUses) -> bool:
        """Whether these are all uses of the class."""
        return len(uses) == len(self.cls.uses)

    def set_flow(self, item: BodyItem, flow: Flow) -> None:
        """Let all outputs of an item have a flow."""
        for value in item.outputs:
            self.flows[value] = flow

    @contextmanager
    def trial(self) -> Generator[_Trial]:
        """Undo at the end what was chosen and pinned in between, unless the trial is kept.

        Flows stay as they became: whoever tries something else computes those of the same values again.
        """
        trial, arguments, pinned = _Trial(), self.arguments.snapshot(), set(self.pinned)
        try:
            yield trial
        finally:
            if not trial.kept:
                self.arguments.restore(arguments)
                self.pinned = pinned

    @contextmanager
    def dry_run(self) -> Generator[None]:
        """Print something for its flows alone: candidates are not verified, and what was chosen is undone."""
        outer = self.arguments.dry_run
        with self.trial():
            self.arguments.dry_run = True
            try:
                yield
            finally:
                self.arguments.dry_run = outer


Construct = Callable[[ClassState, BodyItem, Place, ItemUses], Doc]
"""Prints the call that makes the module of an item, and sets the flows of its outputs."""


def initial_state(
    cls: Class,
    graph: Graph,
    class_of: Mapping[ScopeBody, Class],
    written: Mapping[Class, WrittenClass],
    free: Collection[str],
    size_rules: SizeRules,
) -> ClassState:
    """The state in which the printing of a class begins.

    `free` are the parameters of the spec that may be arguments of the network's own class; all others are numbers.
    """
    if cls.template.body.scope is None:
        cls.parameters = [SpecParameter(n, type(v).__name__, v) for n, v in graph.params.items() if n in free]
    # The parameters of a block shadow those of the file, in the scopes within it too.
    names = frozenset(p.name for p in cls.parameters)
    return ClassState(
        cls,
        graph,
        class_of,
        written,
        size_rules,
        Arguments(cls, graph),
        constants={name: value for name, value in cls.agreed_parameters().items() if name not in names},
        named_values=named_values(graph, cls.template.body),
        parameters=names - NOT_ARGUMENTS,
    )
