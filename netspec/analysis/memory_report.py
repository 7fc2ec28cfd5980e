"""`netspec memory`: what weights and activations take, layer by layer, as plain data and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netspec.analysis.cost import UNUSED, unused_parameters
from netspec.analysis.layers import describe
from netspec.analysis.memory import DType, NodeMemory, Optimizer, fixed_batch, memory
from netspec.analysis.shapes import plain_shape
from netspec.graph.model import Graph, Mode, Node
from netspec.graph.tree import Group, tree
from netspec.graph.walk import live_nodes
from netspec.report import Report
from netspec.shape_text import shape_text
from netspec.tables import Cell, Table, bar

UNITS = (("MB", 6), ("KB", 3))
"""Of figures in tables, with their power of ten: the first of which the peak is ten or more, else the last."""
MODEL = (
    "{unit}: 10^{power} bytes. What an allocator rounds up to, and workspaces of cuDNN and others, come on top.",
    "new: memory the layer takes for its output. live: all that is held while it runs, weights and inputs included;",
    "the bars leave those out.",
)
INFERENCE = (
    "A value is freed after its last use, as compilers and ONNX Runtime do; eager PyTorch also holds the input of a",
    "block until the block returns.",
)
TRAINING = ("kept: what the layer alone keeps until the backward pass. The peak counts gradients as they come and go.",)


def memory_report(
    graph: Graph,
    mode: Mode = "inference",
    *,
    batch: int = 1,
    dtype: DType = "float32",
    optimizer: Optimizer = "none",
) -> Report:
    """Bytes by layer, and totals: weights, gradients, the optimizer's state, inputs, activations, and the peak.

    `complete` is false where an op does not say what it holds: the figures are then "at least". Raises NetspecError
    NS305 where a size is open.
    """
    found = memory(graph, mode, batch=batch, dtype=dtype, optimizer=optimizer)
    data: dict[str, Any] = {
        "network": graph.name,
        "mode": mode,
        "batch": fixed_batch(graph) or batch,
        "dtype": dtype,
        "optimizer": optimizer if mode == "train" else "none",
        "complete": not found.unknown,
        "totals": {
            "parameters": found.parameters,
            "buffers": found.buffers,
            "gradients": found.gradients,
            "optimizer": found.optimizer,
            "inputs": found.inputs,
            "kept": found.kept,
            "peak": found.peak,
        },
        "peak_at": found.at,
        "layers": [
            {
                "name": node.path,
                "op": node.op.opname,
                "output_shape": plain_shape(node.type),
                "new": found.uses[node.path].output,
                "kept": found.uses[node.path].kept,
                "live": found.uses[node.path].live,
            }
            for node in live_nodes(graph, mode)
        ],
    }
    return Report(data, lambda: _table(graph, data, found.uses))


def _table(graph: Graph, data: Mapping[str, Any], uses: Mapping[str, NodeMemory]) -> Table:
    train = data["mode"] == "train"
    always = data["totals"]["parameters"] + data["totals"]["buffers"] + data["totals"]["optimizer"]
    always += data["totals"]["inputs"]
    unit, power = next((u for u in UNITS if data["totals"]["peak"] >= 10 * 10 ** u[1]), UNITS[-1])
    most = max((use.live - always for use in uses.values()), default=0) or 1
    rows: list[Sequence[Cell]] = []
    for item in tree(graph, live_nodes(graph, data["mode"])).items:
        name, kind, shape, inside = _row(graph, item)
        own = [uses[node.path] for node in inside]
        live = max(use.live for use in own)
        sizes = [sum(use.output for use in own), *([sum(use.kept for use in own)] if train else []), live]
        rows.append([name, kind, shape, *(size / 10**power for size in sizes), bar((live - always) / most)])
    sizes = ["new", *(["kept"] if train else []), "live"]
    headings = ["layer", "kind", "output", *(f"{name} {unit}" for name in sizes), ""]
    what = f"training, {_optimizer(data['optimizer'])}" if train else "inference"
    title = f"{graph.title or graph.name}: memory of {what}, batch {data['batch']}, {data['dtype']}"
    notes = [
        f"Most is held in {data['peak_at']}.",
        MODEL[0].format(unit=unit, power=power),
        *MODEL[1:],
        *(TRAINING if train else INFERENCE),
        *([f"A module holds {unused:,} more parameters {UNUSED}."] if (unused := unused_parameters(graph)) else []),
    ]
    return Table(headings, rows, [title], _foot(data, len(headings), 10**power), notes)


def _row(graph: Graph, item: Node | Group) -> tuple[str, str, str, list[Node]]:
    """A layer of the network's own body: its name, kind, output shape, and the nodes in it."""
    if isinstance(item, Node):
        return item.name, item.op.label(), _shape(item.path, graph), [item]
    assert item.scope is not None
    return item.scope.name, describe(item, item.scope), _shape(item.scope.output, graph), list(item.nodes())


def _shape(value: str, graph: Graph) -> str:
    type = graph.types.get(value)
    return "" if type is None else shape_text(type.shape[1:])


def _foot(data: Mapping[str, Any], columns: int, unit: int) -> list[Sequence[Cell]]:
    """What the layers do not show: weights and what training holds for them, the input, and the peak."""
    totals = data["totals"]
    lines = [
        ("weights", "parameters and buffers", totals["parameters"] + totals["buffers"]),
        ("gradients", "of the parameters", totals["gradients"]),
        ("optimizer", data["optimizer"], totals["optimizer"]),
        ("inputs", "", totals["inputs"]),
        ("kept", "for the backward pass", totals["kept"]),
        ("peak", "at least" if not data["complete"] else "", totals["peak"]),
    ]
    blank: list[Cell] = [""] * (columns - 4)
    return [[name, kind, *blank, size / unit, ""] for name, kind, size in lines if size or name in ("weights", "peak")]


def _optimizer(name: str) -> str:
    return {"none": "no optimizer", "sgd": "SGD with momentum", "adam": "Adam"}[name]
