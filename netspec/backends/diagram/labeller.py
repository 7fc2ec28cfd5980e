"""Labels boxes and clusters, each of which may stand for many copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence

from netspec.analysis.cost import Cost, costs
from netspec.backends.diagram.box_text import (
    ShapeTexts,
    block_text,
    figures_text,
    followers_text,
    joined,
    label_of,
    name_of,
    owners_text,
    totals_text,
)
from netspec.backends.diagram.copy_texts import differing, shapes_across, which
from netspec.backends.diagram.picture import Box, BoxKind, Cluster
from netspec.backends.diagram.placement import ClusterPlan, Placement, Unit
from netspec.backends.diagram.residual import is_residual
from netspec.graph.model import Graph, Node, Scope
from netspec.graph.paths import is_below
from netspec.types import Tensor


class Labeller:
    """Creates the boxes and clusters of a placement, with their texts."""

    def __init__(self, graph: Graph, placement: Placement, nodes: Sequence[Node], leaving: Collection[str]) -> None:
        """`nodes` are all drawn nodes, and `leaving` the values of output boxes."""
        self.graph = graph
        self.placement = placement
        self.leaving = leaving
        self._costs = costs(graph, nodes)
        self._shapes = ShapeTexts(graph)

    def totals(self, nodes: Collection[Node]) -> str:
        """The line below the title: parameters and MACs."""
        sizes = [(name, size) for name, size in self.graph.nominal.items() if name in self.graph.symbols]
        return totals_text(self._costs_of(nodes), sizes)

    def _costs_of(self, nodes: Collection[Node]) -> list[Cost]:
        return [self._costs[node.path] for node in nodes]

    # Clusters.

    def cluster(self, plan: ClusterPlan) -> Cluster:
        """A cluster with its title and figures."""
        scopes = list(plan.scopes.values())
        first = scopes[0]
        around = Counter(plan.around)
        title, details = self._scopes_text(scopes)
        above = self.graph.scopes.get(first.parent)
        name = f"{above.name}.{first.name}" if above is not None and above.kind == "repeat" else first.name
        shape = shapes_across([self._shapes.of(self._used_outputs(scope)) for scope in scopes])
        return Cluster(
            plan.key,
            plan.parent,
            name if title == name else f"{name}: {title}",
            _counts(around.values()) if plan.is_repeat else (1,),
            figures_text(shape, self._costs_of(plan.nodes)),
            details,
            self.placement.where(plan.parent, around),
        )

    def _scopes_text(self, scopes: Sequence[Scope]) -> tuple[str, tuple[str, ...]]:
        """A text for scopes that are drawn as one, and further lines; a repeat has the text of its copies.

        The text is a block with its arguments, or the label of a merge with branches, or the kind of the scope.
        """
        graph = self.graph
        uses = scopes
        if scopes[0].kind == "repeat":
            uses = [graph.scopes[path] for scope in scopes for path in self._copies(scope) if path in graph.scopes]
        merges = [graph.by_path[use.path].op.label() for use in uses if use.path in graph.by_path]
        if merges:
            return differing(merges), ()
        if not uses or uses[0].block is None:
            return (uses or scopes)[0].kind, ()
        return block_text(uses, [self._repeat_of(use) for use in uses])

    def _repeat_of(self, scope: Scope) -> str:
        """The path of the innermost repeat around a scope; "" for none."""
        above = self.graph.scopes.get(scope.parent)
        while above is not None and above.kind != "repeat":
            above = self.graph.scopes.get(above.parent)
        return above.path if above else ""

    def _copies(self, repeat: Scope) -> Collection[str]:
        return self.placement.folding.children[repeat.path]

    def _used_outputs(self, scope: Scope) -> list[Tensor]:
        """The types of a scope's outputs that are used outside it, or of all outputs if none is used."""
        used = [
            value
            for value in scope.outputs
            if value in self.leaving or any(not is_below(user.path, scope.path) for user in self._users(value))
        ]
        return [self.graph.types[value] for value in used or scope.outputs]

    def _users(self, value: str) -> list[Node]:
        """The drawn nodes that use a value."""
        return [user for user in self.graph.users[value] if user.path in self.placement.places]

    # Boxes.

    def end(self, key: str, kind: BoxKind, name: str, value: str) -> Box:
        """The box of an input or output."""
        shape = self._shapes.text(self.graph.types[value])
        return Box(key, kind, name, shape, shape=shape)

    def closed_scope(self, key: str, units: Sequence[Unit]) -> Box:
        """The box of scopes that are closed."""
        scopes = [unit.scope for unit in units if unit.scope is not None]
        sizes = [len(self._copies(scope)) if scope.kind == "repeat" else 1 for scope in scopes]
        box, groups = self._box(key, units, sizes)
        box.kind, box.family = "block", "block"
        box.label, box.details = self._scopes_text(scopes)
        name = name_of(units[0].inner, None, self.placement.folding.drawn_once)
        owners = [scope.weights_of for scope in scopes]
        box.subtitle = joined(
            name if name != box.label else "",
            box.shape if box.cluster else "",
            owners_text(owners, groups),
            self._residual_text(scopes),
        )
        return box

    def _residual_text(self, scopes: Sequence[Scope]) -> str:
        """`residual` if copies in closed scopes are residual blocks, with the copies if only some are; else ""."""
        flags: list[bool] = []
        groups: list[int] = []
        for number, scope in enumerate(scopes):
            copies = self._copies(scope) if scope.kind == "repeat" else (scope.path,)
            for path in copies:
                copy = self.graph.scopes.get(path)
                flags.append(copy is not None and is_residual(self.graph, copy))
                groups.append(number if scope.kind == "repeat" else 0)
        if not any(flags):
            return ""
        where = which(flags, groups)
        return f"residual ({where})" if where else "residual"

    def ops(self, key: str, units: Sequence[Unit]) -> Box:
        """The box of fused ops."""
        box, groups = self._box(key, units, [1] * len(units))
        titles = [_title_of(unit.nodes) for unit in units]
        named = titles[0]
        box.family = named.op.family
        box.kind = "merge" if box.family == "merge" else "op"
        box.label = label_of([node.op.label() for node in titles], groups)
        rest = [[n for n in unit.nodes if n is not title] for unit, title in zip(units, titles, strict=True)]
        box.subtitle = joined(
            # If a merge is a cluster, its name is in the cluster's title.
            name_of(units[0].inner, None if named.path == named.scope else named, self.placement.folding.drawn_once),
            followers_text(rest, groups),
            owners_text([self._owner(unit) for unit in units], groups),
        )
        return box

    def _owner(self, unit: Unit) -> str:
        """The owner of weights that some op of a unit borrows; "" if none does."""
        borrowers = (n for n in unit.nodes if n.weights_of != n.path and self.graph.weights(n))
        return next((node.weights_of for node in borrowers), "")

    def _box(self, key: str, units: Sequence[Unit], sizes: Sequence[int]) -> tuple[Box, list[Hashable]]:
        """A box with copies, shape and figures, and for each unit the group of copies to which it belongs.

        `sizes` are the numbers of copies that each unit stands for.
        """
        cluster = self.placement.cluster_of[key]
        around = self.placement.groups(cluster)
        counts: dict[int, int] = {}
        shapes: dict[int, str] = {}
        for unit, size in zip(units, sizes, strict=True):
            counts[unit.copy] = counts.get(unit.copy, 0) + size
            shapes[unit.copy] = self._output_text(unit)
        only = self.placement.where(cluster, counts)
        single = len(counts) == len(units)
        groups: list[Hashable] = [around[unit.copy] if single else unit.copy for unit in units]
        box = Box(key, "op", "", cluster=cluster, counts=_counts(counts.values()), only=only)
        box.shape = shapes_across(list(shapes.values()))
        box.paths = tuple(unit.path for unit in units)
        if not cluster:
            box.figures = figures_text(box.shape, self._costs_of([node for unit in units for node in unit.nodes]))
        return box, groups

    def _output_text(self, unit: Unit) -> str:
        """The shapes of a unit's used outputs, with the name of an op's output if that is not its first."""
        values = self._used_values(unit)
        text = self._shapes.of([self.graph.types[value] for value in values])
        last = unit.nodes[-1]
        names = dict(zip([value for value, _ in last.values()], last.op.named_outputs, strict=False))
        is_further = unit.scope is None and len(values) == 1 and values[0] != last.path
        return f"{names[values[0]]} {text}" if is_further and values[0] in names else text

    def _used_values(self, unit: Unit) -> list[str]:
        """A unit's values that are used outside it, or the last value if none is used."""
        last = unit.nodes[-1]
        if unit.scope is None:
            if len(last.types) == 1:
                return [last.path]
            values = [value for value, _ in last.values()]
            inside = {last.path}
        else:
            inside = {node.path for node in unit.nodes}
            values = [value for node in unit.nodes for value, _ in node.values()]
        used = [v for v in values if v in self.leaving or any(user.path not in inside for user in self._users(v))]
        return used or values[-1:]


def _counts(counts: Iterable[int]) -> tuple[int, ...]:
    """Numbers of copies, reduced to one number if all are equal."""
    counts = tuple(counts)
    return counts if len(set(counts)) > 1 else counts[:1]


def _title_of(nodes: Sequence[Node]) -> Node:
    """The node that names a box of fused ops: the first one, or a normalisation behind a permute that it needs."""
    first, *rest = nodes
    follows = rest[0] if rest else first
    return follows if first.op.abbreviation == "" and follows.op.family == "normalization" else first
