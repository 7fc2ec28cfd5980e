"""Decisions by conditions, numbers of copies and sizes of inputs, which a graph does not show."""

from __future__ import annotations

from netspec.expression import Attribute, Expression, leaves, names_in
from netspec.graph.build import Builder
from netspec.spec.elaborate.frame import NO_ORIGIN, Frame, Origins, origins_of
from netspec.spec.read.body import Argument


class Decisions:
    """Notes the spec's parameters by which steps were left out, and those that decided the sizes of inputs."""

    def __init__(self, builder: Builder) -> None:
        self._decided = builder.decided
        self._sizes: list[Expression] = []
        self._left_out: dict[Argument, Origins] = {}
        """By a condition, or a number of copies, that left a step out somewhere: the parameters behind it."""
        self._kept: set[Argument] = set()
        """Those that let a step stand somewhere."""

    def note_size(self, tree: Expression) -> None:
        """Note the expression that a size of an input comes from."""
        self._decided |= names_in(tree)
        self._sizes.append(tree)

    def leave_out(self, argument: Argument, frame: Frame) -> None:
        """Note that a condition, or a number of copies, left a step out."""
        if argument.expression is None:
            return
        origins = origins_of(argument.expression, frame)
        self._decided |= origins
        if any(isinstance(leaf, Attribute) for leaf in leaves(argument.expression)):
            origins = origins.union(*map(names_in, self._sizes))
        self._left_out[argument] = origins | self._left_out.get(argument, NO_ORIGIN)

    def keep(self, argument: Argument) -> None:
        """Note that a condition, or a number of copies, let a step stand."""
        self._kept.add(argument)

    @property
    def vanished(self) -> Origins:
        """The parameters that left out steps of which nothing stands anywhere."""
        return NO_ORIGIN.union(*[names for argument, names in self._left_out.items() if argument not in self._kept])
