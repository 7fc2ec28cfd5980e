"""`to_onnx`: a graph and its weights as an ONNX file for inference."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from netspec.backends.onnx.lower import OPSETS, Array, Lowered, lower
from netspec.backends.onnx.metadata import SEED, metadata_of
from netspec.backends.onnx.narrow import TooLarge, is_coarse
from netspec.backends.onnx.write import PRODUCER, model_of, nbytes_of, needs_external_data, write_model
from netspec.errors import choices, fail
from netspec.files import replacing
from netspec.graph.model import Graph
from netspec.passes.base import Transformed, made_weights
from netspec.passes.fold_batch_norm import fold_batch_norm
from netspec.passes.strip_dropout import strip_dropout

_HEAD = 256


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: how many nodes and weights, the bytes of these, and what the passes did and declined.

    `lost` says what half precision is too coarse for.
    """

    nodes: int
    weights: int
    nbytes: int
    apart: bool
    explained: tuple[str, ...]
    lost: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = ", in a file beside it" if self.apart else ""
        return f"{self.nodes:,} nodes, {self.weights:,} weights, {self.nbytes / 1e6:,.1f} MB{where}"


def for_inference(graph: Graph, fold: bool = True) -> Transformed:
    """What of a graph an ONNX file holds: what inference needs, without dropout, and with batch norms folded."""
    outputs = tuple([o for o in graph.outputs if o.mode == "inference"])
    made = Transformed(replace(graph, outputs=outputs)).then(strip_dropout)
    return made.then(fold_batch_norm) if fold else made


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
    """Write a graph with weights, by its own keys, as an ONNX model, which says from what seed they are, if from one.

    More than 2 GB of weights go to the file of the same name with `.data` after it. Raises NetspecError NS401 for what
    ONNX has no form for, NS501 where weights are missing, or beyond what the model's dtype holds.
    """
    if opset not in OPSETS:
        fail("NS401", f"opset {opset} is not written: {choices(map(str, OPSETS))} is")
    made = for_inference(graph, fold)
    lowered = lower(made.graph, opset, half=half)
    state = made_weights(made, weights)
    metadata = metadata_of(made.graph) | ({"netspec.half": "true"} if half else {})
    if seed is not None and lowered.weights:
        metadata = {SEED: str(seed)} | metadata
    model = model_of(lowered, graph.name, opset, metadata)
    beside = path.with_name(f"{path.name}.data")

    def get(key: str) -> Array:
        return _as_in_model(state[key], lowered, key)

    apart = needs_external_data(model, lowered.weights)
    with replacing(beside) if apart else nullcontext() as data, replacing(path) as file:
        write_model(model, lowered.weights, get, file, data, beside.name)
    sizes = len(lowered.nodes), len(lowered.weights), nbytes_of(lowered.weights)
    return Exported(*sizes, apart, _explained(made), lowered.narrow.lost())


def _as_in_model(array: Array, lowered: Lowered, key: str) -> Array:
    """A weight in the dtype that the model has it in."""
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


def is_ours(path: Path) -> bool:
    """Whether a file is an ONNX model that netspec wrote."""
    with path.open("rb") as file:
        return PRODUCER.encode() in file.read(_HEAD)


def _explained(made: Transformed) -> tuple[str, ...]:
    declined = [f"`{path}` stays: {reason}" for path, reason in made.declined.items()]
    return (*made.done, *declined)
