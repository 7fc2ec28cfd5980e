"""Computes the difference between two graphs: nodes, inputs and outputs in pairs, with their differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from netspec.analysis.cost import costs
from netspec.analysis.diff.align import Matches, align
from netspec.analysis.diff.interface import Interface, common_symbols, match_interface
from netspec.analysis.diff.model import End, EndPair, GraphDiff, NodePair, Status
from netspec.analysis.diff.reads import Reads
from netspec.dims import Dim
from netspec.graph.model import Graph, Input, Node, Output
from netspec.types import Tensor


def match_graphs(a: Graph, b: Graph) -> GraphDiff:
    """Match all nodes, inputs and outputs of two graphs, and compare each pair."""
    interface = match_interface(a, b)
    return _Matcher(a, b, interface, align(a, b, interface)).diff()


class _Matcher:
    def __init__(self, a: Graph, b: Graph, interface: Interface, matches: Matches) -> None:
        self.a, self.b = a, b
        self.interface = interface
        self.matches = matches
        self.reads = Reads(a, b, matches, interface)
        self.costs_a, self.costs_b = costs(a), costs(b)
        self.symbols_a, self.symbols_b = common_symbols(a), common_symbols(b)

    def diff(self) -> GraphDiff:
        pairs = [self._pair(x, y) for x, y in _in_order(self.a, self.b, self.matches)]
        return GraphDiff(self.a, self.b, tuple(pairs), (*self._inputs(), *self._outputs()))

    def _pair(self, x: Node | None, y: Node | None) -> NodePair:
        """Compare a pair of nodes; one of them is None for a node without a match."""
        status: Status = "only_b" if x is None else "only_a"
        attributes: Mapping[str, tuple[Any, Any]] = {}
        inputs_differ = weights_differ = False
        types_read: tuple[Tensor, Tensor] | None = None
        if x and y:
            attributes = _attributes(x, y)
            inputs_differ, weights_differ = self.reads.inputs_differ(x, y), self.reads.weights_differ(x, y)
            if x.op.opname != y.op.opname or attributes or inputs_differ or weights_differ:
                status = "changed"
            else:
                types_read = self._types_read(x, y)
                # Outputs may have equal sizes although inputs have not.
                status = "same" if types_read is None and self._equal(x.types, y.types) else "sizes"
        return NodePair(
            a=x,
            b=y,
            status=status,
            attributes=attributes,
            inputs_differ=inputs_differ,
            weights_differ=weights_differ,
            types_read=types_read,
            cost_a=self.costs_a[x.path] if x else None,
            cost_b=self.costs_b[y.path] if y else None,
        )

    def _types_read(self, x: Node, y: Node) -> tuple[Tensor, Tensor] | None:
        """The first pair of input types that differ; a merge may have more branches on one side."""
        types_x, types_y = self.a.input_types(x), self.b.input_types(y)
        if x.op.commutes and Counter(_renamed(types_x, self.symbols_a)) == Counter(_renamed(types_y, self.symbols_b)):
            return None
        read = zip(types_x, types_y, strict=False)
        return next(((s, t) for s, t in read if not self._equal((s,), (t,))), None)

    def _equal(self, types_a: tuple[Tensor, ...], types_b: tuple[Tensor, ...]) -> bool:
        """Whether types are equal apart from the names of symbols."""
        return _renamed(types_a, self.symbols_a) == _renamed(types_b, self.symbols_b)

    def _inputs(self) -> Iterator[EndPair]:
        for x, y in self.interface.inputs:
            equal = x is not None and y is not None and self._equal((x.type,), (y.type,))
            yield EndPair(_end_status(x, y, equal), "input", _input(x), _input(y))

    def _outputs(self) -> Iterator[EndPair]:
        for x, y in self.interface.outputs:
            status = _end_status(x, y, False)
            if x and y:
                if x.mode != y.mode or self.reads.values_differ(x.value, y.value):
                    status = "changed"
                elif self._equal((self.a.types[x.value],), (self.b.types[y.value],)):
                    status = "same"
            yield EndPair(status, "output", _output(self.a, x), _output(self.b, y))


def _in_order(a: Graph, b: Graph, matches: Matches) -> list[tuple[Node | None, Node | None]]:
    """All nodes in the order of the first graph; a node of the second one alone comes after its predecessor there."""
    inverse = {y: x for x, y in matches.items()}
    only_b: dict[str, list[Node]] = {"": []}
    before = ""
    for node in b.nodes:
        if node.path in inverse:
            before = inverse[node.path]
        else:
            only_b.setdefault(before, []).append(node)
    pairs: list[tuple[Node | None, Node | None]] = [(None, node) for node in only_b[""]]
    for node in a.nodes:
        match = matches.get(node.path)
        pairs.append((node, b.by_path[match] if match is not None else None))
        pairs += [(None, node) for node in only_b.get(node.path, [])]
    return pairs


def _attributes(x: Node, y: Node) -> dict[str, tuple[Any, Any]]:
    """The attributes that differ, with both values; for different ops, only attributes that both have."""
    if x.op is y.op:
        return {}
    values_x, values_y = x.op.model_dump(mode="json"), y.op.model_dump(mode="json")
    names = [name for name in values_x if name in values_y]
    if x.op.opname == y.op.opname:
        names = list(values_x | values_y)
    both = {name: (values_x.get(name), values_y.get(name)) for name in names}
    return {name: (value_x, value_y) for name, (value_x, value_y) in both.items() if value_x != value_y}


def _renamed(types: tuple[Tensor, ...], symbols: Mapping[str, Dim]) -> list[Tensor]:
    return [type.at(symbols) for type in types]


def _end_status(x: object, y: object, equal: bool) -> Status:
    """The status of an input or output that has not changed itself."""
    if x is None:
        return "only_b"
    if y is None:
        return "only_a"
    return "same" if equal else "sizes"


def _input(i: Input | None) -> End | None:
    return None if i is None else End(i.name, i.type.shape, i.type.dtype)


def _output(graph: Graph, o: Output | None) -> End | None:
    if o is None:
        return None
    type = graph.types[o.value]
    return End(o.name, type.shape, type.dtype, o.value, o.mode)
