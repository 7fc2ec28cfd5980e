"""Every report of a network: that there is one, of each part and of the whole."""

from __future__ import annotations

import netspec


def check_reports(net: netspec.Network) -> None:
    """Every part is explained, drawn and counted."""
    graph = net.graph
    for path in ["", *graph.by_path, *graph.scopes, *graph.params, *(o.name for o in graph.outputs)]:
        str(net.explain(path))
    for depth in (0, 1, 2, 9):
        net.diagram(depth)
    for mode in ("inference", "train"):
        str(net.summary(mode).table(None))
        str(net.memory(mode))
        net.diagram(mode=mode)
    str(net.parameter_counts("block"))
    str(net.receptive_fields(every=True))
