"""`netspec summary`: a network in figures, as plain data. docs/summary-format.md is its contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.analysis.cost import Cost, costs
from netspec.analysis.receptive_field import Field, plain_field, receptive_fields
from netspec.analysis.shapes import plain_dim, plain_shape
from netspec.dims import Symbolic, symbols
from netspec.gc_pause import gc_paused
from netspec.graph.infer import check_sizes
from netspec.graph.model import Graph, Mode
from netspec.graph.walk import live_nodes, outputs_of


def summary(graph: Graph, mode: Mode = "inference", at: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Totals and one entry a layer: shapes, parameters, MACs of one sample, receptive fields.

    Totals stand for a batch of 1 and the inputs' nominal sizes, or those in `at`. `parameters` and `macs`
    are those of the graph of the mode, `parameters_training` of all that the module holds. Raises ValueError
    for another mode, or a size of a symbol that the inputs do not have, NetspecError for sizes that an op can't take.
    """
    if mode not in ("inference", "train"):
        raise ValueError(f'the mode is "inference" or "train", not {mode!r}')
    unknown = (at or {}).keys() - symbols([dim for i in graph.inputs for dim in i.type.shape])
    if unknown:
        raise ValueError(f"`{graph.name}` has no symbolic size {', '.join(sorted(unknown))}")
    with gc_paused():
        if at:
            check_sizes(graph, {**graph.nominal, **at})
        return _summary(graph, mode, at or {})


def _summary(graph: Graph, mode: Mode, at: Mapping[str, int]) -> dict[str, Any]:
    nodes = live_nodes(graph, mode)
    everything = costs(graph, at=at)
    live = everything if len(nodes) == len(graph.nodes) else costs(graph, nodes, at)
    fields = receptive_fields(graph)
    single = len(graph.inputs) == 1
    plain_fields: dict[int, Any] = {}
    plain_shapes: dict[int, list[int | str]] = {}
    layers: list[dict[str, Any]] = []
    for node in nodes:
        cost = live[node.path]
        seen = fields[node.path]
        # Elementwise ops hand their input's field on: it is written out once.
        field = plain_fields.get(id(seen))
        if field is None:
            field = plain_fields[id(seen)] = _plain_fields(seen, single)
        shape = plain_shapes.get(id(node.types[0]))
        if shape is None:
            shape = plain_shapes[id(node.types[0])] = plain_shape(node.types[0])
        layers.append(
            {
                "name": node.path,
                "op": node.op.opname,
                "inputs": list(node.inputs),
                "output_shape": list(shape),
                "parameters": cost.parameters,
                "macs": plain_dim(cost.macs) if isinstance(cost.macs, Symbolic) else cost.macs,
                "receptive_field": field,
            }
        )
    wanted = outputs_of(graph, mode)
    return {
        "network": graph.name,
        "inputs": {i.name: plain_shape(i.type) for i in graph.inputs},
        "outputs": {o.name: plain_shape(graph.types[o.value]) for o in graph.outputs if o.value in wanted},
        "at": _at(graph, at),
        "complete": all(cost.macs is not None for cost in live.values()),
        "totals": {
            "parameters": sum([cost.parameters for cost in live.values()]),
            "parameters_training": sum([cost.parameters for cost in everything.values()]),
            "buffers": sum([cost.buffers for cost in live.values()]),
            "macs": _total_macs(live),
        },
        "layers": layers,
    }


def _plain_fields(seen: Mapping[str, Field], single: bool) -> Any:
    if not seen:
        return None
    plain = {name: plain_field(field) for name, field in seen.items()}
    return next(iter(plain.values())) if single else plain


def _at(graph: Graph, given: Mapping[str, int]) -> dict[str, int]:
    used = symbols([dim for i in graph.inputs for dim in i.type.shape])
    return {name: size for name, size in {**graph.nominal, **given}.items() if name in used}


def _total_macs(found: Mapping[str, Cost]) -> int | None:
    total = 0
    for cost in found.values():
        if isinstance(cost.macs, Symbolic):
            return None
        total += cost.macs or 0
    return total
