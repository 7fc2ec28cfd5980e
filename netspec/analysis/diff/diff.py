"""`netspec diff`: what two graphs have in common and where they differ. docs/reports.md describes its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from netspec.analysis.cost import Cost, costs
from netspec.analysis.diff.align import Matches, align
from netspec.analysis.diff.fingerprints import Ends, common_symbols, ends
from netspec.analysis.shapes import plain_dim, plain_shape
from netspec.dims import symbols
from netspec.gc_pause import gc_paused
from netspec.graph.model import Graph, Input, Node, Output
from netspec.graph.walk import live_nodes
from netspec.report import Report
from netspec.tables import Table
from netspec.types import Tensor

Status = Literal["same", "sizes", "changed", "only_a", "only_b"]
"""Of a node: nothing differs; sizes follow from what differs elsewhere; the node itself differs; one side has it."""


class HasGraph(Protocol):
    """What has a graph, such as a Network."""

    @property
    def graph(self) -> Graph: ...


@dataclass(slots=True)
class NodePair:
    """A node of the first graph and the one that stands for it in the second, or one that stands alone.

    `attributes` are those that differ, with both values; `inputs` whether it reads other values, `weights` whether it
    shares weights with other nodes. `read` are the first types it reads that differ, where it does not differ itself.
    Costs are those of the whole graph.
    """

    a: Node | None
    b: Node | None
    status: Status
    attributes: dict[str, tuple[Any, Any]] = field(default_factory=dict[str, tuple[Any, Any]])
    inputs: bool = False
    weights: bool = False
    read: tuple[Tensor, Tensor] | None = None
    cost_a: Cost | None = None
    cost_b: Cost | None = None

    @property
    def node(self) -> Node:
        """The node, of the first graph where it has one."""
        found = self.a or self.b
        assert found is not None
        return found

    @property
    def parameters(self) -> int:
        """By how many parameters the second has more."""
        return (self.cost_b.parameters if self.cost_b else 0) - (self.cost_a.parameters if self.cost_a else 0)

    @property
    def macs(self) -> int | None:
        """By how many multiply-accumulates the second has more; None where a size is open, and they may differ."""
        if self.status == "same":
            return 0
        a, b = (0 if cost is None or cost.macs is None else cost.macs for cost in (self.cost_a, self.cost_b))
        return minus(b, a)


@dataclass(slots=True)
class Comparison:
    """Two graphs with all that was found between them."""

    a: Graph
    b: Graph
    pairs: list[NodePair]
    ends: list[dict[str, Any]]

    @property
    def same(self) -> bool:
        """Whether nothing differs that the hash of a graph covers."""
        return all(pair.status == "same" for pair in self.pairs) and all(end["status"] == "same" for end in self.ends)


class Diff(Report):
    """What differs between two networks as plain data; printed, it is a table of the layers that differ."""

    def __init__(self, data: Mapping[str, Any], found: Comparison) -> None:
        super().__init__(data, self.table)
        self._found = found

    @property
    def same(self) -> bool:
        """Whether the two compute the same: then their hashes are equal too."""
        return bool(self["same"])

    def table(self) -> Table:
        """The layers that differ, folded, with the ops that make the difference below them."""
        from netspec.analysis.diff.table import diff_table

        return diff_table(self._found, self)

    def to(self, format: str) -> str:
        """The report as `table`, `markdown` or `json`, or as `csv`: there a row for each node that differs."""
        if format == "csv":
            from netspec.analysis.diff.table import node_table

            return node_table(self).to_csv()
        return super().to(format)


def diff(a: Graph | HasGraph, b: Graph | HasGraph) -> Diff:
    """What differs between two networks or graphs: nodes matched by structure, changed, or on one side only.

    Names, blocks and the order of writing make no difference where the structure is the same, as for `Graph.hash`.
    Graphs are compared whole, with outputs of training; MACs are those of one sample at each side's nominal sizes.
    """
    with gc_paused():
        found = compare(a if isinstance(a, Graph) else a.graph, b if isinstance(b, Graph) else b.graph)
        return Diff(_plain(found), found)


def compare(a: Graph, b: Graph) -> Comparison:
    """All that is the same and all that differs between two graphs."""
    sides = ends(a, b)
    matches = align(a, b, sides)
    read = _Reader(a, b, matches, sides)
    costs_a, costs_b = costs(a), costs(b)
    names = common_symbols(a), common_symbols(b)
    pairs: list[NodePair] = []
    for x, y in _merged(a, b, matches):
        pair = NodePair(x, y, "only_b" if x is None else "only_a")
        if x and y:
            pair.attributes = _attributes(x, y)
            pair.inputs = read.inputs_differ(x, y)
            pair.weights = read.weights_differ(x, y)
            mine, theirs = [t.at(names[0]) for t in x.types], [t.at(names[1]) for t in y.types]
            pair.status = "same" if mine == theirs else "sizes"
            if x.op.opname != y.op.opname or pair.attributes or pair.inputs or pair.weights:
                pair.status = "changed"
        if x:
            pair.cost_a = costs_a[x.path]
        if y:
            pair.cost_b = costs_b[y.path]
        if x and y and pair.status in ("same", "sizes"):
            reads = zip(a.input_types(x), b.input_types(y), strict=True)
            pair.read = next(((m, t) for m, t in reads if m.at(names[0]) != t.at(names[1])), None)
            # The output may be as large where what is read is not.
            pair.status = "sizes" if pair.read else pair.status
        pairs.append(pair)
    return Comparison(a, b, pairs, _ends(a, b, sides, read, names))


def _merged(a: Graph, b: Graph, matches: Matches) -> list[tuple[Node | None, Node | None]]:
    """All nodes in the order of the first graph; those that only the second has after what stands before them there."""
    back = {y: x for x, y in matches.items()}
    after: dict[str, list[Node]] = {"": []}
    last = ""
    for node in b.nodes:
        if node.path in back:
            last = back[node.path]
        else:
            after.setdefault(last, []).append(node)
    found: list[tuple[Node | None, Node | None]] = [(None, node) for node in after[""]]
    for node in a.nodes:
        other = matches.get(node.path)
        found.append((node, b.by_path[other] if other is not None else None))
        found += [(None, node) for node in after.get(node.path, [])]
    return found


def _attributes(x: Node, y: Node) -> dict[str, tuple[Any, Any]]:
    if x.op is y.op:
        return {}
    mine, theirs = x.op.model_dump(mode="json"), y.op.model_dump(mode="json")
    if x.op.opname != y.op.opname:
        # Of another op, only what both call by the same name can be told to differ.
        return {name: (mine[name], theirs[name]) for name in mine if name in theirs and mine[name] != theirs[name]}
    return {name: (mine.get(name), theirs.get(name)) for name in mine | theirs if mine.get(name) != theirs.get(name)}


Source = tuple[int | str, int]
Sources = frozenset[Source]
_ALONE: Source = ("alone", 0)


class _Reader:
    """Where values come from on both sides, once nodes that stand alone are looked through."""

    def __init__(self, a: Graph, b: Graph, matches: Matches, ends: Ends) -> None:
        self.a = _sources(a, {x: number for number, x in enumerate(matches)}, ends.inputs_a)
        self.b = _sources(b, {y: number for number, y in enumerate(matches.values())}, ends.inputs_b)
        self.owners = _owners(a, b, matches)

    def inputs_differ(self, x: Node, y: Node) -> bool:
        """Whether a node reads other values: not if all that differs is a node that only one side has."""
        if len(x.inputs) == len(y.inputs):
            if x.op.commutes:
                mine, theirs = [self.a[v] for v in x.inputs], [self.b[v] for v in y.inputs]
                return not _can_pair(mine, theirs)
            return not all(_meet(self.a[v], self.b[w]) for v, w in zip(x.inputs, y.inputs, strict=True))
        # With more inputs on one side, those that both have must be the same, in their order.
        few, many = sorted(([self.a[v] for v in x.inputs], [self.b[v] for v in y.inputs]), key=len)
        alone = [s for s in many if _ALONE in s]
        return len(alone) < len(many) - len(few) or not _within(few, many)

    def values_differ(self, v: str, w: str) -> bool:
        """Whether two values come from nodes that do not stand for one another."""
        return not _meet(self.a[v], self.b[w])

    def weights_differ(self, x: Node, y: Node) -> bool:
        """Whether a node shares weights with other nodes than the one that stands for it."""
        mine, theirs = self.owners
        return mine[x.weights_of] != theirs[y.weights_of]


def _sources(graph: Graph, numbers: Mapping[str, int], inputs: Mapping[str, int]) -> dict[str, Sources]:
    """For every value, the matched values it is or is made of; with a mark if made by what one side alone has."""
    found: dict[str, Sources] = {i.name: frozenset([("input", inputs[i.name])]) for i in graph.inputs}
    for node in graph.nodes:
        number = numbers.get(node.path)
        if number is None:
            through = frozenset([_ALONE]).union(*[found[v] for v in node.inputs])
            found.update((value, through) for value, _ in node.values())
        else:
            found.update((value, frozenset([(number, place)])) for place, (value, _) in enumerate(node.values()))
    return found


def _meet(mine: Sources, theirs: Sources) -> bool:
    """Whether two values may be the same: they are, or what only one side has stands between them."""
    if _ALONE in mine or _ALONE in theirs:
        mine, theirs = mine - {_ALONE}, theirs - {_ALONE}
        return not mine or not theirs or not mine.isdisjoint(theirs)
    return mine == theirs


def _can_pair(mine: list[Sources], theirs: list[Sources]) -> bool:
    """Whether the terms of a sum can be paired: first those that are equal, then the rest in turn."""
    rest = list(theirs)
    left: list[Sources] = []
    for source in mine:
        if source in rest:
            rest.remove(source)
        else:
            left.append(source)
    for source in left:
        other = next((r for r in rest if _meet(source, r)), None)
        if other is None:
            return False
        rest.remove(other)
    return True


def _within(few: list[Sources], many: list[Sources]) -> bool:
    rest = iter(many)
    return all(any(_meet(source, other) for other in rest) for source in few)


def _owners(a: Graph, b: Graph, matches: Matches) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """For every owner of weights, the matched nodes that use them, told alike on both sides."""
    mine: dict[str, list[str]] = {}
    theirs: dict[str, list[str]] = {}
    for node in a.nodes:
        if node.path in matches:
            mine.setdefault(node.weights_of, []).append(matches[node.path])
    taken = set(matches.values())
    for node in b.nodes:
        if node.path in taken:
            theirs.setdefault(node.weights_of, []).append(node.path)
    return {o: frozenset(users) for o, users in mine.items()}, {o: frozenset(users) for o, users in theirs.items()}


def _ends(
    a: Graph, b: Graph, sides: Ends, read: _Reader, names: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Inputs and outputs: those that differ are told by their shapes, types, modes and values."""
    found: list[dict[str, Any]] = []
    for x, y in sides.inputs:
        same = x and y and x.type.at(names[0]) == y.type.at(names[1])
        found.append({"status": _end(x, y, bool(same), "sizes"), "kind": "input", "a": _input(x), "b": _input(y)})
    for number, (x, y) in enumerate(sides.outputs):
        mine, theirs = x and a.types[x.value].at(names[0]), y and b.types[y.value].at(names[1])
        status = _end(x, y, mine == theirs, "sizes")
        if x and y and (x.mode != y.mode or read.values_differ(x.value, y.value)):
            status = "changed"
        if x and y and number >= len(a.outputs):
            status = "changed"
        found.append({"status": status, "kind": "output", "a": _output(a, x), "b": _output(b, y)})
    return found


