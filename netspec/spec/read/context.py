"""The names that the steps of a file can use: blocks, parameters and values; and the file's defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from netspec.expression import Value
from netspec.graph.model import NOTHING
from netspec.source import Span
from netspec.spec.read.body import Argument, BlockDefinition
from netspec.spec.text.data import Data
from netspec.types import Filling

Embed = Callable[[Data, Span], tuple[BlockDefinition, Data]]
"""The type of `EmbeddedSpecs.embed`, without its `asker`: it reads the spec of a step `network: s`."""


@dataclass(frozen=True, slots=True)
class Declarations:
    """The blocks and parameters that the steps of a chain of `extends` can name.

    In a file that another one uses for its blocks, parameters are `constants`: they have their defaults. Its
    parameters without a default, the `required`, have no value, and can't be named.
    """

    blocks: Mapping[str, BlockDefinition]
    """The blocks and networks by name."""
    ambiguous: Mapping[str, list[str]]
    """By the name of a block that several used files declare, those files: the name alone can't be used."""
    parameters: frozenset[str]
    constants: Mapping[str, Value] = NOTHING
    required: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Defaults:
    """The defaults of one op in a file: attributes and initialisers."""

    arguments: Mapping[str, Argument]
    init: Mapping[str, Filling]
    init_places: Mapping[str, Span]


@dataclass(frozen=True, slots=True)
class FileContext:
    """The context that all steps of one file share."""

    declarations: Declarations
    defaults: Mapping[str, Defaults]
    embed: Embed


@dataclass(frozen=True, slots=True)
class NamesInReach:
    """The names that a body can use.

    Expressions read `parameters`, the sizes of `inputs` (`input.channels`), and `index` inside of a repeat. `from`
    names `values`. `constants` are parameters that expressions replace by their values, `bodies` are body parameters.
    """

    parameters: frozenset[str]
    inputs: frozenset[str]
    values: ValueNames
    index: bool = False
    constants: Mapping[str, Value] = NOTHING
    bodies: frozenset[str] = frozenset()


class ValueNames:
    """The values that `from` can name in a body: the body's own, and those of the bodies `around` it."""

    __slots__ = ("all_steps", "around", "broken", "in_branches", "own", "sized", "sized_around")

    def __init__(self, own: Iterable[str], around: ValueNames | None = None) -> None:
        self.own = set(own)
        self.broken: set[str] = set()
        self.all_steps: set[str] = set()
        """The names of all steps of this body, read or not."""
        self.in_branches: set[str] = set()
        """The names of steps in branches of this body, which nothing outside can name."""
        self.sized: set[str] = set()
        """The values of this body whose sizes expressions read."""
        self.sized_around: dict[str, Span] = {}
        """The values of the bodies around this one whose sizes its expressions read, each with a place of its name."""
        self.around = around

    def is_later_step(self, name: str) -> bool:
        """Return whether this body, or one around it, has a step of this name, read or not.

        Asked about a name that is not a value yet, it tells that the step comes later.
        """
        return name in self.all_steps or (self.around is not None and self.around.is_later_step(name))

    def is_step_of_branch(self, name: str) -> bool:
        """Return whether this is a branch that has a step of this name, or one around it is."""
        around = self.around
        return around is not None and (name in self.all_steps or around.is_step_of_branch(name))

    def is_in_branch(self, name: str) -> bool:
        """Return whether a branch of this body, or of one around it, has a step of this name."""
        return name in self.in_branches or (self.around is not None and self.around.is_in_branch(name))

    def note_size(self, name: str, span: Span) -> None:
        """Record that an expression reads a size of a value."""
        if name in self.own or self.around is None:
            self.sized.add(name)
        else:
            self.sized_around.setdefault(name.partition(".")[0], span)
            self.around.note_size(name, span)

    def add(self, *names: str) -> None:
        self.own.update(names)

    def add_broken(self, *names: str) -> None:
        """Add steps with errors: their outputs are unknown, so any `step.output` of one is accepted."""
        self.own.update(names)
        self.broken.update(names)

    def __contains__(self, name: str) -> bool:
        if name in self.own or name.partition(".")[0] in self.broken:
            return True
        return self.around is not None and name in self.around

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        yield from self.around or ()
