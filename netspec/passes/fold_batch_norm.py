"""Batch norms folded into the convolutions and linear layers before them, for inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netspec.errors import closest, fail
from netspec.graph.model import NOTHING, Graph, Node
from netspec.graph.rebuild import Editor, rebuild
from netspec.ops.convolution import Conv2d
from netspec.ops.linear import Linear
from netspec.ops.normalization import BatchNorm

if TYPE_CHECKING:
    from torch import Tensor

_NEEDED = ("weight", "running_var")
"""What folding can't do without, of a layer and of its batch norm."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A graph without the batch norms that were folded, what becomes of its weights, and why others stay."""

    graph: Graph
    pairs: Mapping[str, str]
    """Each folded batch norm's path, by the path of the layer that it went into."""
    declined: Mapping[str, str] = field(default_factory=dict[str, str])
    """Each batch norm that stays, with the reason."""
    eps: Mapping[str, float] = field(default_factory=dict[str, float])

    def weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state dict of the new graph from that of the old.

        w' = w * gamma / sqrt(var + eps), b' = (b - mean) * gamma / sqrt(var + eps) + beta, computed in float64.
        Raises NetspecError NS501 where the state dict is not one of the old graph.
        """
        for key in (f"{path}.{name}" for pair in self.pairs.items() for path, name in zip(pair, _NEEDED, strict=True)):
            if key not in state:
                fail("NS501", f"the weights have no `{key}`", help=closest(key, state))
        gone = tuple(f"{path}." for path in self.pairs.values())
        found = {key: value for key, value in state.items() if not key.startswith(gone)}
        for layer, norm in self.pairs.items():
            weight = state[f"{layer}.weight"].double()
            variance = state[f"{norm}.running_var"].double()
            scale = (variance + self.eps[norm]).rsqrt()
            shift = -state[f"{norm}.running_mean"].double()
            if f"{layer}.bias" in state:
                shift = shift + state[f"{layer}.bias"].double()
            if f"{norm}.weight" in state:
                scale = scale * state[f"{norm}.weight"].double()
            shift = shift * scale
            if f"{norm}.bias" in state:
                shift = shift + state[f"{norm}.bias"].double()
            dtype = state[f"{layer}.weight"].dtype
            found[f"{layer}.weight"] = (weight * scale.reshape(-1, *[1] * (weight.dim() - 1))).to(dtype)
            found[f"{layer}.bias"] = shift.to(dtype)
        order = {key: number for number, key in enumerate(self.graph.state())}
        return dict(sorted(found.items(), key=lambda entry: order.get(entry[0], len(order))))


def fold_batch_norm(graph: Graph) -> Folded:
    """Fold every batch norm that follows a convolution or linear layer alone; blocks and names stay.

    The result equals the graph in inference, where a batch norm is a fixed scale and shift.
    """
    pairs: dict[str, str] = {}
    declined: dict[str, str] = {}
    eps: dict[str, float] = {}
    outputs = {o.value for o in graph.outputs}
    owners = [node.weights_of for node in graph.nodes]
    for node in graph.nodes:
        if isinstance(node.op, BatchNorm):
            reason = _reason(node, node.op, graph, outputs, owners)
            if reason:
                declined[node.path] = reason
            else:
                pairs[node.inputs[0]] = node.path
                eps[node.path] = node.op.eps
    folded = set(pairs.values())

    def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
        if node.path in folded:
            return inputs[0]
        if node.path in pairs:
            written = {name: tree for name, tree in node.written.items() if name != "bias"}
            return editor.keep(node, inputs, node.op.model_copy(update={"bias": True}), written=written, init=NOTHING)
        return editor.keep(node, inputs)

    return Folded(rebuild(graph, visit), pairs, declined, eps)


def _reason(node: Node, op: BatchNorm, graph: Graph, outputs: set[str], owners: list[str]) -> str:
    """Why a batch norm can't be folded; "" where it can."""
    before = graph.by_path.get(node.inputs[0])
    if before is None or not isinstance(before.op, Conv2d | Linear):
        return "no convolution or linear layer is right before it"
    if not op.track_running_stats:
        return "it keeps no running statistics, so it is no fixed scale and shift"
    if isinstance(before.op, Linear) and node.type.rank != 2:
        return "its channels are not the features of the linear layer before it"
    if len(graph.users[before.path]) > 1 or before.path in outputs:
        return f"`{before.path}` is used elsewhere too"
    if owners.count(before.weights_of) > 1 or owners.count(node.weights_of) > 1:
        return "weights are shared"
    return ""
