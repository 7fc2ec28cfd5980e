"""Which parameters decided a `when`, a `repeat` or the size of an input: a graph does not show it."""

from __future__ import annotations

from netspec.expression import Attribute, Expression, leaves, names_in
from netspec.graph.build import Builder
from netspec.spec.elaborate.frame import NO_ORIGIN, Frame, Origins, origins_of
from netspec.spec.read.body import Argument


class Decisions:
    """Records the spec's parameters that left steps out, and those that decided the sizes of inputs."""

    def __init__(self, builder: Builder) -> None:
        self._decided = builder.decided
        self._sizes: list[Expression] = []
        self._left_out: dict[Argument, Origins] = {}
        """By a `when` or `repeat` that left a step out somewhere, the parameters that it depends on."""
        self._kept: set[Argument] = set()
        """The `when`s and `repeat`s that kept a step somewhere."""

    def note_size(self, tree: Expression) -> None:
        """Record the expression of a size of an input."""
        self._decided |= names_in(tree)
        self._sizes.append(tree)

    def leave_out(self, argument: Argument, frame: Frame) -> None:
        """Record that a `when` was false, or a `repeat` zero, for a step in a frame."""
        if argument.expression is None:
            return
        origins = origins_of(argument.expression, frame)
        self._decided |= origins
        if any(isinstance(leaf, Attribute) for leaf in leaves(argument.expression)):
            origins = origins.union(*map(names_in, self._sizes))
        self._left_out[argument] = origins | self._left_out.get(argument, NO_ORIGIN)

    def keep(self, argument: Argument) -> None:
        """Record that a `when` or a `repeat` kept a step."""
        self._kept.add(argument)

    @property
    def vanished(self) -> Origins:
        """The parameters that left a step out of the graph everywhere, in every use and copy."""
        return NO_ORIGIN.union(*[names for argument, names in self._left_out.items() if argument not in self._kept])
