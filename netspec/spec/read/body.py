"""Bodies of networks, blocks and branches, read: steps with their arguments, and what the steps have in reach."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from netspec.expression import Expression, Value
from netspec.graph.model import NOTHING, Block
from netspec.ops.base import Op
from netspec.source import Span
from netspec.spec.read.inputs import InputDefinition
from netspec.spec.text.data import Data, Map
from netspec.types import Filling


@dataclass(slots=True)
class Argument:
    """One value of a step: a constant, an expression to evaluate at every use, or the steps of a `body`."""

    name: str
    span: Span
    key_span: Span
    value: Value = None
    expression: Expression | None = None
    body: Body | None = None
    of_file: bool = False
    """Whether it stands in `defaults`, where the file's parameters alone are in reach."""


@dataclass(frozen=True, slots=True)
class BodyParameter:
    """A block's parameter that holds steps, used as a step."""

    name: str


@dataclass(slots=True)
class Step:
    """One step of a body, its op or block found and its arguments parsed."""

    called: str
    named: bool
    span: Span
    target: Target
    arguments: dict[str, Argument]
    branches: dict[str, Body] | None = None
    sources: list[tuple[str, Span]] | None = None
    repeat: Argument | None = None
    when: Argument | None = None
    share: str = ""
    share_span: Span | None = None
    init: Mapping[str, Filling] = NOTHING
    init_places: Mapping[str, Span] = NOTHING
    init_own: frozenset[str] = frozenset()
    expect: Map | None = None
    written: Mapping[str, Expression] = NOTHING
    ops: dict[tuple[Any, ...], Op] = field(default_factory=dict[tuple[Any, ...], Op])

    @property
    def uses(self) -> str:
        """The name of the op, block, network or parameter that it uses."""
        return self.target.opname if isinstance(self.target, type) else self.target.name

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what it gives."""
        if isinstance(self.target, type):
            return self.target.output_names
        return self.target.info.outputs if isinstance(self.target, BlockDefinition) else ONE_OUTPUT

    @property
    def takes(self) -> int:
        """How many values of the step before it takes where it says nothing of its own."""
        if isinstance(self.target, BlockDefinition):
            return len(self.target.info.inputs)
        if isinstance(self.target, type) and self.branches is None:
            return self.target.inputs[0]
        return 1


ONE_OUTPUT = ("output",)
"""The outputs of what gives one value: it goes by the step's name alone."""


def called_values(called: str, outputs: tuple[str, ...]) -> list[str]:
    """What a step's values are called: its name is the first, and `name.output` each where they have names."""
    return [called, *(f"{called}.{name}" for name in outputs)] if outputs != ONE_OUTPUT else [called]


def names_of_inputs(inputs: Collection[str]) -> frozenset[str]:
    """What steps of a body can call what enters it: by its name, and one value alone `input` too."""
    return frozenset((*inputs, "input") if len(inputs) == 1 else inputs)


@dataclass(slots=True)
class Body:
    """Steps one after another, of a network, a block or a branch."""

    steps: list[Step]
    span: Span


@dataclass
class BlockDefinition:
    """A block: its parameters, the file it stands in, and its body, which is parsed once all blocks are known.

    `results` names the steps that its outputs are, where it says so, at `places`. A network that is a step has
    `declared` inputs, and one from another spec parameters that are its `own`: what is in it sees no others.
    """

    name: str
    info: Block
    file: FileContext
    data: Data
    body: Body = field(default_factory=lambda: Body([], _NOWHERE))
    results: dict[str, str] = field(default_factory=dict[str, str])
    places: Mapping[str, Span] = NOTHING
    declared: Mapping[str, InputDefinition] | None = None
    own: bool = False

    @property
    def what(self) -> str:
        """What errors call it."""
        return f"{'block' if self.declared is None else 'network'} `{self.name}`"

    @property
    def in_graph(self) -> Block:
        """What the graph keeps of it: steps that are arguments are in the graph as nodes."""
        plain = tuple([p for p in self.info.parameters if p.kind != "body"])
        return self.info if len(plain) == len(self.info.parameters) else replace(self.info, parameters=plain)

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


Target = type[Op] | BlockDefinition | BodyParameter
"""What a step uses, and so what its arguments are for."""

_NOWHERE: Any = None


Embed = Callable[[Data, Span], tuple[BlockDefinition, Data]]
"""What `network: s` as a step stands for: the network, and its arguments."""
_NO_EMBED: Any = None


@dataclass(slots=True)
class FileContext:
    """What the steps of one file have in common: the blocks and parameters they can name, and defaults by op.

    A file that is there for its blocks alone has a `name`, and `constants`: its parameters, at their defaults, but for
    those that are `required`. `unclear` are the names that several of the files have which this one uses.
    `embed` finds the specs that steps embed.
    """

    name: str = ""
    unclear: Mapping[str, list[str]] = NOTHING
    required: frozenset[str] = frozenset()

    blocks: Mapping[str, BlockDefinition] = field(default_factory=lambda: dict[str, BlockDefinition]())
    parameters: frozenset[str] = frozenset()
    constants: Mapping[str, Value] = NOTHING
    defaults: dict[str, Defaults] = field(default_factory=lambda: dict[str, "Defaults"]())
    embed: Embed = _NO_EMBED


@dataclass(slots=True)
class Defaults:
    """What `defaults` says for one op: attributes and initialisers."""

    arguments: dict[str, Argument]
    init: Mapping[str, Filling]
    init_places: Mapping[str, Span]


@dataclass(slots=True)
class NamesInReach:
    """What a body can name: parameters, values of expressions, values of `from`, and whether `index` is there.

    `constants` are parameters whose values are put in where they are named, `bodies` those that hold steps.
    """

    parameters: frozenset[str]
    inputs: frozenset[str]
    values: ValueNames
    index: bool = False
    constants: Mapping[str, Value] = NOTHING
    bodies: frozenset[str] = frozenset()


class ValueNames:
    """Names that a body can say: its own, and those of the bodies around it, which are not copied."""

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
        """Add steps that have a mistake: what they give is not known, and any output of them is taken for one."""
        self.own.update(names)
        self.broken.update(names)

    def __contains__(self, name: str) -> bool:
        if name in self.own or name.partition(".")[0] in self.broken:
            return True
        return self.around is not None and name in self.around

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        yield from self.around or ()
