"""Exports a graph and its weights as an ONNX model for inference."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from netspec.backends.onnx.lower import OPSETS, Lowered, lower
from netspec.backends.onnx.metadata import SEED, metadata_of
from netspec.backends.onnx.narrow import Array, TooLarge, is_coarse
from netspec.backends.onnx.write import model_of, nbytes_of, needs_external_data, write_model
from netspec.errors import choices, fail
from netspec.files import replacing
from netspec.graph.model import Graph
from netspec.passes.base import Transformed, derive_weights
from netspec.passes.fold_batch_norm import fold_batch_norm
from netspec.passes.strip_dropout import strip_dropout


@dataclass(frozen=True, slots=True)
class Exported:
    """A report on a written model: its size, and the changes to the graph on the way.

    `explained` are sentences about what passes did and declined; `lost` are sentences about numbers for which half
    precision is too coarse.
    """

    nodes: int
    weights: int
    nbytes: int
    """The size of the weights in bytes."""
    external: bool
    """Whether the weights are in a file beside the model."""
    explained: tuple[str, ...]
    lost: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = ", in a file beside it" if self.external else ""
        return f"{self.nodes:,} nodes, {self.weights:,} weights, {self.nbytes / 1e6:,.1f} MB{where}"


def for_inference(graph: Graph, fold: bool = True) -> Transformed:
    """The graph to export: without training outputs and dropout, and with batch norms folded if `fold`."""
    outputs = tuple([o for o in graph.outputs if o.mode == "inference"])
    transformed = Transformed(replace(graph, outputs=outputs)).then(strip_dropout)
    return transformed.then(fold_batch_norm) if fold else transformed


def export(
    graph: Graph,
    weights: Mapping[str, Array],
    path: Path,
    *,
    fold: bool = True,
    half: bool = False,
    opset: int = OPSETS[-1],
    seed: int | None = None,
) -> Exported:
    """Write a graph as an ONNX model; `weights` have the graph's keys.

    More than 2 GB of weights go to a second file, with `.data` after the name. `seed` is noted in the model if the
    weights were drawn from one. Raises NetspecError NS401 for an op that has no form in ONNX, and NS501 for weights
    that are missing, or too large for the model's dtype.
    """
    if opset not in OPSETS:
        fail("NS401", f"opset {opset} is not written: {choices(map(str, OPSETS))} is")
    transformed = for_inference(graph, fold)
    lowered = lower(transformed.graph, opset, half=half)
    state = derive_weights(transformed, weights)
    metadata = metadata_of(transformed.graph) | ({"netspec.half": "true"} if half else {})
    if seed is not None and lowered.weights:
        metadata = {SEED: str(seed)} | metadata
    model = model_of(lowered, graph.name, opset, metadata)
    beside = path.with_name(f"{path.name}.data")

    def get(key: str) -> Array:
        return _as_in_model(lowered.array(key, state.__getitem__), lowered, key)

    external = needs_external_data(model, lowered.weights)
    with replacing(beside) if external else nullcontext() as data, replacing(path) as file:
        write_model(model, lowered.weights, get, file, data, beside.name)
    sizes = len(lowered.nodes), len(lowered.weights), nbytes_of(lowered.weights)
    return Exported(*sizes, external, _explained(transformed), lowered.narrow.lost())


def _as_in_model(array: Array, lowered: Lowered, key: str) -> Array:
    """A weight in the dtype that it has in the model. Raises NetspecError NS501 if that dtype can't hold it."""
    try:
        narrow = lowered.narrow.narrow(array, lowered.weights[key].dtype, key)
    except TooLarge as error:
        help = f"{error.help}, or --no-fold if folding made it so large" if error.help else ""
        fail("NS501", f"`{key}` has {error}", help=help)
    if narrow is not array and key in lowered.sums and is_coarse(array, narrow, lowered.sums[key]):
        what = (
            f"`{key}` is a variance that half precision is too coarse for, beside an `eps` of {lowered.sums[key]:.3g}"
        )
        fail("NS501", what, help="leave --fp16 out")
    return narrow


def _explained(transformed: Transformed) -> tuple[str, ...]:
    """Sentences about what the passes did and declined."""
    declined = [f"`{path}` stays: {reason}" for path, reason in transformed.declined.items()]
    return (*transformed.done, *declined)
