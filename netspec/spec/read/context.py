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
"""Reads the spec that a step `network: s` embeds, and gives its network and the arguments of the step."""


@dataclass(frozen=True, slots=True)
class Declarations:
    """The declarations that steps can name, of all files of a chain of `extends`.

    Of a file that is used for its blocks alone, parameters are `constants`, at their defaults; those without a
    default, the `required`, have no value there.
    """

    blocks: Mapping[str, BlockDefinition]
    """The blocks and networks by name."""
    ambiguous: Mapping[str, list[str]]
    """By the name of a block that several used files have and none can be meant by: those files."""
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
    """The names that a body can use: parameters, values in expressions, values in `from`, and `index`.

    `constants` are parameters whose values are put in where they are named, `bodies` those that hold steps.
    """

    parameters: frozenset[str]
    inputs: frozenset[str]
    values: ValueNames
    index: bool = False
    constants: Mapping[str, Value] = NOTHING
    bodies: frozenset[str] = frozenset()


class ValueNames:
    """The values that `from` can name in a body: its own, and those of the bodies around it, which are not copied."""

    __slots__ = ("around", "below", "broken", "own")

    def __init__(self, own: Iterable[str], around: ValueNames | None = None) -> None:
        self.own = set(own)
        self.broken: set[str] = set()
        self.below: set[str] = set()
        """Names of steps of this body, those included that are not read yet."""
        self.around = around

    def stands_below(self, name: str) -> bool:
        """Whether a step of this name is in this body, or one around it."""
        return name in self.below or (self.around is not None and self.around.stands_below(name))

    def add(self, *names: str) -> None:
        self.own.update(names)

    def add_broken(self, *names: str) -> None:
        """Add steps that have a mistake: their outputs are not known, and any name of one is taken for right."""
        self.own.update(names)
        self.broken.update(names)

    def __contains__(self, name: str) -> bool:
        if name in self.own or name.partition(".")[0] in self.broken:
            return True
        return self.around is not None and name in self.around

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        yield from self.around or ()
