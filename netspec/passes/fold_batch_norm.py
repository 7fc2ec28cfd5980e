"""Folds batch norms into the convolutions and linear layers before them, for inference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netspec.graph.model import NOTHING, Graph, Node
from netspec.graph.rebuild import Editor, rebuild
from netspec.ops.convolution import Convolution
from netspec.ops.linear import Linear
from netspec.ops.normalization import BatchNorm
from netspec.passes.arrays import as_type_of, in_double, scaled
from netspec.passes.base import Derived, Transformed, counted

if TYPE_CHECKING:
    from torch import Tensor


def fold_batch_norm(graph: Graph) -> Transformed:
    """Fold every batch norm whose input is a convolution or linear layer that nothing else reads.

    Blocks and names stay. In inference, where a batch norm is a fixed scale and shift, the result equals the graph:
    w' = w * gamma / sqrt(var + eps), b' = (b - mean) * gamma / sqrt(var + eps) + beta, computed in float64.

    Before, and after:

        conv = conv2d(image; out_channels=64, kernel_size=(3, 3), bias=False)
        bn = batch_norm(conv)
        relu = relu(bn)

        conv = conv2d(image; out_channels=64, kernel_size=(3, 3))
        relu = relu(conv)
    """
    norms: dict[str, Node] = {}
    declined: dict[str, str] = {}
    outputs = {o.value for o in graph.outputs}
    owners = [node.weights_of for node in graph.nodes]
    for node in graph.nodes:
        if isinstance(node.op, BatchNorm):
            reason = _reason(node, node.op, graph, outputs, owners)
            if reason:
                declined[node.path] = reason
            else:
                norms[node.inputs[0]] = node
    folded = {norm.path for norm in norms.values()}
    derived: dict[str, Derived] = {}
    for path, norm in norms.items():
        derived.update(_derived(graph, graph[path], norm))

    def visit(editor: Editor, node: Node, inputs: tuple[str, ...]) -> str:
        if node.path in folded:
            return inputs[0]
        if node.path in norms:
            written = {name: tree for name, tree in node.written.items() if name != "bias"}
            return editor.keep(node, inputs, node.op.model_copy(update={"bias": True}), written=written, init=NOTHING)
        return editor.keep(node, inputs)

    done = (f"{counted(len(norms), 'batch norm')} folded into the layers before them",) if norms else ()
    return Transformed(rebuild(graph, visit), done, declined, derived)


def _derived(graph: Graph, layer: Node, norm: Node) -> dict[str, Derived]:
    """The new weight and bias of a layer, derived from its old ones and the weights of its batch norm."""
    of_layer = {w.name: w.key(layer.weights_of) for w in graph.weights(layer)}
    of_norm = {w.name: w.key(norm.weights_of) for w in graph.weights(norm)}
    biased, affine = "bias" in of_layer, "weight" in of_norm
    eps: float = norm.op.model_dump()["eps"]

    def scale(variance: Tensor, gamma: Tensor | None = None) -> Tensor:
        inverse = (in_double(variance) + eps) ** -0.5
        return inverse if gamma is None else inverse * in_double(gamma)

    def weight(old: Tensor, *statistics: Tensor) -> Tensor:
        by = scale(*statistics)
        return scaled(old, by.reshape(-1, *[1] * (len(old.shape) - 1)))

    def bias(variance: Tensor, mean: Tensor, *others: Tensor) -> Tensor:
        rest = list(others)
        gamma, beta = (rest.pop(0), in_double(rest.pop(0))) if affine else (None, 0.0)
        old = in_double(rest.pop(0)) if biased else 0.0
        return as_type_of((old - in_double(mean)) * scale(variance, gamma) + beta, variance)

    gamma = [of_norm["weight"]] if affine else []
    shift = [of_norm["weight"], of_norm["bias"]] if affine else []
    old = [of_layer["bias"]] if biased else []
    variance, mean = of_norm["running_var"], of_norm["running_mean"]
    return {
        f"{layer.path}.weight": Derived((of_layer["weight"], variance, *gamma), weight),
        f"{layer.path}.bias": Derived((variance, mean, *shift, *old), bias),
    }


def _reason(node: Node, op: BatchNorm, graph: Graph, outputs: set[str], owners: list[str]) -> str:
    """The reason why a batch norm can't be folded; "" if it can."""
    before = graph.by_path.get(node.inputs[0])
    if before is None or not isinstance(before.op, Convolution | Linear):
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
