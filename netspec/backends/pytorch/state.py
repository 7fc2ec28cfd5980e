"""The state of one class while it is printed: its arguments, the flows of its values, and pinned arguments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from netspec.backends.pytorch.arguments import NOT_ARGUMENTS, Arguments, ConstructorArgument
from netspec.backends.pytorch.bodies import BodyItem, ScopeBody, named_values
from netspec.backends.pytorch.classes import Class, ClassUse
from netspec.backends.pytorch.flows import ArgumentNames, Flow, SizeRules
from netspec.backends.pytorch.layout import Doc
from netspec.graph.lexicon import Lexicon
from netspec.graph.model import Graph, SpecParameter

ItemUses = Sequence[tuple[ClassUse, BodyItem]]
"""The uses of a class that have a certain item of its template, each with the corresponding item."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of an item in a class, which decides the meaning of names of values and of `index` in expressions."""

    entering: str | None
    """The value that `input` means."""
    index: int | None = None
    """The number of the copy, in the copy of a repeat."""
    run: tuple[int, ...] = ()
    """The numbers of the first and last copy, if one expression is printed for several copies."""
    scope: str = ""
    """The path of the scope around the item, whose steps expressions can name."""

    def of_copy(self, index: int | None) -> Place:
        """The place of the copy of a number, of an item that is repeated here."""
        return replace(self, index=index, run=())

    def of_run(self, first: int, last: int) -> Place:
        """The place of several copies, for which one expression is printed."""
        return replace(self, index=None, run=(first, last))


@dataclass(slots=True)
class WrittenClass:
    """A class as source: its arguments, the statements of its constructor, and facts for its callers."""

    cls: Class
    arguments: list[ConstructorArgument]
    outputs: list[Flow]
    """The flows of its outputs, in terms of its arguments."""
    constructor: list[str]
    conditions: dict[str, str]
    """For each function that only some uses call, the attribute that decides, such as `with_add`."""
    pinned: ArgumentNames
    """The arguments, SHAPE or UNSEEN, for which the class is right only with the values that its uses have."""


class _Trial:
    """A change of a class's state that is undone at its end, unless `keep` is called."""

    kept = False

    def keep(self) -> None:
        """Keep what was chosen and pinned."""
        self.kept = True


@dataclass(slots=True)
class ClassState:
    """A class while it is printed. The classes that it uses are in `written` already."""

    cls: Class
    graph: Graph
    class_of: Mapping[ScopeBody, Class]
    written: Mapping[Class, WrittenClass]
    size_rules: SizeRules
    arguments: Arguments
    constants: Mapping[str, Any]
    """The parameters of the spec that are equal in all uses, and so become literals in this class."""
    named_values: Mapping[str, str]
    """The values that expressions can read by name, such as the inputs of a block."""
    parameters: frozenset[str]
    """The parameters of the block, which can be constructor arguments."""
    lexicon: Lexicon
    flows: dict[str, Flow] = field(default_factory=dict[str, Flow])
    """The flows of all values computed so far."""
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
        """Set the flow of all outputs of an item."""
        for value in item.outputs:
            self.flows[value] = flow

    @contextmanager
    def trial(self) -> Generator[_Trial]:
        """Undo what is chosen and pinned in the `with` block at its end, unless the trial is kept.

        Flows are not undone, since the next attempt sets them again.
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
        """Print in the `with` block for the flows alone: candidates are not verified, and choices are undone."""
        outer = self.arguments.dry_run
        with self.trial():
            self.arguments.dry_run = True
            try:
                yield
            finally:
                self.arguments.dry_run = outer


Construct = Callable[[ClassState, BodyItem, Place, ItemUses], Doc]
"""A function that prints the constructor call for an item's module, and sets the flows of its outputs."""


def initial_state(
    cls: Class,
    graph: Graph,
    class_of: Mapping[ScopeBody, Class],
    written: Mapping[Class, WrittenClass],
    free: Collection[str],
    size_rules: SizeRules,
) -> ClassState:
    """The state of a class before its first item is printed.

    `free` are the parameters of the spec that may be arguments of the network's class; all others become literals.
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
        lexicon=Lexicon(graph),
    )
