"""The report of `netspec diff`: the differences between two networks, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.analysis.diff.figures import DiffFigures, count_statuses, difference, node_diff, side_figures
from netspec.analysis.diff.match import match_graphs
from netspec.analysis.diff.model import GraphDiff
from netspec.analysis.diff.table import diff_table, node_table
from netspec.analysis.graph_of import HasGraph, graph_of
from netspec.gc_pause import gc_paused
from netspec.graph.model import Graph
from netspec.tables import Table


@dataclass(frozen=True, eq=False, repr=False)
class Diff(DiffFigures):
    """The difference between two networks, which prints as a table of the layers that differ.

    `same` says whether both have the same graph apart from names: then, and only then, their hashes are equal.
    """

    def table(self) -> Table:
        """The table of layers that differ, each with its differing ops below it."""
        return diff_table(self)

    def to(self, format: str) -> str:
        """The report as `table`, `markdown`, `json`, or `csv`, which has a row for each node that differs."""
        return node_table(self).to_csv() if format == "csv" else super().to(format)


def diff(a: Graph | HasGraph, b: Graph | HasGraph) -> Diff:
    """Compare two networks or graphs, whose nodes are matched by structure.

    Names, blocks and the order of the spec make no difference if the structure is the same, as for `Graph.hash`. The
    whole graphs are compared, including training outputs. MACs are for one sample at each side's nominal sizes.
    """
    with gc_paused():
        return _report(match_graphs(graph_of(a), graph_of(b)))


def _report(graphs: GraphDiff) -> Diff:
    a, b = side_figures(graphs.a), side_figures(graphs.b)
    params_a, params_b = graphs.a.params, graphs.b.params
    matched = [(pair.a, pair.b) for pair in graphs.pairs if pair.a and pair.b]
    return Diff(
        same=graphs.same,
        a=a,
        b=b,
        params={
            name: (params_a[name], params_b[name])
            for name in params_a
            if name in params_b and params_a[name] != params_b[name]
        },
        difference=difference(a, b),
        counts=count_statuses(graphs.pairs),
        names_differ=sum(x.path != y.path for x, y in matched),
        blocks_differ=_blocks(graphs.a) != _blocks(graphs.b),
        initializers_differ=sum(dict(x.init) != dict(y.init) for x, y in matched),
        ends=graphs.ends,
        nodes=tuple([node_diff(pair) for pair in graphs.pairs]),
        graphs=graphs,
    )


def _blocks(graph: Graph) -> set[tuple[str, str, str]]:
    """The scopes of a graph: path, kind and block of each."""
    return {(path, scope.kind, scope.block.name if scope.block else "") for path, scope in graph.scopes.items()}