def _end(x: object, y: object, same: bool, otherwise: Status) -> Status:
    if x is None:
        return "only_b"
    if y is None:
        return "only_a"
    return "same" if same else otherwise


def _input(i: Input | None) -> dict[str, Any] | None:
    return None if i is None else {"name": i.name, "shape": plain_shape(i.type), "dtype": i.type.dtype}


def _output(graph: Graph, o: Output | None) -> dict[str, Any] | None:
    if o is None:
        return None
    type = graph.types[o.value]
    return {"name": o.name, "shape": plain_shape(type), "dtype": type.dtype, "value": o.value, "mode": o.mode}


# As plain data.


def _plain(found: Comparison) -> dict[str, Any]:
    count = dict.fromkeys(("same", "sizes", "changed", "only_a", "only_b"), 0)
    for pair in found.pairs:
        count[pair.status] += 1
    sides = _side(found.a), _side(found.b)
    return {
        "same": found.same,
        "a": sides[0],
        "b": sides[1],
        "params": {
            name: [found.a.params[name], found.b.params[name]]
            for name in found.a.params
            if name in found.b.params and found.a.params[name] != found.b.params[name]
        },
        "difference": {key: minus(sides[1][key], sides[0][key]) for key in ("nodes", "parameters", "macs")},
        "counts": count,
        "names_differ": sum(bool(p.a and p.b and p.a.path != p.b.path) for p in found.pairs),
        "blocks_differ": _blocks(found.a) != _blocks(found.b),
        "initializers_differ": sum(bool(p.a and p.b and dict(p.a.init) != dict(p.b.init)) for p in found.pairs),
        "ends": found.ends,
        "nodes": [_entry(pair) for pair in found.pairs],
    }


