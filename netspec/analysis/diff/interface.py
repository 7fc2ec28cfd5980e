"""Matches the inputs and outputs of two graphs, and names their symbols alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from netspec.dims import Dim, Symbolic, symbol
from netspec.graph.model import Graph, Input, Output

_T = TypeVar("_T", Input, Output)


@dataclass(frozen=True)
class Interface:
    """The inputs and outputs of two graphs in pairs; None stands for a missing match."""

    inputs: list[tuple[Input | None, Input | None]]
    outputs: list[tuple[Output | None, Output | None]]

    @cached_property
    def inputs_a(self) -> Mapping[str, int]:
        """The inputs of the first graph, each with the number of its pair."""
        return {x.name: number for number, (x, _) in enumerate(self.inputs) if x}

    @cached_property
    def inputs_b(self) -> Mapping[str, int]:
        """The inputs of the second graph, each with the number of its pair."""
        return {y.name: number for number, (_, y) in enumerate(self.inputs) if y}

    @cached_property
    def outputs_a(self) -> Mapping[str, int]:
        """The outputs of the first graph, each with the number of its pair."""
        return {x.name: number for number, (x, _) in enumerate(self.outputs) if x}

    @cached_property
    def outputs_b(self) -> Mapping[str, int]:
        """The outputs of the second graph, each with the number of its pair."""
        return {y.name: number for number, (_, y) in enumerate(self.outputs) if y}


def match_interface(a: Graph, b: Graph) -> Interface:
    """Match inputs and outputs by position if their numbers are equal, else by name, and the rest by position."""
    return Interface(_in_pairs(a.inputs, b.inputs), _in_pairs(a.outputs, b.outputs))


def _in_pairs(xs: Sequence[_T], ys: Sequence[_T]) -> list[tuple[_T | None, _T | None]]:
    if len(xs) == len(ys):
        return list(zip(xs, ys, strict=True))
    names = {y.name: y for y in ys}
    by_name = {x.name: names[x.name] for x in xs if x.name in names}
    rest = [y for y in ys if y.name not in by_name]
    pairs: list[tuple[_T | None, _T | None]] = []
    for x in xs:
        y = by_name.get(x.name) or (rest.pop(0) if rest else None)
        pairs.append((x, y))
    return [*pairs, *((None, y) for y in rest)]


def common_symbols(graph: Graph) -> dict[str, Dim]:
    """New names for the symbols of a graph's inputs, in the order in which they appear, as in a graph's hash.

    For an input `B x 3 x H x W` they are `{"B": S0, "H": S1, "W": S2}`.
    """
    names: dict[str, Dim] = {}
    for i in graph.inputs:
        for dim in i.type.shape:
            if isinstance(dim, Symbolic):
                names.setdefault(str(dim), symbol(f"S{len(names)}"))
    return names
