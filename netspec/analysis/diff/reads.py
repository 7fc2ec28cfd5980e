"""Compares the values that matched nodes read, looking through nodes without a match.

In `conv -> relu` and `conv -> dropout -> relu`, the relu reads the same value: the only difference is a dropout that
one side lacks.
"""

from __future__ import annotations

from collections.abc import Mapping

from netspec.analysis.diff.align import Matches
from netspec.analysis.diff.interface import Interface
from netspec.graph.model import Graph, Node

_Source = tuple[int | str, int]
"""A matched value: the number of its node's match and the place of the output; or `("input", number)`."""

_Sources = frozenset[_Source]
"""The matched value that a value is, or the matched values that unmatched nodes compute it from."""

_UNMATCHED: _Source = ("unmatched", 0)
"""Marks a value that an unmatched node computes."""


class Reads:
    """Tells whether two matched nodes read different values, or use different weights."""

    def __init__(self, a: Graph, b: Graph, matches: Matches, interface: Interface) -> None:
        self._a = _sources(a, {x: number for number, x in enumerate(matches)}, interface.inputs_a)
        self._b = _sources(b, {y: number for number, y in enumerate(matches.values())}, interface.inputs_b)
        self._users_a = _weight_users(a, matches)
        self._users_b = _weight_users(b, {y: y for y in matches.values()})

    def inputs_differ(self, x: Node, y: Node) -> bool:
        """Whether two nodes read different values; unmatched nodes in between make no difference."""
        sources_a, sources_b = [self._a[v] for v in x.inputs], [self._b[v] for v in y.inputs]
        if len(sources_a) != len(sources_b):
            # If one side has more inputs, the common ones must be the same, in the same order.
            fewer, more = sorted((sources_a, sources_b), key=len)
            unmatched = [sources for sources in more if _UNMATCHED in sources]
            return len(unmatched) < len(more) - len(fewer) or not _is_subsequence(fewer, more)
        if x.op.commutes:
            return not _are_equal_in_some_order(sources_a, sources_b)
        return not all(_may_be_equal(s, t) for s, t in zip(sources_a, sources_b, strict=True))

    def values_differ(self, v: str, w: str) -> bool:
        """Whether two values are computed by nodes that do not match."""
        return not _may_be_equal(self._a[v], self._b[w])

    def weights_differ(self, x: Node, y: Node) -> bool:
        """Whether two nodes share weights with different nodes."""
        return self._users_a[x.weights_of] != self._users_b[y.weights_of]


def _sources(graph: Graph, numbers: Mapping[str, int], inputs: Mapping[str, int]) -> dict[str, _Sources]:
    """The sources of every value, by the numbers of matched nodes and inputs."""
    sources: dict[str, _Sources] = {i.name: frozenset([("input", inputs[i.name])]) for i in graph.inputs}
    for node in graph.nodes:
        number = numbers.get(node.path)
        if number is None:
            passed_on = frozenset([_UNMATCHED]).union(*[sources[value] for value in node.inputs])
            sources.update((value, passed_on) for value, _ in node.values())
        else:
            sources.update((value, frozenset([(number, place)])) for place, (value, _) in enumerate(node.values()))
    return sources


def _may_be_equal(a: _Sources, b: _Sources) -> bool:
    """Whether two values are the same, or would be without the unmatched nodes that compute them."""
    if _UNMATCHED in a or _UNMATCHED in b:
        a, b = a - {_UNMATCHED}, b - {_UNMATCHED}
        return not a or not b or not a.isdisjoint(b)
    return a == b


def _are_equal_in_some_order(xs: list[_Sources], ys: list[_Sources]) -> bool:
    """Whether the terms of two sums can be paired: equal ones first, then the rest in order."""
    rest_y = list(ys)
    rest_x: list[_Sources] = []
    for x in xs:
        if x in rest_y:
            rest_y.remove(x)
        else:
            rest_x.append(x)
    for x in rest_x:
        y = next((y for y in rest_y if _may_be_equal(x, y)), None)
        if y is None:
            return False
        rest_y.remove(y)
    return True


def _is_subsequence(fewer: list[_Sources], more: list[_Sources]) -> bool:
    rest = iter(more)
    return all(any(_may_be_equal(x, y) for y in rest) for x in fewer)


def _weight_users(graph: Graph, names: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """For every owner of weights, the matched nodes that use them, by the paths in `names`."""
    users: dict[str, list[str]] = {}
    for node in graph.nodes:
        if node.path in names:
            users.setdefault(node.weights_of, []).append(names[node.path])
    return {owner: frozenset(paths) for owner, paths in users.items()}