def minus(b: Any, a: Any) -> int | None:
    """A difference, None where either is unknown or open."""
    return b - a if isinstance(a, int) and isinstance(b, int) else None


def _side(graph: Graph) -> dict[str, Any]:
    used = symbols([dim for i in graph.inputs for dim in i.type.shape])
    own = costs(graph)
    live = costs(graph, live_nodes(graph, "inference"))
    return {
        "network": graph.name,
        "title": graph.title,
        "hash": graph.hash(),
        "at": {name: size for name, size in graph.nominal.items() if name in used},
        "nodes": len(graph),
        **_totals(own),
        "inference": _totals(live),
        "complete": all(cost.macs is not None for cost in own.values()),
    }


def _totals(found: Mapping[str, Cost]) -> dict[str, Any]:
    macs = [0 if cost.macs is None else cost.macs for cost in found.values()]
    known = [count for count in macs if isinstance(count, int)]
    return {
        "parameters": sum(cost.parameters for cost in found.values()),
        "macs": sum(known) if len(known) == len(macs) else None,
    }


def _blocks(graph: Graph) -> set[tuple[str, str, str]]:
    return {(path, scope.kind, scope.block.name if scope.block else "") for path, scope in graph.scopes.items()}


def _entry(pair: NodePair) -> dict[str, Any]:
    return {
        "status": pair.status,
        "a": _node(pair.a, pair.cost_a),
        "b": _node(pair.b, pair.cost_b),
        "attributes": {name: list(values) for name, values in pair.attributes.items()},
        "inputs_differ": pair.inputs,
        "weights_differ": pair.weights,
    }


def _node(node: Node | None, cost: Cost | None) -> dict[str, Any] | None:
    if node is None or cost is None:
        return None
    return {
        "name": node.path,
        "op": node.op.opname,
        "inputs": list(node.inputs),
        "output_shape": plain_shape(node.type),
        "parameters": cost.parameters,
        "macs": None if cost.macs is None else plain_dim(cost.macs),
    }
