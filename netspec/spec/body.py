"""Bodies of networks, blocks and branches, read: steps with their arguments, and what the steps have in reach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from netspec.expression import Expression, Value
from netspec.graph.model import NOTHING, Block
from netspec.ops.base import Op
from netspec.source import Span
from netspec.spec.data import Data, Map
from netspec.types import Filling


@dataclass(slots=True)
class Argument:
    """One value of a step: a constant, or an expression to evaluate at every use."""

    name: str
    span: Span
    key_span: Span
    value: Value = None
    expression: Expression | None = None
    of_file: bool = False
    """Whether it stands in `defaults`, where the file's parameters alone are in reach."""


@dataclass(slots=True)
class Step:
    """One step of a body, its op or block found and its arguments parsed."""

    called: str
    named: bool
    span: Span
    target: type[Op] | BlockDefinition
    arguments: dict[str, Argument]
    branches: dict[str, Body] | None = None
    sources: list[tuple[str, Span]] | None = None
    repeat: Argument | None = None
    when: Argument | None = None
    init: Mapping[str, Filling] = NOTHING
    init_places: Mapping[str, Span] = NOTHING
    init_own: frozenset[str] = frozenset()
    expect: Map | None = None
    written: Mapping[str, Expression] = NOTHING
    ops: dict[tuple[Any, ...], Op] = field(default_factory=dict[tuple[Any, ...], Op])


@dataclass(slots=True)
class Body:
    """Steps one after another, of a network, a block or a branch."""

    steps: list[Step]
    span: Span


@dataclass
class BlockDefinition:
    """A block: its parameters, the file it stands in, and its body, which is parsed once all blocks are known."""

    name: str
    info: Block
    file: FileContext
    data: Data
    body: Body = field(default_factory=lambda: Body([], _NOWHERE))

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The type of each parameter."""
        return {p.name: p.kind for p in self.info.parameters}

    @property
    def principal(self) -> str | None:
        """The parameter a scalar argument stands for; None where several are required, or there is none."""
        required = [p.name for p in self.info.parameters if p.required]
        if len(required) == 1:
            return required[0]
        return self.info.parameters[0].name if not required and self.info.parameters else None


_NOWHERE: Any = None


@dataclass(slots=True)
class FileContext:
    """What the steps of one file have in common: the blocks and parameters they can name, and defaults by op.

    A file that is there for its blocks alone has a `name`, and `constants`: its parameters, at their defaults, but for
    those that are `required`. `unclear` are the names that several of the files have which this one uses.
    """

    name: str = ""
    unclear: Mapping[str, list[str]] = NOTHING
    required: frozenset[str] = frozenset()

    blocks: Mapping[str, BlockDefinition] = field(default_factory=lambda: dict[str, BlockDefinition]())
    parameters: frozenset[str] = frozenset()
    constants: Mapping[str, Value] = NOTHING
    defaults: dict[str, Defaults] = field(default_factory=lambda: dict[str, "Defaults"]())


@dataclass(slots=True)
class Defaults:
    """What `defaults` says for one op: attributes and initialisers."""

    arguments: dict[str, Argument]
    init: Mapping[str, Filling]
    init_places: Mapping[str, Span]


@dataclass(slots=True)
class Reach:
    """What a body can name: parameters, values of expressions, values of `from`, and whether `index` is there.

    `constants` are parameters whose values are put in where they are named.
    """

    parameters: frozenset[str]
    inputs: frozenset[str]
    values: Names
    index: bool = False
    constants: Mapping[str, Value] = NOTHING


class Names:
    """Names that a body can say: its own, and those of the bodies around it, which are not copied."""

    __slots__ = ("around", "own")

    def __init__(self, own: Iterable[str], around: Names | None = None) -> None:
        self.own = set(own)
        self.around = around

    def add(self, name: str) -> None:
        self.own.add(name)

    def __contains__(self, name: str) -> bool:
        return name in self.own or (self.around is not None and name in self.around)

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        yield from self.around or ()
